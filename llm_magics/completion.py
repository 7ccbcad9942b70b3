"""What the Tab key offers on the line of a magic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .arguments import option_names


def complete(magic: Any, names: Mapping[str, Any], event: Any) -> list[str]:
    """Options, languages, models, engines, tasks and variables for the line of ``magic``."""
    from .engines import ENGINES
    from .prompts import LANGS, languages
    from .tasks import TASKS

    words = event.line[: len(event.line) - len(event.symbol)].split()
    parser = getattr(magic, "parser", None)
    if parser is None or not words:
        return []
    values: dict[str, list[str]] = {
        "--lang": [*LANGS],
        "--to": [*languages()],
        "--engine": ["auto", *ENGINES],
        "--quantization": ["none", "int8", "int4", "fp8"],
        "--dtype": ["float16", "bfloat16", "float32"],
    }
    if words[-1] in values:
        return values[words[-1]]
    options = option_names(parser)
    if event.symbol.startswith("-"):
        return options
    first = {"llm_load": ["demo", *options], "llm_form": [*TASKS] if len(words) == 1 else []}.get(words[0].lstrip("%"))
    if first:
        return first
    if words[0].endswith("llm_engines"):
        from .engines import cache

        return [*(stored.name for stored in cache.listed()), "rm", "list"]
    return [*options, *(name for name, value in names.items() if isinstance(value, (str, dict, list)) and name[:1] != "_")]
