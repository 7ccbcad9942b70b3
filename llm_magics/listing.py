"""The engines of the store as rows of a table, for ``%llm_engines`` and the panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .report import duration

if TYPE_CHECKING:
    from .engines.inventory import Stored

HEAD = ["name", "model", "backend", "gpu", "options", "size", "built", "took", "last used", "usable here"]


def row(stored: Stored, reason: str) -> list[str]:
    """The cells of one engine; ``reason`` says why it cannot be used here, and is empty when it can."""
    took = "" if stored.took_s is None else duration(stored.took_s)
    by_hand = "by hand, " if stored.by_hand else ""
    used = f"{stored.used:%Y-%m-%d %H:%M}" if stored.used else ""
    backend, size = f"{stored.backend} {stored.version}", f"{stored.size / 2**20:,.0f} MiB"
    built = f"{by_hand}{stored.built:%Y-%m-%d %H:%M}"
    return [stored.name, stored.model, backend, stored.gpu, stored.options, size, built, took, used, f"no: {reason}" if reason else "yes"]
