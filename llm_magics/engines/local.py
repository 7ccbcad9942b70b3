"""Engines that run in this process, token by token: chat template, prefix re-use, guiding, stopping.

A subclass gives two verbs over its KV cache, ``_feed`` and ``_rewind``; everything else is here, so the engines behave alike.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from ..errors import EngineError
from ..records import Chunk, EngineInfo, FinishReason, Message, Prompt, TokenLogprob
from .guidance import Guided
from .sampling import Detokenizer, Logits, Sampler, likeliest, log_probability

# A prompt is fed in pieces of this many tokens, and can be cancelled between two of them.
PREFILL_TOKENS = 256


class LocalEngine(ABC):
    """A tokenizer, a KV cache that knows its tokens, and the decoding loop. Mutable: the KV cache changes with each request."""

    def __init__(self, info: EngineInfo, tokenizer: Any, vocab_size: int, eos_ids: tuple[int, ...]) -> None:
        self.info = info
        self.tokenizer = tokenizer
        self._vocab_size = vocab_size
        self._eos_ids = eos_ids
        self._guided: Guided | None = None
        self._cached: list[int] = []
        self._prefilled = 0
        self._closed = False
        self._front = tokenizer.encode("x", add_special_tokens=False)
        self._pieces: dict[int, str] = {}

    @abstractmethod
    def _feed(self, ids: Sequence[int]) -> Logits:
        """Append ``ids`` to the KV cache; the logits after the last of them, shape (vocabulary,)."""

    @abstractmethod
    def _rewind(self, length: int) -> None:
        """Keep the first ``length`` tokens of the KV cache."""

    @abstractmethod
    def _release(self) -> None:
        """Give the memory back."""

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._cached = []
            self._release()

    @property
    def chat_template(self) -> str:
        return getattr(self.tokenizer, "chat_template", None) or ""

    def count(self, text: str) -> int:
        return len(self._ids(text))

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False, verbose=False)
        return ids

    def render(self, messages: Sequence[Message], answer_start: str = "") -> str:
        return render_chat(self.tokenizer, messages) + answer_start

    def stream(self, prompt: Prompt) -> Iterator[Chunk]:
        if self._closed:
            raise EngineError(f"The engine of {self.info.model} is closed.", "Load it again: %llm_load, or llm_magics.load().")
        matcher = None
        if prompt.guide is not None:
            self._guided = self._guided or Guided(self.tokenizer, self._vocab_size, self._eos_ids)
            matcher = self._guided.start(prompt.guide)
            yield Chunk(grammar="cached" if matcher.cached else "compiled")
        ids = self._ids(prompt.text)
        sampler, text = Sampler(prompt.sampling), Detokenizer(self.tokenizer, prompt.sampling.stop)
        room = min(prompt.sampling.max_new_tokens, self.info.max_seq_len - len(ids))
        try:
            logits = yield from self._prefill(ids)
            for done in range(1, room + 1):
                allowed = matcher.mask(logits) if matcher else logits
                token = sampler.choose(allowed)
                if token in self._eos_ids:
                    scored = self._scored("", token, logits, allowed, prompt.logprobs)
                    yield Chunk(text.flush(), tokens=1, finish_reason="stop", logprobs=scored)
                    return
                ended = matcher.accept(token) if matcher else False
                piece = text.step(token)
                scored = self._scored(text.added, token, logits, allowed, prompt.logprobs)
                reason: FinishReason | None = "stop" if ended or text.stopped else "length" if done == room else None
                yield Chunk(piece + text.flush() if reason else piece, tokens=1, finish_reason=reason, logprobs=scored)
                if reason:
                    return
                logits = self._step([token])
        except GeneratorExit:
            raise
        except BaseException:
            self._cached, self._prefilled = [], 0  # the KV cache may hold half a step
            raise

    def _scored(self, text: str, token: int, logits: Logits, allowed: Logits, count: int) -> tuple[TokenLogprob, ...]:
        """What a Chunk says of how likely its token was; nothing when it was not asked (``count`` 0)."""
        if not count:
            return ()
        logprob = log_probability(logits, token)
        shift = logprob - float(logits[token])
        top = tuple((self._piece(other), float(logits[other]) + shift) for other in likeliest(allowed, count))
        return (TokenLogprob(text, logprob, top, log_probability(allowed, token)),)

    def _piece(self, token: int) -> str:
        """The text of one token within a text."""
        # A token is decoded behind another one, since tokenizers drop a blank at the start of a text.
        if token not in self._pieces:
            front = self.tokenizer.decode(self._front)
            whole = self.tokenizer.decode([*self._front, token], skip_special_tokens=True, clean_up_tokenization_spaces=False)
            self._pieces[token] = whole[len(front) :]
        return self._pieces[token]

    def _prefill(self, ids: list[int]) -> Generator[Chunk, None, Logits]:
        # Kernels for one token round otherwise than those for several. So that a reply is to the bit what it would have been
        # without re-use, only what a prefill has put into the KV cache is taken again, and never a single token is fed.
        reusable = zip(self._cached[: self._prefilled], ids[:-2], strict=False)
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], reusable))
        self._rewind(shared)
        del self._cached[shared:]
        yield Chunk(input_tokens=len(ids), cached_tokens=shared)
        start = shared
        while True:
            end = start + PREFILL_TOKENS
            end = len(ids) if len(ids) - end <= 1 else end
            logits = self._step(ids[start:end])
            self._prefilled = start = end
            if end == len(ids):
                return logits
            yield Chunk()

    def _step(self, ids: list[int]) -> Logits:
        logits = self._feed(ids)
        self._cached += ids
        return logits


def load_tokenizer(folder: str, trust_remote_code: bool = False) -> Any:
    """The fast tokenizer of a model folder, without torch."""
    # Without torch, transformers says at import that it found none; here that is as intended.
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    if (Path(folder) / "tokenizer.json").is_file():
        # All there is to know stands in the file; the class that wrote it may be unknown to this release of transformers.
        from transformers import PreTrainedTokenizerFast

        return PreTrainedTokenizerFast.from_pretrained(folder)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
    if not tokenizer.is_fast:
        raise EngineError(f"{folder} has no fast tokenizer (tokenizer.json).", "Save one with transformers, or use another model.")
    return tokenizer


def render_chat(tokenizer: Any, messages: Sequence[Message]) -> str:
    """The prompt of ``messages`` by the tokenizer's chat template, ending where the assistant begins.

    A template that refuses the system role gets that text at the head of the first user turn; a model without a chat
    template (a base model) gets the turns one after the other.
    """
    turns = [{"role": message.role, "content": message.content} for message in messages]
    if not getattr(tokenizer, "chat_template", None):
        return "\n\n".join(turn["content"] for turn in turns) + "\n\n"
    from jinja2 import TemplateError

    try:
        return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    except TemplateError as exc:
        if len(turns) < 2 or turns[0]["role"] != "system":
            raise EngineError(f"The model's chat template failed: {exc}.", "Check the conversation, or use another model.") from exc
        head = {"role": "user", "content": turns[0]["content"] + "\n\n" + turns[1]["content"]}
        return str(tokenizer.apply_chat_template([head, *turns[2:]], tokenize=False, add_generation_prompt=True))
