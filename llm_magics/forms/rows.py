"""Rows to add, remove and reorder: the labels of classify, and the values that extract looks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import ipywidgets as widgets

from .. import schema
from ..errors import SchemaError

Changed = Callable[[], None]

TYPES = ("text", "bool", "int", "float", "date", "datetime", "quantity", "choice")
"""What a value can be; ``text`` has no mark, ``choice`` is one of the words given."""


class Row(Protocol):
    """The inputs of one row."""

    @property
    def parts(self) -> list[Any]:
        """The widgets, in the order of the keyboard."""
        ...


class Rows:
    """Any number of rows, each with buttons to move and remove it. Mutable: the user works on it; ``changed`` is called then."""

    def __init__(self, what: str, make: Callable[[], Row], changed: Changed) -> None:
        self.what = what
        self.rows: list[Any] = []
        self._make = make
        self._changed = changed
        self._lines: list[widgets.HBox] = []
        self.more = button(f"Add {what}", f"Add a {what} at the end", self.add)
        self._stack = widgets.VBox()
        self.view = widgets.VBox([self._stack, self.more], layout=widgets.Layout(width="100%", flex="0 0 auto"))

    def add(self) -> Any:
        """Add an empty row at the end and return it."""
        row = self._make()
        up, down, away = (
            button(label, f"{tip} this {self.what}", _then(act, row), width="auto")
            for label, tip, act in (("Up", "Move up", self.up), ("Down", "Move down", self.down), ("Remove", "Remove", self.remove))
        )
        line = widgets.HBox([*row.parts, up, down, away], layout=widgets.Layout(flex_flow="row wrap"))
        self.rows.append(row)
        self._lines.append(line)
        for part in row.parts:
            part.observe(lambda _: self._changed(), "value")
        self._show()
        return row

    def remove(self, row: Any) -> None:
        """Take a row away."""
        at = self.rows.index(row)
        del self.rows[at]
        gone = self._lines.pop(at)
        self._show()
        close_all(gone)

    def up(self, row: Any) -> None:
        """Move a row before the one above it."""
        self._move(self.rows.index(row), -1)

    def down(self, row: Any) -> None:
        """Move a row after the one below it."""
        self._move(self.rows.index(row), 1)

    def _move(self, at: int, by: int) -> None:
        to = at + by
        if 0 <= to < len(self.rows):
            for listed in (self.rows, self._lines):
                listed[at], listed[to] = listed[to], listed[at]
            self._show()

    def _show(self) -> None:
        self._stack.children = tuple(self._lines)
        self._changed()


class LabelRow:
    """One label."""

    def __init__(self) -> None:
        self.label = text("Label", width="16em")

    @property
    def parts(self) -> list[Any]:
        return [self.label]


class EntityRow:
    """One value to find: its name, what it is, its type. ``choices`` are separated by commas, and there for that type alone."""

    def __init__(self) -> None:
        self.name = text("Name", width="13em")
        self.hint = text("Hint", width="20em")
        self.type = widgets.Dropdown(options=TYPES, value="text", description="Type", layout=widgets.Layout(width="10em"))
        self.type.style.description_width = "auto"
        self.choices = text("Choices", width="16em", placeholder="good, bad")
        self.choices.layout.display = "none"
        self.many = widgets.Checkbox(description="List", indent=False, layout=widgets.Layout(width="auto"))
        self.type.observe(self._typed, "value")

    def _typed(self, change: Any) -> None:
        self.choices.layout.display = "" if change["new"] == "choice" else "none"

    @property
    def parts(self) -> list[Any]:
        return [self.name, self.hint, self.type, self.choices, self.many]

    def pair(self) -> tuple[str, str]:
        """The name, and the hint with its type as a mark; SchemaError where a mark cannot say it."""
        name, hint = self.name.value.strip(), self.hint.value.strip()
        kind = self.type.value
        choices = tuple(each.strip() for each in self.choices.value.split(",") if each.strip()) if kind == "choice" else ()
        if kind == "choice" and not choices:
            raise SchemaError(f"{name!r} is a choice between nothing.", "Write its choices, separated by commas.")
        mark = _mark(kind, choices, many=self.many.value)
        marked = f"{mark} {hint}".strip()
        read = schema.parse_hint(name, marked)
        if mark and (read.type, read.many, read.choices) != ("str" if kind == "text" else kind, self.many.value, choices):
            raise SchemaError(f"The hint of {name!r} says another type than its row.", "Leave brackets out of the hint and the choices.")
        return name, marked


def _mark(kind: str, choices: Sequence[str], *, many: bool) -> str:
    words = {"text": "", "choice": "|".join(choices) if len(choices) > 1 else f"one of {''.join(choices)}"}.get(kind, kind)
    if many:
        return f"(list of {words})" if words else "(list of)"
    return f"({words})" if words else ""


class Labels(Rows):
    """The labels of classify."""

    def __init__(self, changed: Changed) -> None:
        super().__init__("label", LabelRow, changed)
        for _ in range(2):
            self.add()

    @property
    def labels(self) -> tuple[str, ...]:
        """Those that are not empty."""
        return tuple(row.label.value.strip() for row in self.rows if row.label.value.strip())

    @labels.setter
    def labels(self, labels: Sequence[str]) -> None:
        for row in [*self.rows]:
            self.remove(row)
        for label in labels:
            self.add().label.value = label


class Entities(Rows):
    """The values that extract looks for."""

    def __init__(self, changed: Changed) -> None:
        super().__init__("value", EntityRow, changed)
        self.add()

    @property
    def entities(self) -> tuple[tuple[str, str], ...]:
        """(name, hint) of the rows that have a name."""
        return tuple(row.pair() for row in self.rows if row.name.value.strip())


def button(label: str, tip: str, action: Callable[[], Any], *, style: str = "", width: str = "auto") -> widgets.Button:
    """A button with words on it."""
    made = widgets.Button(description=label, tooltip=tip, button_style=style, layout=widgets.Layout(width=width, align_self="flex-start"))
    made.on_click(lambda _: action())
    return made


def text(label: str, *, width: str, placeholder: str = "", value: str = "") -> widgets.Text:
    """One line of text with its label beside it."""
    made = widgets.Text(value=value, description=label, placeholder=placeholder, layout=widgets.Layout(width=width))
    made.style.description_width = "auto"
    return made


def close_all(view: Any) -> None:
    """Close a widget and all inside it."""
    for child in getattr(view, "children", ()):
        close_all(child)
    view.close()


def _then(act: Callable[[Any], None], row: Any) -> Callable[[], None]:
    return lambda: act(row)
