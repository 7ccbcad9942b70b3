"""What every engine does, so that the rest need not know which one it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..records import Chunk, EngineInfo, Message, Prompt

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """How an engine is built and loaded. None leaves the choice to the engine; lengths in tokens."""

    quantization: str | None = None
    dtype: str | None = None
    max_input_len: int | None = None
    max_seq_len: int | None = None
    kv_cache_mb: int | None = None
    revision: str | None = None
    trust_remote_code: bool = False


class Engine(Protocol):
    """A loaded model.

    An engine is used by one request at a time. It never reads a clock: ``runner.Stream`` does, so that all engines are
    measured alike.
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
