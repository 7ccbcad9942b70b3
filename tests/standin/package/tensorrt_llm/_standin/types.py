"""A type as the record writes it, and a value: the value as pydantic's lax mode would hand it on, or Refused."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

_WORD = re.compile(r"\s*('[^']*'|[A-Za-z_][\w.]*|[\[\],|])")
_TRUE, _FALSE = {"1", "on", "t", "true", "y", "yes"}, {"0", "off", "f", "false", "n", "no"}
_LOOSE = {"object", "Any", "BaseModel", "torch.Tensor", "Tensor", "TokenLogprobs", "RequestPerfMetrics"}


class Refused(Exception):  # noqa: N818 - says what happened
    """``kind`` is pydantic's name of the error."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclasses.dataclass(frozen=True)
class Type:
    """``Optional[List[int]]`` is ``Type('Optional', (Type('List', (Type('int'),)),))``."""

    name: str
    of: tuple[Any, ...] = ()


def parse(text: str) -> Type:
    """The type that ``text`` writes."""
    words = iter(_WORD.findall(re.sub(r" \(.*\)| union(?=\])", "", text)))
    made, rest = _one(words)
    if rest is not None:
        raise ValueError(f"the type {text!r} is not understood")
    return made


def _one(words: Iterator[str]) -> tuple[Type, str | None]:
    name = next(words)
    if name.startswith("'"):
        return Type(name.strip("'")), next(words, None)
    after = next(words, None)
    made = Type(name)
    if after == "[":
        of: list[Any] = []
        while after != "]":
            part, after = _one(words)
            of.append(part.name if name == "Literal" else part)
        made, after = Type(name, tuple(of)), next(words, None)
    if after == "|":
        other, after = _one(words)
        made = Type("Union", (made, other))
    return made, after


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    if isinstance(value, (int, float)) and value in (0, 1):
        return bool(value)
    raise Refused("bool_parsing", "Input should be a valid boolean, unable to interpret input")


def _int(value: Any) -> int:
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if value.is_integer():
            return int(value)
        raise Refused("int_from_float", "Input should be a valid integer, got a number with a fractional part")
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d+(\.0*)?\s*", value):
        return int(float(value))
    raise Refused("int_parsing" if isinstance(value, str) else "int_type", "Input should be a valid integer")


def _float(value: Any) -> float:
    if isinstance(value, (int, float)):
        return float(value)
    try:
        if isinstance(value, str):
            return float(value)
    except ValueError:
        pass
    raise Refused("float_type", "Input should be a valid number")


def _str(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise Refused("string_type", "Input should be a valid string")


def _path(value: Any) -> Path:
    if isinstance(value, (str, os.PathLike)):
        return Path(value)
    raise Refused("path_type", "Input is not a valid path")


def _dict(value: Any) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise Refused("dict_type", "Input should be a valid dictionary")


def _tokenizer(value: Any) -> Any:
    if callable(getattr(value, "encode", None)) and callable(getattr(value, "decode", None)):
        return value
    raise Refused("is_instance_of", "Input should be an instance of TokenizerBase or PreTrainedTokenizerBase")


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "bool": _bool, "int": _int, "float": _float, "str": _str, "Path": _path, "dict": _dict,
    "TokenizerBase": _tokenizer, "PreTrainedTokenizerBase": _tokenizer,
}  # fmt: skip
_EXACT = {"bool": bool, "int": int, "float": float, "str": str, "Path": Path}


def fit(wanted: Type, value: Any, classes: Mapping[str, type]) -> Any:
    """``value`` as a ``wanted`` one."""
    if wanted.name in _LOOSE:
        return value
    if wanted.name in _PLAIN:
        return _PLAIN[wanted.name](value)
    if wanted.name in _MADE_OF:
        return _MADE_OF[wanted.name](wanted, value, classes)
    return _instance(classes[wanted.name], value)


def _optional(wanted: Type, value: Any, classes: Mapping[str, type]) -> Any:
    return None if value is None else fit(wanted.of[0], value, classes)


def _literal(wanted: Type, value: Any, classes: Mapping[str, type]) -> Any:
    if isinstance(value, str) and value in wanted.of:
        return value
    raise Refused("literal_error", f"Input should be {' or '.join(map(repr, wanted.of))}")


def _list(wanted: Type, value: Any, classes: Mapping[str, type]) -> Any:
    if not isinstance(value, (list, tuple, set, frozenset)):
        raise Refused("list_type", "Input should be a valid list")
    return [fit(wanted.of[0], item, classes) for item in value]


def _mapping(wanted: Type, value: Any, classes: Mapping[str, type]) -> Any:
    return {fit(wanted.of[0], key, classes): fit(wanted.of[1], item, classes) for key, item in _dict(value).items()}


def _union(wanted: Type, value: Any, classes: Mapping[str, type]) -> Any:
    for part in wanted.of:
        if type(value) is _EXACT.get(part.name):
            return value
    first, *others = wanted.of
    try:
        return fit(first, value, classes)
    except Refused:
        if not others:
            raise
        with contextlib.suppress(Refused):
            return fit(Type("Union", tuple(others)), value, classes)
        raise


_MADE_OF = {"Optional": _optional, "Literal": _literal, "Union": _union, "List": _list, "Dict": _mapping}


def _instance(cls: type, value: Any) -> Any:
    if isinstance(value, cls):
        return value
    if issubclass(cls, enum.Enum):
        try:
            return cls(value)
        except ValueError as exc:
            raise Refused("enum", f"Input should be {' or '.join(repr(member.value) for member in cls)}") from exc
    if isinstance(value, Mapping) and (hasattr(cls, "model_fields") or dataclasses.is_dataclass(cls)):
        try:
            return cls(**value)
        except (TypeError, ValueError) as exc:
            raise Refused("value_error", str(exc)) from exc
    if callable(value) and cls.__name__.endswith("LogitsProcessor"):
        return value  # any callable of that signature will do
    raise Refused("model_type", f"Input should be a valid dictionary or instance of {cls.__name__}")
