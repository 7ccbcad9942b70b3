"""What every engine does, so that the rest need not know which one it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

from ..errors import CancelledError, OptionError
from ..records import Chunk, EngineInfo, Message, Prompt

Progress = Callable[[str], None]
"""Called with the name of each stage; with a Note for what should stay to be read."""


class Note(str):
    """What a reader should still see when the stages have gone by: a choice that was made for them, why an engine did not do."""

    __slots__ = ()


class Cancellable:
    """A Progress that passes stages on until ``cancel`` is called, from any thread: the build or load then ends with CancelledError."""

    def __init__(self, told: Progress) -> None:
        self._told = told
        self._cancelled = threading.Event()

    def __call__(self, stage: str) -> None:
        if not isinstance(stage, Note):  # notes may come from a timer's thread, where nothing can be given up
            self.check()
        self._told(stage)

    def cancel(self) -> None:
        """Give it up, as soon as that can be."""
        self._cancelled.set()

    @property
    def is_cancelled(self) -> bool:
        """Whether it is to be given up."""
        return self._cancelled.is_set()

    def check(self) -> None:
        """CancelledError when it is to be given up."""
        if self.is_cancelled:
            raise CancelledError("The load was cancelled.", "Nothing is left half-built; load it again when you like.")


def check(progress: Progress) -> None:
    """Where a wait may be long: raises CancelledError when ``progress`` is a Cancellable and was cancelled."""
    if isinstance(progress, Cancellable):
        progress.check()


@dataclass(frozen=True)
class Memory:
    """What a loaded model holds, in bytes; None where the engine cannot tell.

    ``kv_total`` is the KV cache's size where it is laid out at once, or the most that it may take where it grows; ``kv_used`` is what
    the tokens in it take.
    """

    weights: int | None = None
    kv_total: int | None = None
    kv_used: int | None = None

    @property
    def held(self) -> int | None:
        """Weights and KV cache together, as far as they are known."""
        known = [size for size in (self.weights, self.kv_total) if size is not None]
        return sum(known) if known else None


def memory(engine: Engine) -> Memory:
    """What ``engine`` says that it holds; engines need not say."""
    told = getattr(engine, "memory", None)
    return told if isinstance(told, Memory) else Memory()


@dataclass(frozen=True)
class Options:
    """How an engine is built and loaded. None leaves the choice to the engine; lengths in tokens.

    ``kv_cache_mb`` is in MiB; ``tensor_parallel`` counts GPUs; ``logprobs`` asks for an engine that can tell the
    probabilities of its tokens, ``guided`` for one that can be held to a JSON Schema.
    """

    quantization: str | None = None
    dtype: str | None = None
    max_input_len: int | None = None
    max_seq_len: int | None = None
    max_batch_size: int | None = None
    max_beam_width: int | None = None
    tokens_per_block: int | None = None
    gemm_plugin: str | None = None
    kv_cache_mb: int | None = None
    tensor_parallel: int | None = None
    logprobs: bool | None = None
    guided: bool | None = None
    revision: str | None = None
    trust_remote_code: bool = False

    @property
    def given(self) -> dict[str, Any]:
        """What was asked for, under the names that users write; ``none`` as a quantization asks for nothing."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value not in (None, False, "none")}


# What says where a model comes from is for the fetching; every engine takes it.
_COMMON = frozenset({"revision", "trust_remote_code"})


def check_taken(engine: str, options: Options) -> None:
    """OptionError for an option that was given and that ``engine`` has no use for; what is not kept to is not accepted."""
    for name in options.given:
        if name not in _COMMON and name not in TAKEN[engine]:
            raise OptionError(
                f"The {engine} engine takes no --{name.replace('_', '-')}.",
                f"Leave it out, or choose an engine that has it: {', '.join(_having(name)) or 'none'}.",
            )


def _having(name: str) -> list[str]:
    return [engine for engine, taken in TAKEN.items() if name in taken]


TAKEN: dict[str, frozenset[str]] = {
    "onnx": frozenset({"quantization", "max_input_len", "max_seq_len", "kv_cache_mb", "logprobs", "guided"}),
    "transformers": frozenset({"dtype", "max_input_len", "max_seq_len", "logprobs", "guided"}),
    "tensorrt_llm": frozenset(field.name for field in fields(Options)) - _COMMON,
}
"""The options that each engine keeps to."""


@dataclass(frozen=True)
class Plan:
    """What loading a model would do, before any of it is done: what ``--dry-run`` prints.

    ``steps`` are (name, text) lines; ``commands`` the equivalent commands for a terminal; ``key`` names the engine in the
    store, empty where nothing is stored; ``problem`` says why it cannot be, and is empty when it can.
    """

    title: str
    steps: tuple[tuple[str, str], ...]
    commands: tuple[str, ...] = ()
    key: str = ""
    problem: str = ""

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.steps)
        lines = [self.title, *(f"  {name.ljust(width)}  {text}" for name, text in self.steps)]
        if self.commands:
            lines += ["", "The same by hand:", *(f"  {line}" for command in self.commands for line in command.splitlines())]
        return "\n".join(lines)


class Engine(Protocol):
    """A loaded model.

    An engine is used by one request at a time. It never reads a clock: ``runner.Stream`` does, so that all engines are
    measured alike. It may have a property ``memory``, a Memory; that is read while a request runs.
    """

    info: EngineInfo

    @property
    def chat_template(self) -> str:
        """The jinja2 template that makes a prompt of a conversation; empty for a model without one."""
        ...

    def render(self, messages: Sequence[Message], answer_start: str = "") -> str:
        """The exact prompt of a conversation, by the model's chat template, up to the forced start of the reply."""
        ...

    def count(self, text: str) -> int:
        """Tokens of ``text``."""
        ...

    def stream(self, prompt: Prompt) -> Iterator[Chunk]:
        """Generate. Closing the iterator cancels the request and leaves the engine ready for the next one."""
        ...

    def close(self) -> None:
        """Give the memory back. May be called twice."""
        ...
