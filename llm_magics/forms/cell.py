"""What a form asks for, written as a cell: to run it gives the identical prompt.

Usually that is the cell magic. A text that a cell would not keep as it is (line feeds at its ends, ``{{``, control characters) is written
with those parts as ``{{ "..." }}``, which the magic fills in. Values that no line can hold, such as a system prompt of several
lines, make it a cell of Python: the values as variables, and the same magic called by its name.

Nothing is trusted to this reasoning: each way to write the cell is read back as IPython reads it, and the first that comes out the
same is taken.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jinja2

from .. import prompts
from ..errors import LLMMagicsError
from ..tasks import find
from .asked import Asked, Defaults

Transform = Callable[[str], str]
"""How the shell turns the source of a cell into Python."""

# What an editor, a notebook file or jinja2 would change: carriage returns, control characters, other line breaks, halves of pairs.
_FRAGILE = "\\r\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029\ud800-\udfff"
_FRAGILE_RUN = re.compile(f"[{{{_FRAGILE}]+")
_BREAKS_RUN = re.compile(f"[{{\\n{_FRAGILE}]+")
_NO_LINE = re.compile(f"[\\n{_FRAGILE}]")


def as_cell(asked: Asked, defaults: Defaults, names: Mapping[str, Any], transform: Transform) -> str:
    """The source of a cell that asks for the same; ``names`` are the notebook's variables. InputError for what cannot be asked."""
    asked.fields(), asked.options()
    template = None if asked.format is None else _one_line(asked)
    words = _words(asked, defaults, template)
    if not any(_NO_LINE.search(word) for word in words) and not _has_to_be_named(asked, names, template):
        line = " ".join(words)
        for cell in _cells(asked, line):
            if _reads_as(cell, line, asked.text, transform):
                return cell
    return _as_python(asked, defaults, transform)


def _cells(asked: Asked, line: str) -> Iterator[str]:
    for raw, body in _bodies(asked.text):
        yield f"%%llm_{asked.task}{' ' if line else ''}{line}{' --raw' if raw else ''}\n{body}"


def _bodies(text: str) -> Iterator[tuple[bool, str]]:
    """The ways to write a text as the body of a cell, the most readable first: whether it needs --raw, and the body."""
    if not re.search(f"[{_FRAGILE}]", text):
        yield "{{" in text, text
    yield False, _escaped(text, r"\A\n+|\n+\Z")
    yield False, _escaped(text, r"\A[\s\S]\n*|\n+\Z")  # a beginning that IPython takes for a prompt, such as >>>


def _escaped(text: str, ends: str) -> str:
    """``text`` with its ``ends`` and all that is fragile as ``{{ "..." }}``."""
    marked: list[tuple[int, int]] = [match.span() for match in re.finditer(ends, text)]
    marked += [match.span() for match in _FRAGILE_RUN.finditer(text) if match[0] != "{"]
    made, at = "", 0
    for start, end in _joined(sorted(marked), text):
        made += text[at:start] + _literal(text[start:end])
        at = end
    return made + text[at:]


def _joined(spans: list[tuple[int, int]], text: str) -> list[tuple[int, int]]:
    """The spans without overlaps; a brace right before one belongs to it, since ``{{{ "..." }}`` is something else."""
    joined: list[tuple[int, int]] = []
    for span_start, end in spans:
        start = span_start
        while start > 0 and text[start - 1] == "{":
            start -= 1
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _literal(text: str) -> str:
    """A jinja2 expression that is ``text``."""
    return '{{ "' + "".join(_character(char) for char in text) + '" }}'


def _character(char: str) -> str:
    if char in '"\\{}' or not (char.isprintable() and char.isascii()):
        known = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "{": "{", "}": "}"}
        return known.get(char) or f"\\U{ord(char):08x}"
    return char


def _one_line(asked: Asked) -> str | None:
    """The template in one line, line feeds written as expressions; None where that would make another prompt."""
    template = asked.format or ""
    if not _NO_LINE.search(template):
        return template
    syntax = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False)  # noqa: S701 - prompts are no HTML
    made = ""
    try:
        for _, kind, value in syntax.lex(template):
            if kind == "data":
                made += _BREAKS_RUN.sub(lambda run: run[0] if run[0].strip("{") == "" else _literal(run[0]), value)
            else:
                made += _NO_LINE.sub(" ", value.rstrip() if kind.endswith("_end") else value)
        return made if asked.user_text(made) == asked.user_text(template) else None
    except (LLMMagicsError, jinja2.TemplateError):
        return None


def _words(asked: Asked, defaults: Defaults, template: str | None) -> list[str]:
    """The words of the line, but for --raw."""
    words = [] if asked.lang == defaults.lang else [_word("--lang", asked.lang)]
    own = find(asked.task).fields
    if "to" in own:
        words.append(_word("--to", asked.to))
    if "labels" in own:
        words.append(_word("--labels", ",".join(asked.labels)))
    if "entities" in own:
        words += [_word("-e", f"{name}: {hint}" if hint else name) for name, hint in asked.entities]
        words += _extract_flags(asked)
    if asked.system is not None:
        words.append(_word("--system", asked.system))
    if asked.format is not None:
        words.append(_word("--format", template or asked.format))
    if asked.answer_start is not None:
        words.append(_word("--answer-start", asked.answer_start))
    return [*words, *_shared(asked, defaults)]


def _extract_flags(asked: Asked) -> list[str]:
    return [f"--{name}" for name in ("many", "copy", "grounded") if getattr(asked, name)]


def _shared(asked: Asked, defaults: Defaults) -> list[str]:
    usual, sampling = defaults.sampling(asked.task), asked.sampling
    words = [] if asked.max_input_len is None else [f"--max-input-len {asked.max_input_len}"]
    for name in ("max_new_tokens", "temperature", "top_p", "top_k", "seed"):
        value = getattr(sampling, name)
        if value is not None and value != getattr(usual, name):
            words.append(f"--{name.replace('_', '-')} {value}")
    words += [_word("--stop", text) for text in sampling.stop]
    return [*words, *([f"-o {asked.out}"] if asked.out else [])]


def _word(option: str, value: str) -> str:
    if value.startswith("-"):  # else it would be taken for an option
        return f"{'--entity' if option == '-e' else option}={_quoted(value)}"
    return f"{option} {_quoted(value)}"


def _quoted(value: str) -> str:
    """``value`` as the magics split a line: quotes group, nothing escapes."""
    if value and not re.search(r"[\s'\"]", value):
        return value
    if "'" not in value:
        return f"'{value}'"
    if '"' not in value:
        return f'"{value}"'
    return "'" + value.replace("'", "'\"'\"'") + "'"


def _has_to_be_named(asked: Asked, names: Mapping[str, Any], template: str | None) -> bool:
    """Whether a value would be read as something else on a line: a word that is also a variable's name, a label with a comma..."""
    words = [word for word in (asked.system, asked.answer_start) if word is not None]
    captured = any(word.isidentifier() and isinstance(names.get(word), str) for word in words)
    split = any("," in label for label in asked.labels) or any(":" in name for name, _ in asked.entities)
    return captured or split or (asked.format is not None and template is None)


def _as_python(asked: Asked, defaults: Defaults, transform: Transform) -> str:
    named = {name: getattr(asked, name) for name in ("system", "format", "answer_start") if getattr(asked, name) is not None}
    own = find(asked.task).fields
    words = [] if asked.lang == defaults.lang else [_word("--lang", asked.lang)]
    if "to" in own:
        words.append(_word("--to", asked.to))
    if "labels" in own:
        named["labels"] = list(asked.labels)
    if "entities" in own:
        named["entities"] = dict(asked.entities)
        words += _extract_flags(asked)
    words += [f"--{name.replace('_', '-')} llm_{name}" for name in named] + _shared(asked, defaults)
    head = "".join(f"llm_{name} = {value!r}\n" for name, value in named.items())
    last = ""
    for raw, body in _bodies(asked.text):
        line = " ".join([*words, *(["--raw"] if raw else [])])
        last = f"{head}get_ipython().run_cell_magic({f'llm_{asked.task}'!r}, {line!r}, {body!r})"
        if _reads_as(last, " ".join(words), asked.text, transform):
            return last
    return last


def _reads_as(cell: str, line: str, text: str, transform: Transform) -> bool:
    """Whether IPython makes of ``cell`` a call of a magic with this ``line`` (but for --raw) and this ``text``."""
    try:
        call = ast.parse(transform(cell)).body[-1]
        assert isinstance(call, ast.Expr)
        assert isinstance(call.value, ast.Call)
        _, read_line, body = (ast.literal_eval(argument) for argument in call.value.args)
    except (SyntaxError, ValueError, AssertionError, UnicodeError):
        return False
    raw = read_line.endswith("--raw") and read_line != line
    if read_line.removesuffix("--raw").rstrip() != line.rstrip() and read_line != line:
        return False
    try:
        return (body.strip("\n") if raw else prompts.fill_body(body.strip("\n"), {})) == text
    except LLMMagicsError:
        return False
