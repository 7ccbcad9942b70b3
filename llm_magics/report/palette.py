"""Colours to tell fields apart by; each ground comes with the colour of the letters on it, so it reads on any page."""

from __future__ import annotations

# On light pages near-black letters, on dark pages near-white ones. Neighbours differ in hue and in lightness.
LIGHT_INK, DARK_INK = "#111111", "#ffffff"
LIGHT = ("#ffe08a", "#a9d8ff", "#ffc2c2", "#b8f0b0", "#e0c8ff", "#ffcf9e", "#9fe8e0", "#f7bfe8", "#d5e08c", "#c9d2f5", "#e8cdb5", "#cfd8dc")
DARK = ("#6b5200", "#0b4f86", "#8a2530", "#1f5c22", "#5b3a94", "#8a4a00", "#00595a", "#83286e", "#4f5a00", "#3a4a8f", "#6d4630", "#465760")


def ground(number: int) -> str:
    """The inline style of the colour ``number``; after the last one they begin again."""
    return f"background-color:{LIGHT[number % len(LIGHT)]};color:{LIGHT_INK}"


def dark_rules(numbers: set[int], page: str) -> str:
    """Style rules for the colours of classes ``llm-c0``, ``llm-c1``... within the selector ``page``, which holds on dark pages only."""
    return "".join(
        f"{page} .llm-c{number}{{background-color:{DARK[number]}!important}}"
        f"{page} .llm-c{number},{page} .llm-c{number} a{{color:{DARK_INK}!important}}"
        for number in sorted(numbers)
    )
