"""TensorRT-LLM: the engine for NVIDIA GPUs. Compiled once, kept in the store, loaded ever after.

``release`` tells which library there is, ``recipe`` decides an engine, ``builder`` compiles it, ``loader`` brings it into
memory, ``runtime`` answers with it, ``failures`` puts what goes wrong into words. Written against the published record of
the library's 1.2.1 interface.
"""

from __future__ import annotations

from pathlib import Path

from .. import cache, handbuilt, planner
from ..base import Note, Options, Plan, Progress, check_taken
from ..checkpoint import Checkpoint, check_weights, with_weights
from ..gpu import gpus
from . import builder, loader
from .recipe import QUANTIZED_BY, Recipe, quantized_as, recipe
from .release import Release, installed, planned, required
from .runtime import TensorRTEngine

__all__ = ["build", "is_engine", "load", "plan", "preferred", "unusable"]


def preferred() -> bool:
    """Whether a model should go here when the user names no engine: the library is installed and there is a GPU."""
    return installed() is not None and bool(gpus())


def is_engine(checkpoint: Checkpoint) -> bool:
    """Whether the folder that the user named is itself an engine."""
    return bool(handbuilt.config(checkpoint.folder))


def build(checkpoint: Checkpoint, options: Options, progress: Progress) -> Path:
    """The engine's folder: found in the store, built by hand or by us, else fetched, compiled and stored."""
    release = required()
    check_taken("tensorrt_llm", options)
    if is_engine(checkpoint):
        return checkpoint.folder
    if release.warning:
        progress(Note(release.warning))
    made = recipe(checkpoint, options, release, gpus())
    found = _found(made)
    if found is not None:
        return found
    for line in _misses(made):
        progress(Note(line))
    planner.require(made.forecast(gpus()), checkpoint.name)
    if release.era == "pytorch":
        return _prepared(made, progress)
    return _compiled(made, options, progress)


def _found(made: Recipe) -> Path | None:
    stored = cache.find(made.key)
    if stored is not None and cache.check(stored) is None:
        return stored
    other = _by_hand(made)
    return other.folder if other is not None and other.fits else None


def _by_hand(made: Recipe) -> cache.HandBuilt | None:
    if made.release.era == "pytorch":
        return None
    asked = {name: value for name, value in made.asked.items() if name in made.build_options}
    return cache.by_hand(made.key, asked, made.checkpoint.config)


def _misses(made: Recipe) -> list[str]:
    """Engines of the same model that do not do, and why: what is said before another one is built."""
    other = _by_hand(made)
    by_hand = [] if other is None or other.fits else [f"{other.folder.name} does not do: {other.problem or '; '.join(other.differences)}"]
    near = [
        f"{stored.name} does not do: {'; '.join(differences)}" for stored, differences in cache.near(made.key)[:3] if not stored.by_hand
    ]
    return by_hand + near


def _compiled(made: Recipe, options: Options, progress: Progress) -> Path:
    checkpoint = with_weights(made.checkpoint, progress)
    check_weights(checkpoint)
    kind = "" if made.quantization == "none" else f" ({made.quantization})"
    what = f"Building the engine of {checkpoint.name}{kind}"

    def compile_into(folder: Path) -> None:
        builder.run(builder.job(made, folder, options.trust_remote_code), what, progress)

    return cache.get(made.key, compile_into, progress, needed_bytes=_disk_bytes(made))


def _prepared(made: Recipe, progress: Progress) -> Path:
    progress(Note("This TensorRT-LLM has no engines: the checkpoint is prepared, and each load compiles and warms up afresh."))
    with_weights(made.checkpoint, progress)
    return cache.get(made.key, lambda folder: loader.write_prepared(folder, made), progress)


def _disk_bytes(made: Recipe) -> int:
    """An engine holds its weights; the library's own workspace holds them once more while it saves."""
    return 2 * planner.Shape.of(made.checkpoint.config).weight_bytes(made.dtype, made.quantization)


def load(folder: Path, checkpoint: Checkpoint, options: Options, progress: Progress) -> TensorRTEngine:
    """The engine that ``build`` has found or made, in memory."""
    engine = loader.load(folder, checkpoint, options, required(), progress)
    cache.used(folder)
    return engine


def unusable(stored: cache.Stored) -> str:
    """Why an engine of the store cannot be loaded here; empty when it can."""
    release, here = installed(), gpus()
    if release is None:
        return "TensorRT-LLM is not installed"
    if stored.version.split("+")[0] != release.version.split("+")[0]:
        return f"TensorRT-LLM {release.version} is installed"
    if not here:
        return "no GPU can be seen"
    return f"this GPU is {here[0].name}" if stored.gpu and stored.gpu != here[0].name else ""


def plan(checkpoint: Checkpoint, options: Options) -> Plan:
    """What ``build`` and ``load`` would do. Needs neither a GPU nor the library."""
    check_taken("tensorrt_llm", options)
    release, here = planned(), gpus()
    made = recipe(checkpoint, options, release, here)
    forecast = made.forecast(here)
    found = _found(made)
    folder = found or made.key.folder
    kind = "engine" if release.era == "engine" else "prepared checkpoint"
    steps = [
        ("library", _told(release)),
        ("checkpoint", _checkpoint_told(checkpoint)),
        (
            "quantization",
            QUANTIZED_BY[made.quantization] if release.era == "engine" else f"as the checkpoint is: {quantized_as(checkpoint)}",
        ),
        ("options", ", ".join(f"{name} {value}" for name, value in made.build_options.items())),
        (kind, f"{folder}{'' if found else ', not there yet'}"),
        ("key", made.key.digest),
        ("memory", forecast.text),
    ]
    steps += [("near miss", line) for line in _misses(made)] if found is None else []
    if forecast.problem:
        steps.append(("refused", f"{forecast.problem} {forecast.advice}"))
    commands = made.commands(str(checkpoint.folder), folder) if release.era == "engine" else ()
    return Plan(f"{checkpoint.name} on tensorrt_llm {release.version}", tuple(steps), commands, made.key.digest, forecast.problem)


def _told(release: Release) -> str:
    if not release.installed:
        return f"not installed here; planned for TensorRT-LLM {release.version}"
    return f"TensorRT-LLM {release.version}, {release.era} era{'. ' + release.warning if release.warning else ''}"


def _checkpoint_told(checkpoint: Checkpoint) -> str:
    here = any(checkpoint.folder.glob("*.safetensors"))
    state = "on this machine" if here else "weights to be fetched" if checkpoint.on_hub else "without weights"
    size = f", {checkpoint.weight_bytes / 2**30:.2f} GiB" if checkpoint.weight_bytes else ""
    return f"{checkpoint.origin}{size}, {state}"
