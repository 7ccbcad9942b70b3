"""The magics: a line and a cell -> one call of the session. What the call does is elsewhere."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class, needs_local_scope, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments
from traitlets import Bool, Float, Integer, TraitError, Unicode, validate
from traitlets.config import Configurable

from . import display
from .arguments import parse, task_options
from .completion import complete
from .errors import InputError, OptionError, unknown
from .records import Generation
from .report import PromptView, duration

MAGICS = ["llm_answer", "llm_translate", "llm_reformulate", "llm_summarize", "llm_describe", "llm_classify", "llm_extract"]
_SAMPLING = ("max_new_tokens", "max_input_len", "temperature", "top_p", "top_k", "seed", "chat")

if TYPE_CHECKING:
    from .engines.cache import Stored

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
        self.session: Any = None
        self._shown: tuple[Generation, int] | None = None

    # What the magics share.

    @property
    def _notebook(self) -> bool:
        return display.has_frontend(self.shell)

    def _load(self, model: str, engine: str, **options: Any) -> None:
        """Replace the loaded model. The one before is closed when the new one is ready to load: two may not fit."""
        from . import engines
        from .session import Session

        stages = display.Stages(notebook=self._notebook)
        started = time.perf_counter()
        built = engines.build(model, engine, engines.Options(**options), stages)
        self.close()
        self.session = Session(engines.load(built, stages))
        info = self.session.engine.info
        kind = "" if info.quantization in ("none", "as found") else f" {info.quantization}"
        loaded = f"{info.model}{kind} on {info.backend} {info.backend_version} ({info.device}), {info.max_seq_len:,} tokens"
        stages.say(f"Loaded {loaded}, in {duration(time.perf_counter() - started)}.{_DEMO_NOTE if model == 'demo' else ''}")

    def _plan(self, model: str, engine: str, **options: Any) -> None:
        from . import engines

        print(engines.plan(model, engine, engines.Options(**options), display.Stages(notebook=self._notebook)))

    def close(self) -> None:
        """Close the model; nothing when there is none."""
        if self.session is not None:
            self.session.close()
            self.session = None

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
            if self.session is None:
                self._load(self.model, self.engine)
            stream = self.session.stream(task, text, values, options)
        except InputError as error:  # a slip of the user's: IPython shows a UsageError in a line, without a traceback
            raise UsageError(str(error)) from None
        view: PromptView = "folded" if args.prompt is None else "open" if args.prompt else "none"
        live = display.Live(stream, notebook=self._notebook, prompt=view, live=self.stream and not args.no_stream)
        generation: Generation = self.session.finished(live.run(), options.get("chat"))
        if args.out:
            self.shell.user_ns[args.out] = generation
        self._shown = generation, self.shell.execution_count
        return generation

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
        argument("--entities", metavar="VAR", help="A dict of names and hints."),
        argument("--schema", metavar="VAR", help="A JSON Schema (dict) in place of entities."),
    )
    def llm_extract(self, line: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None) -> Generation:
        """Find values in a text, as typed data; what the text does not say is None.

        ::

            %%llm_extract -e 'name: the company' -e 'founded: (int) the year' -e 'listed: (bool) whether it is listed'
            Velmora was founded in 1987 by Mira Holt.

        Marks in a hint decide the type: (bool) (int) (float) (date) (list of) (a|b|c).
        """
        return self._run("extract", line, cell, local_ns, self._entities)

    def _entities(self, args: argparse.Namespace, names: Mapping[str, Any]) -> dict[str, Any]:
        from .schema import parse_entity
        from .session import extraction

        entities: dict[str, str] | None = None
        if args.entities:
            entities = dict(self._value(args.entities, dict, names, "--entities"))
        if args.entity:
            entities = {**(entities or {}), **dict(map(parse_entity, args.entity))}
        schema = self._value(args.schema, dict, names, "--schema") if args.schema else None
        return {"entities": extraction(entities, schema)}

    # The engine.

    @no_var_expand
    @line_magic
    @magic_arguments()
    @argument("model", nargs="?", default="demo", help="'demo', a local folder, or an id on the hub such as Qwen/Qwen2.5-0.5B-Instruct.")
    @argument("--engine", metavar="NAME", help="auto, onnx, tensorrt_llm or transformers.")
    @argument("--quantization", metavar="KIND", help="none, int8, int4; fp8 with tensorrt_llm.")
    @argument("--dtype", metavar="NAME", help="float32, float16 or bfloat16; for transformers and tensorrt_llm.")
    @argument("--max-input-len", type=int, metavar="N", help="Longest prompt, in tokens.")
    @argument("--max-seq-len", type=int, metavar="N", help="Prompt and output together, in tokens; decides the size of the KV cache.")
    @argument("--max-batch-size", type=int, metavar="N", help="Most requests at once; tensorrt_llm.")
    @argument("--max-beam-width", type=int, metavar="N", help="Most beams; tensorrt_llm.")
    @argument("--tokens-per-block", type=int, metavar="N", help="Block size of the KV cache, a power of two; tensorrt_llm.")
    @argument("--gemm-plugin", metavar="KIND", help="auto, a dtype, fp8 or disable; tensorrt_llm.")
    @argument("--kv-cache-mb", type=int, metavar="N", help="Most memory for the KV cache, in MiB.")
    @argument("--tensor-parallel", type=int, metavar="N", help="GPUs to share the model; tensorrt_llm.")
    @argument("--logprobs", action="store_true", help="Build for the probabilities of tokens; other engines always tell them.")
    @argument(
        "--guided", action=argparse.BooleanOptionalAction, help="Hold extract and classify to their schema; tensorrt_llm. Default: on."
    )
    @argument("--revision", metavar="REV", help="Branch, tag or commit on the hub.")
    @argument("--trust-remote-code", action="store_true", help="Run Python code that comes with the model. Only for models you trust.")
    @argument("--dry-run", action="store_true", help="Print the plan: place, key, memory forecast, the same by hand. Nothing is built.")
    def llm_load(self, line: str) -> None:
        """Load a model, building its engine first when the store has none.

        ::

            %llm_load demo
            %llm_load Qwen/Qwen2.5-0.5B-Instruct --quantization int4
            %llm_load meta-llama/Llama-3.1-8B-Instruct --engine tensorrt_llm --quantization int8 --kv-cache-mb 2048 --dry-run
        """
        args = vars(parse(self.llm_load, line))
        args["engine"] = args["engine"] or self.engine
        dry_run = args.pop("dry_run")
        try:
            if dry_run:
                self._plan(args.pop("model"), **args)
            else:
                self._load(args.pop("model"), **args)
        except InputError as error:
            raise UsageError(str(error)) from None

    @no_var_expand
    @line_magic
    @magic_arguments()
    @argument("task", nargs="?", help="A task: its prompt template. Without one: the model's chat template.")
    @argument("--lang", metavar="LANG", help="Language of the prompt.")
    def llm_template(self, line: str) -> None:
        """Show the chat template of the model, or the prompt template of a task: what to start from with --format."""
        from . import prompts, tasks

        args = parse(self.llm_template, line)
        try:
            lang = args.lang or self.lang
            prompts.check_lang(lang)
            if args.task:
                print(prompts.source(lang, tasks.find(args.task).name))
                return
        except InputError as error:
            raise UsageError(str(error)) from None
        if self.session is None:
            self._load(self.model, self.engine)
        print(self.session.engine.chat_template)

    @line_magic
    def llm_unload(self, line: str) -> None:
        """Close the model and give its memory back; prints the memory of the process, and of the GPU, before and after."""
        if self.session is None:
            print("No model is loaded.")
            return
        import gc

        model, before = self.session.engine.info.model, _memory()
        self.close()
        gc.collect()
        changes = "; ".join(
            f"{place} held {held:,.0f} MiB and holds {now:,.0f} MiB" for (place, held), (_, now) in zip(before, _memory(), strict=False)
        )
        print(f"{model} is unloaded; {changes}.")

    @line_magic
    def llm_status(self, line: str) -> None:
        """What is loaded, and the memory of the process and of the GPU."""
        held = "; ".join(f"{place} holds {size:,.0f} MiB" for place, size in _memory())
        loaded = "No model is loaded; the first task loads " + self.model if self.session is None else repr(self.session)
        print(f"{loaded}. {held[:1].upper()}{held[1:]}.")

    @no_var_expand
    @line_magic
    @magic_arguments()
    @argument("action", nargs="?", choices=["list", "rm"], default="list", help="list (default) or rm.")
    @argument("name", nargs="?", help="For rm: the engine's name, as listed.")
    @argument("--yes", action="store_true", help="For rm: do not ask.")
    def llm_engines(self, line: str) -> None:
        """The engines in the store; ``%llm_engines rm NAME`` removes one."""
        from .engines import cache, unusable

        args = parse(self.llm_engines, line)
        stored = cache.listed()
        if args.action == "list":
            if not stored:
                print(f"No engine is stored yet in {cache.root()} or {cache.root('tensorrt_llm')}.")
                return
            head = ["name", "model", "backend", "gpu", "options", "size", "built", "took", "last used", "usable here"]
            display.table(head, [_engine_row(engine, unusable(engine)) for engine in stored], notebook=self._notebook)
            return
        found = {s.name: s for s in stored}
        if args.name not in found:
            raise UsageError(str(unknown("engine", args.name or "", found)))
        if not args.yes:
            print(f"%llm_engines rm {args.name} --yes removes {found[args.name].path}.")
            return
        cache.remove(found[args.name].path)
        print(f"{args.name} is removed.")


_DEMO_NOTE = "\nThis is the small demonstration model; %llm_load MODEL loads a real one, such as Qwen/Qwen2.5-0.5B-Instruct."


def _memory() -> list[tuple[str, float]]:
    """What the kernel and each GPU hold, in MiB."""
    import psutil

    from .engines.gpu import gpus

    on_gpus = [(f"GPU {number} ({gpu.name})", (gpu.total - gpu.free) / 2**20) for number, gpu in enumerate(gpus())]
    return [("the kernel", psutil.Process().memory_info().rss / 2**20), *on_gpus]


def _engine_row(stored: Stored, reason: str) -> list[str]:
    took = "" if stored.took_s is None else duration(stored.took_s)
    by_hand = "by hand, " if stored.by_hand else ""
    used = f"{stored.used:%Y-%m-%d %H:%M}" if stored.used else ""
    backend, size = f"{stored.backend} {stored.version}", f"{stored.size / 2**20:,.0f} MiB"
    built = f"{by_hand}{stored.built:%Y-%m-%d %H:%M}"
    return [stored.name, stored.model, backend, stored.gpu, stored.options, size, built, took, used, f"no: {reason}" if reason else "yes"]


def _labels(args: argparse.Namespace, names: Mapping[str, Any]) -> dict[str, Any]:
    from .session import check_labels

    if args.labels is None:
        raise OptionError("classify needs labels.", "Pass --labels a,b,c, or the name of a list.")
    given = names.get(args.labels)
    return {"labels": check_labels(given if isinstance(given, (list, tuple)) else args.labels.split(","))}


def _display_formatter(shell: InteractiveShell) -> Any:
    assert shell.display_formatter is not None
    return shell.display_formatter.ipython_display_formatter


def register(shell: InteractiveShell) -> None:
    """Add the magics to ``shell``; a second call changes nothing."""
    if "LLMMagics" in shell.magics_manager.registry:
        return
    magics = LLMMagics(shell)
    shell.register_magics(magics)
    _display_formatter(shell).for_type(Generation, magics.skip_shown)
    for name in [*MAGICS, "llm_load", "llm_engines", "llm_template"]:
        for prefix in ("%", "%%"):
            shell.set_hook("complete_command", lambda _, event: complete(magics, shell.user_ns, event), str_key=prefix + name)


def unregister(shell: InteractiveShell) -> None:
    """Take the magics away and close the model."""
    magics = shell.magics_manager.registry.pop("LLMMagics", None)
    if magics is None:
        return
    magics.close()
    _display_formatter(shell).pop(Generation, None)
    for kind in ("line", "cell"):
        for name in [name for name in shell.magics_manager.magics[kind] if name.startswith("llm_")]:
            del shell.magics_manager.magics[kind][name]
    shell.configurables[:] = [configurable for configurable in shell.configurables if configurable is not magics]
