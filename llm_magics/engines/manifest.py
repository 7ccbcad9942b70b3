"""What is kept beside a built engine: what it was made from, and how its files must look.

It is written last of all files of a build, so a folder without one is none of ours, or not whole.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import importlib.metadata
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
SCHEMA = 2
_SMALL = 1 << 20
_END = 1 << 16
_STAMP = ".used"


def read(folder: Path) -> dict[str, Any]:
    """The manifest of ``folder``; empty when there is none or it cannot be read. Those of schema 1 hold the key only."""
    try:
        made = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    texts = ("backend", "backend_version", "model", "origin")
    if not isinstance(made, dict) or not all(isinstance(made.get(name), str) for name in texts):
        return {}
    mappings = (made.get("options"), made.get("machine", {}), made.get("files", {}))
    return made if all(isinstance(part, dict) for part in mappings) else {}


def write(folder: Path, key: Mapping[str, Any], took_s: float) -> None:
    """Seal what stands in ``folder``: everything is on the disk when this returns."""
    _sync_files(folder)
    files = {path.relative_to(folder).as_posix(): _look(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    created = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    made = {"schema": SCHEMA, **key, "created": created, "took_s": round(took_s, 3), "llm_magics": _version(), "files": files}
    with (folder / MANIFEST).open("w", encoding="utf-8") as file:
        json.dump(made, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    for path in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        sync_folder(path)


def _version() -> str:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version("llm_magics")
    return ""


def check(folder: Path) -> str | None:
    """None when every file is as it was built, else what is wrong. Large files are compared by size and by their two ends."""
    made = read(folder)
    if not made:
        return f"{MANIFEST} {'cannot be read' if (folder / MANIFEST).exists() else 'is missing'}"
    if "files" not in made:
        return None if any(path.name != MANIFEST for path in folder.iterdir()) else "there is nothing but its manifest"
    return next((problem for name, look in made["files"].items() if (problem := _problem(folder, name, look))), None)


def _problem(folder: Path, name: str, look: Any) -> str | None:
    path = folder / name
    try:
        size = path.stat().st_size
        if not isinstance(look, dict) or "size" not in look:
            return f"{MANIFEST} cannot be read"
        if size != look["size"]:
            return f"{name} has {size:,} bytes, not {look['size']:,}"
        return None if _look(path) == look else f"{name} has been changed"
    except FileNotFoundError:
        return f"{name} is missing"
    except OSError as exc:
        return f"{name} cannot be read: {exc.strerror}"


def _look(path: Path) -> dict[str, Any]:
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= _SMALL:
            return {"size": size, "sha256": hashlib.sha256(file.read(_SMALL)).hexdigest()}
        digest = hashlib.sha256(file.read(_END))
        file.seek(-_END, os.SEEK_END)
        digest.update(file.read())
        return {"size": size, "ends_sha256": digest.hexdigest()}


def _sync_files(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            # Windows flushes only what is open for writing
            file = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
            try:
                os.fsync(file)
            finally:
                os.close(file)


def sync_folder(folder: Path) -> None:
    """Have a folder's entries on the disk; not every system can."""
    with contextlib.suppress(OSError):
        entry = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(entry)
        finally:
            os.close(entry)


def touch(folder: Path) -> None:
    """Note that the engine is being used now. What was built by hand is left as it is: its stamp stands beside it."""
    with contextlib.suppress(OSError):
        _stamp(folder).touch()


def untouch(folder: Path) -> None:
    """Take away the stamp that stands beside the folder."""
    with contextlib.suppress(OSError):
        _stamp_beside(folder).unlink(missing_ok=True)


def touched(folder: Path) -> datetime.datetime | None:
    """When the engine was last used, as a local time."""
    try:
        return datetime.datetime.fromtimestamp(_stamp(folder).stat().st_mtime).astimezone()
    except OSError:
        return None


def _stamp(folder: Path) -> Path:
    return folder / _STAMP if (folder / MANIFEST).exists() else _stamp_beside(folder)


def _stamp_beside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}{_STAMP}")
