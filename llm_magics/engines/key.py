"""What an engine is stored under, and where it stands."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import OptionError
from . import manifest

BY_HAND = "tensorrt_llm"
"""The backend whose users lay out engines by hand; its engines stand where theirs do."""
# Of ``machine``: worth telling, but an engine is as good under another one.
_NOT_COUNTED = frozenset({"driver"})


def root(backend: str = "") -> Path:
    """The folder that holds the engines of ``backend``; ``LLM_MAGICS_CACHE`` moves it."""
    return _base() / (BY_HAND if backend == BY_HAND else "llm_magics")


def roots(backend: str = "") -> tuple[Path, ...]:
    """Where its engines may stand: hand-built ones also in ~/.cache, which those who build them write out."""
    places = [root(backend)]
    if backend == BY_HAND and not os.environ.get("LLM_MAGICS_CACHE") and os.environ.get("XDG_CACHE_HOME"):
        places.append(_home() / ".cache" / BY_HAND)
    return tuple(dict.fromkeys(places))


def _base() -> Path:
    moved = os.environ.get("LLM_MAGICS_CACHE")
    if moved:
        return Path(os.path.abspath(Path(moved).expanduser()))  # noqa: PTH100 - resolve() would follow links
    xdg = os.environ.get("XDG_CACHE_HOME")
    return Path(xdg) if xdg else _home() / ".cache"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as exc:
        raise OptionError("There is no home folder to keep engines in.", "Set LLM_MAGICS_CACHE to a folder, or HOME.") from exc


@dataclass(frozen=True)
class Key:
    """What decides that one engine can stand for another.

    ``origin`` names the weights: ``id@revision``, or a digest. ``options`` are those that decide the build; ``machine`` is
    what the engine is bound to: ``gpu``, ``compute_capability``, ``tensorrt``, ``cuda``, ``platform``; a ``driver`` in it is
    recorded, but does not count. All values are plain JSON.
    """

    backend: str
    backend_version: str
    model: str
    origin: str
    options: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)

    @property
    def parts(self) -> dict[str, Any]:
        """Every part, as a manifest holds it."""
        names = ("backend", "backend_version", "model", "origin")
        parts = {**{name: getattr(self, name) for name in names}, "options": dict(self.options), "machine": dict(self.machine)}
        plain: dict[str, Any] = json.loads(json.dumps(parts))
        return plain

    @property
    def counted(self) -> dict[str, Any]:
        """The parts by which engines are told apart."""
        parts = self.parts
        machine = {name: value for name, value in parts.pop("machine").items() if name not in _NOT_COUNTED}
        return {**parts, "machine": machine} if machine else parts

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits of all parts that count."""
        return hashlib.sha256(json.dumps(self.counted, sort_keys=True).encode()).hexdigest()[:8]

    def differences(self, other: Key) -> tuple[str, ...]:
        """In what ``other``, which is stored, is not this one, which is wanted: ``max_seq_len 4096 (wanted 8192)``."""
        wanted, met = dict(_flat(self.counted)), dict(_flat(other.counted))
        names = [*wanted, *(name for name in met if name not in wanted)]
        return tuple(difference(name, met.get(name), wanted.get(name)) for name in names if met.get(name) != wanted.get(name))

    @property
    def stem(self) -> str:
        """The engine's name before ``_engine``, as users write it by hand: ``Meta_Llama_3.1_8B_Instruct_int8``."""
        return stem(self.model) + suffix(self.options.get("quantization"))

    @property
    def name(self) -> str:
        """A name that no other key has."""
        return f"{self.stem}_engine-{self.digest}"

    @property
    def parent(self) -> Path:
        """The folder of the backend's version."""
        version = self.backend_version if self.backend == BY_HAND else f"{self.backend}-{self.backend_version}"
        return root(self.backend) / _safe(version)

    @property
    def lock(self) -> Path:
        """The lock file that whoever builds this engine holds."""
        return self.parent / f"{self.name}.lock"

    @property
    def plain(self) -> Path:
        """Where users put this engine when they build it by hand."""
        return self.parent / f"{self.stem}_engine"

    @property
    def places(self) -> tuple[Path, ...]:
        """Where the engine may stand, the preferred place first."""
        own = self.parent / self.name
        return (self.plain, own) if self.backend == BY_HAND else (own,)

    @property
    def stored(self) -> Path | None:
        """The folder that holds this very key."""
        for place in self.places:
            if (made := manifest.read(place)) and of_manifest(made).counted == self.counted:
                return place
            if place.name == self.name and (place / manifest.MANIFEST).exists():
                return place  # its manifest is damaged, its name tells
        return self._stored_before_machines() if self.machine else None

    def _stored_before_machines(self) -> Path | None:
        """Manifests of schema 1 knew no machine; their engines run on any."""
        older = replace(self, machine={})
        made = manifest.read(place := self.parent / older.name)
        return place if made and "schema" not in made and of_manifest(made).counted == older.counted else None

    @property
    def folder(self) -> Path:
        """Where the engine stands, or will."""
        return self.stored or next((place for place in self.places if is_free(place)), self.places[-1])


def of_manifest(made: Mapping[str, Any]) -> Key:
    """The key that a manifest tells."""
    return Key(made["backend"], made["backend_version"], made["model"], made["origin"], made["options"], made.get("machine", {}))


def is_free(place: Path) -> bool:
    """Whether an engine can be renamed to ``place``."""
    try:
        return not os.path.lexists(place) or (not place.is_symlink() and not any(place.iterdir()))
    except OSError:
        return False


def stem(model: str) -> str:
    """``meta-llama/Meta-Llama-3.1-8B-Instruct`` -> ``Meta_Llama_3.1_8B_Instruct``."""
    return _safe(model.rstrip("/\\").split("/")[-1].replace("-", "_"))


def suffix(quantization: str | None) -> str:
    """``int8`` -> ``_int8``."""
    return "" if quantization in (None, "none") else f"_{_safe(str(quantization))}"


def difference(name: str, met: Any, wanted: Any) -> str:
    """One part of a near miss, in words."""
    label = {"backend_version": "version", "origin": "weights"}.get(name, name)
    return f"{label} {_word(met)} (wanted {_word(wanted)})"


def _word(value: Any) -> str:
    return "unset" if value is None else str(value)


def _flat(parts: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in parts.items():
        if isinstance(value, Mapping):
            yield from value.items()
        else:
            yield name, value


def _safe(word: str) -> str:
    """A name that every file system takes, with room for what is added to it."""
    safe = re.sub(r"[^\w.+=@-]", "_", word).rstrip(".")
    safe = "_" + safe[1:] if safe[:1] in (".", "-") else safe
    if len(safe.encode()) > 120:
        digest = hashlib.sha256(word.encode()).hexdigest()[:8]
        safe = safe.encode()[:110].decode(errors="ignore") + "_" + digest
    return safe or "_"
