"""A form as text and as HTML that need no kernel: its last inputs and result, for the saved notebook."""

from __future__ import annotations

import html

from .. import report
from ..errors import LLMMagicsError
from ..records import Generation
from .asked import Asked, Defaults

_PRE = "white-space:pre-wrap;overflow-wrap:anywhere;margin:.2em 0"
# Of a longer text the saved notebook keeps the beginning; the prompt in the report has all of it.
_KEPT = 4000


def inputs(asked: Asked, defaults: Defaults) -> list[tuple[str, str]]:
    """(label, value) of all inputs that are not the defaults, for people."""
    facts = [("Task", asked.task), ("Prompt language", asked.lang)]
    facts += [("Text from", asked.source)] if asked.source else []
    facts += [("Into", asked.to)] if asked.to else []
    facts += [("Labels", ", ".join(asked.labels))] if asked.labels else []
    facts += [("Find", "\n".join(f"{name}: {hint}" if hint else name for name, hint in asked.entities))] if asked.entities else []
    facts += [(name.capitalize(), "yes") for name in ("many", "copy", "grounded") if getattr(asked, name)]
    named = {"system": "System prompt", "format": "Template", "answer_start": "Answer begins", "max_input_len": "Most input tokens"}
    facts += [(label, str(getattr(asked, name))) for name, label in named.items() if getattr(asked, name) is not None]
    usual = defaults.sampling(asked.task)
    for name in ("max_new_tokens", "temperature", "top_p", "top_k", "seed", "stop"):
        if getattr(asked.sampling, name) != getattr(usual, name):
            facts.append((name.replace("_", " ").capitalize(), str(getattr(asked.sampling, name))))
    return facts


def taken(asked: Asked | None, defaults: Defaults, result: Generation | None, problem: str) -> tuple[str, str]:
    """Text and HTML of a form: what was asked last, and what came of it."""
    if asked is None:
        nothing = "A form, not run yet."
        return nothing, line(nothing)
    facts = inputs(asked, defaults)
    kept = asked.text if len(asked.text) <= _KEPT else f"{asked.text[:_KEPT]}… ({len(asked.text):,} characters in all)"
    facts.append(("Text", kept))
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left;vertical-align:top;white-space:nowrap">{html.escape(label)}</th>'
        f'<td style="text-align:left"><div style="{_PRE}">{html.escape(value)}</div></td></tr>'
        for label, value in facts
    )
    said = "\n".join(f"{label}: {value}" for label, value in facts)
    outcome = report.plain(result) if result is not None else problem
    shown = report.as_html(result) if result is not None else lines(problem) if problem else ""
    return f"{said}\n\n{outcome}".rstrip(), f'<div class="llm-magics"><table>{rows}</table></div>{shown}'


def line(text: str) -> str:
    """A sentence under the controls, read out when it changes."""
    return f'<div role="status" aria-live="polite" style="line-height:1.4;white-space:pre-wrap">{html.escape(text)}</div>'


def lines(problem: str) -> str:
    """An error in two calm lines: what is wrong, and what to do."""
    message, _, hint = problem.partition("\n")
    shown = f"<div>{html.escape(message)}</div>" + (f'<div style="opacity:.8">{html.escape(hint)}</div>' if hint else "")
    return f'<div role="alert" style="line-height:1.4;border-left:3px solid;padding-left:.6em">{shown}</div>'


def told(error: BaseException) -> str:
    """An error for people: its message and hint in two lines."""
    return str(error) if isinstance(error, LLMMagicsError) else f"{type(error).__name__}: {error}\nThis is not expected: please report it."
