"""Long work in a process of its own, that ends when this one does: ``python -m llm_magics.engines.child MODULE ARGUMENTS``.

A build may be interrupted, killed or crash without harm to the kernel, and all its memory comes back. The child watches the
pipe to its standard input, which is closed when the parent ends in whatever way.
"""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .base import Progress, check

_TOLD_EVERY_S = 5.0
_LINES_KEPT = 400


@dataclass(frozen=True)
class Ended:
    """How the child ended: its exit status, and the last lines of what it said."""

    code: int
    output: str


def run(
    module: str,
    arguments: Sequence[str],
    *,
    what: str,
    progress: Progress,
    stage: Callable[[str], str | None],
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Run ``module`` as a program, telling its stages and the time so far.

    ``stage`` gives the stage that a line of output tells of, if it does. Whatever ends the wait, an interrupt or a ``progress`` that
    was cancelled, ends the child and all that it started.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
        start_new_session=True,  # a process group of its own, so that all of it can be ended
    )
    try:
        output = _followed(process, what, progress, stage)
    except BaseException:
        _end(process)
        raise
    finally:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
    return Ended(process.returncode, output)


def _followed(process: subprocess.Popen[str], what: str, progress: Progress, stage: Callable[[str], str | None]) -> str:
    lines: deque[str] = deque(maxlen=_LINES_KEPT)
    now = what
    changed = threading.Event()

    def read() -> None:
        nonlocal now
        assert process.stdout is not None
        for line in process.stdout:
            reached = stage(line)
            if reached:
                now = f"{what}: {reached}"
                changed.set()
            else:
                lines.append(line)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    started = told = time.monotonic()
    progress(now)
    while process.poll() is None:
        check(progress)
        if changed.wait(0.1) or time.monotonic() - told >= _TOLD_EVERY_S:
            changed.clear()
            told = time.monotonic()
            progress(f"{now}, {told - started:.0f} s")
    reader.join(timeout=5)
    return "".join(lines)


def _end(process: subprocess.Popen[str]) -> None:
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.wait()


def _main() -> None:
    """The child's side."""
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    del sys.argv[0]  # the module finds its own arguments, as if it had been started directly
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with_the_parent() -> None:
    sys.stdin.read()
    if hasattr(os, "killpg"):
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    _main()
