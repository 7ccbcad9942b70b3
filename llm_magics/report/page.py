"""Generations as a page of their own: one file, opened without a kernel and without a network."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .. import report
from . import highlight

if TYPE_CHECKING:
    from ..records import Generation

# Nothing may be fetched and nothing may run, whatever a model wrote.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;background:Canvas;color:CanvasText}"
    "table{border-collapse:collapse;margin:.6em 0}th,td{padding:.2em .7em .2em 0;border-bottom:1px solid GrayText}"
    "h2{font-size:1.1em;margin:1.6em 0 .4em}a:focus-visible{outline:2px solid}"
    "a{color:LinkText}"
)


def page(generations: Generation | Iterable[Generation]) -> str:
    """The reports of one Generation or of many as an HTML page, in light or dark as the reader has it."""
    many = list(generations) if isinstance(generations, Iterable) else [generations]
    title = html.escape(" · ".join(dict.fromkeys(f"{each.request.task}: {each.engine.model}" for each in many)) or "Nothing")
    body = "".join(f"<section><h2>{_heading(each)}</h2>{report.as_html(each)}</section>" for each in many)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><title>{title}</title><style>{_STYLE}</style></head>'
        f'<body class="llm-page"><main><h1>{title}</h1>{body}</main></body></html>\n'
    )


def _heading(generation: Generation) -> str:
    return html.escape(highlight.shown(f"{generation.request.task} · run {generation.run_id}"))
