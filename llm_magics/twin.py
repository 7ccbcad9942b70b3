"""What a widget leaves in a saved notebook: a second output of the same cell, in HTML and text, that the live widget hides.

One output cannot be both: JupyterLab shows "model not found" in place of a widget without its kernel, whatever else the output
holds. A style rule inside the widget hides the twin as long as the widget lives; a rule inside the twin hides what is left of a dead one.
"""

from __future__ import annotations

import secrets
from typing import Any

import ipywidgets as widgets
from IPython.display import display

_VIEW = "application/vnd.jupyter.widget-view+json"


class Twin:
    """The static output beside one widget; ``place`` is its class on the page. Mutable: it remembers what it shows."""

    def __init__(self, kind: str) -> None:
        self.place = f"llm-twin-{kind}-{secrets.token_hex(4)}"
        self._handle: Any = None
        self._shown: tuple[str, str] | None = None

    def hidden(self) -> widgets.HTML:
        """A part of the widget: as long as it is on the page, the twin is not seen.

        In JupyterLab only the twin right below it: a copy of the notebook may be open on the same page, with no widget of its own.
        """
        child = ".jp-OutputArea-child"
        below = f"{child}:has(.widget-box) + {child}:has(.{self.place})"
        rule = f"<style>.{self.place}:not({child} *),{below}{{display:none!important}}</style>"
        return widgets.HTML(rule, layout=widgets.Layout(display="none"))

    def beside(self, view: widgets.Widget) -> dict[str, Any]:
        """The widget's own output: nothing to read where there are no widgets."""
        made: dict[str, Any] = view._repr_mimebundle_()
        return {_VIEW: made[_VIEW], "text/plain": "", "text/html": ""}

    def show(self, text: str, shown: str) -> None:
        """Put the twin under the widget, or change what it says; nothing where it says that already."""
        if (text, shown) == self._shown:
            return
        self._shown = text, shown
        dead = f".jp-OutputArea-child:not(:has(.widget-box)):has(+ .jp-OutputArea-child .{self.place})"
        data = {"text/plain": text, "text/html": f'<div class="{self.place}"><style>{dead}{{display:none}}</style>{shown}</div>'}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)
