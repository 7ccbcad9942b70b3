"""A Generation as data for other tools: plain JSON, lines of a file, a table."""

from __future__ import annotations

import json
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .errors import OptionError, missing

if TYPE_CHECKING:
    from .records import Generation, Span

Rows = Literal["record", "field"]


def leaves(data: Any, path: str = "") -> list[tuple[str, Any]]:
    """The values of extracted data by their paths; a list of plain values counts as one."""
    if isinstance(data, dict):
        return [leaf for key, value in data.items() for leaf in leaves(value, f"{path}.{key}" if path else str(key))]
    if isinstance(data, list) and any(isinstance(item, (dict, list)) for item in data):
        return [leaf for at, item in enumerate(data) for leaf in leaves(item, f"{path}[{at}]")]
    return [(path, data)]


def fields(generation: Generation) -> list[dict[str, Any]]:
    """A row for each value: field, value, type, confidence and runner-up, status and place; None where something is not known."""
    places = {span.field: span for span in reversed(generation.spans)}
    rows = []
    for path, value in leaves(generation.data, "" if isinstance(generation.data, (dict, list)) else "label"):
        sure, span = generation.confidence.get(path), places.get(path) or places.get(f"{path}[0]")
        rows.append(
            {
                "field": path,
                "value": value,
                "type": None if value is None else type(value).__name__,
                "confidence": sure and sure.probability,
                "calibrated": sure and sure.calibrated,
                "runner_up": sure and sure.runner_up,
                "runner_up_probability": sure and sure.runner_up_probability,
                "status": span and span.status,
                "start": span.start if span and span.end else None,
                "end": span.end if span and span.end else None,
            }
        )
    return rows


def as_dict(generation: Generation) -> dict[str, Any]:
    """The whole result as JSON values."""
    from .values import plain

    made = {
        "run_id": generation.run_id,
        "task": generation.request.task,
        "model": generation.engine.model,
        "text": generation.request.text,
        "reply": generation.text,
        "data": generation.data,
        "fields": fields(generation) if generation.data is not None else [],
        "dropped": dict(generation.dropped),
        "conflicts": [{"field": other.field, "value": other.value, "places": _places(other.spans)} for other in generation.conflicts],
        "notes": [*generation.notes],
        "finish_reason": generation.finish_reason,
        "input_tokens": generation.input_tokens,
        "output_tokens": generation.output_tokens,
        "total_s": generation.timing.total_s,
    }
    plain_values: dict[str, Any] = plain(made)
    return plain_values


def _places(spans: Iterable[Span]) -> list[tuple[int, int]]:
    return sorted({place for span in spans if span.end for place in ((span.start, span.end), *span.others)})


def frame(generation: Generation, by: Rows) -> Any:
    """A pandas DataFrame, a row for each record or for each value."""
    try:
        import pandas as pd  # type: ignore[import-untyped,unused-ignore]
    except ImportError as exc:
        raise missing("pandas", "A table of the result", "frames") from exc
    if by == "field":
        return pd.DataFrame(fields(generation))
    if by != "record":
        raise OptionError(f"There are no rows by {by!r}.", "Use by='record' or by='field'.")
    data = generation.data
    records = data if isinstance(data, list) else [data if isinstance(data, dict) else {generation.request.task: data or generation.text}]
    return pd.DataFrame([dict(_columns(record)) for record in records])


def _columns(record: dict[str, Any], path: str = "") -> list[tuple[str, Any]]:
    """The columns of one record: members of an object each have one, a list stays whole."""
    columns = []
    for key, value in record.items():
        inner = f"{path}.{key}" if path else key
        columns += _columns(value, inner) if isinstance(value, dict) else [(inner, value)]
    return columns


def append_line(generation: Generation, path: str | PathLike[str]) -> None:
    """Add the result to a JSON Lines file."""
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(json.dumps(as_dict(generation), ensure_ascii=False, default=str) + "\n")


def write_page(generation: Generation, path: str | PathLike[str]) -> None:
    """Write the report as a page that needs no kernel and fetches nothing."""
    from .report.page import page

    Path(path).write_text(page(generation), encoding="utf-8")
