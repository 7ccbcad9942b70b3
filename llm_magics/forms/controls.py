"""The inputs of a form but for its rows: where the text comes from, the prompt, the sampling."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from .. import prompts
from ..errors import OptionError
from ..records import Sampling
from ..tasks import find
from .rows import button, text

Changed = Callable[[], None]

TYPED = "the box below"
"""The choice of a text that is typed into the form."""
FOLDER = Path("llm_templates")
"""Where "Save as template" puts ``<task>/<name>.j2``: beside the notebook."""
# More of a variable's text than this is not sent to the page; the model gets all of it.
_SHOWN = 20_000
_LABELS = {"description_width": "9em"}


class Source:
    """The text: typed, or a variable of the notebook (a string, or a column of a DataFrame with a row). Mutable."""

    def __init__(self, names: Callable[[], Mapping[str, Any]], changed: Changed) -> None:
        self._names = names
        self._changed = changed
        self._typed = ""
        self.choice = widgets.Dropdown(options=[TYPED], value=TYPED, description="Text from", style=_LABELS)
        self.row = widgets.BoundedIntText(value=0, min=0, max=0, description="Row", layout=widgets.Layout(width="10em", display="none"))
        self.row.style.description_width = "auto"
        self.area = widgets.Textarea(description="Text", rows=4, style=_LABELS, layout=widgets.Layout(width="auto"))
        self.view = widgets.VBox([widgets.HBox([self.choice, self.row]), self.area], layout=widgets.Layout(flex="0 0 auto"))
        self.refresh()
        self.choice.observe(self._chosen, "value")
        self.row.observe(lambda _: self._show(), "value")
        self.area.observe(self._written, "value")

    @property
    def name(self) -> str:
        """The variable as the choice shows it; empty for a typed text."""
        if self.choice.value == TYPED:
            return ""
        return str(self.choice.value) if self._column() is None else f"{self.choice.value}, row {self.row.value}"

    @property
    def text(self) -> str:
        """The text as it is now; OptionError where the variable is gone."""
        if self.choice.value == TYPED:
            return str(self.area.value)
        column = self._column()
        if column is not None:
            return str(column.iloc[self.row.value])
        value = self._names().get(self.choice.value)
        if not isinstance(value, str):
            raise OptionError(f"The variable {self.choice.value} is no text any more.", "Choose another one.")
        return value

    def write(self, given: str) -> None:
        """Put a typed text into the form."""
        self.choice.value = TYPED
        self.area.value = given

    def choose(self, name: str) -> None:
        """Take the text from the variable (or ``frame['column']``) of that name; OptionError where it holds none."""
        self.refresh()
        if name not in self.choice.options:
            raise OptionError(f"No variable {name!r} holds a text.", f"There are: {', '.join(self.choice.options[1:]) or 'none yet'}.")
        self.choice.value = name

    def refresh(self) -> None:
        """List the variables as they are now."""
        found = (TYPED, *_texts(self._names()))
        if found != tuple(self.choice.options):
            chosen = self.choice.value
            self.choice.options = found
            self.choice.value = chosen if chosen in found else TYPED
        elif self.choice.value != TYPED:
            self._show()

    def _column(self) -> Any:
        for name, value in self._names().items():
            if isinstance(self.choice.value, str) and self.choice.value.startswith(name + "[") and _is_frame(value):
                for column in value.columns:
                    if self.choice.value == _column_name(name, column):
                        return value[column]
        return None

    def _chosen(self, change: Any) -> None:
        if change["old"] == TYPED:
            self._typed = self.area.value
        self.area.disabled = change["new"] != TYPED
        column = self._column()
        self.row.layout.display = "none" if column is None else ""
        if column is not None:
            self.row.max = max(len(column) - 1, 0)
        self._show()

    def _show(self) -> None:
        with contextlib.suppress(OptionError, IndexError):
            shown = self._typed if self.choice.value == TYPED else self.text
            more = len(shown) - _SHOWN
            self.area.value = shown if more <= 0 else f"{shown[:_SHOWN]}\n… and {more:,} characters more"
        self._changed()

    def _written(self, _: Any) -> None:
        if self.choice.value == TYPED:
            self._changed()


def _texts(names: Mapping[str, Any]) -> list[str]:
    """The variables that hold a text, and the columns that hold texts."""
    shown = {name: value for name, value in [*names.items()] if name[:1] != "_"}
    found = [name for name, value in shown.items() if isinstance(value, str)]
    frames = [(name, value) for name, value in shown.items() if _is_frame(value)]
    return found + [_column_name(name, column) for name, frame in frames for column in frame.columns if _is_text(frame[column])]


def _is_frame(value: Any) -> bool:
    pandas = sys.modules.get("pandas")  # no frame can be there before pandas is
    return pandas is not None and isinstance(value, pandas.DataFrame)


def _is_text(column: Any) -> bool:
    return getattr(column, "ndim", 0) == 1 and len(column) > 0 and any(isinstance(value, str) for value in column.head(20))


def _column_name(name: str, column: Any) -> str:
    return f"{name}[{column!r}]"


class PromptControls:
    """System prompt, template and answer start; what is as the package has it is None. Mutable."""

    def __init__(self, changed: Changed) -> None:
        self._changed = changed
        self._task, self._lang = "", ""
        self._replacing = ""
        wide = widgets.Layout(width="auto")
        self.system = widgets.Textarea(description="System", rows=2, style=_LABELS, layout=wide)
        self.saved = widgets.Dropdown(options=[_OWN], value=_OWN, description="Template", style=_LABELS)
        self.reset = button("Reset", "Put the task's own template and system prompt back", self._reset)
        self.template = widgets.Textarea(description="Its text", rows=6, style=_LABELS, layout=wide)
        self.answer_start = widgets.Text(description="Answer begins", style=_LABELS, layout=widgets.Layout(width="30em"))
        self.name = text("Template name", width="20em", placeholder="short_letters")
        self.save = button("Save as template", "Keep the template beside the notebook, under this name", self._save)
        self.said = widgets.HTML()
        for control in (self.system, self.template, self.answer_start):
            control.observe(lambda _: self._changed(), "value")
        self.saved.observe(self._chosen, "value")
        self.parts = [
            self.system,
            widgets.HBox([self.saved, self.reset]),
            self.template,
            widgets.HBox([self.name, self.save, self.said]),
            self.answer_start,
        ]

    def begin(self, task: str, lang: str) -> None:
        """Turn to another task or language. What was edited stays within a task."""
        first = not self._task
        old = (self._task, self._lang)
        if first or self.template.value == prompts.source(old[1], old[0]) or task != old[0]:
            self.template.value = prompts.source(lang, task)
        if first or self.system.value == prompts.source(old[1], "system"):
            self.system.value = prompts.source(lang, "system")
        self._task, self._lang = task, lang
        self.saved.options = [_OWN, *self._names()]
        if task != old[0]:
            self.saved.value = _OWN
        of_text = find(task).answer == "text"
        self.answer_start.layout.display = "" if of_text else "none"

    @property
    def values(self) -> tuple[str | None, str | None, str | None]:
        """system, format and answer_start, as the options of a call."""
        system = None if self.system.value == prompts.source(self._lang, "system") else str(self.system.value)
        template = None if self.template.value == prompts.source(self._lang, self._task) else str(self.template.value)
        start = (self.answer_start.value or None) if find(self._task).answer == "text" else None
        return system, template, start

    def _reset(self) -> None:
        self.saved.value = _OWN
        self.template.value = prompts.source(self._lang, self._task)
        self.system.value = prompts.source(self._lang, "system")

    def _names(self) -> list[str]:
        return sorted(path.stem for path in (FOLDER / self._task).glob("*.j2"))

    def _chosen(self, change: Any) -> None:
        if change["new"] == _OWN:
            if change["old"] in self._names():
                self.template.value = prompts.source(self._lang, self._task)
            return
        # Read as it was written: a saved template may hold any line break.
        with contextlib.suppress(OSError), (FOLDER / self._task / f"{change['new']}.j2").open(encoding="utf-8", newline="") as file:
            self.template.value = file.read()
            self.name.value = change["new"]

    def _save(self) -> None:
        """Write the template to a file; what is there under that name already is replaced at the second press."""
        from .snapshot import line

        name = self.name.value.strip()
        if not name.isidentifier():
            self.said.value = line("A template's name has letters, digits and _, such as short_letters.")
            return
        path = FOLDER / self._task / f"{name}.j2"
        if path.exists() and self._replacing != name:
            self._replacing = name
            self.said.value = line(f"{name} is there already: press again to replace it.")
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", encoding="utf-8", newline="") as file:
                file.write(self.template.value)
        except OSError as error:
            self.said.value = line(f"{path} cannot be written: {error.strerror}.")
            return
        self._replacing = ""
        self.saved.options = [_OWN, *self._names()]
        self.saved.value = name
        self.said.value = line(f"Saved as {path}.")


_OWN = "the task's own"


class SamplingControls:
    """How tokens are chosen. Empty boxes keep the default. Mutable."""

    def __init__(self, changed: Changed) -> None:
        self.max_new_tokens = widgets.BoundedIntText(value=512, min=1, max=10**6, description="Most new tokens")
        self.temperature = widgets.BoundedFloatText(value=0.0, min=0.0, max=100.0, step=0.1, description="Temperature")
        self.top_p = widgets.BoundedFloatText(value=1.0, min=0.01, max=1.0, step=0.05, description="Top p")
        self.top_k = widgets.BoundedIntText(value=0, min=0, max=10**6, description="Top k (0: off)")
        self.seed = widgets.Text(description="Seed", placeholder="drawn for each run")
        self.max_input_len = widgets.Text(description="Most input tokens", placeholder="as the model has")
        self.stop = widgets.Textarea(description="Stop before", rows=2, placeholder="one text a line; \\n is a line feed")
        numbers = [self.max_new_tokens, self.temperature, self.top_p, self.top_k, self.seed, self.max_input_len]
        for control in [*numbers, self.stop]:
            control.style.description_width = "9em"
            control.layout.width = "20em"
            control.observe(lambda _: changed(), "value")
        self.stop.layout.width = "40em"
        self.parts = [widgets.HBox(numbers, layout=widgets.Layout(flex_flow="row wrap")), self.stop]

    def begin(self, usual: Sampling) -> None:
        """Show the defaults of a task."""
        self.max_new_tokens.value, self.temperature.value = usual.max_new_tokens, usual.temperature

    @property
    def sampling(self) -> Sampling:
        """The Sampling that the boxes say; OptionError for what is no number."""
        return Sampling(
            max_new_tokens=self.max_new_tokens.value,
            temperature=self.temperature.value,
            top_p=self.top_p.value,
            top_k=self.top_k.value,
            seed=_whole("Seed", self.seed.value),
            stop=tuple(_unescaped(each) for each in self.stop.value.split("\n") if each),
        )

    @property
    def limit(self) -> int | None:
        """Most tokens to send, or None."""
        return _whole("Most input tokens", self.max_input_len.value)


def _whole(name: str, given: str) -> int | None:
    if not given.strip():
        return None
    try:
        return int(given)
    except ValueError:
        raise OptionError(f"{name} is {given!r}.", "Expected a whole number, or nothing.") from None


def _unescaped(given: str) -> str:
    known = {"\\n": "\n", "\\t": "\t", "\\\\": "\\"}
    made, at = "", 0
    while at < len(given):
        pair = given[at : at + 2]
        made += known.get(pair, given[at])
        at += 2 if pair in known else 1
    return made
