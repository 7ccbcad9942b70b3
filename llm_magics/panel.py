"""The panel of the engine: what is loaded, what runs, what is stored; load, cancel, unload, stop, remove.

- plain ipywidgets, so it is the same in JupyterLab, the classic Notebook and VS Code
- one thread follows what happens: it sleeps until something does, looks 4 times a second at most while a model runs or is being
  loaded, and ends with the panel
- beside the widgets, which need a kernel, the cell has a second output: the same facts as HTML and text, for a saved notebook. The live
  panel hides it
"""

from __future__ import annotations

import html
import threading
import time
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
from IPython.display import display

from . import facts as told
from .current import Current
from .engines import ENGINES
from .engines.gpu import Gpu, gpus
from .errors import LLMMagicsError
from .facts import Facts
from .shelf import Shelf
from .subshells import heard_at_once
from .twin import Twin

# Between two looks. Each sends some kilobytes.
_PAUSE_S = 0.25
# Asking the driver starts a process of some 50 ms.
_GPUS_EVERY_S = 5.0
_QUANTIZATIONS = (("as it is", ""), ("int8", "int8"), ("int4", "int4"), ("fp8", "fp8"))
_WIDE = {"width": "auto", "min_width": "8em"}


class Panel:
    """One panel, shown once. Mutable: it follows what happens until ``close``."""

    def __init__(self, current: Current) -> None:
        self._current = current
        self._wake, self._ended = threading.Event(), threading.Event()
        self._gpus: list[Gpu] = []
        self._gpus_at = float("-inf")
        self._started_at: float | None = None
        self._said = ""
        self.facts = widgets.HTML()
        self.stop = _button("Stop run", "Cancel the run that has the engine; what it has written stays.", self._stop)
        self.unload = _button("Unload", "Close the model and give its memory back.", self._unload)
        self.model = widgets.Combobox(value="demo", description="Model", options=("demo",), ensure_option=False, continuous_update=True)
        self.engine = widgets.Dropdown(options=("auto", *ENGINES), value="auto", description="Engine")
        self.quantization = widgets.Dropdown(options=_QUANTIZATIONS, value="", description="Quantization")
        self.load = _button(
            "Load", "Build the engine if the store has none, then load it in place of the one above.", self._load, "primary"
        )
        self.cancel = _button("Cancel", "Give the load up; nothing is left half-built.", self._cancel, "warning")
        self.progress = widgets.HTML()
        self.shelf = Shelf(self.say, self._wake.set)
        self.closing = _button("Close panel", "Take the panel away. The model stays.", self.close)
        self.twin = Twin("panel")
        self.view = self._laid_out()
        self._unsubscribe = current.subscribe(self._wake.set)
        self._thread = threading.Thread(target=self._follow, name="llm_magics panel", daemon=True)

    def _laid_out(self) -> widgets.Widget:
        for control in (self.model, self.engine, self.quantization):
            control.style.description_width = "7em"
            control.layout.width = "24em"
        loading = widgets.VBox(
            [
                _heading("Load"),
                widgets.HBox([self.model], layout=widgets.Layout(flex_flow="row wrap")),
                widgets.HBox([self.engine, self.quantization], layout=widgets.Layout(flex_flow="row wrap")),
                widgets.HBox([self.load, self.cancel]),
                self.progress,
            ]
        )
        closing = widgets.HBox([self.closing], layout=widgets.Layout(justify_content="flex-end"))
        parts = [self.twin.hidden(), self.facts, widgets.HBox([self.stop, self.unload]), loading, self.shelf.view, closing]
        return widgets.VBox(parts, layout=widgets.Layout(overflow="visible"))

    def show(self) -> None:
        """Put the panel into the cell that runs, and follow what happens from here on."""
        self._refresh()
        self.shelf.refresh()
        display(self.twin.beside(self.view), raw=True)
        self.twin.show(*self._static())
        self._thread.start()

    def close(self) -> None:
        """Take the widgets away and end the thread; the model stays as it is. May be called twice."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._wake.set()
        self._unsubscribe()
        self.twin.show(*self._static())
        self.shelf.close()
        _close(self.view)

    @property
    def is_closed(self) -> bool:
        """Whether it follows nothing any more."""
        return self._ended.is_set()

    # What happens.

    def _follow(self) -> None:
        while not self._ended.is_set():
            self._wake.clear()
            busy = self._refresh()
            if not busy:
                self.shelf.refresh()
                self.twin.show(*self._static())
            if self._ended.wait(_PAUSE_S):
                return
            if not busy:
                self._wake.wait()

    def _refresh(self) -> bool:
        """Show the facts as they are; whether they will change by themselves."""
        now = told.read(self._current, self._seen_gpus())
        if self._ended.is_set():
            return False
        self.facts.value = told.as_html(now)
        self.stop.disabled = now.running is None
        self.unload.disabled = now.info is None or bool(now.loading)
        self.load.disabled = bool(now.loading)
        self.cancel.disabled = not now.loading or now.cancelled
        for button in (self.stop, self.cancel):
            heard_at_once(button.comm)
        self.progress.value = self._progress(now)
        return now.is_busy

    def _seen_gpus(self) -> list[Gpu]:
        if time.monotonic() - self._gpus_at > _GPUS_EVERY_S:
            self._gpus, self._gpus_at = gpus(), time.monotonic()
        return self._gpus

    def _progress(self, now: Facts) -> str:
        """The load under way, or how the last one ended."""
        if not now.loading:
            self._started_at = None
            return _status([*now.notes, *filter(None, [self._said or now.outcome])])
        self._said = ""
        self._started_at = self._started_at or time.monotonic()
        spent = f"{time.monotonic() - self._started_at:.0f} s"
        line = "Cancelling: it ends as soon as this stage can be left" if now.cancelled else now.stage
        bar = '<progress aria-label="Loading" style="width:12em"></progress> '
        return _status(now.notes, f"{bar}{html.escape(line)} · {spent}")

    def _static(self) -> tuple[str, str]:
        now = told.read(self._current, self._gpus)
        return told.as_text(now) + "\n" + self.shelf.text, told.as_html(now) + self.shelf.html

    # What the buttons do.

    def say(self, text: str) -> None:
        """Put a sentence under the controls."""
        self._said = text
        self._wake.set()

    def _load(self) -> None:
        self._said = ""
        options: dict[str, Any] = {"quantization": self.quantization.value or None}
        try:
            self._current.start(self.model.value.strip(), self.engine.value, **options)
        except LLMMagicsError as error:
            self.say(str(error))

    def _cancel(self) -> None:
        loading = self._current.loading
        if loading is not None:
            loading.cancel()

    def _unload(self) -> None:
        session = self._current.session
        if session is not None:
            self.say(f"{session.engine.info.model} is unloaded.")
            self._current.close()

    def _stop(self) -> None:
        session = self._current.session
        if session is not None:
            session.monitor.stop()


def _button(label: str, tip: str, action: Callable[[], None], style: str = "") -> widgets.Button:
    button = widgets.Button(description=label, tooltip=tip, button_style=style, layout=widgets.Layout(**_WIDE))
    button.on_click(lambda _: action())
    return button


def _heading(text: str) -> widgets.HTML:
    return widgets.HTML(f'<div role="heading" aria-level="4" style="font-weight:600;margin-top:.4em">{html.escape(text)}</div>')


def _status(lines: Any, last: str = "") -> str:
    """Lines of text, and ``last`` as it is, which a screen reader is told of."""
    shown = "".join(f"<div>{html.escape(part)}</div>" for line in lines for part in line.splitlines())
    return f'<div role="status" style="line-height:1.5">{shown}<div>{last}</div></div>' if shown or last else '<div role="status"></div>'


def _close(widget: widgets.Widget) -> None:
    for child in getattr(widget, "children", ()):
        _close(child)
    widget.close()
