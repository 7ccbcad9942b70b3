"""An engine that writes a long answer at the pace of a real one: for what can be seen only while an answer comes."""

from __future__ import annotations

import time
from collections.abc import Iterator

from llm_magics.engines.scripted import ScriptedEngine
from llm_magics.records import Chunk, Prompt

# English text has some four characters a token.
CHARACTERS = 4
_SENTENCES = (
    "Velmora Systems was founded in 1987 by Mira Holtan & her brother.",
    "Its revenue is < 12,500 euros; « la société » compte 240 personnes.",
    'They wrote "more will follow", and nothing did follow for a while.',
    "- a list of things: pumps, valves, a crane and two small ships",
    "The works in Lyon close in March, the harbour bridge in autumn.",
)


def text_of(tokens: int) -> str:
    """A text of that many tokens, in paragraphs of a few numbered sentences; no two stretches of it are the same."""
    text, number = "", 0
    while len(text) < tokens * CHARACTERS:
        number += 1
        text += f"{number}. {_SENTENCES[number % len(_SENTENCES)]}" + ("\n\n" if number % 4 == 0 else " ")
    return text[: tokens * CHARACTERS]


class PacedEngine(ScriptedEngine):
    """Replies with ``text_of(max_new_tokens)`` at ``tokens_per_s``; 0 is as fast as it goes. ``fails_at`` ends it with an error there."""

    def __init__(self, tokens_per_s: float = 0, *, fails_at: int | None = None) -> None:
        super().__init__([""], max_seq_len=100_000)
        self._pace = tokens_per_s
        self._fails_at = fails_at

    def stream(self, prompt: Prompt) -> Iterator[Chunk]:
        wanted = prompt.sampling.max_new_tokens
        text = text_of(wanted)
        yield Chunk(input_tokens=self.count(prompt.text), cached_tokens=0)
        started = time.monotonic()
        for number in range(wanted):
            if number == self._fails_at:
                raise RuntimeError("the engine broke")
            if self._pace:
                time.sleep(max(0.0, started + number / self._pace - time.monotonic()))
            yield Chunk(text[number * CHARACTERS : (number + 1) * CHARACTERS], tokens=1)
        yield Chunk(finish_reason="stop")
