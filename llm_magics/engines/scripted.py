"""An engine that says what it is told: for tests of what stands on an engine, and for examples without a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..errors import EngineError
from ..records import Chunk, EngineInfo, Message, Prompt


class ScriptedEngine:
    """Replies in turn with ``replies``, word by word; keeps the prompts in ``prompts``. A token here is a word.

    Mutable: it remembers what was asked and how far it has replied.
    """

    def __init__(self, replies: Sequence[str], *, max_seq_len: int = 4096) -> None:
        self.info = EngineInfo("scripted", "1", "scripted", "none", "none", max_seq_len)
        self.prompts: list[Prompt] = []
        self._replies = list(replies)
        self._closed = False

    @property
    def chat_template(self) -> str:
        return "{% for message in messages %}<{{ message.role }}>\n{{ message.content }}\n{% endfor %}<assistant>\n"

    def render(self, messages: Sequence[Message], answer_start: str = "") -> str:
        return "".join(f"<{message.role}>\n{message.content}\n" for message in messages) + "<assistant>\n" + answer_start

    def count(self, text: str) -> int:
        return len(text.split())

    def stream(self, prompt: Prompt) -> Iterator[Chunk]:
        if self._closed:
            raise EngineError("The scripted engine is closed.", "Make another one.")
        reply = self._replies[len(self.prompts) % len(self._replies)]
        self.prompts.append(prompt)
        yield Chunk(input_tokens=self.count(prompt.text), cached_tokens=0)
        words = reply.split(" ")
        for index, word in enumerate(words[: prompt.sampling.max_new_tokens]):
            yield Chunk(word if index == 0 else " " + word, tokens=1)
        yield Chunk(finish_reason="stop" if len(words) <= prompt.sampling.max_new_tokens else "length")

    def close(self) -> None:
        self._closed = True
