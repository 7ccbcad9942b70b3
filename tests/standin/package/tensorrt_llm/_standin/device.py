"""Where tokens come from: the replies of the scenario, or the demo model that llm_magics carries.

llm_magics is imported only here, and only when a request needs its demo model or its guides.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

from .scenario import fail, section

BLOCK = 32


@dataclasses.dataclass(frozen=True)
class Step:
    """One token; ``logprobs`` maps token ids to Logprob; ``finish`` ends the sequence from the runtime's side."""

    token: int
    logprobs: Any = None
    finish: str | None = None


@dataclasses.dataclass
class Sequence:
    """The tokens of one sequence as they come; None in ``steps`` is a turn without one."""

    steps: Iterator[Step | None]
    token_s: float = 0.0
    cached_tokens: int = 0
    release: Callable[[], None] = lambda: None

    def close(self) -> None:
        release, self.release = self.release, lambda: None
        release()


@dataclasses.dataclass(frozen=True)
class Logprob:
    """As the real one: a token's log-probability and its rank, from 1."""

    logprob: float
    rank: int | None = None


class Device:
    """Starts sequences. Replies of the scenario come first; else the demo model speaks, in its own tokens only."""

    def __init__(self, tokenizer: Any, *, reuse: bool) -> None:
        self._tokenizer = tokenizer
        self._reuse = reuse
        self._said = 0
        self._demo: _Demo | None = None
        self._guided: Any = None

    def start(self, request: Any, seed: int | None) -> Sequence:
        replies = section("replies")
        wishes = {"token_s": 0.0, "stall_after": None, "fail": None, "fail_after": 0} | section("generate")
        if replies:
            reply = replies[self._said % len(replies)]
            self._said += 1
            if isinstance(reply, dict):
                wishes |= reply
                reply = reply["text"]
            sequence = Sequence(self._scripted(reply, request))
        else:
            sequence = self._model().start(request, seed, self._matcher(request.sampling))
        sequence.steps = _with_accidents(sequence.steps, wishes)
        sequence.token_s = wishes["token_s"]
        return sequence

    def close(self) -> None:
        self._demo = None

    def _model(self) -> _Demo:
        if self._demo is None:
            self._demo = _Demo(self._tokenizer, reuse=self._reuse)
        return self._demo

    def _scripted(self, reply: str, request: Any) -> Iterator[Step | None]:
        if self._tokenizer is None:
            raise NotImplementedError("the stand-in needs a tokenizer to say a reply of the scenario")
        matcher = self._matcher(request.sampling)
        end = request.sampling.end_id
        for token in self._tokenizer.encode(reply, add_special_tokens=False):
            if matcher is not None:
                self._conforms(matcher, token, reply)
            yield Step(token, {token: Logprob(0.0, 1)})
        while True:
            yield Step(end, {end: Logprob(0.0, 1)})

    def _conforms(self, matcher: Any, token: int, reply: str) -> None:
        import numpy as np

        row = matcher.mask(np.zeros(len(self._tokenizer.tokenizer), dtype=np.float32))
        if not np.isfinite(row[token]):
            raise NotImplementedError(
                f"the scenario's reply {reply!r} leaves the guide at {self._tokenizer.decode([token])!r}: no real reply could"
            )
        matcher.accept(token)

    def _matcher(self, sampling: Any) -> Any:
        guide = sampling.guided_decoding
        if guide is None or not any(getattr(guide, name) for name in type(guide).__slots__):
            return None
        from llm_magics.engines.guidance import Guided

        if self._guided is None:
            self._guided = Guided(self._tokenizer.tokenizer, len(self._tokenizer.tokenizer), (sampling.end_id,))
        return _matcher(self._guided, guide)


def _matcher(guided: Any, guide: Any) -> Any:
    """A matcher for ``guide``: JSON as llm_magics guides it, the other kinds by the same masks."""
    import llguidance

    from llm_magics.engines.guidance import Matcher
    from llm_magics.records import Guide

    if guide.json:
        schema = guide.json.model_json_schema() if hasattr(guide.json, "model_json_schema") else guide.json
        return guided.start(Guide(json_schema=json.loads(schema) if isinstance(schema, str) else schema))
    if guide.json_object:
        return guided.start(Guide(json_schema={"type": "object"}))
    if guide.structural_tag:
        raise NotImplementedError("the stand-in does not know structural tags")
    if guide.regex:
        grammar = llguidance.LLMatcher.grammar_from_regex(guide.regex)
    else:
        from llguidance.gbnf_to_lark import gbnf_to_lark

        grammar = llguidance.LLMatcher.grammar_from_lark(gbnf_to_lark(guide.grammar))
    matcher = llguidance.LLMatcher(guided._tokenizer, grammar, log_level=0)
    if matcher.is_error():
        raise ValueError(matcher.get_error())
    return Matcher(matcher)


def _with_accidents(steps: Iterator[Step | None], wishes: dict[str, Any]) -> Iterator[Step | None]:
    for done, step in enumerate(steps):
        if wishes["fail"] and done >= wishes["fail_after"]:
            fail(wishes["fail"])
        while wishes["stall_after"] is not None and done >= wishes["stall_after"]:
            yield None
        yield step


@dataclasses.dataclass
class _Held:
    """A generator with its KV cache: room for how many tokens, and those of a prompt that it holds."""

    generator: Any
    room: int
    prefilled: list[int] = dataclasses.field(default_factory=list)

    def shared(self, prompt: list[int]) -> int:
        """Tokens of ``prompt`` that are there already, in whole blocks; never all of them."""
        same = takewhile(lambda pair: pair[0] == pair[1], zip(self.prefilled, prompt[:-1], strict=False))
        return sum(1 for _ in same) // BLOCK * BLOCK


class _Demo:
    """The demo model through onnxruntime-genai, one generator a sequence, and prefixes taken again in blocks."""

    def __init__(self, tokenizer: Any, *, reuse: bool) -> None:
        import onnxruntime_genai as genai

        import llm_magics

        folder = Path(llm_magics.__file__).parent / "demo" / "engine"
        vocabulary = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
        if tokenizer is None or any(tokenizer.tokenizer.convert_tokens_to_ids(word) != at for word, at in list(vocabulary.items())[::97]):
            raise NotImplementedError("only models with the demo model's tokenizer speak by themselves; write 'replies' in the scenario")
        if hasattr(genai, "disable_telemetry_events"):
            genai.disable_telemetry_events()
        self._genai = genai
        self._model = genai.Model(str(folder))
        config = json.loads((folder / "genai_config.json").read_text(encoding="utf-8"))["model"]
        self._context: int = config["context_length"]
        self._reuse = reuse
        self._idle: list[_Held] = []

    def start(self, request: Any, seed: int | None, matcher: Any) -> Sequence:
        if request.sampling.use_beam_search:
            raise NotImplementedError("the demo model does not search beams here; write 'replies' in the scenario")
        prompt = request.prompt_token_ids
        held = self._taken(prompt, min(self._context, len(prompt) + request.limit + 1))
        steps = self._steps(held, request, seed, matcher)
        return Sequence(steps, cached_tokens=len(held.prefilled), release=lambda: self._idle.append(held))

    def _taken(self, prompt: list[int], needed: int) -> _Held:
        roomy = [held for held in self._idle if self._reuse and held.room >= needed]
        best = max(roomy, key=lambda held: held.shared(prompt), default=None)
        if best is not None and best.shared(prompt):
            self._idle.remove(best)
            best.prefilled = prompt[: best.shared(prompt)]
            best.generator.rewind_to(len(best.prefilled))
            return best
        del self._idle[:-1]
        room = min(self._context, max(1024, needed))
        params = self._genai.GeneratorParams(self._model)
        params.set_search_options(max_length=room, do_sample=False)
        return _Held(self._genai.Generator(self._model, params), room)

    def _steps(self, held: _Held, request: Any, seed: int | None, matcher: Any) -> Iterator[Step]:
        import numpy as np

        from llm_magics.engines.sampling import Sampler

        sampling = request.sampling
        sampler = Sampler(_sampling(sampling, seed, request.eos_counts))
        rules = _Rules(request)
        feed, ended = request.prompt_token_ids[len(held.prefilled) :], False
        while True:
            held.generator.append_tokens(np.asarray(feed, dtype=np.int32))
            held.prefilled = request.prompt_token_ids
            logits = held.generator.get_logits()
            row = rules.apply(logits.reshape(-1, logits.shape[-1])[-1].astype(np.float32))
            if ended:
                row = np.where(np.arange(row.size) == sampling.end_id, row, -np.inf).astype(np.float32)
            elif matcher is not None:
                row = matcher.mask(row)
            token = sampler.choose(row)
            yield Step(token, _logprobs(row, token, sampling.logprobs))
            if matcher is not None and not ended and token != sampling.end_id:
                ended = matcher.accept(token)
            rules.said.append(token)
            feed = [token]


def _sampling(sampling: Any, seed: int | None, pytorch: bool) -> Any:
    """The request's sampling as llm_magics' sampler takes it."""
    from llm_magics.records import Sampling

    # The engine's own defaults are top_k 0 and top_p 0, which it takes for greedy whatever the temperature.
    if sampling._greedy_decoding or not (pytorch or sampling.top_k or sampling.top_p):
        return Sampling(temperature=0.0)
    warmth = 1.0 if sampling.temperature is None else sampling.temperature
    return Sampling(temperature=warmth, top_k=sampling.top_k or 0, top_p=sampling.top_p or 1.0, seed=seed)


def _logprobs(row: Any, token: int, wanted: int | None) -> dict[int, Logprob] | None:
    if wanted is None:
        return None
    import numpy as np

    shifted = row - row.max()
    logs = shifted - np.log(np.exp(shifted).sum())
    order = np.argsort(-logs)
    named = {int(at): Logprob(float(logs[at]), rank) for rank, at in enumerate(order[:wanted], 1)}
    return named if token in named else {token: Logprob(float(logs[token]), int((logs > logs[token]).sum()) + 1)} | named


class _Rules:
    """What a request asks of the logits beside temperature, top-k and top-p. Mutable: ``said`` grows."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self.said: list[int] = []

    def apply(self, row: Any) -> Any:
        sampling = self._request.sampling
        if sampling.repetition_penalty not in (None, 1.0):
            seen = list({*self._request.prompt_token_ids, *self.said})
            row[seen] = [value / sampling.repetition_penalty if value > 0 else value * sampling.repetition_penalty for value in row[seen]]
        for token in set(self.said):
            row[token] -= (sampling.presence_penalty or 0) + (sampling.frequency_penalty or 0) * self.said.count(token)
        if len(self.said) < (sampling.min_tokens or 0) and sampling.end_id is not None:
            row[sampling.end_id] = float("-inf")
        for words in [*([token] for token in sampling.bad_token_ids or []), *(sampling._bad_word_ids or [])]:
            if self.said[len(self.said) - len(words) + 1 :] == words[:-1]:
                row[words[-1]] = float("-inf")
        return self._processed(row) if sampling.logits_processor is not None else row

    def _processed(self, row: Any) -> Any:
        import torch

        logits = torch.from_numpy(row.copy()).reshape(1, 1, -1)
        chosen = self._request.sampling.logits_processor
        for processor in chosen if isinstance(chosen, list) else [chosen]:
            processor(self._request.id, logits, [[*self._request.prompt_token_ids, *self.said]], None, None)
        return logits.reshape(-1).numpy()
