"""The magics of the engine: load, unload, status, the store, templates."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from . import display
from .arguments import parse
from .current import Current
from .errors import InputError, unknown

if TYPE_CHECKING:
    from .engines.cache import Stored


@magics_class
class EngineMagics(Magics):
    """The magics of the engine. ``tasks`` holds the defaults that ``%config LLMMagics`` sets."""

    def __init__(self, shell: InteractiveShell, tasks: Any, current: Current) -> None:
        super().__init__(shell)
        self._tasks = tasks
        self._current = current

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
        args["engine"] = args["engine"] or self._tasks.engine
        dry_run = args.pop("dry_run")
        try:
            if dry_run:
                self._current.plan(args.pop("model"), **args)
            else:
                self._current.load(args.pop("model"), **args)
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
            lang = args.lang or self._tasks.lang
            prompts.check_lang(lang)
            if args.task:
                print(prompts.source(lang, tasks.find(args.task).name))
                return
        except InputError as error:
            raise UsageError(str(error)) from None
        print(self._current.needed(self._tasks.model, self._tasks.engine).engine.chat_template)

    @line_magic
    def llm_unload(self, line: str) -> None:
        """Close the model and give its memory back; prints the memory of the process, and of the GPU, before and after."""
        if self._current.session is None:
            print("No model is loaded.")
            return
        import gc

        model, before = self._current.session.engine.info.model, _memory()
        self._current.close()
        gc.collect()
        changes = "; ".join(
            f"{place} held {held:,.0f} MiB and holds {now:,.0f} MiB" for (place, held), (_, now) in zip(before, _memory(), strict=False)
        )
        print(f"{model} is unloaded; {changes}.")

    @line_magic
    def llm_status(self, line: str) -> None:
        """What is loaded, its weights and KV cache, and the memory of the process and of the GPU."""
        held = "; ".join(f"{place} holds {size:,.0f} MiB" for place, size in _memory())
        session = self._current.session
        if session is not None:
            from . import engines, facts

            held = f"{facts.memory_line(engines.memory(session.engine))}; {held}"
        loaded = "No model is loaded; the first task loads " + self._tasks.model if session is None else repr(session)
        print(f"{loaded}. {held[:1].upper()}{held[1:]}.")

    @no_var_expand
    @line_magic
    @magic_arguments()
    @argument("--no-smoke", action="store_true", help="Leave out the run of one token.")
    def llm_doctor(self, line: str) -> None:
        """Check this machine: driver, GPU, packages, pins, signatures, MPI, disk, memory, and a run of one token.

        ::

            %llm_doctor
            !llm-magics doctor --json    # for a bug report: without tokens, passwords and user names
        """
        from . import doctor

        doctor.show(smoke=not parse(self.llm_doctor, line).no_smoke, notebook=self._current.notebook)

    @no_var_expand
    @line_magic
    @magic_arguments()
    @argument("action", nargs="?", choices=["list", "rm"], default="list", help="list (default) or rm.")
    @argument("name", nargs="?", help="For rm: the engine's name, as listed.")
    @argument("--yes", action="store_true", help="For rm: do not ask.")
    def llm_engines(self, line: str) -> None:
        """The engines in the store; ``%llm_engines rm NAME`` removes one."""
        from .engines import cache

        args = parse(self.llm_engines, line)
        try:
            self._engines(args, cache.listed())
        except InputError as error:
            raise UsageError(str(error)) from None

    def _engines(self, args: argparse.Namespace, stored: list[Stored]) -> None:
        from .engines import cache, unusable

        if args.action == "list":
            if not stored:
                print(f"No engine is stored yet in {cache.root()} or {cache.root('tensorrt_llm')}.")
                return
            from .listing import HEAD, row

            display.table(HEAD, [row(engine, unusable(engine)) for engine in stored], notebook=self._current.notebook)
            return
        found = {s.name: s for s in stored}
        if args.name not in found:
            raise unknown("engine", args.name or "", found)
        if not args.yes:
            print(f"%llm_engines rm {args.name} --yes removes {found[args.name].path}.")
            return
        cache.remove(found[args.name].path)
        print(f"{args.name} is removed.")


def _memory() -> list[tuple[str, float]]:
    """What the kernel and each GPU hold, in MiB."""
    import psutil

    from .engines.gpu import gpus

    on_gpus = [(f"GPU {number} ({gpu.name})", (gpu.total - gpu.free) / 2**20) for number, gpu in enumerate(gpus())]
    return [("the kernel", psutil.Process().memory_info().rss / 2**20), *on_gpus]
