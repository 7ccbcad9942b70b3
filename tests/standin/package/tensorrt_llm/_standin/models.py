"""Classes made from the record: pydantic-like models, dataclasses, enums, abstract classes, and what the record only names."""

from __future__ import annotations

import abc
import copy
import dataclasses
import enum
import inspect
import json
import sys
from typing import Any

from .record import ERA, described
from .types import Refused, Type, fit, parse

CLASSES: dict[str, type] = {}


class ValidationError(ValueError):
    """As pydantic's: a ValueError with one entry for each wrong field."""

    def __init__(self, title: str, errors: list[dict[str, Any]]) -> None:
        self.title = title
        self._errors = errors
        head = f"{len(errors)} validation error{'s' if len(errors) > 1 else ''} for {title}"
        super().__init__("\n".join([head, *map(_line, errors)]))

    def errors(self) -> list[dict[str, Any]]:
        return self._errors

    def error_count(self) -> int:
        return len(self._errors)


def _line(error: dict[str, Any]) -> str:
    place = ".".join(error["loc"])
    shown = f"[type={error['type']}, input_value={error['input']!r}, input_type={type(error['input']).__name__}]"
    return (f"{place}\n" if place else "") + f"  {error['msg']} {shown}"


def _error(name: str | None, kind: str, message: str, value: Any) -> dict[str, Any]:
    return {"loc": (name,) if name else (), "type": kind, "msg": message, "input": value}


@dataclasses.dataclass(frozen=True)
class Field:
    """One parameter of the record."""

    name: str
    type: Type
    spec: dict[str, Any]

    @property
    def required(self) -> bool:
        return bool(self.spec.get("required"))

    def default(self) -> Any:
        """A fresh default."""
        if "default_factory" in self.spec:
            made = self.spec["default_factory"]
            return {"dict": dict, "list": list}[made]() if made in ("dict", "list") else CLASSES[made]._default()
        if "default_enum" in self.spec:
            cls, member = self.spec["default_enum"]
            return getattr(CLASSES[cls], member)
        return copy.copy(self.spec.get("default"))

    def check(self, value: Any) -> Any:
        """``value`` in the field's type and limits."""
        fitted = fit(self.type, value, CLASSES)
        limit = self.spec.get("limit", {})
        if limit.get("not_none") and fitted is None:
            raise TypeError("'<=' not supported between instances of 'int' and 'NoneType'")
        if fitted is None:
            return fitted
        low, high = limit.get("range", (None, None))
        if (low is not None and fitted < low) or (high is not None and fitted > high):
            raise Refused("value_error", f"Value error, {self.name} must be {low}..{'' if high is None else high}, got {fitted}")
        if limit.get("positive_list") and (not fitted or any(item <= 0 for item in fitted)):
            raise Refused("value_error", f"Value error, {self.name} must be a non-empty list of positive integers, got {fitted}")
        if fitted in limit.get("refused", ()):
            raise Refused("value_error", f"Value error, {self.name} cannot be {fitted!r}")
        if "upper" in limit and isinstance(fitted, str) and not isinstance(fitted, enum.Enum):
            if fitted.upper() not in limit["upper"]:
                raise Refused("value_error", f"Value error, Invalid {self.name}: {fitted}")
            return fit(Type(self.spec["default_enum"][0]), fitted.upper(), CLASSES)
        return fitted

    def parameter(self, keyword_only: bool) -> inspect.Parameter:
        kind = inspect.Parameter.KEYWORD_ONLY if keyword_only else inspect.Parameter.POSITIONAL_OR_KEYWORD
        default = inspect.Parameter.empty if self.required else self.default()
        return inspect.Parameter(self.name, kind, default=default)


class Model:
    """What pydantic's BaseModel does, as far as the record's classes need it."""

    model_fields: dict[str, Field]
    _spec: dict[str, Any]

    @classmethod
    def _default(cls) -> Any:
        return cls()

    def __init__(self, **given: Any) -> None:
        cls = type(self)
        errors, values = [], {}
        for name in given.keys() - cls.model_fields.keys():
            note = "" if self._spec["unknown"] == "forbid" else " (the real one ignores it in silence)"
            errors.append(_error(name, "extra_forbidden", "Extra inputs are not permitted" + note, given[name]))
        for name, field in cls.model_fields.items():
            if name not in given:
                if field.required:
                    errors.append(_error(name, "missing", "Field required", given))
                else:
                    values[name] = field.default()
                continue
            try:
                values[name] = field.check(self._before(name, given[name]))
            except Refused as refused:
                errors.append(_error(name, refused.kind, str(refused), given[name]))
        if errors:
            raise ValidationError(cls.__name__, errors)
        object.__setattr__(self, "__dict__", values)
        self._given = frozenset(given)
        try:
            self._after()
        except (ValueError, AssertionError) as exc:
            kind = "assertion_error" if isinstance(exc, AssertionError) else "value_error"
            word = "Assertion failed" if isinstance(exc, AssertionError) else "Value error"
            raise ValidationError(cls.__name__, [_error(None, kind, f"{word}, {exc}", given)]) from exc

    def _before(self, name: str, value: Any) -> Any:
        return value

    def _after(self) -> None:
        pass

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.model_fields and not name.startswith("_"):
            raise ValueError(f'"{type(self).__name__}" object has no field "{name}"')
        if name in self.model_fields and self._spec.get("validate_assignment"):
            try:
                value = self.model_fields[name].check(self._before(name, value))
            except Refused as refused:
                raise ValidationError(type(self).__name__, [_error(name, refused.kind, str(refused), value)]) from refused
        object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.model_dump() == self.model_dump()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.model_fields)})"

    def model_dump(self, *, mode: str = "python", exclude_unset: bool = False, exclude: Any = None) -> dict[str, Any]:
        names = [name for name in self.model_fields if name not in (exclude or ()) and (not exclude_unset or name in self._given)]
        return {name: _dumped(self.__dict__[name], mode) for name in names}

    def model_dump_json(self, *, indent: int | None = None) -> str:
        return json.dumps(self.model_dump(mode="json"), indent=indent)

    def model_copy(self, *, update: dict[str, Any] | None = None) -> Any:
        made = copy.copy(self)
        object.__setattr__(made, "__dict__", {**self.__dict__, **(update or {})})
        return made


def _dumped(value: Any, mode: str) -> Any:
    if isinstance(value, Model):
        return value.model_dump(mode=mode)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {key: _dumped(item, mode) for key, item in dataclasses.asdict(value).items()}
    if mode != "json" or value is None or isinstance(value, (bool, int, float, list, dict)):
        return value
    return value.value if isinstance(value, enum.Enum) else str(value)


def model(name: str, base: type[Model] = Model, **body: Any) -> Any:
    """The record's model ``name``; ``base`` and ``body`` add what the record says in sentences."""
    spec = described(name)
    if ERA not in spec["eras"]:
        return None
    fields = [Field(entry["name"], parse(entry["type"]), entry) for entry in spec["parameters"]]
    made = type(name, (base,), {"_spec": spec, "model_fields": {field.name: field for field in fields}, **body})
    CLASSES[name] = made
    made.__signature__ = inspect.Signature([field.parameter(keyword_only=True) for field in fields])  # type: ignore[attr-defined]
    return _placed(name, made, spec)


def data_class(name: str, hidden: tuple[tuple[str, Any], ...] = (), **body: Any) -> Any:
    """The record's dataclass ``name``, with ``hidden`` fields that are no parameters."""
    spec = described(name)
    slots = spec["kind"] == "slots"
    fields: list[Any] = []
    for entry in spec["parameters"]:
        if entry.get("required"):
            fields.append((entry["name"], entry["type"]))
            continue
        mutable = "default_factory" in entry
        made = dataclasses.field(default_factory=list) if mutable else dataclasses.field(default=entry.get("default"))
        fields.append((entry["name"], entry["type"], made))
    fields += [(key, "object", dataclasses.field(default=default, init=False, repr=False)) for key, default in hidden]
    keyword_only = all(entry["keyword_only"] for entry in spec["parameters"])
    cls = dataclasses.make_dataclass(name, fields, namespace=body, slots=slots, kw_only=keyword_only)
    CLASSES[name] = cls
    return _placed(name, cls, spec)


def enumeration(name: str) -> Any:
    """The record's enum ``name``; its members are strings."""
    spec = described(name)
    base = (enum.Enum,) if name == "MetricNames" else (str, enum.Enum)
    body = enum.EnumMeta.__prepare__(name, base)
    for member, value in spec["members"].items():
        body[member] = value
    body["__str__"] = lambda self: self.value
    made = enum.EnumMeta(name, base, body)
    CLASSES[name] = made
    return _placed(name, made, spec)


def abstract(name: str) -> Any:
    """The record's abstract callable ``name``."""
    spec = described(name)

    @abc.abstractmethod
    def call(self: Any, *args: Any) -> None:
        raise NotImplementedError

    parameters = [inspect.Parameter(entry["name"], inspect.Parameter.POSITIONAL_OR_KEYWORD) for entry in spec["call"]]
    call.__signature__ = inspect.Signature([inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD), *parameters])  # type: ignore[attr-defined]
    made = abc.ABCMeta(name, (), {"__call__": call})
    CLASSES[name] = made
    return _placed(name, made, spec)


def opaque(name: str) -> Any:
    """A class that the record only names. Its default can be had, and no other."""

    def refuse(self: Any, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(f"{name}: the record does not describe it")

    made = type(name, (), {"__init__": refuse, "_default": classmethod(object.__new__), "__repr__": lambda self: f"{name}()"})
    CLASSES[name] = made
    return _placed(name, made, described(name))


def _placed(name: str, cls: Any, spec: dict[str, Any]) -> Any:
    cls.__module__ = spec["import_paths"][0].rpartition(".")[0]
    cls.__qualname__ = name
    return cls


def export(module: str) -> None:
    """Put into ``module`` every class that the record places there in this era."""
    namespace = sys.modules[module].__dict__
    for name, cls in CLASSES.items():
        for path in described(name)["import_paths"]:
            place, _, attribute = path.rpartition(".")
            if place == module and ERA in described(name)["eras"]:
                namespace[attribute] = cls
