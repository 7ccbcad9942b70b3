"""Will it fit? The memory of a model from its ``config.json`` alone, before a byte of weights is fetched.

- weights are counted from the shape; embedding and head stay in the dtype, the other matrices take the quantization's bytes
- the KV cache is counted by length, batch, key-value heads (GQA) and sliding windows
- activations and workspace are estimates: what a step of ``max_num_tokens`` tokens holds at once, and 1 GiB for the libraries
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import MemoryNeededError, ModelError
from .gpu import Gpu

GIB = 2**30
# CUDA context, cuBLAS, communication buffers. An estimate; the planner's answer is a forecast and not a promise.
WORKSPACE = 1 * GIB
DTYPE_BYTES = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0}
QUANTIZED_BYTES = {"int8": 1.0, "fp8": 1.0, "int4": 0.5}

# What one thing is called in the configs of different architectures.
_NAMES = {
    "hidden": ("hidden_size", "n_embd", "d_model"),
    "layers": ("num_hidden_layers", "n_layer", "num_layers"),
    "heads": ("num_attention_heads", "n_head", "num_heads"),
    "vocab": ("vocab_size",),
}
# Two matrices in the feed-forward part in place of three.
_PLAIN_MLP = frozenset({"gpt2", "gpt_neox", "gptj", "gpt_bigcode", "opt", "phi", "falcon", "bloom", "starcoder2", "nemotron"})
_QKV_BIAS = frozenset({"qwen2", "qwen2_moe", "gpt2", "gpt_bigcode", "opt", "phi", "starcoder2"})


@dataclass(frozen=True)
class Shape:
    """The sizes that decide the memory of a decoder-only model. ``windows`` has one entry a layer; None sees everything."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocab: int
    tied: bool
    max_positions: int
    experts: int = 0
    expert_intermediate: int = 0
    shared_intermediate: int = 0
    dense_layers: int = 0
    gated: bool = True
    qkv_bias: bool = False
    windows: tuple[int | None, ...] = ()

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Shape:
        """From a model's ``config.json``; ModelError when it does not tell the sizes."""
        text = config.get("text_config") or config
        kind = str(text.get("model_type", ""))
        hidden, layers, heads, vocab = (_size(text, name) for name in ("hidden", "layers", "heads", "vocab"))
        experts = int(text.get("num_local_experts") or text.get("num_experts") or text.get("n_routed_experts") or 0)
        inner = int(text.get("intermediate_size") or text.get("n_inner") or text.get("ffn_dim") or 4 * hidden)
        expert_inner = int(text.get("moe_intermediate_size") or inner) if experts else 0
        return cls(
            hidden=hidden,
            layers=layers,
            heads=heads,
            kv_heads=int(text.get("num_key_value_heads") or (1 if text.get("multi_query") else heads)),
            head_dim=int(text.get("head_dim") or hidden // heads),
            intermediate=inner,
            vocab=vocab,
            tied=bool(config.get("tie_word_embeddings", text.get("tie_word_embeddings", kind.startswith(("gemma", "gpt2"))))),
            max_positions=int(text.get("max_position_embeddings") or text.get("n_positions") or 2048),
            experts=experts,
            expert_intermediate=expert_inner,
            shared_intermediate=_shared(text, expert_inner),
            dense_layers=int(text.get("first_k_dense_replace") or 0) if experts else 0,
            gated=kind not in _PLAIN_MLP,
            qkv_bias=bool(text.get("attention_bias", kind in _QKV_BIAS)),
            windows=_windows(text, layers, kind),
        )

    @property
    def embedding_parameters(self) -> int:
        """Token embedding and, where it is another matrix, the head."""
        return self.vocab * self.hidden * (1 if self.tied else 2)

    @property
    def linear_parameters(self) -> int:
        """The matrices inside the layers: what quantization makes smaller."""
        attention = self.hidden * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        width = 3 if self.gated else 2
        dense = width * self.hidden * self.intermediate
        if not self.experts:
            return self.layers * (attention + dense)
        mixed = width * self.hidden * (self.experts * self.expert_intermediate + self.shared_intermediate) + self.hidden * self.experts
        sparse = self.layers - self.dense_layers
        return self.layers * attention + sparse * mixed + self.dense_layers * dense

    @property
    def parameters(self) -> int:
        """All of them; norms and biases included."""
        biases = self.layers * self.head_dim * (self.heads + 2 * self.kv_heads) if self.qkv_bias else 0
        return self.embedding_parameters + self.linear_parameters + biases + self.hidden * (2 * self.layers + 1)

    def weight_bytes(self, dtype: str, quantization: str = "none") -> int:
        """Bytes of the weights in memory. Scales of a quantization add about one value a row, or one in 128 of int4."""
        plain = DTYPE_BYTES[dtype]
        if quantization == "none":
            return int(self.parameters * plain)
        scales = self.linear_parameters / (128 if quantization == "int4" else self.hidden) * plain
        kept = self.parameters - self.linear_parameters
        return int(kept * plain + self.linear_parameters * QUANTIZED_BYTES[quantization] + scales)

    def kv_bytes_per_token(self, value_bytes: float = 2.0, tensor_parallel: int = 1) -> int:
        """Bytes that one token takes in the KV cache of one GPU, in layers that see everything."""
        return int(2 * self.layers * self._kv_heads_on_one(tensor_parallel) * self.head_dim * value_bytes)

    def kv_bytes(self, length: int, batch: int = 1, value_bytes: float = 2.0, tensor_parallel: int = 1) -> int:
        """Bytes of the KV cache of one GPU for ``batch`` sequences of ``length`` tokens; a sliding window bounds its layers."""
        windows = self.windows or (None,) * self.layers
        tokens = sum(length if window is None else min(length, window) for window in windows)
        return int(2 * tokens * batch * self._kv_heads_on_one(tensor_parallel) * self.head_dim * value_bytes)

    def _kv_heads_on_one(self, tensor_parallel: int) -> int:
        return max(1, -(-self.kv_heads // tensor_parallel))  # fewer heads than GPUs are repeated on each


def _size(text: Mapping[str, Any], name: str) -> int:
    for key in _NAMES[name]:
        if text.get(key):
            return int(text[key])
    raise ModelError(f"config.json does not tell {_NAMES[name][0]}, so the memory cannot be forecast.", "Choose a decoder-only text model.")


def _shared(text: Mapping[str, Any], expert_inner: int) -> int:
    return int(text.get("shared_expert_intermediate_size") or (text.get("n_shared_experts") or 0) * expert_inner)


def _windows(text: Mapping[str, Any], layers: int, kind: str) -> tuple[int | None, ...]:
    window = text.get("sliding_window")
    if not window or text.get("use_sliding_window") is False:
        return ()
    types = text.get("layer_types")
    if types:
        return tuple(int(window) if kind_of == "sliding_attention" else None for kind_of in types)
    if kind == "gemma2":  # configs of the first releases do not list the layers: every other one slides
        return tuple(int(window) if layer % 2 == 0 else None for layer in range(layers))
    return (int(window),) * layers


@dataclass(frozen=True)
class Forecast:
    """Bytes on each of ``tensor_parallel`` GPUs. ``available`` is None where no GPU was seen."""

    weights: int
    kv_cache: int
    activations: int
    workspace: int
    tensor_parallel: int
    available: int | None
    gpu: str
    problem: str = ""
    advice: str = ""

    @property
    def needed(self) -> int:
        """All parts together."""
        return self.weights + self.kv_cache + self.activations + self.workspace

    @property
    def text(self) -> str:
        """The numbers in a line."""
        parts = f"weights {gib(self.weights)}, KV cache {gib(self.kv_cache)}, activations {gib(self.activations)}"
        parts += f", workspace {gib(self.workspace)}"
        each = f" on each of {self.tensor_parallel} GPUs" if self.tensor_parallel > 1 else ""
        room = "no GPU seen here" if self.available is None else f"{self.gpu} has {gib(self.available)} free"
        return f"{gib(self.needed)}{each} ({parts}); {room}"


def gib(size: float) -> str:
    """Bytes for people."""
    return f"{size / GIB:.2f} GiB" if size < 100 * GIB else f"{size / GIB:.0f} GiB"


@dataclass(frozen=True)
class Load:
    """What is to be forecast; the limits are those of the engine. ``kv_cache`` is a budget in bytes, None: one sequence's need."""

    dtype: str = "float16"
    quantization: str = "none"
    max_seq_len: int = 8192
    max_batch_size: int = 1
    max_num_tokens: int = 8192
    kv_cache: int | None = None
    tensor_parallel: int = 1


def forecast(shape: Shape, load: Load, gpus: Sequence[Gpu]) -> Forecast:
    """The memory of ``load``, compared with the GPU that has least free; ``problem`` and ``advice`` are filled when it does not fit."""
    made = _sized(shape, load)
    if shape.heads % load.tensor_parallel:
        fitting = [n for n in range(1, 17) if shape.heads % n == 0]
        return dataclasses.replace(
            made,
            problem=f"{shape.heads} attention heads cannot be shared by {load.tensor_parallel} GPUs.",
            advice=f"Use --tensor-parallel {' or '.join(map(str, fitting))}.",
        )
    if not gpus:
        return made
    if len(gpus) < load.tensor_parallel:
        return dataclasses.replace(
            made,
            problem=f"--tensor-parallel {load.tensor_parallel} needs as many GPUs; {len(gpus)} can be seen.",
            advice=f"Use --tensor-parallel {len(gpus)}, or CUDA_VISIBLE_DEVICES to show more.",
        )
    least = min(gpus[: load.tensor_parallel], key=lambda gpu: gpu.free)
    made = dataclasses.replace(made, available=least.free, gpu=least.name)
    if made.needed <= least.free:
        return made
    return dataclasses.replace(
        made, problem=f"It needs {gib(made.needed)}; {least.name} has {gib(least.free)} free.", advice=_advice(shape, load, gpus)
    )


def _sized(shape: Shape, load: Load) -> Forecast:
    shares = load.tensor_parallel
    one = shape.kv_bytes(load.max_seq_len, 1, 2.0, shares)
    wide = max(shape.intermediate, shape.expert_intermediate)
    step = min(load.max_num_tokens, load.max_batch_size * load.max_seq_len)
    activations = step * (6 * shape.hidden + 2 * wide // shares) * 2 + load.max_batch_size * shape.vocab * 4
    return Forecast(
        weights=-(-shape.weight_bytes(load.dtype, load.quantization) // shares),
        kv_cache=one if load.kv_cache is None else load.kv_cache,
        activations=activations,
        workspace=WORKSPACE,
        tensor_parallel=shares,
        available=None,
        gpu="",
    )


def _advice(shape: Shape, load: Load, gpus: Sequence[Gpu]) -> str:
    """The largest setting that fits, by the least change: a shorter window, then fewer bytes a weight, then more GPUs."""
    length = largest_seq_len(shape, load, gpus)
    if load.kv_cache is not None:
        rest = _sized(shape, dataclasses.replace(load, kv_cache=0)).needed
        room = (min(gpu.free for gpu in gpus[: load.tensor_parallel]) - rest) // 2**20
        if room >= 64:
            return f"Use --kv-cache-mb {room} or less."
    elif length:
        return f"The longest window that fits: --max-seq-len {length}."
    for quantization in ("int8", "int4"):
        smaller = dataclasses.replace(load, quantization=quantization)
        if load.quantization != quantization and not _short(shape, smaller, gpus):
            return f"It fits with --quantization {quantization}."
    for shares in range(load.tensor_parallel + 1, len(gpus) + 1):
        if shape.heads % shares == 0 and not _short(shape, dataclasses.replace(load, tensor_parallel=shares), gpus):
            return f"It fits with --tensor-parallel {shares}."
    return "Unload other models, choose a smaller one, or use a machine with more GPU memory."


def _short(shape: Shape, load: Load, gpus: Sequence[Gpu]) -> bool:
    return _sized(shape, load).needed > min(gpu.free for gpu in gpus[: load.tensor_parallel])


def largest_seq_len(shape: Shape, load: Load, gpus: Sequence[Gpu]) -> int:
    """The longest window, in steps of 256 tokens, that fits with the other settings as they are; 0 when none does."""
    low, high = 0, load.max_seq_len // 256
    while low < high:
        middle = (low + high + 1) // 2
        short = _short(shape, dataclasses.replace(load, max_seq_len=middle * 256), gpus)
        low, high = (low, middle - 1) if short else (middle, high)
    return low * 256


def require(made: Forecast, model: str) -> None:
    """MemoryNeededError with the numbers and what would fit, when the forecast says that it does not."""
    if made.problem:
        raise MemoryNeededError(f"{model} does not fit. {made.problem} {made.text}.", made.advice)
