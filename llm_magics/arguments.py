"""How the line of a magic is read: the options of the tasks, quotes, nearest names."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from typing import Any, TypeVar

from IPython.core.error import UsageError
from IPython.core.magic_arguments import MagicArgumentParser, argument, magic_arguments

from .errors import nearest

Function = TypeVar("Function", bound=Callable[..., Any])

# The options that every task shares, in the order of its help page.
_SHARED = (
    argument("--lang", metavar="LANG", help="Language of the prompt: en, fr, es or de."),
    argument("--system", metavar="TEXT", help="System prompt in place of the default one; a text, or the name of a variable."),
    argument("--format", metavar="TEMPLATE", help="jinja2 template in place of the task's prompt; {{ text }} is the cell. Or a variable."),
    argument("--answer-start", metavar="TEXT", help="Text that the reply is made to begin with; or a variable."),
    argument("--max-new-tokens", type=int, metavar="N", help="Most tokens to generate."),
    argument(
        "--max-input-len", type=int, metavar="N", help="Most tokens to send: a longer text is cut at its end, and the report says so."
    ),
    argument("--temperature", type=float, metavar="T", help="0 takes the likeliest token each time; higher varies more."),
    argument("--top-p", type=float, metavar="P", help="Sample among the likeliest tokens that together reach P."),
    argument("--top-k", type=int, metavar="K", help="Sample among the K likeliest tokens; 0 is off."),
    argument("--seed", type=int, metavar="N", help="Seed for sampling; drawn and recorded when not given."),
    argument("--stop", action="append", metavar="TEXT", help="Stop before this text; may be repeated."),
    argument("--chat", metavar="NAME", help="Go on with the conversation NAME, or begin it."),
    argument("--messages", metavar="VAR", help="Earlier turns: a list of {'role': ..., 'content': ...}."),
    argument("-o", "--out", metavar="NAME", help="Variable to put the Generation in; _ holds it too."),
    argument("--raw", action="store_true", help="Take the cell as it stands: do not fill {{ name }} from variables."),
    argument("--prompt", action=argparse.BooleanOptionalAction, help="Show the prompt unfolded, or leave it out. Default: folded."),
    argument("--no-stream", action="store_true", help="Show the answer when it is complete."),
    argument("text", nargs="*", help="In the line form: the text, or the name of a variable that holds it."),
)


def task_options(*own: Any) -> Callable[[Function], Function]:
    """Give a magic its task's own options and the shared ones; ``%%magic?`` prints them all."""

    def decorate(function: Function) -> Function:
        for option in reversed((magic_arguments(), *own, *_SHARED)):
            function = option(function)
        return function

    return decorate


def split(line: str) -> list[str]:
    """The words of a line, quotes taken off; a backslash is an ordinary character, so Windows paths survive."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.escape, lexer.commenters = True, "", ""
    try:
        return list(lexer)
    except ValueError:
        raise UsageError(
            f"A quote is not closed in: {line.strip()}\nPut text that holds an apostrophe in double quotes, or in the cell."
        ) from None


def option_names(parser: MagicArgumentParser) -> list[str]:
    """The long options of a magic."""
    return [name for action in parser._actions for name in action.option_strings if name.startswith("--")]  # noqa: SLF001 - argparse has no other way


def parse(function: Any, line: str) -> argparse.Namespace:
    """The options in ``line`` for the magic ``function``; UsageError with the nearest option for one that does not exist."""
    parser: MagicArgumentParser = function.parser
    words = split(line)
    known = option_names(parser)
    for word in words:
        name = word.split("=", 1)[0]
        if word.startswith("--") and name not in known:
            raise UsageError(f"Unknown option {name}. {nearest(name, known)} Options: {' '.join(known)}")
    parser.allow_abbrev = False
    return parser.parse_args(words)  # its error() raises UsageError
