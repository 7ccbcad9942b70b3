"""Engine folders on disk: config.json and rankN.engine, written in steps and checked when read. Standard library only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_MARK = b"stand-in engine\n"
# What identifies the machine and the library: an engine of others cannot be loaded.
BOUND_TO = ("version", "tensorrt", "gpu", "sm")


def kind_of(folder: Path) -> str:
    """``engine``, ``checkpoint`` (converted), or ``hf``."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if "pretrained_config" in config and "build_config" in config:
        return "engine"
    return "checkpoint" if "architecture" in config and "dtype" in config else "hf"


def write(folder: Path, config: dict[str, Any], bound: dict[str, Any], *, size: int, steps: int) -> Iterator[int]:
    """Write an engine; yields before each step, so that time can pass or something can go wrong."""
    world = config["pretrained_config"]["mapping"]["world_size"]
    folder.mkdir(parents=True, exist_ok=True)
    payload = hashlib.shake_128(json.dumps(config, sort_keys=True, default=str).encode()).digest(size)
    head = json.dumps(bound | {"size": size, "sha256": hashlib.sha256(payload).hexdigest()}).encode() + b"\n"
    piece = max(1, -(-size // steps))
    for step in range(steps):
        yield step
        for rank in range(world):
            with (folder / f"rank{rank}.engine").open("ab") as file:
                file.write((_MARK + head if step == 0 else b"") + payload[step * piece : (step + 1) * piece])
    if config["build_config"]["plugin_config"].get("manage_weights"):
        for rank in range(world):
            (folder / f"rank{rank}_managed_weights.safetensors").write_bytes(payload[:1024])
    (folder / "config.json").write_text(json.dumps(config, indent=4), encoding="utf-8")


def sound(folder: Path, config: dict[str, Any], bound: dict[str, Any]) -> bool:
    """Whether every rank's file is whole and made for this library and GPU."""
    world = config["pretrained_config"]["mapping"]["world_size"]
    return config["version"] == bound["version"] and all(_sound(folder / f"rank{rank}.engine", bound) for rank in range(world))


def _sound(path: Path, bound: dict[str, Any]) -> bool:
    content = path.read_bytes()
    mark, _, rest = content.partition(b"\n")
    head, _, payload = rest.partition(b"\n")
    if mark + b"\n" != _MARK:
        return False
    try:
        written = json.loads(head)
    except ValueError:
        return False
    same = all(written.get(name) == bound[name] for name in BOUND_TO)
    return same and len(payload) == written["size"] and hashlib.sha256(payload).hexdigest() == written["sha256"]
