"""transformers: the plain fallback, for architectures that the onnx converter does not take. Needs torch."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import EngineError, ModelError, OptionError, missing
from ..records import EngineInfo
from . import planner
from .base import Memory, Options, Plan, Progress, check_taken
from .checkpoint import Checkpoint, with_weights
from .gpu import gpus
from .inventory import Stored
from .local import LocalEngine, load_tokenizer
from .onnx import DEFAULT_SEQ_LEN
from .sampling import Logits

DTYPES = ("float32", "float16", "bfloat16")


def build(checkpoint: Checkpoint, options: Options, progress: Progress) -> Path:
    """The checkpoint's own folder: there is nothing to build, only to check and to fetch."""
    if importlib.util.find_spec("torch") is None:
        raise missing("torch", "The transformers engine", "convert")
    check_taken("transformers", options)
    if options.dtype not in (None, *DTYPES):
        raise OptionError(f"Unknown dtype {options.dtype!r}.", f"Choose one of: {', '.join(DTYPES)}.")
    if not checkpoint.config:
        raise OptionError(f"{checkpoint.name} is an onnx engine, not a checkpoint.", "Use --engine onnx, or name the checkpoint's folder.")
    return with_weights(checkpoint, progress).folder


def plan(checkpoint: Checkpoint, options: Options) -> Plan:
    """What ``build`` and ``load`` would do: nothing is built."""
    check_taken("transformers", options)
    shape = planner.Shape.of(checkpoint.config)
    on_gpu = bool(gpus())
    dtype = options.dtype or ("bfloat16" if on_gpu else "float32")
    length = min(options.max_seq_len or DEFAULT_SEQ_LEN, shape.max_positions)
    forecast = planner.forecast(shape, planner.Load(dtype=dtype, max_seq_len=length), gpus())
    steps = (("checkpoint", checkpoint.origin), ("dtype", dtype), ("engine", "nothing is built: the checkpoint is loaded as it is"))
    title = f"{checkpoint.name} on transformers {importlib.metadata.version('transformers')}"
    return Plan(title, (*steps, ("memory", forecast.text)), problem=forecast.problem)


def unusable(stored: Stored) -> str:  # noqa: ARG001 - as every engine has it
    """Empty: what this engine loads is never in the store."""
    return ""


def load(folder: Path, checkpoint: Checkpoint, options: Options, progress: Progress) -> TransformersEngine:  # noqa: ARG001 - as every engine has it
    """The checkpoint in memory."""
    return TransformersEngine(folder, checkpoint, options)


class TransformersEngine(LocalEngine):
    """A causal language model and its dynamic KV cache, on the GPU when there is one."""

    def __init__(self, folder: Path, checkpoint: Checkpoint, options: Options) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        self._torch = torch
        device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = options.dtype or ("bfloat16" if device == "cuda" else "float32")
        try:
            model = AutoModelForCausalLM.from_pretrained(
                str(folder), dtype=getattr(torch, dtype), trust_remote_code=options.trust_remote_code
            )
        except Exception as exc:
            raise EngineError(f"{checkpoint.name} cannot be loaded by transformers: {str(exc)[:300]}", "Check the model's folder.") from exc
        self._model: Any = model.to(device).eval()
        config = model.config.get_text_config()
        eos = model.generation_config.eos_token_id
        if eos is None:
            eos = config.eos_token_id
        limit = getattr(config, "max_position_embeddings", None) or DEFAULT_SEQ_LEN
        info = EngineInfo(
            backend="transformers",
            backend_version=importlib.metadata.version("transformers"),
            model=checkpoint.name,
            quantization="none",
            device=device,
            max_seq_len=min(options.max_seq_len or DEFAULT_SEQ_LEN, limit),
            max_input_len=options.max_input_len,
        )
        tokenizer = load_tokenizer(str(folder), options.trust_remote_code)
        super().__init__(info, tokenizer, config.vocab_size, tuple(eos) if isinstance(eos, list) else (eos,))
        self._past: Any = None
        self._shape = _shape(config.to_dict())

    @property
    def memory(self) -> Memory:
        """Parameters and buffers as they lie in memory; the KV cache grows with its tokens, up to the window."""
        model, past = self._model, self._past
        if model is None:
            return Memory(0, 0, 0)
        weights = sum(tensor.nbytes for tensors in (model.parameters(), model.buffers()) for tensor in tensors)
        total = None if self._shape is None else self._shape.kv_bytes(self.info.max_seq_len, 1, model.dtype.itemsize)
        return Memory(weights, total, _past_bytes(past))

    def _feed(self, ids: Sequence[int]) -> Logits:
        torch = self._torch
        with torch.inference_mode():
            inputs = torch.tensor([list(ids)], device=self._model.device)
            output = self._model(input_ids=inputs, past_key_values=self._past, use_cache=True, logits_to_keep=1)
        self._past = output.past_key_values
        logits: Logits = output.logits[0, -1].float().cpu().numpy()
        return logits

    def _rewind(self, length: int) -> None:
        if length == 0 or self._past is None:
            self._past = None
            return
        surplus = len(self._cached) - length
        if surplus:
            self._past.crop(-surplus)  # a negative count is what every supported release takes

    def _release(self) -> None:
        self._model = self._past = None
        if self._torch.cuda.is_available():
            self._torch.cuda.empty_cache()


def _shape(config: dict[str, Any]) -> planner.Shape | None:
    try:
        return planner.Shape.of(config)
    except ModelError:
        return None


def _past_bytes(past: Any) -> int | None:
    """What the keys and values of all layers take; None for a kind of cache that does not show them."""
    if past is None:
        return 0
    layers = getattr(past, "layers", None)
    if layers is None:
        return None
    held = (getattr(layer, name, None) for layer in layers for name in ("keys", "values"))
    return sum(int(tensor.nbytes) for tensor in held if tensor is not None)
