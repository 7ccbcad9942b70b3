"""What stands in the engine store."""

from __future__ import annotations

import contextlib
import datetime
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import handbuilt, manifest
from .key import BY_HAND, Key, of_manifest, roots, stem, suffix

DAMAGED = ".damaged-"
DAMAGED_NOTE = "damaged.txt"


@dataclass(frozen=True)
class Stored:
    """An engine in the store, as ``%llm_engines`` lists it.

    ``size`` in bytes, ``built`` and ``used`` as local times, ``took_s`` the seconds of its build; None where it is not known.
    ``problem`` says what is wrong with its files, and is empty when they are whole. ``key`` is None for engines built by hand, and
    where the manifest cannot be read.
    """

    name: str
    path: Path
    model: str
    backend: str
    version: str
    gpu: str
    options: str
    size: int
    built: datetime.datetime
    took_s: float | None
    used: datetime.datetime | None
    by_hand: bool
    problem: str
    key: Key | None


def check(folder: Path) -> str | None:
    """None when the engine in ``folder`` is whole, else what is wrong with it. Cheap enough to ask before each load."""
    try:
        ours = (folder / manifest.MANIFEST).exists() or re.search(r"_engine-[0-9a-f]{8}$", folder.name)
        return manifest.check(folder) if ours else handbuilt.check(folder)
    except OSError as exc:
        return f"it cannot be read: {exc.strerror}"


def versions() -> Iterator[Path]:
    """The folders that engines stand in: one for each version of each backend."""
    for place in dict.fromkeys((*roots(), *roots(BY_HAND))):
        # a link such as `latest` to the folder beside it is that folder
        yield from (path for path in _folders(place) if not path.is_symlink() or path.resolve().parent != place.resolve())


def _folders(place: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return sorted(path for path in place.iterdir() if not path.name.startswith(".") and path.is_dir())
    return []


def listed() -> list[Stored]:
    """Every engine, newest first: ours, those built by hand, and those that are damaged."""
    found = [stored for version in versions() for folder in _folders(version) if (stored := _stored(folder))]
    return sorted(found, key=lambda stored: stored.built, reverse=True)


def near(key: Key) -> list[tuple[Stored, tuple[str, ...]]]:
    """The engines of the same backend and model that are not of this key, and why: fewest differences first."""
    found = [(stored, _differences(key, stored)) for stored in listed() if not stored.problem and _of_same_model(key, stored)]
    return sorted(((stored, why) for stored, why in found if why), key=lambda pair: len(pair[1]))


def _of_same_model(key: Key, stored: Stored) -> bool:
    if not stored.by_hand:
        return (key.backend, key.model) == (stored.backend, stored.model)
    # its folder's name is all that tells the model
    named = re.fullmatch(re.escape(stem(key.model)) + r"(_(int8|int4|fp8))?_engine", stored.name)
    return key.backend == BY_HAND and named is not None


def _differences(key: Key, stored: Stored) -> tuple[str, ...]:
    if stored.key:
        return key.differences(stored.key)
    return handbuilt.differences(handbuilt.config(stored.path), key, key.options, {})


def _stored(folder: Path) -> Stored | None:
    made, told = manifest.read(folder), handbuilt.config(folder)
    by_hand = bool(told) and not (folder / manifest.MANIFEST).exists()
    if not made and not by_hand and "_engine" not in folder.name:
        return None
    key = of_manifest(made) if made else None
    name, _, aside = folder.name.partition(DAMAGED)
    return Stored(
        name=folder.name,
        path=folder,
        model=key.model if key else _model_of_name(name, told),
        backend=key.backend if key else _backend(folder),
        version=key.backend_version if key else str(told.get("version") or _version(folder)),
        gpu=str(key.machine.get("gpu", "")) if key else "",
        options=", ".join(f"{name} {value}" for name, value in _options(key, told).items() if value is not None),
        size=_size(folder),
        built=_built(folder, made),
        took_s=made.get("took_s"),
        used=manifest.touched(folder),
        by_hand=by_hand,
        problem=_why_aside(folder) if aside else check(folder) or "",
        key=key,
    )


def _backend(folder: Path) -> str:
    version = folder.parent
    return BY_HAND if version.parent.name == BY_HAND else version.name.partition("-")[0]


def _version(folder: Path) -> str:
    return folder.parent.name if _backend(folder) == BY_HAND else folder.parent.name.partition("-")[2]


def _model_of_name(name: str, told: dict[str, object]) -> str:
    model = re.sub(r"_engine(-[0-9a-f]{8})?$", "", name)
    quantization = handbuilt.options(told)["quantization"] if told else None
    return model.removesuffix(suffix(quantization))


def _options(key: Key | None, told: dict[str, object]) -> dict[str, object]:
    if key:
        return dict(key.options)
    return handbuilt.options(told) if told else {}


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def _built(folder: Path, made: dict[str, object]) -> datetime.datetime:
    with contextlib.suppress(KeyError, TypeError, ValueError):
        return datetime.datetime.fromisoformat(str(made["created"])).astimezone()
    for path in (folder / manifest.MANIFEST, folder / "config.json", folder):
        if os.path.lexists(path):
            return datetime.datetime.fromtimestamp(path.lstat().st_mtime).astimezone()
    return datetime.datetime.fromtimestamp(0).astimezone()


def _why_aside(folder: Path) -> str:
    try:
        return (folder / DAMAGED_NOTE).read_text(encoding="utf-8").strip()
    except OSError:
        return "set aside as damaged"
