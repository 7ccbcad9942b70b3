"""The engine store: what was built once is loaded ever after.

- an engine is a folder with a ``manifest.json`` that says what it was made from
- it is built under a lock, in a temporary folder beside its place, and renamed at the end: a folder that exists is complete
- ``LLM_MAGICS_CACHE`` moves the whole store
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .base import Progress

MANIFEST = "manifest.json"


def root() -> Path:
    """The folder that holds the engines of every backend but TensorRT-LLM."""
    moved = os.environ.get("LLM_MAGICS_CACHE")
    if moved:
        return Path(moved).expanduser() / "llm_magics"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llm_magics"


@dataclass(frozen=True)
class Key:
    """What decides that one engine can stand for another."""

    backend: str
    backend_version: str
    model: str
    origin: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits of all parts."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:8]

    @property
    def folder(self) -> Path:
        """Where the engine stands, or will."""
        quantization = self.options.get("quantization", "none")
        suffix = "" if quantization == "none" else f"_{quantization}"
        name = self.model.split("/")[-1].replace("-", "_")
        return root() / f"{self.backend}-{self.backend_version}" / f"{name}{suffix}_engine-{self.digest}"


def find(key: Key) -> Path | None:
    """The folder of a complete engine with that key."""
    return key.folder if (key.folder / MANIFEST).is_file() else None


def get(key: Key, build: Callable[[Path], None], progress: Progress) -> Path:
    """The engine's folder; ``build`` fills an empty one when there is none.

    Of two kernels that ask for the same key one builds; the other waits and then finds it.
    """
    from filelock import FileLock, Timeout

    found = find(key)
    if found:
        return found
    place = key.folder
    place.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(str(place) + ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress("Another kernel is building this engine; waiting for it")
        lock.acquire()
    try:
        found = find(key)
        if found:
            return found
        for left in place.parent.glob(f".{place.name}-*"):  # a killed build's; we hold the lock
            shutil.rmtree(left, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
        try:
            build(work)
            (work / MANIFEST).write_text(json.dumps(asdict(key), indent=1), encoding="utf-8")
            _sync(work)
            work.rename(place)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        return place
    finally:
        lock.release()


def _sync(folder: Path) -> None:
    """Have the files on the disk before the rename makes them an engine."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


@dataclass(frozen=True)
class Stored:
    """A complete engine in the store, as ``%llm_engines`` lists it. ``size`` is in bytes."""

    name: str
    path: Path
    model: str
    backend: str
    version: str
    options: str
    size: int
    built: str


def listed() -> list[Stored]:
    """Every complete engine, newest first."""
    return [_stored(path) for path in sorted(root().glob(f"*/*/{MANIFEST}"), key=lambda path: -path.stat().st_mtime)]


def _stored(manifest: Path) -> Stored:
    made = json.loads(manifest.read_text(encoding="utf-8"))
    folder = manifest.parent
    return Stored(
        name=folder.name,
        path=folder,
        model=made["model"],
        backend=made["backend"],
        version=made["backend_version"],
        options=", ".join(f"{key} {value}" for key, value in made["options"].items()),
        size=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        built=datetime.datetime.fromtimestamp(manifest.stat().st_mtime).strftime("%Y-%m-%d %H:%M"),
    )


def remove(folder: Path) -> None:
    """Delete an engine. It is renamed first, so nobody takes what is half deleted for an engine."""
    doomed = folder.with_name(f".{folder.name}-removed")
    folder.rename(doomed)
    shutil.rmtree(doomed)
