"""Task + text -> messages, by the templates under ``templates/<lang>/``.

One sandboxed jinja2 environment with strict undefined renders everything, so a misspelt variable is an error and never
a hole in a prompt, and a template reaches no attribute that it should not. Two syntaxes:

- a *template* (``templates/``, ``--format``, ``--system``) is full jinja2;
- a cell's *body* is the text itself: only ``{{ name }}`` means something in it, so code, JSON, ``$`` and ``{%`` pass through.
"""

from __future__ import annotations

import datetime
import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, UndefinedError, meta
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from .errors import OptionError, TemplateError, nearest, unknown
from .records import Message, Request
from .tasks import Task, find

TEMPLATES = Path(__file__).parent / "templates"
LANGS = ("en", "fr", "es", "de")

# No text holds these, so a body has expressions and nothing else.
_NEVER = "\x00\x01"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _environment(**syntax: Any) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True, **syntax)
    environment.filters["json"] = _json
    return environment


_templates = _environment(trim_blocks=True, lstrip_blocks=True)
_bodies = _environment(
    block_start_string=_NEVER + "{",
    block_end_string="}" + _NEVER,
    comment_start_string=_NEVER + "#",
    comment_end_string="#" + _NEVER,
)


@functools.cache
def languages() -> dict[str, dict[str, str]]:
    """Language code -> prompt language -> the language's name in it (``languages()["fr"]["de"]`` is ``"Französisch"``)."""
    table: dict[str, dict[str, str]] = json.loads((TEMPLATES / "languages.json").read_text(encoding="utf-8"))
    return table


def language_name(language: str, lang: str) -> str:
    """The name, in the prompt language ``lang``, of a ``language`` given as a code or as a name in any prompt language."""
    wanted = language.strip().casefold()
    for code, names in languages().items():
        if wanted == code or wanted in (name.casefold() for name in names.values()):
            return names[lang]
    known = [*languages(), *(names[lang] for names in languages().values())]
    hint = f"{nearest(language, known)} Known: {', '.join(languages())}; or write the whole request with --format."
    raise OptionError(f"Unknown language {language!r}.", hint.strip())


def check_lang(lang: str) -> None:
    """OptionError unless prompts exist in that language."""
    if lang not in LANGS:
        raise unknown("prompt language", lang, LANGS)


@functools.cache
def source(lang: str, name: str) -> str:
    """The template ``name`` in ``lang``, as it stands in the package."""
    return (TEMPLATES / lang / f"{name}.j2").read_text(encoding="utf-8").removesuffix("\n")


@functools.lru_cache(maxsize=256)
def _compiled(environment: ImmutableSandboxedEnvironment, template: str) -> tuple[Template, frozenset[str]]:
    """The template and the names that it uses. Compiling one takes milliseconds, and a long document asks hundreds of times."""
    return environment.from_string(template), frozenset(meta.find_undeclared_variables(environment.parse(template)))


def _fill(environment: ImmutableSandboxedEnvironment, template: str, values: Mapping[str, Any], what: str) -> str:
    try:
        made, names = _compiled(environment, template)
        absent = sorted(names - values.keys() - environment.globals.keys())
        if absent:
            hints = [f"{{{{ {name} }}}}: {nearest(name, values) or 'no such name'}" for name in absent]
            raise TemplateError(f"{what} uses undefined names: {', '.join(absent)}.", " ".join(hints))
        return made.render({name: values[name] for name in names & values.keys()})
    except TemplateSyntaxError as exc:
        raise TemplateError(
            f"{what} is not a valid template: {exc.message} (line {exc.lineno}).", "Write {{ name }} with a name in it."
        ) from exc
    except SecurityError as exc:
        raise TemplateError(
            f"{what} was refused by the sandbox: {str(exc).rstrip('.')}.", "A template may use values and their plain attributes only."
        ) from exc
    except UndefinedError as exc:
        raise TemplateError(f"{what} cannot be filled: {exc}.", "Check the attributes and keys it uses.") from exc
    except TemplateError:
        raise
    except Exception as exc:  # an expression of the user's: whatever it raises is about the template
        raise TemplateError(f"{what} cannot be filled: {type(exc).__name__}: {exc}.", "Check the expressions it uses.") from exc


def fill_body(body: str, namespace: Mapping[str, Any]) -> str:
    """A cell's body with each ``{{ name }}`` replaced by that variable's text."""
    if "{{" not in body:
        return body
    try:
        return _fill(_bodies, body, namespace, "The cell")
    except TemplateError as exc:
        raise TemplateError(exc.message, f"{exc.hint} Use --raw if the cell's braces are meant as they stand.".strip()) from exc


def _template_values(task: Task, request: Request) -> dict[str, Any]:
    values: dict[str, Any] = {"text": request.text, "lang": request.lang, "today": datetime.date.today().isoformat()}
    values["many"] = bool(request.fields.get("many"))
    for name in task.fields:
        values[name] = request.fields.get(name)
    if values.get("to") is not None:
        values["to"] = language_name(values["to"], request.lang)
    return values


def _required(task: Task, values: Mapping[str, Any]) -> None:
    for name in task.fields:
        if not values.get(name):
            raise OptionError(f"{task.name} needs {name!r}.", f"Pass it: {_HOW[name]}.")


_HOW = {
    "to": "--to fr, or to='fr' in Python",
    "labels": "--labels a,b,c, or labels=['a', 'b', 'c'] in Python",
    "entities": "-e 'name: hint', --entities VAR or --schema VAR; or entities={'name': 'hint'} in Python",
}


def user_text(request: Request) -> str:
    """What the user turn says: the task's template, or the request's own ``format``, filled."""
    task = find(request.task)
    check_lang(request.lang)
    values = _template_values(task, request)
    if request.format is None:
        _required(task, values)
        return _fill(_templates, source(request.lang, task.name), values, f"The {task.name} template")
    if "text" not in meta.find_undeclared_variables(_parse_format(request.format)):
        raise TemplateError(
            "--format has no {{ text }}, so the cell would be left out.", "Write {{ text }} where the cell's text should stand."
        )
    return _fill(_templates, request.format, values, "--format")


def _parse_format(template: str) -> Any:
    try:
        return _templates.parse(template)
    except TemplateSyntaxError as exc:
        raise TemplateError(
            f"--format is not a valid template: {exc.message} (line {exc.lineno}).", "Write {{ text }} for the cell."
        ) from exc


def system_text(request: Request) -> str:
    """The system turn: the request's own, or the language's default. Empty means none."""
    check_lang(request.lang)
    return source(request.lang, "system") if request.system is None else request.system


def messages(request: Request) -> tuple[Message, ...]:
    """The whole conversation that is sent, in order."""
    system = system_text(request)
    head: Iterable[Message] = (Message("system", system),) if system else ()
    return (*head, *request.history, Message("user", user_text(request)))


def lead_in(request: Request) -> str:
    """The task's own sentence that the reply begins with; empty for most, and where the caller gave one or a format."""
    task = find(request.task)
    if not task.lead_in or request.answer_start is not None or request.format is not None:
        return ""
    return source(request.lang, f"{task.name}_start") + "\n\n"


def correction(lang: str, problems: Sequence[str]) -> str:
    """The turn that tells what is wrong with a reply, and asks for it again."""
    return _fill(_templates, source(lang, "correction"), {"problems": problems}, "The correction template")


def parts(request: Request) -> dict[str, str]:
    """The pieces that a prompt is made of, for counting tokens: system, history, template, text."""
    whole = user_text(request)
    template = whole.replace(request.text, "", 1) if request.text in whole else whole
    history: Sequence[str] = [message.content for message in request.history]
    return {"system": system_text(request), "history": "\n".join(history), "template": template, "text": request.text}
