"""What the doctor looks at in another process: ``python -m llm_magics.doctor.probe NAME JSON``.

A broken installation may hang or crash while it is imported, and a GPU library holds memory for as long as its process
lives. So such things are done elsewhere, with a time limit, and what is left of a hanging one is ended.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..engines import child

_MARK = "llm_magics probe: "
_OUTPUT_BYTES = 200_000


@dataclass(frozen=True)
class Ran:
    """How a process ended. ``output`` is the end of what it wrote; ``told`` the answer of a probe, None when it gave none.

    ``code`` is None when it was ended because its time was over.
    """

    code: int | None
    output: str
    told: Any = None

    @property
    def last_line(self) -> str:
        """The last line that it wrote: of a traceback, the error."""
        return next((line.strip() for line in reversed(self.output.splitlines()) if line.strip()), "")


def run(command: Sequence[str], limit_s: float, environment: Mapping[str, str] | None = None) -> Ran:
    """Run ``command`` for ``limit_s`` seconds at most. An interrupt ends it, as the limit does, with all that it started.

    The output goes to a file: a pipe would be held open by what the process has started, and be waited for.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        assert process.stdin is not None
        code: int | None
        with process.stdin:
            try:
                code = process.wait(limit_s)
            except subprocess.TimeoutExpired:
                _end(process)
                code = None
            except BaseException:
                _end(process)
                raise
        output.seek(max(0, output.seek(0, os.SEEK_END) - _OUTPUT_BYTES))
        return _read(code, output.read().decode(errors="replace"))


def _read(code: int | None, text: str) -> Ran:
    before, marked, answer = text.rpartition(_MARK)
    if not marked:
        return Ran(code, text)
    try:
        return Ran(code, before, json.loads(answer.splitlines()[0]))
    except (ValueError, IndexError):
        return Ran(code, text)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)  # it leads a group of its own
    except (AttributeError, ProcessLookupError, PermissionError):
        process.kill()
    process.wait()


def ask(name: str, asked: Any, limit_s: float, environment: Mapping[str, str] | None = None) -> Ran:
    """Run one of the probes below in another process, which ends when this one does."""
    return run([sys.executable, "-m", child.__name__, __name__, name, json.dumps(asked)], limit_s, {**os.environ, **(environment or {})})


# The other process's side.


def library(name: str) -> dict[str, str]:
    """Whether a shared library can be loaded: empty ``problem`` when it can."""
    import ctypes

    try:
        ctypes.CDLL(name)
    except OSError as exc:
        return {"problem": str(exc)}
    return {"problem": ""}


def signatures(wanted: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What of the names of signatures.json the installed library does not have. An import that fails is the answer of the process."""
    import tensorrt_llm

    return {"version": str(getattr(tensorrt_llm, "__version__", "")), "differences": [*_differences(wanted)]}


def _differences(wanted: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    import pkgutil

    for entry in wanted:
        path = str(entry["path"])
        try:
            have = names(pkgutil.resolve_name(path))
        except (ImportError, AttributeError):
            yield f"{path} is not there"
            continue
        yield from (f"{path} has no {name}" for name in entry["names"] if name not in have)


def names(thing: Any) -> set[str]:
    """What can be passed to, or read of, a class or a function, without making one."""
    fields = getattr(thing, "model_fields", None)
    if isinstance(fields, Mapping):
        return set(fields)
    if dataclasses.is_dataclass(thing):
        return {field.name for field in dataclasses.fields(thing)}
    return {*dir(thing), *_parameters(thing), *_assigned(thing)}


def _parameters(thing: Any) -> set[str]:
    import inspect

    try:
        return set(inspect.signature(thing).parameters)
    except (TypeError, ValueError):
        return set()


def _assigned(thing: Any) -> set[str]:
    """The attributes that a class's own methods set on its objects: they are on no class, and annotated on few."""
    import dis
    import inspect

    found: set[str] = set()
    for base in getattr(thing, "__mro__", ()):
        with contextlib.suppress(NameError):  # annotations that are computed when they are asked for
            found |= set(inspect.get_annotations(base))
        codes = [member.__code__ for member in base.__dict__.values() if hasattr(member, "__code__")]
        found |= {step.argval for code in codes for step in dis.get_instructions(code) if step.opname == "STORE_ATTR"}
    return found


def token(asked: Mapping[str, Any]) -> dict[str, Any]:
    """One token of the engine in the store folder ``folder``, or of the demonstration model where it is empty."""
    from ..errors import LLMMagicsError
    from ..records import Prompt, Sampling

    started = time.perf_counter()
    try:
        engine = _stored(Path(asked["folder"]), asked["kv_cache_mb"]) if asked["folder"] else _demo()
        loaded = time.perf_counter()
        made = sum(chunk.tokens for chunk in engine.stream(Prompt("Hello", Sampling(max_new_tokens=1))))
        done = time.perf_counter()
        engine.close()
    except LLMMagicsError as error:
        return {"problem": error.message, "remedy": error.hint}
    library = f"{engine.info.backend} {engine.info.backend_version} ({engine.info.device})"
    return {"tokens": made, "load_s": loaded - started, "token_s": done - loaded, "library": library}


def _silent(_: str) -> None:
    pass


def _demo() -> Any:
    from .. import engines

    return engines.load(engines.build(engines.DEMO, "onnx", engines.Options(), _silent), _silent)


def _stored(folder: Path, kv_cache_mb: int) -> Any:
    """Loaded as it stands, so that nothing is built."""
    from ..engines import Options, checkpoint, tensorrt_llm
    from ..engines.tensorrt_llm import loader

    model = checkpoint.local(loader.read(folder).model)
    return tensorrt_llm.load(folder, model, Options(kv_cache_mb=kv_cache_mb), _silent)


_PROBES = {"library": library, "signatures": signatures, "token": token}


def _main(words: Sequence[str]) -> None:
    told = _PROBES[words[0]](json.loads(words[1]))  # type: ignore[operator]
    sys.stdout.write(f"\n{_MARK}{json.dumps(told)}\n")
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)  # MPI and CUDA may hang or crash at the end of a process, when the answer is given already


if __name__ == "__main__":
    _main(sys.argv[1:])
