"""JSON values -> Python values of a schema's types, and what is wrong with them.

A decoder that is held to the schema leaves little to do here. Others write ``"1,200"`` for a number, ``"yes"`` for true and
``12 March 2024`` for a date; these are read. What cannot be is a problem, and becomes None.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import field as default
from typing import TYPE_CHECKING, Any

from . import dates, quantities
from .quantities import Quantity

if TYPE_CHECKING:
    from ..schema import Field

_YES = frozenset(("true", "yes", "oui", "sí", "si", "ja", "wahr", "vrai", "verdadero", "y", "1"))
_NO = frozenset(("false", "no", "non", "nein", "falsch", "faux", "falso", "n", "0"))


@dataclass
class Findings:
    """What came up while values were read. Mutable: it collects.

    ``problems`` are sentences that begin with the value's path; ``dropped`` holds the values that could not stay, by path.
    """

    lang: str = "en"
    problems: list[str] = default(default_factory=list)
    dropped: dict[str, Any] = default(default_factory=dict)

    def refuse(self, path: str, value: Any, wanted: str) -> Any:
        """None, with a note that ``value`` is not what was wanted."""
        self.problems.append(f"{path}: {value!r} is not {wanted}")
        self.dropped[path] = value
        return None


def read(field: Field, value: Any, path: str, found: Findings) -> Any:
    """The Python value of ``field`` for a JSON ``value``; None where there is none or it cannot be."""
    if value is None or value in ("", []):
        if field.required:
            found.problems.append(f"{path}: is missing")
        return None
    if not field.many:
        return _single(field, value, path, found)
    items = value if isinstance(value, list) else [value]
    made = [item for at, each in enumerate(items) if (item := _single(field, each, f"{path}[{at}]", found)) is not None]
    fewest, most = field.min_items or 0, math.inf if field.max_items is None else field.max_items
    if not fewest <= len(made) <= most:
        found.problems.append(f"{path}: has {len(made)} items, not {_span(field.min_items, field.max_items)}")
    return made or None


def record(fields: tuple[Field, ...], values: Mapping[str, Any], path: str, found: Findings) -> dict[str, Any]:
    """A whole object: every field, None where ``values`` has nothing."""
    return {field.key: read(field, values.get(field.key), f"{path}.{field.key}" if path else field.key, found) for field in fields}


def dated(fields: tuple[Field, ...], values: Mapping[str, Any], lang: str) -> dict[str, Any]:
    """``values`` as they are but for the dates in them, which become ``datetime`` objects; None for fields that it has not."""
    made = {field.key: values.get(field.key) for field in fields} | dict(values)
    for field in fields:
        value = made[field.key]
        items = value if isinstance(value, list) and field.many else [value]
        turned = [_dated(field, item, lang) for item in items]
        made[field.key] = turned if items is value else turned[0]
    return made


def _dated(field: Field, value: Any, lang: str) -> Any:
    if field.type == "object" and isinstance(value, Mapping):
        return dated(field.fields, value, lang)
    if field.type in ("date", "datetime") and isinstance(value, str):
        return _single(field, value, "", Findings(lang))
    return value


def plain(value: Any) -> Any:
    """JSON values again: dates in ISO form, quantities as ``{value, unit, text}``."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Quantity):
        return {"value": value.value, "unit": value.unit, "text": value.text}
    return value.isoformat() if isinstance(value, datetime.date) else value


def as_written(value: Any) -> Any:
    """The same with quantities as their text stands in the source; for looking them up there."""
    if isinstance(value, dict):
        return {key: as_written(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_written(item) for item in value]
    return value.text if isinstance(value, Quantity) else value


def _single(field: Field, value: Any, path: str, found: Findings) -> Any:
    return _READERS[field.type](field, value, path, found)


def _span(low: float | None, high: float | None) -> str:
    return f"{'' if low is None else low}..{'' if high is None else high}"


def _text(field: Field, value: Any, path: str, found: Findings) -> Any:
    if isinstance(value, (dict, list)):
        return found.refuse(path, value, "text")
    text = value if isinstance(value, str) else json.dumps(value)
    if field.pattern and not re.search(field.pattern, text):
        return found.refuse(path, text, f"of the pattern {field.pattern}")
    return text


def _bool(field: Field, value: Any, path: str, found: Findings) -> Any:  # noqa: ARG001 - as every reader
    if isinstance(value, bool):
        return value
    word = str(value).strip().rstrip(".").casefold()
    if word in _YES or word in _NO:
        return word in _YES
    return found.refuse(path, value, "true or false")


def _number(value: Any, lang: str) -> float | None:
    if isinstance(value, str):
        return quantities.number(value, lang)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None  # of any length: isfinite() overflows


def _in_range(field: Field, value: float, path: str, found: Findings) -> bool:
    low, high = field.minimum, field.maximum
    if (low is None or value >= low) and (high is None or value <= high):
        return True
    found.refuse(path, value, f"in the range {_span(low, high)}")
    return False


def _int(field: Field, value: Any, path: str, found: Findings) -> Any:
    number = _number(value, found.lang)
    if number is None or number != int(number):
        return found.refuse(path, value, "a whole number")
    return int(number) if _in_range(field, number, path, found) else None


def _float(field: Field, value: Any, path: str, found: Findings) -> Any:
    number = _number(value, found.lang)
    if number is None:
        return found.refuse(path, value, "a number")
    with contextlib.suppress(OverflowError):
        return float(number) if _in_range(field, number, path, found) else None
    return found.refuse(path, value, "a number")


def _date(field: Field, value: Any, path: str, found: Findings) -> datetime.date | str | None:  # noqa: ARG001 - as every reader
    """A date; what is no whole date stays as its text, so that nothing is lost."""
    text = str(value)
    made = dates.read(text, found.lang)
    if made is None:
        found.problems.append(f"{path}: {text!r} is not a date that is in the calendar, written YYYY-MM-DD")
        return text
    return made


def _datetime(field: Field, value: Any, path: str, found: Findings) -> datetime.datetime | str:  # noqa: ARG001 - as every reader
    text = str(value)
    try:
        return datetime.datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text))
    except ValueError:
        found.problems.append(f"{path}: {text!r} is not a time, written YYYY-MM-DDTHH:MM")
        return text


def _choice(field: Field, value: Any, path: str, found: Findings) -> Any:
    if value in field.choices:
        return value
    alike = [choice for choice in field.choices if str(choice).casefold() == str(value).strip().casefold()]
    return alike[0] if alike else found.refuse(path, value, f"one of {', '.join(map(str, field.choices))}")


def _quantity(field: Field, value: Any, path: str, found: Findings) -> Any:  # noqa: ARG001 - as every reader
    if isinstance(value, Mapping):
        value = f"{value.get('value', '')} {value.get('unit', '')}".strip()
    if isinstance(value, (bool, list)):
        return found.refuse(path, value, "a quantity")
    return quantities.read(str(value), found.lang)


def _object(field: Field, value: Any, path: str, found: Findings) -> Any:
    if not isinstance(value, Mapping):
        return found.refuse(path, value, "an object")
    return record(field.fields, value, path, found)


def _any(field: Field, value: Any, path: str, found: Findings) -> Any:  # noqa: ARG001 - as every reader
    return value


_READERS: dict[str, Callable[[Field, Any, str, Findings], Any]] = {
    "str": _text,
    "bool": _bool,
    "int": _int,
    "float": _float,
    "date": _date,
    "datetime": _datetime,
    "choice": _choice,
    "quantity": _quantity,
    "object": _object,
    "any": _any,
}
