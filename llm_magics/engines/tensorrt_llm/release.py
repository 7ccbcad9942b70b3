"""Which TensorRT-LLM is installed, told without importing it: an import takes many seconds and a GPU.

There are two eras, told apart by what the installed package holds and not by its number:

- engine: ``tensorrt_llm._tensorrt_engine`` is there; a model is compiled to a TensorRT engine, saved, and loaded ever after
- pytorch: it is gone; a checkpoint is loaded as it is and warmed up afresh each time
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from packaging.version import InvalidVersion, Version

from ...errors import DependencyError
from ..gpu import Gpu

Era = Literal["engine", "pytorch"]

OLDEST = "1.0"
NEWEST_KNOWN = "1.3"
PLANNED_FOR = "1.2.1"
"""What a plan is made for where TensorRT-LLM is not installed."""

# The torch that a release was built with: another one gives "undefined symbol" at import.
TORCH = {"1.0": "2.7.1", "1.1": "2.7.1", "1.2": "2.9.1"}

INSTALL = (
    "On Linux with Python 3.10 or 3.12: pip install 'llm_magics[tensorrt]' with NVIDIA's package index as an extra index "
    "(the public index has only a stub), and OpenMPI: sudo apt-get install libopenmpi-dev."
)


@dataclass(frozen=True)
class Release:
    """The TensorRT-LLM of this environment. ``warning`` says what is not known of it; ``installed`` is false for a plan only."""

    version: str
    era: Era
    tensorrt: str = ""
    cuda: str = ""
    warning: str = ""
    installed: bool = True


def required() -> Release:
    """The installed release; DependencyError when there is none, or only the stub, or one that is too old."""
    version = _version("tensorrt_llm")
    if version is None:
        raise DependencyError("The tensorrt_llm engine needs TensorRT-LLM, which is not installed.", INSTALL)
    folder = _folder()
    if folder is None:
        raise DependencyError(f"tensorrt_llm {version} is only the stub of the public index: it holds no module.", INSTALL)
    number = _number(version)
    if number is not None and number < Version(OLDEST):
        raise DependencyError(
            f"TensorRT-LLM {version} is older than what is supported: {OLDEST} to {NEWEST_KNOWN}.",
            "Upgrade it, or use --engine transformers.",
        )
    known = number is not None and number.release[:2] <= Version(NEWEST_KNOWN).release[:2]
    warning = "" if known else f"TensorRT-LLM {version} is newer than {NEWEST_KNOWN}, the last one known here: it is tried as it is."
    return Release(version, _era(folder), _version("tensorrt") or "", _cuda(), warning)


def installed() -> Release | None:
    """As ``required``, with None where nothing usable is installed."""
    try:
        return required()
    except DependencyError:
        return None


def planned() -> Release:
    """The installed release, or the one that a plan is made for without it."""
    return installed() or Release(PLANNED_FOR, "engine", installed=False)


def machine(release: Release, gpus: Sequence[Gpu]) -> Mapping[str, str]:
    """What an engine is bound to beside its own options: it runs where all of this is the same."""
    gpu = gpus[0] if gpus else None
    return {
        "gpu": gpu.name if gpu else "",
        "compute_capability": gpu.compute_capability if gpu else "",
        "tensorrt": release.tensorrt,
        "cuda": release.cuda,
        "platform": f"{sys.platform}-{platform.machine()}",
        "driver": gpu.driver if gpu else "",  # recorded; an engine is as good under another one
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _number(version: str) -> Version | None:
    try:
        return Version(version)
    except InvalidVersion:
        return None


def _folder() -> Path | None:
    """Where the package lies. Asking for a top-level name imports nothing."""
    spec = importlib.util.find_spec("tensorrt_llm")
    places = spec.submodule_search_locations if spec else None
    folder = Path(next(iter(places))) if places else None
    return folder if folder and (folder / "__init__.py").is_file() else None


def _era(folder: Path) -> Era:
    here = (folder / "_tensorrt_engine" / "__init__.py").is_file() or (folder / "_tensorrt_engine.py").is_file()
    return "engine" if here else "pytorch"


def _cuda() -> str:
    """Major number of CUDA, by the local part of torch's version (``2.9.1+cu130``); empty when it does not tell."""
    found = re.search(r"\+cu(\d+)\d$", _version("torch") or "")
    return found.group(1) if found else ""
