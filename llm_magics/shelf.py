"""The engine store in the panel: a table, and removing one of its engines after asking."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import ipywidgets as widgets

from .engines import unusable
from .errors import LLMMagicsError
from .listing import HEAD, row

if TYPE_CHECKING:
    from .engines.inventory import Stored

_CELL = "text-align:left;vertical-align:top;padding:.1em .8em .1em 0;overflow-wrap:break-word"


class Shelf:
    """The store as it was at the last ``refresh``. Mutable: it looks again, and removes."""

    def __init__(self, say: Callable[[str], None], changed: Callable[[], None]) -> None:
        self._say, self._changed = say, changed
        self._stored: dict[str, Stored] = {}
        self.text = self.html = ""
        self.table = widgets.HTML()
        self.name = widgets.Dropdown(options=(), description="Engine", style={"description_width": "7em"}, layout={"width": "28em"})
        self.remove = widgets.Button(description="Remove …", tooltip="Delete the chosen engine from the disk; you are asked first.")
        self.question = widgets.HTML()
        self.yes = widgets.Button(description="Remove it", button_style="danger", tooltip="Delete it from the disk.")
        self.no = widgets.Button(description="Keep it", tooltip="Leave it where it is.")
        self.asking = widgets.VBox([self.question, widgets.HBox([self.yes, self.no])], layout={"display": "none"})
        self.choice = widgets.HBox([self.name, self.remove], layout={"flex_flow": "row wrap"})
        self.remove.on_click(lambda _: self._ask())
        self.yes.on_click(lambda _: self._removed())
        self.no.on_click(lambda _: self._asked(""))
        self.name.observe(lambda _: self._asked(""), "value")
        heading = '<div role="heading" aria-level="4" style="font-weight:600;margin-top:.4em">Engine store</div>'
        self.view = widgets.VBox([widgets.HTML(heading), self.table, self.choice, self.asking])

    def refresh(self) -> None:
        """Look into the store, and show it where something has changed."""
        from .engines import cache

        listed = cache.listed()
        rows = [row(stored, unusable(stored)) for stored in listed]
        shown = _table(rows, str(cache.root()))
        if shown == self.html:
            return
        self._stored = {stored.name: stored for stored in listed}
        self.html, self.text = shown, _plain(rows)
        self.table.value = shown
        chosen = self.name.value
        self.name.options = tuple(self._stored)
        self.name.value = chosen if chosen in self._stored else next(iter(self._stored), None)
        self.choice.layout.display = "flex" if listed else "none"

    def _ask(self) -> None:
        stored = self._stored.get(self.name.value)
        if stored is not None:
            self._asked(f"Remove {stored.name} ({stored.size / 2**20:,.0f} MiB) from the disk? It would have to be built again.")

    def _asked(self, question: str) -> None:
        self.question.value = f'<span role="alert">{html.escape(question)}</span>' if question else ""
        self.asking.layout.display = "flex" if question else "none"

    def _removed(self) -> None:
        from .engines import cache

        stored = self._stored.get(self.name.value)
        self._asked("")
        if stored is None:
            return
        try:
            cache.remove(stored.path)
        except LLMMagicsError as error:
            self._say(str(error))
            return
        self._say(f"{stored.name} is removed.")
        self._changed()

    def close(self) -> None:
        """Forget what is shown."""
        self._stored = {}


def _table(rows: Sequence[Sequence[str]], place: str) -> str:
    if not rows:
        return f'<div style="opacity:.75">No engine is stored yet in {html.escape(place)}.</div>'

    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f'<{tag} style="{_CELL}">{html.escape(cell)}</{tag}>' for cell in cells) + "</tr>"

    body = "".join(line(cells, "td") for cells in rows)
    return (
        '<div tabindex="0" role="region" aria-label="Engine store" style="overflow-x:auto">'
        f'<table style="border-collapse:collapse;font-size:90%;line-height:1.4"><thead>{line(HEAD, "th")}</thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _plain(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(["Engine store:", *("  " + ", ".join(filter(None, cells)) for cells in rows)]) if rows else "Engine store: empty"
