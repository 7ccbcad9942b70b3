"""The magics: a line and a cell -> one call of the session. What the call does is elsewhere."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Mapping
from typing import Any, TypeVar

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class, needs_local_scope, no_var_expand
from IPython.core.magic_arguments import argument
from traitlets import Bool, Float, Integer, TraitError, Unicode, validate
from traitlets.config import Configurable

from . import display
from .arguments import parse, task_options
from .completion import complete
from .current import Current
from .engine_magics import EngineMagics
from .errors import InputError, OptionError, unknown
from .form_magics import FormMagics
from .panel_magics import PanelMagics
from .records import Generation
from .report import PromptView

MAGICS = ["llm_answer", "llm_translate", "llm_reformulate", "llm_summarize", "llm_describe", "llm_classify", "llm_extract"]
_SAMPLING = ("max_new_tokens", "max_input_len", "temperature", "top_p", "top_k", "seed", "chat")

Kind = TypeVar("Kind")


@magics_class
class LLMMagics(Magics, Configurable):
    """The magics and their defaults: ``%config LLMMagics`` lists them. Mutable: it holds the session."""

    model = Unicode("demo", help="Model that the first task loads when none is loaded: 'demo', a folder, or an id on the hub.").tag(
        config=True
    )
    engine = Unicode("auto", help="Engine for it: auto, onnx, tensorrt_llm or transformers.").tag(config=True)
    lang = Unicode("en", help="Language of the prompts: en, fr, es or de.").tag(config=True)
    max_new_tokens = Integer(0, min=0, help="Most tokens to generate; 0 keeps each task's default.").tag(config=True)
    temperature = Float(0.0, min=0.0, help="Temperature of every task; 0 is greedy.").tag(config=True)
    stream = Bool(True, help="Show the answer as it comes.").tag(config=True)

    @validate("lang")
    def _valid_lang(self, proposal: Any) -> str:
        from .prompts import LANGS

        if proposal["value"] not in LANGS:
            raise TraitError(str(unknown("prompt language", proposal["value"], LANGS)))
        return str(proposal["value"])

    shell: InteractiveShell

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self.current = Current(notebook=display.has_frontend(shell))
        self._shown: tuple[Generation, int] | None = None

    # What the magics share.

    @property
    def session(self) -> Any:
        """The loaded model, or None."""
        return self.current.session

    @session.setter
    def session(self, session: Any) -> None:
        self.current.session = session

    def _value(self, name: str, kind: type[Kind], local: Mapping[str, Any], what: str) -> Kind:
        """The variable ``name``; OptionError when there is none or it is of another type."""
        if name not in local:
            raise unknown("variable", name, [n for n, v in local.items() if isinstance(v, kind) and not n.startswith("_")])
        value = local[name]
        if not isinstance(value, kind):
            raise OptionError(f"{what} {name} is of type {type(value).__name__}.", f"Expected {kind.__name__}.")
        return value

    def _text_or_variable(self, word: str | None, local: Mapping[str, Any]) -> str | None:
        if word is not None and word.isidentifier() and isinstance(local.get(word), str):
            return str(local[word])
        return word

    def _body(self, task: str, args: argparse.Namespace, cell: str | None, local: Mapping[str, Any]) -> str:
        """The text of a call: the cell, filled from variables, or the line's variable or words."""
        if cell is None:
            text = self._text_or_variable(" ".join(args.text), local) or ""
            if not text.strip():
                raise OptionError(f"%llm_{task} has no text.", f"Name a variable or write the text after the options; or use %%llm_{task}.")
            return text
        if args.text:
            raise OptionError(f"Not an option: {' '.join(args.text)!r}.", "In the cell form the text goes in the cell, below this line.")
        body = cell.strip("\n")
        if not body.strip():
            raise OptionError("The cell is empty: there is no text to send.", f"Write it below %%llm_{task}, or use %llm_{task} VARIABLE.")
        if args.raw:
            return body
        from .prompts import fill_body

        return fill_body(body, local)

    def _options(self, args: argparse.Namespace, local: Mapping[str, Any]) -> dict[str, Any]:
        """The call options that were given, and the configured ones where they were not."""
        options: dict[str, Any] = {"lang": args.lang or self.lang}
        if self.max_new_tokens:
            options["max_new_tokens"] = self.max_new_tokens
        if self.temperature:
            options["temperature"] = self.temperature
        options.update({name: getattr(args, name) for name in _SAMPLING if getattr(args, name) is not None})
        options["system"] = self._text_or_variable(args.system, local)
        options["format"] = self._text_or_variable(args.format, local)
        options["answer_start"] = self._text_or_variable(args.answer_start, local)
        if args.stop:
            options["stop"] = args.stop
        if args.messages:
            options["messages"] = self._value(args.messages, list, local, "--messages")
        return options

    def _run(self, task: str, line: str, cell: str | None, local: Mapping[str, Any] | None, fields: Any = None) -> Generation:
        """Everything that a task's magic does; ``fields`` makes the task's own values from its options."""
        args = parse(getattr(self, f"llm_{task}"), line)
        names = {**self.shell.user_ns, **(local or {})}
        try:
            if args.out is not None and not args.out.isidentifier():
                raise OptionError(
                    f"-o {args.out!r} is not a name that a variable can have.", "Use letters, digits and _, such as -o result."
                )
            text = self._body(task, args, cell, names)
            values = fields(args, names) if fields else {}
            options = self._options(args, names)
            session = self.current.needed(self.model, self.engine)
            stream, shown = self._stream(session, task, text, args, values=values, options=options)
        except InputError as error:  # a slip of the user's: IPython shows a UsageError in a line, without a traceback
            raise UsageError(str(error)) from None
        for note in stream.prepared.answer.notes:
            display.Stages(notebook=self.current.notebook).say(f"Note: {note}")
        view: PromptView = "folded" if args.prompt is None else "open" if args.prompt else "none"
        live = shown(stream, notebook=self.current.notebook, prompt=view, live=self.stream and not args.no_stream)
        generation: Generation = session.finished(live.run(), options.get("chat"))
        if args.out:
            self.shell.user_ns[args.out] = generation
        self._shown = generation, self.shell.execution_count
        return generation

    def _stream(
        self, session: Any, task: str, text: str, args: argparse.Namespace, *, values: dict[str, Any], options: dict[str, Any]
    ) -> tuple[Any, type[display.Live]]:
        """The run, and what shows it."""
        if not getattr(args, "long", False):
            if getattr(args, "overlap", None) is not None or getattr(args, "passes", 1) != 1:
                raise OptionError("--overlap and --passes are for a text that is read in pieces.", "Add --long.")
            return session.stream(task, text, values, options), display.Live
        return session.long_stream(text, values, options, overlap=args.overlap, passes=args.passes), display.LongLive

    def skip_shown(self, generation: Generation) -> None:
        """IPython's display hook asks this for each Generation: the one just shown live is not shown twice."""
        if self._shown and self._shown[0] is generation and self._shown[1] == self.shell.execution_count:
            self._shown = None
            return
        raise NotImplementedError  # IPython then goes on to the usual representations

    # The tasks.

    @no_var_expand
    @needs_local_scope
    @line_cell_magic
    @task_options()
    def llm_answer(self, line: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None) -> Generation:
        """Answer a question or a request, over a text or over none.

        ::

            %%llm_answer
            {{ notice }}

            Who founded the company?
        """
        return self._run("answer", line, cell, local_ns)

    @no_var_expand
    @needs_local_scope
    @line_cell_magic
    @task_options(argument("--to", metavar="LANG", help="Language to translate into: a code (fr) or a name (French)."))
    def llm_translate(self, line: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None) -> Generation:
        """Translate a text.

        ::

            %%llm_translate --to fr
            The price is 250 euros.
        """
        return self._run("translate", line, cell, local_ns, lambda args, names: {"to": args.to})

    @no_var_expand
    @needs_local_scope
    @line_cell_magic
    @task_options()
    def llm_reformulate(self, line: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None) -> Generation:
        """Rewrite a text in better style and grammar.

        ::

            %%llm_reformulate --lang fr
            le prix c'est 250 euro en fait
        """
        return self._run("reformulate", line, cell, local_ns)

    @no_var_expand
    @needs_local_scope
    @line_cell_magic
    @task_options()
    def llm_summarize(self, line: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None) -> Generation:
        """Summarize a text and keep what matters.

        ::

            %llm_summarize notice
        """
        return self._run("summarize", line, cell, local_ns)

    @no_var_expand
    @needs_local_scope
    @line_cell_magic
    @task_options()
    def llm_describe(self, line: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None) -> Generation:
        """Say in a sentence or two what a text is and what it is about.

        ::

            %llm_describe notice
        """
        return self._run("describe", line, cell, local_ns)

    @no_var_expand
    @needs_local_scope
    @line_cell_magic
    @task_options(argument("--labels", metavar="A,B", help="The labels, separated by commas; or the name of a list."))
    def llm_classify(self, line: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None) -> Generation:
        """Choose the label that fits a text; the decoder can write nothing else.

        ::

            %%llm_classify --labels praise,complaint,neutral
            Everybody we asked was delighted.
        """
        return self._run("classify", line, cell, local_ns, _labels)

    @no_var_expand
    @needs_local_scope
    @line_cell_magic
    @task_options(
        argument(
            "-e",
            "--entity",
            action="append",
            metavar="'NAME: HINT'",
            help="A value to find; may be repeated. (bool), (int), ... set its type.",
        ),
        argument("--entities", metavar="VAR", help="A dict of names and hints; or of names and types, such as list[str]."),
        argument(
            "--schema",
            metavar="LINE|VAR",
            help="In place of entities: a line such as 'name, price float, tags list[str]'; or the name of a JSON Schema, a dataclass, ...",
        ),
        argument("--many", action="store_true", help="Find any number of such records: .data is a list of them."),
        argument("--copy", action="store_true", help="Hold free texts to pieces of the cell's text, letter by letter."),
        argument("--grounded", action="store_true", help="Drop values that are nowhere in the text; .dropped keeps them."),
        argument("--examples", metavar="VAR", help="A list of (text, data) pairs that show what is wanted."),
        argument("--long", action="store_true", help="Read a text of any length: in pieces that fit, merged, with what they disagree on."),
        argument("--overlap", type=int, metavar="N", help="With --long: tokens that a piece shares with the one before; an eighth of it."),
        argument("--passes", type=int, default=1, metavar="N", help="With --long: read it N times, each time cut in other places."),
    )
    def llm_extract(self, line: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None) -> Generation:
        """Find values in a text, as typed data; what the text does not say is None.

        ::

            %%llm_extract -e 'name: the company' -e 'founded: (int) the year' -e 'listed: (bool) whether it is listed'
            Velmora was founded in 1987 by Mira Holt.

        Marks in a hint decide the type: (bool) (int) (float) (date) (quantity) (list of) (a|b|c). The same and more in one line::

            %%llm_extract --schema 'name, founded int, mood (good|bad), maker {name, city}, lines list {item, qty int 1..99}'

        In such a line: str bool int float date datetime quantity list[type] (a|b) 0..120 /pattern/ {fields} and, after a colon, a hint.
        """
        return self._run("extract", line, cell, local_ns, self._entities)

    def _entities(self, args: argparse.Namespace, names: Mapping[str, Any]) -> dict[str, Any]:
        from .schema import parse_entity
        from .session import extract_fields

        entities: dict[str, Any] | None = None
        if args.entities:
            entities = dict(self._value(args.entities, dict, names, "--entities"))
        if args.entity:
            entities = {**(entities or {}), **dict(map(parse_entity, args.entity))}
        schema = self._schema(args.schema, names) if args.schema is not None else None
        examples = self._value(args.examples, list, names, "--examples") if args.examples else ()
        return extract_fields(entities, schema, many=args.many, copy=args.copy, grounded=args.grounded, examples=examples)

    def _schema(self, given: str, names: Mapping[str, Any]) -> Any:
        """The variable of that name, else the line itself; a lone name that is no variable is taken for a slip."""
        if given.isidentifier() and given not in names:
            known = [name for name, value in names.items() if isinstance(value, (dict, type, str)) and name[:1] != "_"]
            error = unknown("variable", given, known)
            raise OptionError(error.message, f"{error.hint} For a schema of this one field write '{given} str'.")
        return names.get(given, given)


def _labels(args: argparse.Namespace, names: Mapping[str, Any]) -> dict[str, Any]:
    from .session import check_labels

    if args.labels is None:
        raise OptionError("classify needs labels.", "Pass --labels a,b,c, or the name of a list.")
    given = names.get(args.labels)
    return {"labels": check_labels(given if isinstance(given, (list, tuple)) else args.labels.split(","))}


def _display_formatter(shell: InteractiveShell) -> Any:
    assert shell.display_formatter is not None
    return shell.display_formatter.ipython_display_formatter


def _completed(shell: InteractiveShell, name: str, _: Any, event: Any) -> list[str]:
    return complete(shell.magics_manager.magics["line"].get(name), shell.user_ns, event)


def register(shell: InteractiveShell) -> None:
    """Add the magics to ``shell``; a second call changes nothing."""
    if "LLMMagics" in shell.magics_manager.registry:
        return
    magics = LLMMagics(shell)
    shell.register_magics(magics)
    shell.register_magics(EngineMagics(shell, magics, magics.current))
    panels = PanelMagics(shell, magics.current)
    shell.register_magics(panels)
    shell.register_magics(FormMagics(shell, magics, magics.current, panels.board))
    _display_formatter(shell).for_type(Generation, magics.skip_shown)
    for name in [*MAGICS, "llm_load", "llm_engines", "llm_template", "llm_form"]:
        for prefix in ("%", "%%"):
            shell.set_hook("complete_command", functools.partial(_completed, shell, name), str_key=prefix + name)


def unregister(shell: InteractiveShell) -> None:
    """Take the magics away and close the model."""
    magics = shell.magics_manager.registry.pop("LLMMagics", None)
    if magics is None:
        return
    shell.magics_manager.registry.pop("EngineMagics", None)
    shell.magics_manager.registry.pop("PanelMagics").close()
    shell.magics_manager.registry.pop("FormMagics").close()
    magics.current.end()
    _display_formatter(shell).pop(Generation, None)
    for kind in ("line", "cell"):
        for name in [name for name in shell.magics_manager.magics[kind] if name.startswith("llm_")]:
            del shell.magics_manager.magics[kind][name]
    shell.configurables[:] = [configurable for configurable in shell.configurables if configurable is not magics]
