"""``llm-magics doctor`` and ``%llm_doctor``: runs the checks, and shows each as it is done. No check can end the others."""

from __future__ import annotations

import html
import json
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from . import redaction
from .checkup import CHECKS, Check, Limits, Machine, clipped, own_version

__all__ = ["Check", "Limits", "as_html", "as_json", "checks", "failed", "show", "text", "verdict"]

_SCHEMA = "llm_magics doctor/1"
_MARKS = {"ok": "ok", "warn": "note", "fail": "FAIL", "none": "-"}
_NAME_WIDTH = max(len(name) for name in ("CUDA driver library", *(name for name, _ in CHECKS)))


def checks(smoke: bool = True, limits: Limits | None = None, started: Callable[[str], None] = lambda _: None) -> Iterator[Check]:
    """All checks, each as it is done, without secrets. ``started`` is told the name of each before."""
    machine = Machine(limits or Limits())
    hide = redaction.hider()
    for name, check in CHECKS:
        if name == "one token" and not smoke:
            continue
        started(name)
        try:
            done = list(check(machine))
        except Exception as exc:  # noqa: BLE001 - what breaks a check is a finding too
            told = clipped(f"{type(exc).__name__}: {exc}")
            done = [Check(name, "fail", f"the check itself failed: {told}", remedy="Please report it, with this page.")]
        yield from (_hidden(found, hide) for found in done)


def _hidden(check: Check, hide: Callable[[str], str]) -> Check:
    return replace(check, found=hide(check.found), details=tuple(map(hide, check.details)), remedy=hide(check.remedy))


def failed(done: Sequence[Check]) -> list[str]:
    """The names of the checks that found something that has to be mended."""
    return [check.name for check in done if check.state == "fail"]


def verdict(done: Sequence[Check]) -> str:
    """The last line: what has to be mended."""
    return f"To mend: {', '.join(failed(done))}." if failed(done) else "Nothing has to be mended."


def text(check: Check, width: int = 100) -> str:
    """One check in lines of ``width`` characters."""
    before = f"{_MARKS[check.state]:<4}  {check.name:<{_NAME_WIDTH}}  "
    room = max(40, width - len(before))
    remedy = (check.remedy,) if check.remedy else ()
    wrapped = [line for told in (check.found, *check.details, *remedy) for line in _wrapped(told, room)]
    return "\n".join((before if not number else " " * len(before)) + line for number, line in enumerate(wrapped)).rstrip()


def _wrapped(told: str, width: int) -> list[str]:
    return textwrap.wrap(told, width, break_long_words=False, break_on_hyphens=False) or [""]


def as_json(done: Sequence[Check]) -> str:
    """The page for a bug report."""
    made: dict[str, Any] = {"schema": _SCHEMA, "llm_magics": own_version(), "verdict": verdict(done), "checks": [asdict(c) for c in done]}
    return json.dumps(made, indent=1, ensure_ascii=False)


def as_html(done: Sequence[Check], closing: str, running: str = "") -> str:
    """The page for a notebook. ``running`` names the check that goes on, ``closing`` is the line below the table."""
    rows = [_row(_MARKS[check.state], check.name, _cell(check)) for check in done]
    end = _row("…", running, "") if running else ""
    return f'<div class="llm-magics" role="status"><table><tbody>{"".join(rows)}{end}</tbody></table>{html.escape(closing)}</div>'


def _cell(check: Check) -> str:
    details = "".join(f"<div>{html.escape(line)}</div>" for line in check.details)
    remedy = f"<div><em>{html.escape(check.remedy)}</em></div>" if check.remedy else ""
    return f"{html.escape(check.found)}{details}{remedy}"


def _row(mark: str, name: str, content: str) -> str:
    style = ' style="text-align:left;vertical-align:top;overflow-wrap:anywhere"'
    return f"<tr><td{style}>{html.escape(mark)}</td><th{style}>{html.escape(name)}</th><td{style}>{content}</td></tr>"


def show(*, smoke: bool = True, notebook: bool = False) -> list[Check]:
    """Run the checks and show each as it is done: in one display that grows, or in lines. What is done before an interrupt stays."""
    if notebook:
        return _shown(smoke)
    done = []
    width = min(shutil.get_terminal_size((100, 24)).columns, 140)
    for check in checks(smoke, started=tell_started):
        done.append(check)
        _print(text(check, width))
    _print(f"\n{verdict(done)}")
    return done


def _shown(smoke: bool) -> list[Check]:
    from IPython.display import display

    done: list[Check] = []
    running = "python"

    def bundle(closing: str = "") -> dict[str, str]:
        lines = [*map(text, done), f"\n{closing}" if closing else f"…     {running}"]
        return {"text/plain": "\n".join(lines), "text/html": as_html(done, closing, "" if closing else running)}

    def started(name: str) -> None:
        nonlocal running
        running = name
        handle.update(bundle(), raw=True)

    handle: Any = display(bundle(), raw=True, display_id=True)  # type: ignore[no-untyped-call]
    try:
        for check in checks(smoke, started=started):
            done.append(check)  # noqa: PERF402 - bundle() reads it meanwhile
    except KeyboardInterrupt:
        handle.update(bundle(f"Interrupted at: {running}."), raw=True)
    else:
        handle.update(bundle(verdict(done)), raw=True)
    return done


def tell_started(name: str) -> None:
    """On a terminal, the check that goes on, in a line that what comes next takes the place of."""
    if sys.stderr.isatty():
        sys.stderr.write(f"…     {name}\r")
        sys.stderr.flush()


def _print(line: str) -> None:
    sys.stdout.write(("\x1b[K" if sys.stdout.isatty() else "") + line + "\n")
    sys.stdout.flush()
