"""From a checkpoint and the user's options to everything that decides an engine: its limits, its key, the equivalent commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import ModelError, OptionError, unknown
from .. import cache, planner
from ..base import Options
from ..checkpoint import Checkpoint
from ..gpu import Gpu
from .release import Release, machine

DTYPES = ("float16", "bfloat16", "float32")
GEMM_PLUGINS = ("auto", "float16", "bfloat16", "float32", "int32", "fp8", "nvfp4", "disable")
QUANT_ALGOS: dict[str, str | None] = {"none": None, "int8": "W8A16", "int4": "W4A16", "fp8": "FP8"}

# What calibrates and quantizes. Weight-only formats need no calibration: TensorRT-LLM itself rounds the weights.
QUANTIZED_BY = {
    "none": "not quantized",
    "int8": "int8 weight-only (W8A16): TensorRT-LLM rounds the weights, without calibration",
    "int4": "int4 weight-only (W4A16): TensorRT-LLM rounds the weights, without calibration",
    "fp8": "fp8: nvidia-modelopt quantizes, calibrated on 512 texts of cnn_dailymail, which it fetches",
}
CALIBRATION = {"calib_dataset": "cnn_dailymail", "calib_batches": 512, "calib_max_seq_length": 512}

# Prompt and output together, where neither the user nor the model sets less: an engine's limits cost memory at its build.
DEFAULT_SEQ_LEN = 8192
DEFAULT_BATCH_SIZE = 8
TOKENS_PER_STEP = 8192
_ADA, _AMPERE = (8, 9), (8, 0)


@dataclass(frozen=True)
class Recipe:
    """An engine, decided. Lengths in tokens; ``asked`` holds what the user named, all else is our choice."""

    checkpoint: Checkpoint
    release: Release
    machine: Mapping[str, str]
    asked: Mapping[str, Any]
    dtype: str
    quantization: str
    tensor_parallel: int
    max_input_len: int
    max_seq_len: int
    max_batch_size: int
    max_beam_width: int
    tokens_per_block: int
    gemm_plugin: str
    logprobs: bool

    @property
    def max_num_tokens(self) -> int:
        """Most tokens of one step: room for the longest prompt in one piece."""
        return max(TOKENS_PER_STEP, self.max_input_len)

    @property
    def build_options(self) -> dict[str, Any]:
        """What the built files depend on, in the words of the user's options."""
        options: dict[str, Any] = {"quantization": self.quantization, "dtype": self.dtype, "tensor_parallel": self.tensor_parallel}
        if self.quantization == "fp8":
            options |= CALIBRATION
        if self.release.era == "engine":
            names = ("max_input_len", "max_seq_len", "max_batch_size", "max_beam_width", "max_num_tokens")
            options |= {name: getattr(self, name) for name in (*names, "tokens_per_block", "gemm_plugin", "logprobs")}
        return options

    @property
    def key(self) -> cache.Key:
        """What the engine is stored under."""
        bound = dict(self.machine)
        if self.release.era == "pytorch":  # a checkpoint runs wherever its library does
            bound = {"platform": bound["platform"]}
        return cache.Key("tensorrt_llm", self.release.version, self.checkpoint.name, self.checkpoint.origin, self.build_options, bound)

    @property
    def load(self) -> planner.Load:
        """What the memory forecast is made of."""
        return planner.Load(
            dtype=self.dtype,
            quantization=self.quantization,
            max_seq_len=self.max_seq_len,
            max_num_tokens=self.max_num_tokens,
            kv_cache=self.asked["kv_cache_mb"] * 2**20 if "kv_cache_mb" in self.asked else None,
            tensor_parallel=self.tensor_parallel,
        )

    def forecast(self, gpus: Sequence[Gpu]) -> planner.Forecast:
        """The memory that it takes on each GPU."""
        return planner.forecast(planner.Shape.of(self.checkpoint.config), self.load, gpus)

    def commands(self, checkpoint_folder: str, engine_folder: Path) -> tuple[str, ...]:
        """The two commands that make the same engine by hand; ``convert_checkpoint.py`` is the one of the model's family."""
        converted = engine_folder.with_name(engine_folder.name.replace("_engine", "_checkpoint"))
        convert: list[tuple[str, Any]] = [("model_dir", checkpoint_folder), ("output_dir", converted), ("dtype", self.dtype)]
        if self.tensor_parallel > 1:
            convert.append(("tp_size", self.tensor_parallel))
        if self.quantization in ("int8", "int4"):
            convert += [("use_weight_only", None), ("weight_only_precision", self.quantization)]
        elif self.quantization == "fp8":
            convert.append(("use_fp8", None))
        build: list[tuple[str, Any]] = [("checkpoint_dir", converted), ("output_dir", engine_folder)]
        names = ("max_batch_size", "max_beam_width", "tokens_per_block", "max_seq_len", "max_input_len", "max_num_tokens", "gemm_plugin")
        build += [(name, getattr(self, name)) for name in names]
        if self.logprobs:
            build.append(("gather_generation_logits", None))
        return _command("python convert_checkpoint.py", convert), _command("trtllm-build", build)


def _command(program: str, flags: Sequence[tuple[str, Any]]) -> str:
    import shlex

    words = [f"--{name}" + ("" if value is None else f" {shlex.quote(str(value))}") for name, value in flags]
    return " \\\n    ".join([program, *words])


def recipe(checkpoint: Checkpoint, options: Options, release: Release, gpus: Sequence[Gpu]) -> Recipe:
    """Decide what the options leave open; OptionError for what cannot be, before anything is fetched or built."""
    if not checkpoint.config:
        raise ModelError(
            f"{checkpoint.name} has no config.json: it is not a checkpoint.", "Name a checkpoint's folder, or a model of the hub."
        )
    if release.era == "pytorch":
        _check_pytorch(checkpoint, options)
    quantization = options.quantization or "none"
    if quantization not in QUANT_ALGOS:
        raise unknown("quantization", quantization, QUANT_ALGOS)
    dtype = options.dtype or _dtype(checkpoint)
    if dtype not in DTYPES:
        raise unknown("dtype", dtype, DTYPES)
    gemm_plugin = options.gemm_plugin or "auto"
    if gemm_plugin not in GEMM_PLUGINS:
        raise unknown("gemm plugin", gemm_plugin, GEMM_PLUGINS)
    limit = planner.Shape.of(checkpoint.config).max_positions
    max_seq_len = options.max_seq_len or min(limit, max(DEFAULT_SEQ_LEN, 2 * (options.max_input_len or 0)))
    made = Recipe(
        checkpoint=checkpoint,
        release=release,
        machine=machine(release, gpus),
        asked=options.given,
        dtype=dtype,
        quantization=quantization,
        tensor_parallel=options.tensor_parallel or 1,
        max_input_len=options.max_input_len or max_seq_len,
        max_seq_len=max_seq_len,
        max_batch_size=options.max_batch_size or DEFAULT_BATCH_SIZE,
        max_beam_width=options.max_beam_width or 1,
        tokens_per_block=options.tokens_per_block or 32,
        gemm_plugin=gemm_plugin,
        logprobs=bool(options.logprobs),
    )
    _check(made, limit, gpus)
    return made


def _check(made: Recipe, limit: int, gpus: Sequence[Gpu]) -> None:
    for name in ("tensor_parallel", "max_input_len", "max_seq_len", "max_batch_size", "max_beam_width", "tokens_per_block"):
        if getattr(made, name) < 1:
            raise OptionError(f"--{name.replace('_', '-')} is {getattr(made, name)}.", "Expected 1 or more.")
    if made.max_seq_len > limit:
        raise OptionError(f"--max-seq-len {made.max_seq_len} is over the model's limit of {limit} tokens.", f"Use {limit} or less.")
    if made.max_input_len > made.max_seq_len:
        raise OptionError(
            f"--max-input-len {made.max_input_len} is over --max-seq-len {made.max_seq_len}, which counts prompt and output together.",
            "Raise --max-seq-len, or lower --max-input-len.",
        )
    if made.tokens_per_block & (made.tokens_per_block - 1):
        raise OptionError(f"--tokens-per-block is {made.tokens_per_block}.", "Expected a power of two, such as 32 or 64.")
    for gpu in gpus[: made.tensor_parallel]:
        capability = tuple(int(part) for part in gpu.compute_capability.split(".") if part.isdigit())
        if made.quantization == "fp8" and capability < _ADA:
            raise OptionError(
                f"{gpu.name} (compute capability {gpu.compute_capability}) has no fp8; it begins with 8.9.", "Use --quantization int8."
            )
        if made.dtype == "bfloat16" and capability < _AMPERE:
            raise OptionError(f"{gpu.name} (compute capability {gpu.compute_capability}) has no bfloat16.", "Use --dtype float16.")


def _dtype(checkpoint: Checkpoint) -> str:
    text = checkpoint.config.get("text_config") or checkpoint.config
    named = text.get("torch_dtype") or text.get("dtype") or checkpoint.config.get("torch_dtype") or checkpoint.config.get("dtype")
    return named if named in ("float16", "bfloat16") else "float16"  # 32 bits would double the memory and gain nothing


def _check_pytorch(checkpoint: Checkpoint, options: Options) -> None:
    """What the releases after the removal of the TensorRT backend cannot do any more is said before anything runs."""
    gone = {
        "gemm_plugin": "there is no build step that would take a plugin",
        "max_beam_width": "beam search went with the TensorRT backend",
    }
    for name, why in gone.items():
        if name in options.given and options.given[name] != 1:
            raise OptionError(
                f"This TensorRT-LLM has no --{name.replace('_', '-')}: {why}.", "Leave it out, or install TensorRT-LLM 1.2.1."
            )
    quantization = options.given.get("quantization")
    if quantization and quantization != quantized_as(checkpoint):
        raise OptionError(
            f"This TensorRT-LLM cannot quantize {checkpoint.name} to {quantization}: it loads checkpoints as they are.",
            "Name a checkpoint that is quantized already (by nvidia-modelopt), or install TensorRT-LLM 1.2.1, which does it at the build.",
        )


def quantized_as(checkpoint: Checkpoint) -> str:
    """The format that a checkpoint already has, in our words; ``none`` for plain weights.

    By ``hf_quant_config.json`` of nvidia-modelopt, or ``quantization_config`` in config.json.
    """
    import json

    path = checkpoint.folder / "hf_quant_config.json"
    algo = ""
    if path.is_file():
        algo = str(json.loads(path.read_text(encoding="utf-8")).get("quantization", {}).get("quant_algo", ""))
    algo = algo or str((checkpoint.config.get("quantization_config") or {}).get("quant_method", ""))
    return next((word for word in ("fp8", "int8", "int4") if word in algo.lower()), algo.lower() or "none")
