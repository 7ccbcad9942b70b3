"""The doctor's checks: what is there, what was expected, what to do. None of them loads a GPU library into this process."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from ..engines import cache, planner, unusable
from ..engines.gpu import Gpu, gpus
from ..engines.tensorrt_llm import failures, loader, runtime
from ..engines.tensorrt_llm import release as releases
from ..errors import DependencyError
from . import probe

State = Literal["ok", "warn", "fail", "none"]
SIGNATURES = Path(__file__).parent.parent / "engines" / "tensorrt_llm" / "signatures.json"
_LONGEST = 300  # characters of a foreign text
# An 8B engine takes 9 to 16 GiB, and twice that while it is built; its checkpoint 15 to 16 GiB.
_ROOM = 32 * planner.GIB
_SMOKE_KV_MB = 512

# Packages whose versions a bug report needs.
_PACKAGES = (
    "tensorrt_llm", "tensorrt", "torch", "transformers", "nvidia-modelopt", "xgrammar", "mpi4py", "onnxruntime-genai", "llguidance",
    "numpy", "ipython", "ipykernel", "ipywidgets", "jupyterlab",
)  # fmt: skip
# Settings that change how engines run; of the others of such settings only that they are set is told.
_TOLD = (
    "CUDA_VISIBLE_DEVICES", "LLM_MAGICS_CACHE", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT", "HF_HUB_OFFLINE",
    runtime.SINGLE_PROCESS, "TLLM_LLMAPI_BUILD_CACHE", "TRT_LLM_DISABLE_LOAD_WEIGHTS_IN_PARALLEL", "OMPI_MCA_btl_tcp_if_include",
    "LD_LIBRARY_PATH", "CONDA_PREFIX",
)  # fmt: skip
_ONLY_SET = ("HF_TOKEN", "HTTP_PROXY", "HTTPS_PROXY", "LD_PRELOAD", "PYTHONPATH")


@dataclass(frozen=True)
class Check:
    """One thing looked at. ``state``: ok, warn (works, with a limit), fail (must be mended), none (not here, and need not be).

    ``details`` are lines of their own under ``found``; ``remedy`` says what to do, and is empty where nothing is to be done.
    """

    name: str
    state: State
    found: str
    details: tuple[str, ...] = ()
    remedy: str = ""


@dataclass(frozen=True)
class Limits:
    """Seconds that each look into another process may take. A first import from a cold disk takes a minute and more."""

    look_s: float = 20
    import_s: float = 180
    smoke_s: float = 300


class Machine:
    """What several checks ask for. Mutable: each thing is looked up once."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    @cached_property
    def gpus(self) -> list[Gpu]:
        return gpus()

    @cached_property
    def release(self) -> releases.Release | None:
        return releases.installed()

    @cached_property
    def smi(self) -> probe.Ran | None:
        """nvidia-smi's own page, which is for people and tells more than its table; None where there is no such command."""
        command = shutil.which("nvidia-smi")
        return probe.run([command], self.limits.look_s) if command else None


def clipped(text: str) -> str:
    """A foreign text in a line that is not too long."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


# What is installed.


def _python(_: Machine) -> Iterator[Check]:
    yield Check("python", "ok", f"{platform.python_version()} on {platform.platform()}", (sys.executable,))


def _packages(_: Machine) -> Iterator[Check]:
    found = {name: _version(name) for name in _PACKAGES}
    yield Check("llm_magics", "ok", own_version(), (", ".join(f"{name} {version}" for name, version in found.items() if version),))


def own_version() -> str:
    """The version of the package that runs, which need not be the one that is installed."""
    return str(sys.modules[__name__.partition(".")[0]].__version__)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name) or ""
    except importlib.metadata.PackageNotFoundError:
        return ""


def _release(_: Machine) -> Iterator[Check]:
    try:
        release = releases.required()
    except DependencyError as error:
        state: State = "fail" if _version("tensorrt_llm") else "none"
        yield Check("TensorRT-LLM", state, error.message, remedy=error.hint)
        return
    told = f"{release.version}, {release.era} era"
    yield Check("TensorRT-LLM", "warn" if release.warning else "ok", told, remedy=release.warning)


def _pins(machine: Machine) -> Iterator[Check]:
    """What tensorrt_llm itself declares, against what is installed. Another torch breaks the import; others may do."""
    if machine.release is None:
        return
    wrong = [pair for line in importlib.metadata.requires("tensorrt_llm") or () if (pair := _off(line))]
    if not wrong:
        yield Check("pins", "ok", "all that tensorrt_llm asks for is there")
        return
    torch = any(name == "torch" for name, _ in wrong)
    remedy = "Install these versions, with a constraints file so that they stay."
    found = f"{len(wrong)} of what tensorrt_llm asks for {'is' if len(wrong) == 1 else 'are'} not there"
    yield Check("pins", "fail" if torch else "warn", found, tuple(said for _, said in wrong), remedy)


def _off(line: str) -> tuple[str, str] | None:
    """A requirement that is not met: its name, and the sentence."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.version import InvalidVersion

    try:
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            return None
        version = _version(wanted.name)
        if version and wanted.specifier.contains(version, prereleases=True):
            return None
    except InvalidRequirement:
        return None
    except InvalidVersion:
        pass
    return wanted.name, f"{wanted.name} {version or 'is missing'} (wanted {wanted.specifier or 'any'})"


def _signatures(machine: Machine) -> Iterator[Check]:
    """The import, then the names that the adapter uses against those installed; each difference is named."""
    if machine.release is None:
        return
    wanted = json.loads(SIGNATURES.read_text(encoding="utf-8"))[machine.release.era]
    environment = {runtime.SINGLE_PROCESS: os.environ.get(runtime.SINGLE_PROCESS, "1")}
    ran = probe.ask("signatures", wanted, machine.limits.import_s, environment)
    if ran.told is None:
        yield _import_failed(ran, machine.limits.import_s)
        return
    version = ran.told["version"]
    if version and version.split("+")[0] != machine.release.version.split("+")[0]:
        told = f"tensorrt_llm {version} was imported, {machine.release.version} is installed"
        yield Check("import", "fail", told, remedy="Two copies are mixed: uninstall it until pip finds none, then install it once.")
    else:
        yield Check("import", "ok", "tensorrt_llm can be imported")
    differences = tuple(ran.told["differences"])
    if differences:
        remedy = "This release differs from the record that the adapter was written from: please report it with this page."
        yield Check("signatures", "warn", f"{len(differences)} differences", differences, remedy)
    else:
        yield Check("signatures", "ok", f"all {sum(len(entry['names']) for entry in wanted)} names that are used are there")


def _import_failed(ran: probe.Ran, limit_s: float) -> Check:
    if ran.code is None:
        remedy = "MPI may be stuck: remove a conda MPI from the environment, or set OMPI_MCA_btl_tcp_if_include=lo."
        return Check("import", "fail", f"importing tensorrt_llm took over {limit_s:g} s", _tail(ran), remedy)
    if ran.code < 0:
        ended = f"importing tensorrt_llm ended its process: {_ended(ran.code)}"
        return Check("import", "fail", ended, _tail(ran), "The lines above are its last words; `pins` shows what does not go together.")
    error = failures.explained_output(ran.output, ran.code, "importing tensorrt_llm")
    return Check("import", "fail", error.message, _tail(ran, 1), error.hint)


def _tail(ran: probe.Ran, lines: int = 3) -> tuple[str, ...]:
    written = [line for line in ran.output.splitlines() if line.strip()]
    return tuple(map(clipped, written[-lines:]))


def _ended(code: int) -> str:
    names = {-number: number.name for number in signal.Signals}
    return names.get(code, f"status {code}")


# The GPU.


def _driver(machine: Machine) -> Iterator[Check]:
    smi = machine.smi
    bad: State = "fail" if machine.release else "warn"
    if smi is None:
        yield Check("driver", "none", "nvidia-smi is not here", remedy="The onnx engine needs none. For a GPU, install NVIDIA's driver.")
    elif smi.code is None:
        remedy = "The driver hangs: restart the machine, or its driver."
        yield Check("driver", bad, f"nvidia-smi gave no answer in {machine.limits.look_s:g} s", remedy=remedy)
    elif smi.code:
        remedy = "Install the driver again, or restart after an update. In a container: start it with --gpus all."
        yield Check("driver", bad, f"nvidia-smi failed: {clipped(smi.last_line or f'status {smi.code}')}", remedy=remedy)
    elif machine.gpus:
        yield _driver_and_cuda(machine, smi)
    else:
        yield Check("driver", "ok", "nvidia-smi answers")


def _driver_and_cuda(machine: Machine, smi: probe.Ran) -> Check:
    """Whether the driver is new enough for the CUDA that torch was built for."""
    driver = machine.gpus[0].driver
    match = re.search(r"CUDA(?: UMD)? Version:\s*(\d+)\.(\d+)", smi.output)
    told = f"{driver}{f', for CUDA up to {match[1]}.{match[2]}' if match else ''}"
    wanted = machine.release.cuda if machine.release else ""
    if match and wanted and int(wanted) > int(match[1]):
        remedy = "Update the driver, or install the cuda-compat package of that CUDA."
        return Check("driver", "warn", f"{told}; the torch installed is for CUDA {wanted}", remedy=remedy)
    return Check("driver", "ok", told)


def _gpu(machine: Machine) -> Iterator[Check]:
    if machine.gpus:
        told = tuple(
            f"{gpu.name}, compute capability {gpu.compute_capability}, {planner.gib(gpu.free)} free of {planner.gib(gpu.total)}"
            for gpu in machine.gpus
        )
        yield Check("GPU", "ok", f"{len(told)} can be seen", told)
    elif machine.smi is not None and machine.smi.code == 0 and "CUDA_VISIBLE_DEVICES" in os.environ:
        remedy = "Unset it, or name the numbers of GPUs that are there."
        yield Check("GPU", "warn", f"none: CUDA_VISIBLE_DEVICES is {os.environ['CUDA_VISIBLE_DEVICES']!r}", remedy=remedy)
    else:
        yield Check("GPU", "none", "none can be seen")


def _libraries(machine: Machine) -> Iterator[Check]:
    if machine.gpus:
        remedy = "Put the folder of libcuda on LD_LIBRARY_PATH, or install the driver again; in a container: --gpus all."
        yield _library("CUDA driver library", "libcuda.so.1", True, remedy, machine)
    remedy = "Install OpenMPI: sudo apt-get install libopenmpi-dev."
    made = _library("MPI", "libmpi.so.40", machine.release is not None, remedy, machine)
    conda = os.environ.get("CONDA_PREFIX")
    if conda and made.state != "none" and any(Path(conda, "lib").glob("libmpi.so*")):
        remedy = "Another MPI than the system's can hang the import: remove it from the environment if it does."
        made = replace(made, state="warn", found=f"{made.found}; conda has an MPI of its own in {conda}", remedy=remedy)
    yield made


def _library(name: str, file: str, needed: bool, remedy: str, machine: Machine) -> Check:
    """Whether a shared library can be loaded: tried, since no search knows all of the places."""
    ran = probe.ask("library", file, machine.limits.look_s)
    problem = ran.told["problem"] if ran.told else ran.last_line or "the look took too long"
    if not problem:
        return Check(name, "ok", f"{file} can be loaded")
    if not needed:
        return Check(name, "none", f"{file} is not here")
    return Check(name, "fail", clipped(problem if file in problem else f"{file}: {problem}"), remedy=remedy)


# Room.


def _store(machine: Machine) -> Iterator[Check]:
    from huggingface_hub import constants

    place = cache.root("tensorrt_llm")
    stored = cache.listed()
    damaged = tuple(f"{engine.name}: {engine.problem}" for engine in stored if engine.problem)
    told = f"{len(stored)} stored in {place}, {_free(place)} free"
    if damaged:
        remedy = "%llm_load of the model builds one again; %llm_engines rm NAME removes it."
        yield Check("engine store", "warn", f"{told}, {len(damaged)} damaged", damaged, remedy)
    else:
        yield _roomy("engine store", told, place, machine, "LLM_MAGICS_CACHE")
    hub = Path(constants.HF_HUB_CACHE)
    yield _roomy("checkpoints", f"in {hub}, {_free(hub)} free", hub, machine, "HF_HOME")


def _roomy(name: str, told: str, place: Path, machine: Machine, variable: str) -> Check:
    existing = _existing(place)
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        return Check(name, "fail", f"{told}; it cannot be written", remedy=f"Set {variable} to a folder that can be.")
    if machine.release and machine.gpus and shutil.disk_usage(existing).free < _ROOM:
        remedy = f"An 8B model's checkpoint takes 16 GiB, its engine 9 to 16, twice that while it is built. {variable} moves it."
        return Check(name, "warn", told, remedy=remedy)
    return Check(name, "ok", told)


def _existing(place: Path) -> Path:
    return next(path for path in (place, *place.parents) if path.exists())


def _free(place: Path) -> str:
    return planner.gib(shutil.disk_usage(_existing(place)).free)


def _memory(machine: Machine) -> Iterator[Check]:
    import psutil

    memory = psutil.virtual_memory()
    told = [f"{planner.gib(memory.available)} free of {planner.gib(memory.total)}"]
    limit = _read_number(Path("/sys/fs/cgroup/memory.max")) or _read_number(Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
    if limit and limit < memory.total:
        told.append(f"this container may use {planner.gib(limit)}")
    if machine.gpus and Path("/dev/shm").is_dir():  # noqa: S108 - looked at, not written to
        told.append(f"shared memory {planner.gib(shutil.disk_usage('/dev/shm').total)}")  # noqa: S108
    yield Check("main memory", "ok", ", ".join(told))


def _read_number(path: Path) -> int:
    try:
        word = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return 0
    return int(word) if word.isdigit() else 0


def _environment(_: Machine) -> Iterator[Check]:
    told = [f"{name}={clipped(os.environ[name])}" for name in _TOLD if name in os.environ]
    told += [f"{name} is set" for name in _ONLY_SET if os.environ.get(name)]
    yield Check("environment", "ok", f"{len(told)} settings" if told else "no setting of ours or the libraries'", tuple(told))


# The run.


def _token(machine: Machine) -> Iterator[Check]:
    """One token: of the newest stored engine that can be loaded and fits, else of the demonstration model."""
    folder = _loadable(machine) if machine.release and machine.gpus else None
    what = f"the engine {folder.name}" if folder else "the demonstration model"
    environment = {"HF_HUB_OFFLINE": "1", runtime.SINGLE_PROCESS: os.environ.get(runtime.SINGLE_PROCESS, "1")}
    asked = {"folder": str(folder or ""), "kv_cache_mb": _SMOKE_KV_MB}
    ran = probe.ask("token", asked, machine.limits.smoke_s, environment)
    if ran.told is None:
        ended = f"gave none in {machine.limits.smoke_s:g} s" if ran.code is None else f"ended with {_ended(ran.code)}"
        yield Check("one token", "fail", f"{what} {ended}", _tail(ran), "Load it in a notebook to see what to do.")
    elif "problem" in ran.told:
        yield Check("one token", "fail", f"{what}: {clipped(ran.told['problem'])}", remedy=ran.told["remedy"])
    elif ran.told["tokens"] != 1:
        yield Check("one token", "fail", f"{what} gave {ran.told['tokens']} tokens", remedy="Please report it.")
    else:
        told = f"{what}, loaded in {ran.told['load_s']:.1f} s, gave it in {ran.told['token_s']:.3f} s, by {ran.told['library']}"
        left = machine.release and machine.gpus and not folder
        note = ("The GPU was not tried: no engine that can be loaded is stored. %llm_load a model, then run this again.",) if left else ()
        yield Check("one token", "ok", told, note)


def _loadable(machine: Machine) -> Path | None:
    """The newest engine of the store with a tokenizer at hand, and with room for it on the GPU beside what is there."""
    room = machine.gpus[0].free - planner.WORKSPACE - _SMOKE_KV_MB * 2**20
    for stored in cache.listed():
        if stored.backend != "tensorrt_llm" or unusable(stored):
            continue
        prepared = loader.read(stored.path)
        files = [*prepared.model.glob("*.engine"), *prepared.model.glob("*.safetensors")]
        fits = sum(file.stat().st_size for file in files) / prepared.tensor_parallel <= room
        if fits and prepared.tensor_parallel <= len(machine.gpus) and any(prepared.model.glob("tokenizer*")):
            return stored.path
    return None


CHECKS: tuple[tuple[str, Callable[[Machine], Iterator[Check]]], ...] = (
    ("python", _python),
    ("llm_magics", _packages),
    ("driver", _driver),
    ("GPU", _gpu),
    ("MPI", _libraries),
    ("TensorRT-LLM", _release),
    ("pins", _pins),
    ("import", _signatures),
    ("engine store", _store),
    ("main memory", _memory),
    ("environment", _environment),
    ("one token", _token),
)
