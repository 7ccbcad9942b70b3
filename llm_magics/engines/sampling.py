"""Logits -> the next token, and tokens -> text. Shared by the engines that hold the logits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..records import Sampling

Logits = NDArray[np.float32]


class Sampler:
    """Chooses tokens by temperature, top-k and top-p; mutable because its random state advances."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._random = np.random.default_rng(sampling.seed)

    def choose(self, logits: Logits) -> int:
        """A token id for ``logits`` of shape (vocabulary,); -inf marks tokens that must not be chosen."""
        sampling = self._sampling
        if sampling.temperature <= 0:
            return int(logits.argmax())
        scaled = logits.astype(np.float64) / sampling.temperature
        if 0 < sampling.top_k < scaled.size:
            scaled[scaled < np.partition(scaled, -sampling.top_k)[-sampling.top_k]] = -np.inf
        weights = np.exp(scaled - scaled.max())
        weights /= weights.sum()
        if sampling.top_p < 1:
            order = np.argsort(-weights)
            before = np.cumsum(weights[order]) - weights[order]
            weights[order[before >= sampling.top_p]] = 0
            weights /= weights.sum()
        return int(self._random.choice(weights.size, p=weights))


def log_probability(logits: Logits, token: int) -> float:
    """The natural logarithm of the probability of ``token`` under ``logits`` of shape (vocabulary,)."""
    highest = logits.max()
    return float(logits[token] - highest - np.log(np.exp(logits - highest).sum()))


def likeliest(logits: Logits, count: int) -> list[int]:
    """The ``count`` likeliest tokens, likeliest first; fewer where fewer are allowed (not -inf)."""
    some = np.argpartition(logits, -count)[-count:] if count < logits.size else np.arange(logits.size)
    return [int(token) for token in some[np.argsort(-logits[some])] if logits[token] > -np.inf]


class Detokenizer:
    """Token ids -> text as it grows, up to a stop string.

    Text that may be the beginning of a stop string is held back until it is known not to be. ``added`` is what the last token
    added, held back or not.
    """

    def __init__(self, tokenizer: Any, stop: tuple[str, ...]) -> None:
        from tokenizers.decoders import DecodeStream

        self._backend = tokenizer.backend_tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)
        self._stop = tuple(text for text in stop if text)
        self._held = ""
        self.stopped = False
        self.added = ""

    def step(self, token: int) -> str:
        """The text that is certain after ``token``."""
        self.added = self._stream.step(self._backend, token) or ""
        self._held += self.added
        if not self._stop:
            return self.flush()
        found = min((at for at in map(self._held.find, self._stop) if at >= 0), default=-1)
        if found >= 0:
            self.stopped, self._held = True, self._held[:found]
            return self.flush()
        keep = max((size for stop in self._stop for size in range(1, len(stop)) if self._held.endswith(stop[:size])), default=0)
        ready, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return ready

    def flush(self) -> str:
        """What is still held back."""
        ready, self._held = self._held, ""
        return ready
