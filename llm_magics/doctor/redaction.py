"""Takes secrets and names of people out of a text that is going to be shown to others: the doctor's report."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

_SECRET_NAME = re.compile(r"(?i)token|secret|passw|passphrase|credential|api_?key|access_?key|private|cookie|auth")
_SHORTEST = 6  # a shorter value is in too many other words
_PATTERNS = (
    (re.compile(r"(?<=://)[^\s/@]+@"), "<hidden>@"),  # https://user:password@host
    (re.compile(r"(?i)([?&;](?:[\w-]*(?:token|key|secret|password|signature|sig|auth))=)[^\s&;#\"']+"), r"\1<hidden>"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 <hidden>"),
    (re.compile(r"\b(?:hf_|nvapi-|sk-|gh[pousr]_|github_pat_|glpat-|xox[abpr]-|AKIA)[\w-]{8,}"), "<hidden>"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]+"), "<hidden>"),  # a JSON web token
    (re.compile(r"(?i)((?:^|[\s\"'=(])[/\\](?:home|users)[/\\])[^/\\\s\"':;,)]+"), r"\1<user>"),
    (re.compile(r"(?i)(\b[a-z]:[/\\]users[/\\])[^/\\\s\"':;,)]+"), r"\1<user>"),
)
# What a terminal takes for a command: colours, cursor movements, titles.
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def hider(environment: Mapping[str, str] = os.environ) -> Callable[[str], str]:
    """A function that hides, in any text, what ``environment`` and the hub's saved token hold, and who the user is."""
    secrets = sorted(_secrets(environment), key=lambda pair: -len(pair[0]))
    homes = sorted(_homes(), key=len, reverse=True)
    users = [re.compile(rf"(?<=[/\\]){re.escape(user)}(?=[/\\\s\"':;,)]|$)") for user in _users(environment)]

    def hide(text: str) -> str:
        text = _CONTROL.sub("", text)
        for value, name in secrets:
            text = text.replace(value, f"<{name}>")
        for home in homes:
            text = re.sub(rf"{re.escape(home)}(?=[/\\\s\"':;,)]|$)", "~", text)
        for pattern, instead in _PATTERNS:
            text = pattern.sub(instead, text)
        for user in users:
            text = user.sub("<user>", text)
        return text

    return hide


def _secrets(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    yield from ((value, name) for name, value in environment.items() if len(value) >= _SHORTEST and _SECRET_NAME.search(name))
    with contextlib.suppress(Exception):  # whatever is wrong with the saved token is not for a report to tell
        import huggingface_hub

        saved = huggingface_hub.get_token()
        if saved:
            yield saved, "HF_TOKEN"


def _homes() -> set[str]:
    with contextlib.suppress(RuntimeError, OSError):
        home = Path.home()
        return {place for place in (str(home), str(home.resolve())) if len(place) > 1}
    return set()


def _users(environment: Mapping[str, str]) -> set[str]:
    names = {environment.get(name, "") for name in ("USER", "LOGNAME", "USERNAME")}
    with contextlib.suppress(Exception):  # a container may have a user without a name
        names.add(getpass.getuser())
    names |= {Path(home).name for home in _homes()}
    return {name for name in names if len(name) > 1}
