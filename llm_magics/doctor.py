"""Checks a machine: what is there, what was expected, what to do. ``llm-magics doctor`` and ``%llm_doctor``.

Nothing here loads a GPU library into this process: what has to be imported to be looked at is imported in another one, with
a time limit, since a broken installation may hang or crash.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from . import __version__
from .engines import cache, handbuilt, planner
from .engines.gpu import gpus
from .engines.tensorrt_llm import release as releases
from .errors import LLMMagicsError

State = Literal["ok", "warn", "fail", "none"]
SIGNATURES = Path(__file__).parent / "engines" / "tensorrt_llm" / "signatures.json"
_IMPORT_S = 180
_SMOKE_S = 600

# Packages whose versions a bug report needs; "pins" are checked against what each distribution itself declares.
_PACKAGES = ("tensorrt_llm", "tensorrt", "torch", "transformers", "onnxruntime-genai", "llguidance", "ipython", "jupyterlab", "numpy")


@dataclass(frozen=True)
class Check:
    """One thing looked at. ``state``: ok, warn (works, with a limit), fail (must be mended), none (not here, and need not be)."""

    name: str
    state: State
    found: str
    remedy: str = ""


def checks(smoke: bool = True) -> Iterator[Check]:
    """All checks, each as it is done."""
    yield Check("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield Check("llm_magics", "ok", __version__)
    yield from _packages()
    yield _gpu()
    yield _driver_libraries()
    yield _mpi()
    release = None
    try:
        release = releases.required()
        yield Check("TensorRT-LLM", "warn" if release.warning else "ok", f"{release.version}, {release.era} era", release.warning)
    except LLMMagicsError as error:
        yield Check("TensorRT-LLM", "none", error.message, error.hint)
    if release is not None:
        yield from _pins()
        yield from _signatures(release.era)
    yield _disk()
    yield _memory()
    yield _switches()
    if smoke:
        yield _smoke(release is not None and bool(gpus()))


def _packages() -> Iterator[Check]:
    found = {name: _version(name) for name in _PACKAGES}
    yield Check("packages", "ok", ", ".join(f"{name} {version}" for name, version in found.items() if version))


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _gpu() -> Check:
    here = gpus()
    if not here:
        return Check("GPU", "none", "none seen by nvidia-smi", "The onnx engine needs none. For a GPU: install NVIDIA's driver.")
    told = "; ".join(
        f"{gpu.name} (compute capability {gpu.compute_capability}), {planner.gib(gpu.free)} free of {planner.gib(gpu.total)}"
        for gpu in here
    )
    return Check("GPU", "ok", f"{told}; driver {here[0].driver}")


def _driver_libraries() -> Check:
    import ctypes.util

    name = ctypes.util.find_library("cuda")
    if name:
        return Check("CUDA driver library", "ok", name)
    if not gpus():
        return Check("CUDA driver library", "none", "libcuda is not here")
    return Check("CUDA driver library", "fail", "libcuda cannot be found", "Put its folder on LD_LIBRARY_PATH, or reinstall the driver.")


def _mpi() -> Check:
    import ctypes.util

    name = ctypes.util.find_library("mpi")
    conda = os.environ.get("CONDA_PREFIX")
    if conda and any(Path(conda, "lib").glob("libmpi*")):
        return Check(
            "MPI", "warn", f"the MPI of conda ({conda})", "Another make of MPI can hang the import: remove it from the environment."
        )
    if name:
        return Check("MPI", "ok", name)
    state: State = "fail" if _version("tensorrt_llm") else "none"
    return Check("MPI", state, "libmpi cannot be found", "TensorRT-LLM needs it: sudo apt-get install libopenmpi-dev.")


def _pins() -> Iterator[Check]:
    """What tensorrt_llm itself declares, against what is installed."""
    from packaging.requirements import Requirement

    wrong = []
    for line in importlib.metadata.requires("tensorrt_llm") or ():
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        version = _version(requirement.name)
        if not version or not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version or 'missing'} (wanted {requirement.specifier or 'any'})")
    if wrong:
        yield Check("pins", "fail", "; ".join(wrong), "Install these versions, with a constraints file so that they stay.")
    else:
        yield Check("pins", "ok", "all that tensorrt_llm asks for is there")


def _signatures(era: str) -> Iterator[Check]:
    """The names that the adapter uses, against those installed; each difference is named."""
    wanted = json.loads(SIGNATURES.read_text(encoding="utf-8"))[era]
    done = _child(_LOOK, json.dumps(wanted), _IMPORT_S)
    if done is None:
        yield Check(
            "import",
            "fail",
            f"importing tensorrt_llm took over {_IMPORT_S} s",
            "MPI may be stuck: OMPI_MCA_btl_tcp_if_include=lo, no conda MPI.",
        )
        return
    if done.returncode:
        from .engines.tensorrt_llm import failures

        error = failures.explained_output(done.stdout + done.stderr, done.returncode, "importing tensorrt_llm")
        yield Check("import", "fail", error.message, error.hint)
        return
    yield Check("import", "ok", "tensorrt_llm can be imported")
    differences: list[str] = json.loads(done.stdout.splitlines()[-1])
    if differences:
        yield Check("signatures", "warn", "; ".join(differences), "This release differs from the record: please report it.")
    else:
        yield Check("signatures", "ok", f"all {sum(len(entry['names']) for entry in wanted)} names that are used are there")


# Runs in another process: imports what the record names, and prints what is missing as JSON.
_LOOK = """
import dataclasses, importlib, inspect, json, sys
def names(thing):
    found = set(getattr(thing, "model_fields", ()) or ())
    if dataclasses.is_dataclass(thing):
        found |= {field.name for field in dataclasses.fields(thing)}
    found |= {name for name in dir(thing) if not name.startswith("__")}
    try:
        found |= set(inspect.signature(thing).parameters)
    except (TypeError, ValueError):
        pass
    for base in getattr(thing, "__mro__", ()):
        found |= set(getattr(base, "__annotations__", ()))
    return found
missing = []
for entry in json.load(sys.stdin):
    module, _, attribute = entry["path"].rpartition(".")
    try:
        thing = importlib.import_module(module)
        for part in attribute.split(":"):
            thing = getattr(thing, part)
    except (ImportError, AttributeError) as error:
        missing.append(entry["path"] + " is not there")
        continue
    have = names(thing)
    missing += [entry["path"] + " has no " + name for name in entry["names"] if name not in have]
print(json.dumps(missing))
"""


def _child(code: str, sent: str, limit: float) -> subprocess.CompletedProcess[str] | None:
    """Run ``code`` in another Python; None when it took longer than ``limit`` seconds."""
    try:
        return subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return None


def _disk() -> Check:
    place = cache.root("tensorrt_llm")
    existing = next(path for path in (place, *place.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    stored = cache.listed()
    told = f"{planner.gib(free)} free for the engine store {place}; {len(stored)} stored"
    damaged = [engine.name for engine in stored if engine.problem]
    if damaged:
        return Check(
            "store", "warn", f"{told}; damaged: {', '.join(damaged)}", "%llm_engines rm NAME removes them; %llm_load builds again."
        )
    if free < 20 * planner.GIB:
        return Check(
            "store", "warn", told, "An 8B engine takes 9 to 16 GiB, twice that while it is built. LLM_MAGICS_CACHE moves the store."
        )
    return Check("store", "ok", told)


def _memory() -> Check:
    import psutil

    memory = psutil.virtual_memory()
    return Check("main memory", "ok", f"{planner.gib(memory.available)} free of {planner.gib(memory.total)}")


# Settings that change how engines run. Values that may hold a secret are told only as set.
_SWITCHES = ("CUDA_VISIBLE_DEVICES", "LLM_MAGICS_CACHE", "HF_HOME", "HF_HUB_OFFLINE", "TLLM_WORKER_USE_SINGLE_PROCESS")
_SECRETS = ("HF_TOKEN",)


def _switches() -> Check:
    told = [f"{name}={os.environ[name]}" for name in _SWITCHES if name in os.environ]
    told += [f"{name} is set" for name in _SECRETS if os.environ.get(name)]
    return Check("environment", "ok", ", ".join(told) or "no switch is set")


def _smoke(on_gpu: bool) -> Check:
    """One token, in another process: of the newest usable engine on the GPU, else of the demonstration model."""
    model = _newest_engine() if on_gpu else ""
    where = f"the engine {Path(model).name}" if model else "the demonstration model on the CPU"
    done = _child(_SMOKE_RUN, json.dumps(model or "demo"), _SMOKE_S)
    if done is None:
        return Check("one token", "fail", f"{where} gave none in {_SMOKE_S} s", "See `import` above.")
    if done.returncode:
        last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "no message")
        return Check("one token", "fail", f"{where}: {last[:300]}", "Load it in a notebook to see what to do.")
    note = "" if model or not on_gpu else "No engine is stored yet: %llm_load a model, then run this again to try the GPU."
    return Check("one token", "ok", f"{where}: {done.stdout.splitlines()[-1]}", note)


def _newest_engine() -> str:
    from .engines import unusable

    usable = (engine for engine in cache.listed() if engine.backend == "tensorrt_llm" and not unusable(engine))
    return next((str(engine.path) for engine in usable if handbuilt.config(engine.path)), "")


_SMOKE_RUN = """
import json, sys
import llm_magics
with llm_magics.load(json.load(sys.stdin)) as session:
    made = session.answer("Hello World !", max_new_tokens=1)
    print(f"{made.output_tokens} token in {made.timing.total_s:.3f} s ({made.engine.backend} {made.engine.backend_version})")
"""


_MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL", "none": "-   "}


def text(done: Sequence[Check]) -> str:
    """The report for people."""
    width = max(len(check.name) for check in done)
    lines = []
    for check in done:
        lines.append(f"{_MARKS[check.state]}  {check.name.ljust(width)}  {check.found}")
        if check.remedy and check.state != "ok":
            lines.append(f"{' ' * (width + 8)}{check.remedy}")
    failed = [check.name for check in done if check.state == "fail"]
    return "\n".join([*lines, "", f"To mend: {', '.join(failed)}." if failed else "Nothing to mend."])


def as_json(done: Sequence[Check]) -> str:
    """The report for a bug report: no secrets, the home folder as ~."""
    made: dict[str, Any] = {"llm_magics": __version__, "checks": [asdict(check) for check in done]}
    return json.dumps(made, indent=1, ensure_ascii=False).replace(str(Path.home()), "~")
