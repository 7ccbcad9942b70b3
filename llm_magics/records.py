"""What passes between the parts. All of it is frozen; nothing here computes text for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, Literal

from . import report, results

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length", "interrupted"]


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen. ``temperature`` 0 is greedy; ``top_k`` 0 and ``top_p`` 1 switch those off.

    ``seed`` None draws a fresh one, which the Generation records.
    """

    max_new_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Guide:
    """What the decoder must keep to: a JSON Schema, or one of a few literal choices.

    ``copy_from`` beside a JSON Schema: a string value of it (without an enum, a pattern or a format) must be a piece of that text.
    """

    json_schema: Mapping[str, Any] | None = None
    choices: tuple[str, ...] = ()
    copy_from: str = ""


@dataclass(frozen=True)
class Request:
    """One call of one task, before any prompt is rendered.

    ``fields`` holds what the task's template takes beside ``text`` (``to``, ``labels``, ``entities``);
    None in the other options means: the task's default.
    """

    task: str
    text: str
    lang: str = "en"
    fields: Mapping[str, Any] = field(default_factory=dict)
    system: str | None = None
    format: str | None = None
    answer_start: str | None = None
    history: tuple[Message, ...] = ()
    sampling: Sampling = Sampling()
    max_input_len: int | None = None


@dataclass(frozen=True)
class Prompt:
    """What an engine is asked: the exact text, how to choose tokens, what to keep to.

    ``logprobs`` asks for each token's log-probability, with that many of the likeliest tokens beside it; 0 asks for none,
    and costs nothing. An engine that has none answers as if it had not been asked.
    """

    text: str
    sampling: Sampling = Sampling()
    guide: Guide | None = None
    logprobs: int = 0


@dataclass(frozen=True)
class TokenLogprob:
    """How likely the model held one token of its reply: natural logarithms, before temperature, top-k, top-p and the guide.

    ``text`` is what the token added to the reply, empty where it ends inside a character: the texts of all tokens, one after
    the other, begin with the reply. ``top`` holds the likeliest tokens in its place as ``(text, logprob)``, likeliest
    first, with itself or without; an engine that knows what its guide allows leaves out what could not be chosen.
    ``guided`` is the logarithm among the tokens that the guide allowed, where the engine knows it.
    """

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()
    guided: float | None = None


@dataclass(frozen=True)
class Measured:
    """What a runtime's own clock says of a request, in seconds from its arrival there: queued, to the first token, to the last."""

    queue_s: float
    first_token_s: float
    last_token_s: float


@dataclass(frozen=True)
class Chunk:
    """A step of a stream. An engine may send chunks with no text: a point at which to cancel it.

    ``tokens`` counts the output tokens of this step; ``input_tokens``, ``cached_tokens`` and ``finish_reason``
    are set once, when they are known. ``logprobs`` has an entry for each of the step's tokens where the Prompt asked for
    them, the end-of-text token included (with an empty text). ``grammar`` comes once, alone and first, when the guide is
    ready: compiled for this request, or found in the engine's cache. ``measured`` comes with the last one, from a runtime that
    has a clock.
    """

    text: str = ""
    tokens: int = 0
    input_tokens: int | None = None
    cached_tokens: int | None = None
    finish_reason: FinishReason | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    grammar: Literal["compiled", "cached"] | None = None
    measured: Measured | None = None


@dataclass(frozen=True)
class Timing:
    """Durations in seconds, on the wall clock of the kernel; counts in tokens.

    ``queue_s`` is the wait for the engine, ``first_token_s`` from then to the first token, ``total_s`` the whole.
    ``grammar_s`` is what the guide took to be ready, a part of ``first_token_s``; ``grammar_cached`` whether it had been compiled
    before. ``asks`` is how often the model was asked: 2 where it was asked to correct its reply, and then tokens and durations
    are those of both replies together, but for ``first_token_s``. ``measured`` is the runtime's own clock beside it, of the
    first reply, where there is one.
    """

    queue_s: float
    first_token_s: float | None
    total_s: float
    input_tokens: int
    cached_tokens: int | None
    output_tokens: int
    grammar_s: float | None = None
    grammar_cached: bool = False
    asks: int = 1
    measured: Measured | None = None

    @property
    def tokens_per_s(self) -> float | None:
        """Output tokens per second of the whole call without the queue; None when nothing came."""
        elapsed = self.total_s - self.queue_s
        return self.output_tokens / elapsed if self.output_tokens and elapsed > 0 else None

    @property
    def decode_tokens_per_s(self) -> float | None:
        """Output tokens per second after the first one; None with fewer than two."""
        if self.first_token_s is None or self.output_tokens < 2:
            return None
        elapsed = self.total_s - self.queue_s - self.first_token_s
        return (self.output_tokens - 1) / elapsed if elapsed > 0 else None


@dataclass(frozen=True)
class Span:
    """Where a value stands in the source: ``text[start:end]``, in characters; ``field`` is the value's path.

    ``status`` is exact, normalised (other case, accents, spaces, figures, a date in words), fuzzy (a few characters differ) or absent,
    which has the empty span (0, 0). ``score`` is how alike the two are, 1 but for fuzzy and absent. ``others`` are further places that
    match as well, where the value stands more than once.
    """

    field: str
    start: int
    end: int
    status: str
    score: float = 1.0
    others: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Confidence:
    """How sure the model was of one value: the probability that it gave to exactly this text.

    ``calibrated`` says that ``probability`` was mapped to how often such values are right; ``raw`` is the model's own. ``runner_up``
    is the likeliest other value where the field is a choice or a boolean, or None (the text does not say) where it is not,
    and ``runner_up_probability`` the model's own for it; that is None where no other value was among the likeliest.
    """

    probability: float
    raw: float
    calibrated: bool = False
    runner_up: Any = None
    runner_up_probability: float | None = None


@dataclass(frozen=True)
class Conflict:
    """A value that another part of a long text gives for ``field``, and that was not taken: its places, and how sure the model was."""

    field: str
    value: Any
    spans: tuple[Span, ...] = ()
    confidence: Confidence | None = None


@dataclass(frozen=True)
class EngineInfo:
    """What wrote an answer: backend, its version, the model, and how it was prepared."""

    backend: str
    backend_version: str
    model: str
    quantization: str
    device: str
    max_seq_len: int
    max_input_len: int | None = None


@dataclass(frozen=True)
class Generation:
    """The result of one call. Its repr is the report that the cell shows.

    ``text`` is the answer (with the answer start that the caller gave, without a task's own lead-in), ``data`` the
    typed values of extract or the label of classify, ``prompt`` the exact string sent, ``notes`` what the reader should
    know of how it was made.

    By the path of a value (``name``, ``maker.city``, ``lines[0].qty``; ``[2].name`` in a list of records): ``spans`` where it stands in
    the text, ``confidence`` how sure the model was (without an entry where the engine cannot tell), ``dropped`` what the model gave
    and ``data`` has not, since it was ungrounded or not as the schema asks. ``conflicts`` are what other parts of a long text say;
    ``schema`` is what was asked for.
    """

    text: str
    prompt: str
    messages: tuple[Message, ...]
    timing: Timing
    finish_reason: FinishReason
    engine: EngineInfo
    request: Request
    sampling: Sampling
    run_id: str
    answer_start: str = ""
    data: Any = None
    spans: tuple[Span, ...] = ()
    notes: tuple[str, ...] = ()
    schema: Any = None
    confidence: Mapping[str, Confidence] = field(default_factory=dict)
    dropped: Mapping[str, Any] = field(default_factory=dict)
    conflicts: tuple[Conflict, ...] = ()

    @property
    def input_tokens(self) -> int:
        """Tokens of the prompt."""
        return self.timing.input_tokens

    @property
    def output_tokens(self) -> int:
        """Tokens generated."""
        return self.timing.output_tokens

    def to_object(self) -> Any:
        """``data`` as an instance of the dataclass or pydantic model that was given as the schema (a list of them for many records)."""
        return self.data if self.schema is None else self.schema.build(self.data)

    def to_dict(self) -> dict[str, Any]:
        """All of the result as plain JSON values: the data, and for each value its type, confidence, status and place."""
        return results.as_dict(self)

    def to_frame(self, by: results.Rows = "record") -> Any:
        """A pandas DataFrame: a row for each record, or (``by="field"``) for each value with its confidence and place."""
        return results.frame(self, by)

    def to_jsonl(self, path: str | PathLike[str]) -> None:
        """Append ``to_dict()`` to a file, as one line."""
        results.append_line(self, path)

    def to_html(self, path: str | PathLike[str]) -> None:
        """Write the report as a page of its own, to be opened without a kernel."""
        results.write_page(self, path)

    def __repr__(self) -> str:
        return report.plain(self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple[dict[str, str], dict[str, Any]]:
        return report.bundle(self)
