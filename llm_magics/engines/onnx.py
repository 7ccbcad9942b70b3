"""onnxruntime-genai: the embedded engine for CPUs. Converted and quantized once, loaded ever after, without torch."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BuildError, EngineError, MemoryNeededError, OptionError, missing
from ..records import EngineInfo
from . import cache, child, planner
from .base import Memory, Options, Plan, Progress, check_taken
from .checkpoint import Checkpoint, check_weights, with_weights
from .local import LocalEngine, load_tokenizer
from .sampling import Logits

QUANTIZATIONS = ("none", "int8", "int4")
_CONVERTER = "onnxruntime_genai.models.builder"
# The KV cache is laid out in full when a model is loaded, so a model's own limit (often 128k) is not the default.
DEFAULT_SEQ_LEN = 8192


def version() -> str:
    """Version of onnxruntime-genai, read without importing it."""
    try:
        return importlib.metadata.version("onnxruntime-genai")
    except importlib.metadata.PackageNotFoundError as exc:
        raise missing("onnxruntime-genai", "The onnx engine", "onnx") from exc


def key(checkpoint: Checkpoint, options: Options) -> cache.Key:
    """What an engine of this checkpoint with these options is stored under."""
    quantization = options.quantization or "none"
    if quantization not in QUANTIZATIONS:
        raise OptionError(f"The onnx engine cannot quantize to {quantization!r}.", f"Choose one of: {', '.join(QUANTIZATIONS)}.")
    return cache.Key("onnx", version(), checkpoint.name, checkpoint.origin, {"quantization": quantization})


def build(checkpoint: Checkpoint, options: Options, progress: Progress) -> Path:
    """The folder to load: the checkpoint's own when it is in this engine's format, else the store's, converted if need be."""
    check_taken("onnx", options)
    if checkpoint.genai_config:
        return with_weights(checkpoint, progress).folder
    wanted = key(checkpoint, options)
    found = cache.find(wanted)
    if found and cache.check(found) is None:
        return found
    _check_tools()
    checkpoint = with_weights(checkpoint, progress)
    _check_memory(checkpoint)
    quantization = wanted.options["quantization"]
    what = "Converting" if quantization == "none" else f"Converting and quantizing to {quantization}"

    def convert(folder: Path) -> None:
        _convert(checkpoint.folder, folder, _precision(quantization), f"{what} {checkpoint.name}", progress)

    return cache.get(wanted, convert, progress, needed_bytes=2 * _engine_bytes(checkpoint, quantization))


def _check_tools() -> None:
    for module in ("torch", "onnx", "onnx_ir"):
        if importlib.util.find_spec(module) is None:
            raise missing(module, "Converting a checkpoint for the onnx engine", "convert")


def _check_memory(checkpoint: Checkpoint) -> None:
    check_weights(checkpoint)
    import psutil

    # The converter holds the weights in 32 bits, and a copy of them while it writes.
    dtype_bytes = 4 if checkpoint.config.get("torch_dtype", checkpoint.config.get("dtype")) == "float32" else 2
    needed = checkpoint.weight_bytes // dtype_bytes * 8
    available = psutil.virtual_memory().available
    if needed > available:
        raise MemoryNeededError(
            f"Converting {checkpoint.name} takes about {needed / 2**30:.1f} GiB of memory; {available / 2**30:.1f} GiB are free.",
            "Close other programs, choose a smaller model, or convert it on a larger machine and name the folder.",
        )


def _precision(quantization: str) -> str:
    return "fp32" if quantization == "none" else quantization


def _arguments(source: Path, target: Path, precision: str) -> list[str]:
    return ["-m", str(source), "-i", str(source), "-o", str(target), "-p", precision, "-e", "cpu"]


def _convert(source: Path, target: Path, precision: str, what: str, progress: Progress) -> None:
    """Run the converter in a process of its own: torch's memory goes back when it ends."""
    scratch = target / ".scratch"
    arguments = [*_arguments(source, target, precision), "-c", str(scratch)]
    ended = child.run(_CONVERTER, arguments, what=what, progress=progress, stage=_stage, environment={"HF_HUB_OFFLINE": "1"})
    if ended.code:
        raise _failure(source, ended.code, ended.output)
    if scratch.is_dir():
        import shutil

        shutil.rmtree(scratch)


def _stage(line: str) -> str | None:
    found = re.match(r"Reading [^\n]{0,80}", line)
    return found.group(0) if found else None


def _failure(source: Path, code: int, output: str) -> BuildError:
    unsupported = re.search(r"NotImplementedError: (.*)", output)
    if unsupported:
        return UnsupportedArchitectureError(f"The converter does not take this model: {unsupported.group(1)}", "Use --engine transformers.")
    if code in (-9, 137):
        return BuildError("The converter was ended by the system, most likely for want of memory.", "Free memory, or use a smaller model.")
    last = next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "no output")
    return BuildError(f"Converting {source} failed: {last[:300]}", "Check the checkpoint; --engine transformers may take it as it is.")


class UnsupportedArchitectureError(BuildError):
    """The converter does not know this architecture; another engine may."""


def _engine_bytes(checkpoint: Checkpoint, quantization: str) -> int:
    """Size of the engine's files: everything is kept in 32 bits that is not quantized."""
    return planner.Shape.of(checkpoint.config).weight_bytes("float32", quantization)


def plan(checkpoint: Checkpoint, options: Options) -> Plan:
    """What ``build`` and ``load`` would do."""
    check_taken("onnx", options)
    title = f"{checkpoint.name} on onnxruntime-genai {version()}"
    if checkpoint.genai_config:
        return Plan(title, (("engine", f"{checkpoint.folder}, loaded as it is"),))
    wanted = key(checkpoint, options)
    quantization = wanted.options["quantization"]
    shape = planner.Shape.of(checkpoint.config)
    length = min(options.max_seq_len or DEFAULT_SEQ_LEN, shape.max_positions)
    weights, kv_cache = _engine_bytes(checkpoint, quantization), shape.kv_bytes(length, 1, 4.0)
    found = cache.find(wanted)
    steps = (
        ("checkpoint", checkpoint.origin),
        ("quantization", quantization),
        ("engine", f"{wanted.folder}{'' if found else ', not there yet'}"),
        ("key", wanted.digest),
        ("memory", f"{planner.gib(weights + kv_cache)} (weights {planner.gib(weights)}, KV cache {planner.gib(kv_cache)})"),
    )
    by_hand = ["python", "-m", _CONVERTER, *_arguments(checkpoint.folder, wanted.folder, _precision(quantization))]
    return Plan(title, steps, (shlex.join(by_hand),), wanted.digest)


def unusable(stored: cache.Stored) -> str:
    """Why an engine of the store cannot be loaded here; empty when it can."""
    return "" if stored.version == version() else f"onnxruntime-genai {version()} is installed"


def load(folder: Path, checkpoint: Checkpoint, options: Options, progress: Progress) -> OnnxEngine:  # noqa: ARG001 - as every engine has it
    """The engine that ``build`` has put into ``folder``."""
    engine = OnnxEngine(folder, checkpoint, options)
    cache.used(folder)
    return engine


class OnnxEngine(LocalEngine):
    """One model in memory, with one KV cache that is kept between requests."""

    def __init__(self, folder: Path, checkpoint: Checkpoint, options: Options) -> None:
        import onnxruntime_genai as genai

        if hasattr(genai, "disable_telemetry_events"):  # releases for Python 3.10 have no telemetry to disable
            genai.disable_telemetry_events()
        config: dict[str, Any] = json.loads((folder / "genai_config.json").read_text(encoding="utf-8"))["model"]
        try:
            self._model = genai.Model(_session_config(genai, folder))
        except Exception as exc:
            raise EngineError(f"{folder} cannot be loaded: {str(exc)[:300]}", "Remove the folder, and load the model again.") from exc
        eos = config["eos_token_id"]
        info = EngineInfo(
            backend="onnx",
            backend_version=version(),
            model=checkpoint.name,
            quantization=_quantization(folder, options),
            device="cpu",
            max_seq_len=_seq_len(config, options),
            max_input_len=options.max_input_len,
        )
        tokenizer = load_tokenizer(str(folder), options.trust_remote_code)
        super().__init__(info, tokenizer, config["vocab_size"], tuple(eos) if isinstance(eos, list) else (eos,))
        params = genai.GeneratorParams(self._model)
        # The tokens are chosen here, so of the search options only the room for the KV cache matters.
        params.set_search_options(max_length=info.max_seq_len, do_sample=False)
        self._generator = genai.Generator(self._model, params)
        self._weights = sum(path.stat().st_size for path in folder.glob("*.onnx*"))
        self._kv_total = _kv_bytes(self._generator, config)

    @property
    def memory(self) -> Memory:
        """The model's files, which are loaded whole, and the KV cache, which is laid out in full at once."""
        if self._closed:
            return Memory(0, 0, 0)
        used = None if self._kv_total is None else self._kv_total * len(self._cached) // self.info.max_seq_len
        return Memory(self._weights, self._kv_total, used)

    def _feed(self, ids: Sequence[int]) -> Logits:
        self._generator.append_tokens(np.asarray(ids, dtype=np.int32))
        logits: Logits = self._generator.get_logits()
        last: Logits = logits.reshape(-1, logits.shape[-1])[-1]
        return last

    def _rewind(self, length: int) -> None:
        self._generator.rewind_to(length)

    def _release(self) -> None:
        self._generator = self._model = None


def _session_config(genai: Any, folder: Path) -> Any:
    config = genai.Config(str(folder))
    # An explicit count keeps the threads unpinned: measured 1.3 to 1.6 times the default's speed on 2 cores.
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    config.overlay(json.dumps({"model": {"decoder": {"session_options": {"intra_op_num_threads": threads}}}}))
    return config


def _kv_bytes(generator: Any, config: dict[str, Any]) -> int | None:
    """Size of the KV cache, by the array that holds the keys of the first layer; None where the runtime does not show it."""
    decoder = config["decoder"]
    try:
        keys = generator.get_output(decoder["outputs"]["present_key_names"] % 0)
    except Exception:  # noqa: BLE001 - the runtime has no error class of its own
        return None
    return 2 * int(decoder["num_hidden_layers"]) * int(keys.nbytes)


def _quantization(folder: Path, options: Options) -> str:
    manifest = folder / cache.MANIFEST
    if manifest.is_file():
        quantization: str = json.loads(manifest.read_text(encoding="utf-8"))["options"]["quantization"]
        return quantization
    return options.quantization or "as found"


def _seq_len(config: dict[str, Any], options: Options) -> int:
    """Tokens of prompt and output together: what was asked for, within the model's limit and the KV budget."""
    limit: int = config["context_length"]
    length = min(options.max_seq_len or DEFAULT_SEQ_LEN, limit)
    if options.max_seq_len and options.max_seq_len > limit:
        raise OptionError(f"--max-seq-len {options.max_seq_len} is over the model's limit of {limit} tokens.", f"Use {limit} or less.")
    if options.kv_cache_mb:
        decoder = config["decoder"]
        per_token = 2 * decoder["num_hidden_layers"] * decoder["num_key_value_heads"] * decoder["head_size"] * 4
        length = min(length, options.kv_cache_mb * 2**20 // per_token)
    return length
