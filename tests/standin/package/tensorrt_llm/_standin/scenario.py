"""The scenario that a test wrote, the log that it reads, and the failures that it asks for."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from .record import RECORD

_LOCK = threading.Lock()
_OMPI = "OMPI_MCA_btl_tcp_if_include"


def section(name: str) -> Any:
    """One key of the scenario file as it stands now; an empty dict when there is none."""
    path = os.environ.get("LLM_MAGICS_STANDIN")
    scenario = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
    return scenario.get(name, {})


def log(event: str, **more: Any) -> None:
    """One line in the log file."""
    path = os.environ.get("LLM_MAGICS_STANDIN_LOG")
    if not path:
        return
    line = json.dumps({"event": event, "t": time.time(), "pid": os.getpid(), **more}, default=str)
    with _LOCK, Path(path).open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def say(message: str) -> None:
    """What the library prints on the terminal."""
    print(f"[TRT-LLM] {message}", file=sys.stderr)


@dataclasses.dataclass(frozen=True)
class Gpu:
    """The GPU of this machine."""

    count: int = 1
    name: str = "NVIDIA H100 80GB HBM3"
    sm: int = 90
    memory_mb: int = 81559
    used_mb: int = 0


class Memory:
    """What is held on the GPU by this process; mutable as the GPU is."""

    held_mb = 0.0

    @classmethod
    def take(cls, megabytes: float) -> None:
        gpu_now = gpu()
        if gpu_now.used_mb + cls.held_mb + megabytes > gpu_now.memory_mb:
            fail("cuda_oom")
        cls.held_mb += megabytes

    @classmethod
    def give(cls, megabytes: float) -> None:
        cls.held_mb -= megabytes


def gpu() -> Gpu:
    return Gpu(**section("gpu"))


class OutOfMemoryError(RuntimeError):
    """Where torch is not loaded; else torch's own."""


def fail(asked: Any, **words: str) -> None:
    """Fail as ``asked``: the name of one of the record's failures, or a type and a message."""
    if isinstance(asked, str):
        known = RECORD["failures"]
        if asked not in known:
            raise KeyError(f"the scenario asks for a failure {asked!r}; known: {', '.join(known)}")
        asked = known[asked]
    kind, message = asked["type"], asked["message"]
    if kind == "signal":
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "hang":
        _mpi_hang()
        return
    raise _exception(kind, _worded(message, words))


def _worded(message: str, words: dict[str, str]) -> str:
    gpu_now = gpu()
    words = {
        "total": f"{gpu_now.memory_mb / 1024:.2f}",
        "free": f"{(gpu_now.memory_mb - gpu_now.used_mb - Memory.held_mb) / 1024:.2f}",
    } | words
    for name, word in words.items():
        message = message.replace("{" + name + "}", word)
    return message


def _exception(kind: str, message: str) -> BaseException:
    if kind == "OutOfMemoryError":
        torch = sys.modules.get("torch")
        return (torch.OutOfMemoryError if torch else OutOfMemoryError)(message)  # type: ignore[no-any-return]
    if kind == "OSError":
        return OSError(errno.ENOSPC, message)
    if kind == "GatedRepoError":
        from huggingface_hub.errors import GatedRepoError

        status = int(message.split(maxsplit=1)[0])
        return GatedRepoError(message, response=SimpleNamespace(status_code=status, headers={}, request=None, url=""))  # type: ignore[arg-type]
    if kind == "RequestError":
        from .errors import RequestError

        return RequestError(message)  # type: ignore[no-any-return]
    import builtins

    if kind == "ModuleNotFoundError":
        return ModuleNotFoundError(message, name=message.split("'")[1])
    cls = getattr(builtins, kind)
    assert issubclass(cls, BaseException)
    return cls(message)  # type: ignore[no-any-return]


def _mpi_hang() -> None:
    if os.environ.get("TLLM_WORKER_USE_SINGLE_PROCESS") == "1" or os.environ.get(_OMPI):
        return
    time.sleep(3600)


def at_import() -> None:
    """What importing the package does."""
    from .record import ERA, VERSION

    wanted = section("import")
    names = (*RECORD["environment"], _OMPI)
    log("import", version=VERSION, era=ERA, env={name: os.environ[name] for name in names if name in os.environ})
    if "hang_s" in wanted:
        time.sleep(wanted["hang_s"])
    if "fail" in wanted:
        fail(wanted["fail"])
    print(f"[TensorRT-LLM] TensorRT LLM version: {VERSION}")
    sys.stdout.flush()
