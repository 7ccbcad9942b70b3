"""What the record says, and which era and version this copy was installed as."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
RECORD: dict[str, Any] = json.loads((_HERE / "record.json").read_text(encoding="utf-8"))
_INSTALLED: dict[str, str] = json.loads((_HERE / "installed.json").read_text(encoding="utf-8"))
VERSION = _INSTALLED["version"]
TENSORRT = _INSTALLED["tensorrt"]
ERA = _INSTALLED["era"]


def described(name: str) -> dict[str, Any]:
    """The record of the class ``name``."""
    return dict(RECORD["classes"][name])
