"""The engine store: what was built once is loaded ever after.

- an engine is a folder with a ``manifest.json`` that says what it was made from, and how its files must look
- it is built under its key's lock, in a temporary folder beside its place, and renamed at the end: what has its name is whole
- what a killed build leaves is hidden, never taken for an engine, and cleared away by the next build
- an engine of TensorRT-LLM that users have built by hand needs no manifest: its ``config.json`` tells
- ``LLM_MAGICS_CACHE`` moves the whole store
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BuildError, CancelledError, OptionError
from . import base, handbuilt, manifest
from .base import Note, Progress
from .inventory import DAMAGED, DAMAGED_NOTE, Stored, check, listed, near, versions
from .key import BY_HAND, Key, root, roots
from .manifest import MANIFEST

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = [
    "MANIFEST", "HandBuilt", "Key", "Stored", "by_hand", "check", "find", "get", "listed", "near", "remove", "root", "set_aside", "used",
]  # fmt: skip

_ROOM = (
    "Free some room (%llm_engines lists the engines, %llm_engines rm NAME removes one), "
    "or set LLM_MAGICS_CACHE to a folder on a larger disk."
)
_ELSEWHERE = "Set LLM_MAGICS_CACHE to a folder that can be written."
_TOLD_EVERY_S = 3.0
_CHECKED_EVERY_S = 0.2
_BUILDER = "builder.json"
_LEFT = re.compile(r"\.(?P<name>.+_engine-[0-9a-f]{8})-[0-9a-z_]{8}")
_REMOVED = ".removed-"
# A subprocess that met a full disk tells it only by failing.
_FULL_BELOW = 4 << 20


@dataclass(frozen=True)
class HandBuilt:
    """An engine that a user has built by hand. ``differences`` says why it does not do, ``problem`` what is wrong with it."""

    folder: Path
    differences: tuple[str, ...]
    problem: str

    @property
    def fits(self) -> bool:
        """Whether it can be loaded as it is."""
        return not self.differences and not self.problem


def find(key: Key) -> Path | None:
    """The folder of the engine with that very key; ``check`` tells whether it is still whole."""
    return key.stored


def by_hand(key: Key, asked: Mapping[str, Any], model: Mapping[str, Any] | None = None) -> HandBuilt | None:
    """The engine that stands where users put it by hand, without a manifest of ours; None when there is none.

    ``asked`` are the options that the user named, by their names in ``Options``; the others are as the engine has them.
    ``model`` is the model's config.json, which tells another owner's model of the same name apart.
    """
    if key.backend != BY_HAND:
        return None
    for place in roots(BY_HAND):
        folder = place / key.plain.relative_to(root(BY_HAND))
        told = {} if (folder / MANIFEST).exists() else handbuilt.config(folder)
        if told:
            return HandBuilt(folder, handbuilt.differences(told, key, asked, model or {}), handbuilt.check(folder) or "")
    return None


def get(key: Key, build: Callable[[Path], None], progress: Progress, *, needed_bytes: int = 0) -> Path:
    """The engine's folder; ``build`` fills an empty one when there is none, or the one there is damaged.

    Of two kernels that ask for the same key one builds; the other waits and then finds it. ``needed_bytes`` is the forecast
    of what the build takes on the disk. BuildError when there is not that much, when the disk gets full all the same, or
    when the store cannot be written; CancelledError when ``progress`` was cancelled; whatever ``build`` raises otherwise.
    No failure leaves anything behind.
    """
    found = find(key)
    problem = check(found) if found else None
    if found and problem is None:
        return found
    with _locked(key, progress, f"{found.name} is damaged ({problem}), and no" if found else "No"):
        found = _whole(key, progress)
        if found is None:
            _sweep(key)
            _forecast(key, needed_bytes)
            found = _built(key, build, progress)
        return found


def _whole(key: Key, progress: Progress) -> Path | None:
    found = find(key)
    problem = check(found) if found else None
    if found is None or problem is None:
        return found
    aside = set_aside(found, problem)
    progress(Note(f"{found.name} is damaged: {problem}. It is set aside as {aside.name} and built anew."))
    return None


@contextlib.contextmanager
def _locked(key: Key, progress: Progress, no: str) -> Iterator[None]:
    from filelock import FileLock

    lock = FileLock(key.lock)
    try:
        key.parent.mkdir(parents=True, exist_ok=True)
        _acquire(lock, key, progress)
    except (OSError, NotImplementedError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise BuildError(f"{no} engine can be stored in {key.parent}: {reason}.", _ELSEWHERE) from exc
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: BaseFileLock, key: Key, progress: Progress) -> None:
    started = time.monotonic()
    told, patience = -_TOLD_EVERY_S, 0.0
    while not _acquired(lock, patience):
        base.check(progress)
        waited = time.monotonic() - started
        if waited - told >= _TOLD_EVERY_S:
            so_far = f", {waited:.0f} s so far" if patience else ""
            progress(f"Another kernel{_builder(key)} is building this engine; waiting for it{so_far}")
            told = waited
        patience = _CHECKED_EVERY_S


def _acquired(lock: BaseFileLock, patience: float) -> bool:
    from filelock import Timeout

    try:
        lock.acquire(timeout=patience)
    except Timeout:
        return False
    return True


def _builder(key: Key) -> str:
    """Who builds, as far as it can be told: ``" (process 123 on host)"``."""
    for note in key.parent.glob(f".{key.name}-*/{_BUILDER}"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            told = json.loads(note.read_text(encoding="utf-8"))
            return f" (process {told['pid']} on {told['host']})"
    return ""


def _sweep(key: Key) -> None:
    """Clear away what dead builds and removals have left, wherever; the key's own lock is held."""
    from filelock import FileLock, Timeout

    for parent in versions():
        for left in parent.glob(".*"):
            dead = _LEFT.fullmatch(left.name)
            if left.name.startswith(_REMOVED) or (dead and parent / dead["name"] == key.parent / key.name):
                shutil.rmtree(left, ignore_errors=True)
            elif dead:
                with contextlib.suppress(OSError, Timeout), FileLock(parent / f"{dead['name']}.lock", timeout=0):
                    shutil.rmtree(left, ignore_errors=True)


def _forecast(key: Key, needed: int) -> None:
    free = shutil.disk_usage(key.parent).free
    if needed > free:
        raise BuildError(f"Building {key.model} takes about {_gib(needed)} on the disk; {_gib(free)} are free in {key.parent}.", _ROOM)


def _built(key: Key, build: Callable[[Path], None], progress: Progress) -> Path:
    work = key.parent / f".{key.name}-{secrets.token_hex(4)}"
    folder = work / "engine"
    free = shutil.disk_usage(key.parent).free
    try:
        folder.mkdir(parents=True)
        (work / _BUILDER).write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}), encoding="utf-8")
        started = time.perf_counter()
        build(folder)
        if not any(folder.iterdir()):
            raise BuildError(f"The build of {key.model} left no files.", "Build it again; %tb shows the details.")
        progress(f"Writing {key.stem}_engine to the disk")
        manifest.write(folder, key.parts, time.perf_counter() - started)
        return _published(folder, key)
    except CancelledError:
        raise
    except Exception as exc:
        left = shutil.disk_usage(key.parent).free
        if not _met_full_disk(exc) and left > _FULL_BELOW:
            raise
        were = f"{_gib(free)} were free before, {_gib(left)} at the end"
        raise BuildError(f"The disk became full while {key.model} was built in {key.parent}: {were}.", _ROOM) from exc
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _met_full_disk(exc: BaseException | None) -> bool:
    while exc is not None:
        if isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        exc = exc.__cause__ or exc.__context__
    return False


def _published(folder: Path, key: Key) -> Path:
    """Rename the complete folder to its place. Where another engine has the plain name, to the name of its own."""
    place = next((place for place in key.places if _renamed(folder, place)), None)
    if place is None:
        place = key.places[-1]
        set_aside(place, "it is not whole, and stood where an engine belongs")
        folder.rename(place)
    manifest.sync_folder(place.parent)
    return place


def _renamed(folder: Path, place: Path) -> bool:
    """False when something stands there."""
    try:
        folder.rename(place)
    except OSError:
        if os.path.lexists(place):
            return False
        raise
    return True


def used(folder: Path) -> None:
    """Note that the engine is being used now, where it is one of the store's and that can be written; nothing otherwise."""
    with contextlib.suppress(OSError, OptionError):
        if folder.parent.resolve() in {version.resolve() for version in versions()}:
            manifest.touch(folder)


def set_aside(folder: Path, why: str) -> Path:
    """Take a damaged engine out of use, and note ``why``; its new folder."""
    base = f"{folder.name}{DAMAGED}{time.strftime('%Y%m%d-%H%M%S')}"
    names = (folder.with_name(base if turn == 0 else f"{base}-{turn}") for turn in range(1 << 20))
    aside = next(name for name in names if not os.path.lexists(name))
    try:
        folder.rename(aside)
    except OSError as exc:
        raise BuildError(f"{folder} is damaged ({why}) and cannot be set aside: {exc.strerror}.", f"Remove it. Or: {_ELSEWHERE}") from exc
    with contextlib.suppress(OSError):
        (aside / DAMAGED_NOTE).write_text(why + "\n", encoding="utf-8")
    return aside


def remove(folder: Path) -> None:
    """Delete an engine of the store. It is renamed first, so nobody takes what is half deleted for an engine.

    OptionError for everything that is not an engine in the store, and while another kernel builds it.
    """
    from filelock import FileLock, Timeout

    stored = next((stored for stored in listed() if _same(stored.path, folder)), None)
    if stored is None:
        raise OptionError(f"{folder} is no engine of the store.", "%llm_engines lists those that are.")
    lock = FileLock(stored.key.lock, timeout=0) if stored.key and DAMAGED not in stored.name else contextlib.nullcontext()
    try:
        with lock:
            _delete(stored.path)
    except Timeout as exc:
        raise OptionError(f"{stored.name} is being built by another kernel.", "Remove it when that is done.") from exc
    except OSError as exc:
        raise OptionError(f"{stored.path} cannot be removed: {exc.strerror}.", "Ask the owner of the folder.") from exc


def _delete(folder: Path) -> None:
    manifest.untouch(folder)
    if folder.is_symlink():  # what it leads to is not the store's
        folder.unlink()
        return
    doomed = folder.with_name(f"{_REMOVED}{secrets.token_hex(8)}")
    folder.rename(doomed)
    with contextlib.suppress(FileNotFoundError):  # a build in another kernel clears such away too
        shutil.rmtree(doomed)


def _same(one: Path, other: Path) -> bool:
    return one.name == other.name and one.parent.resolve() == other.parent.resolve()


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
