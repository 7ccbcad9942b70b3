"""What a request returns: an object that is its own future and its own stream."""

from __future__ import annotations

import asyncio
import queue
import weakref
from typing import Any

from .classes import CLASSES, CompletionOutput
from .errors import RequestError
from .executor import Executor, Request, Response
from .queues import AsyncQueue
from .record import ERA

MetricNames = CLASSES["MetricNames"]


def _loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class GenerationResult:
    """The surface without prompt text. Mutable: responses of the runtime are taken in as they are read."""

    def __init__(self, request: Request, executor: Executor, tokenizer: Any, arrived: float) -> None:
        self.aqueue = AsyncQueue() if _loop_runs() else None
        self.queue: Any = self.aqueue.sync_q if self.aqueue else queue.Queue()
        self.sampling_params = request.sampling
        self.metrics_dict: dict[Any, Any] = {}
        self.disaggregated_params = None
        self.cached_tokens = 0
        self.decoding_iter = 0
        self.avg_decoded_tokens_per_iter: float | None = None
        self.trace_headers = None
        self._request_id = request.id
        self._prompt_token_ids = request.prompt_token_ids
        self._streaming = request.streaming
        self._arrived = arrived
        self._tokenizer = tokenizer
        self._executor = weakref.ref(executor)
        self._outputs = [CompletionOutput(index) for index in range(request.sampling.best_of)]
        self._done = False
        self._aborted = False
        self._logprob_params: Any = None

    @property
    def request_id(self) -> int:
        return self._request_id

    @property
    def prompt_token_ids(self) -> list[int]:
        return self._prompt_token_ids

    @property
    def outputs(self) -> list[Any]:
        sampling = self.sampling_params
        if sampling.use_beam_search or sampling.n == sampling.best_of:
            return self._outputs[: sampling.n]
        ranked = sorted(self._outputs, key=lambda output: output.cumulative_logprob or float("-inf"), reverse=True)
        for index, output in enumerate(ranked):
            output.index = index
        return ranked[: sampling.n]

    @property
    def context_logits(self) -> None:
        return None

    @property
    def mm_embedding_handle(self) -> None:
        return None

    @property
    def finished(self) -> bool:
        return self._done

    def abort(self) -> None:
        executor = self._executor()
        assert executor is not None, "The executor is not set for this result."
        executor.abort(self._request_id)
        self._aborted = True

    def aborted(self) -> bool:
        return self._aborted

    def clear_logprob_params(self) -> None:
        self.__dict__.pop("_logprob_params", None)

    def result(self, timeout: float | None = None) -> Any:
        while not self._done:
            self._take(self.queue.get())
        return self

    async def aresult(self) -> Any:
        while not self._done:
            await self._atake()
        return self

    def __await__(self) -> Any:
        return self.aresult().__await__()

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        if self._done:
            raise StopIteration
        self._take(self.queue.get())
        return self

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        if self._done:
            raise StopAsyncIteration
        await self._atake()
        return self

    async def _atake(self) -> None:
        assert self.aqueue is not None, (
            "The asyncio event loop was not present during initialization, so async operations are not available."
        )
        self._take(await self.aqueue.get())

    def __hash__(self) -> int:
        return hash(self._request_id)

    def _take(self, response: Response) -> None:
        if response.error is not None:
            self._done = True
            raise response.error if isinstance(response.error, BaseException) else RequestError(response.error)
        self._done = response.final
        self.cached_tokens = response.cached_tokens
        self.decoding_iter = response.iteration
        output = self._outputs[response.sequence]
        self._take_tokens(output, response)
        if self._done and response.metrics is not None:
            self._derive(output, response.metrics.timing_metrics)
        if self.sampling_params.detokenize and self._tokenizer is not None:
            self._take_text(output)
        executor = self._executor()
        if executor is not None and executor.background_error is not None:
            raise executor.background_error

    def _take_tokens(self, output: Any, response: Response) -> None:
        sampling = self.sampling_params
        output._last_token_ids_len = len(output.token_ids)
        if sampling.use_beam_search:
            output.token_ids = list(response.token_ids)
        else:
            output.token_ids.extend(response.token_ids)
        if response.logprobs is not None:
            output._last_logprobs_len = len(output.logprobs)
            output.logprobs += response.logprobs
            chosen = [entry[token].logprob for entry, token in zip(output.logprobs, output.token_ids, strict=False)]
            output.cumulative_logprob = sum(chosen)
        output.request_perf_metrics = response.metrics or output.request_perf_metrics
        if response.finish is None:
            return
        output.finish_reason = "stop" if response.finish == "stop_words" else response.finish
        if response.finish == "stop_words":
            reason, words = next(pair for pair in sampling._stops() if output.token_ids[-len(pair[1]) :] == pair[1])
            output.stop_reason = reason
            if not sampling.include_stop_str_in_output:
                output.token_ids = output.token_ids[: -len(words)]

    def _take_text(self, output: Any) -> None:
        output._last_text_len = len(output.text)
        if self._streaming and not self.sampling_params.use_beam_search:
            output._detokenized = [*(output._detokenized or []), *output.token_ids_diff]
            whole = self._decoded(output._detokenized)
            # A character may be spread over several tokens: its first bytes decode to U+FFFD.
            sure = whole if self._done else whole.rstrip("\ufffd")
            output.text += sure[len(output.text) :]
        else:
            output.text = self._decoded(output.token_ids)
        if self._done and output.finish_reason not in ("stop", "length"):
            return
        self._match_stops(output)

    def _match_stops(self, output: Any) -> None:
        for reason, _ in self.sampling_params._stops():
            if isinstance(reason, str) and reason in output.text:
                kept = output.text.find(reason) + (len(reason) if self.sampling_params.include_stop_str_in_output else 0)
                output.text = output.text[:kept]
                output.finish_reason, output.stop_reason = "stop", reason
                if ERA == "pytorch" and not self._done:
                    self.abort()
                self._done = True
                return

    def _decoded(self, token_ids: list[int]) -> str:
        sampling = self.sampling_params
        text: str = self._tokenizer.decode(
            token_ids,
            skip_special_tokens=sampling.skip_special_tokens,
            spaces_between_special_tokens=sampling.spaces_between_special_tokens,
        )
        return text

    def _derive(self, output: Any, timing: Any) -> None:
        def between(first: str, last: str) -> float:
            return float((getattr(timing, last) - getattr(timing, first)).total_seconds())

        made = {
            "finished_reason": output.finish_reason,
            MetricNames.ARRIVAL_TIMESTAMP: self._arrived,
            MetricNames.TTFT: between("arrival_time", "first_token_time"),
            MetricNames.E2E: between("arrival_time", "last_token_time"),
            MetricNames.REQUEST_QUEUE_TIME: between("arrival_time", "first_scheduled_time"),
        }
        if output.length > 1:
            made[MetricNames.TPOT] = between("first_token_time", "last_token_time") / (output.length - 1)
        self.metrics_dict = made


class RequestOutput(GenerationResult):
    """With prompt and text; made by the LLM only."""

    def __init__(self) -> None:
        raise RuntimeError("RequestOutput is made by generate() and generate_async(), not directly.")

    @classmethod
    def _made(cls, request: Request, executor: Executor, tokenizer: Any, prompt: str | None, arrived: float) -> RequestOutput:
        made = cls.__new__(cls)
        GenerationResult.__init__(made, request, executor, tokenizer, arrived)
        made._prompt = prompt  # type: ignore[attr-defined]
        return made

    @property
    def prompt(self) -> str | None:
        return self._prompt  # type: ignore[attr-defined,no-any-return]

    def __repr__(self) -> str:
        names = ("request_id", "prompt", "prompt_token_ids", "outputs", "finished", "mm_embedding_handle")
        return f"RequestOutput({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"
