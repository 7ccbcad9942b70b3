"""A loaded model and the tasks as methods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypedDict

from typing_extensions import Self, Unpack

from . import engines, prompts
from . import schema as schemas
from .documents import Advance, LongStream
from .engines.base import Engine, Options, Progress
from .errors import OptionError, unknown
from .examples import checked
from .monitor import Monitor
from .records import Generation, Message, Request, Sampling
from .runner import Stream, prepare
from .schema import notation
from .tasks import find


class CallOptions(TypedDict, total=False):
    """What every task takes beside its text. What is left out keeps the task's default.

    ``lang`` is the language of the prompt; ``format`` a jinja2 template in place of the task's, with ``{{ text }}``;
    ``chat`` names a conversation that goes on from call to call; ``messages`` are earlier turns.
    """

    lang: str
    system: str | None
    format: str | None
    answer_start: str | None
    max_new_tokens: int
    max_input_len: int | None
    temperature: float
    top_p: float
    top_k: int
    seed: int | None
    stop: Sequence[str]
    chat: str | None
    messages: Sequence[Message | Mapping[str, str]]


def request(task: str, text: str, fields: Mapping[str, Any], options: CallOptions, history: tuple[Message, ...] = ()) -> Request:
    """The Request of one call; OptionError for a value that cannot be."""
    for name in options:
        if name not in CallOptions.__annotations__:
            raise unknown("option", name, CallOptions.__annotations__)
    lang = options.get("lang", "en")
    prompts.check_lang(lang)
    default = find(task).sampling
    sampling = Sampling(
        max_new_tokens=options.get("max_new_tokens", default.max_new_tokens),
        temperature=options.get("temperature", default.temperature),
        top_p=options.get("top_p", default.top_p),
        top_k=options.get("top_k", default.top_k),
        seed=options.get("seed", default.seed),
        stop=tuple(options.get("stop", default.stop)),
    )
    _check_sampling(sampling.max_new_tokens >= 1, "max_new_tokens", sampling.max_new_tokens, "1 or more")
    _check_sampling(sampling.temperature >= 0, "temperature", sampling.temperature, "0 (greedy) or more")
    _check_sampling(0 < sampling.top_p <= 1, "top_p", sampling.top_p, "over 0, at most 1")
    _check_sampling(sampling.top_k >= 0, "top_k", sampling.top_k, "0 (off) or more")
    max_input_len = options.get("max_input_len")
    _check_sampling(max_input_len is None or max_input_len >= 1, "max_input_len", max_input_len, "1 or more")
    return Request(
        task=task,
        text=text,
        lang=lang,
        fields=fields,
        system=options.get("system"),
        format=options.get("format"),
        answer_start=options.get("answer_start"),
        history=history,
        sampling=sampling,
        max_input_len=max_input_len,
    )


def _check_sampling(fine: bool, name: str, value: Any, expected: str) -> None:
    if not fine:
        raise OptionError(f"{name} is {value!r}.", f"Expected {expected}.")


def as_messages(turns: Iterable[Message | Mapping[str, str]]) -> tuple[Message, ...]:
    """Earlier turns, given as Message objects or as ``{'role': ..., 'content': ...}``."""
    messages = []
    for turn in turns:
        if isinstance(turn, Message):
            messages.append(turn)
            continue
        role, content = (turn.get("role"), turn.get("content")) if isinstance(turn, Mapping) else (None, None)
        if role not in ("user", "assistant") or not isinstance(content, str):
            raise OptionError(f"Not a turn of a conversation: {turn!r}.", "Write {'role': 'user' or 'assistant', 'content': text}.")
        messages.append(Message(role, content))  # type: ignore[arg-type]
    return tuple(messages)


class Session:
    """A loaded model. Mutable: it remembers the conversations that were named by ``chat``.

    One request runs at a time; others wait, and their Timing says how long. ``monitor`` tells who runs, who waits, and the last runs.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.chats: dict[str, tuple[Message, ...]] = {}
        self.monitor = Monitor()

    def __repr__(self) -> str:
        info = self.engine.info
        kind = "" if info.quantization in ("none", "as found") else f", {info.quantization}"
        return f"<Session {info.model} [{info.backend} {info.backend_version}{kind}, {info.device}], {info.max_seq_len:,} tokens>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the model's memory back; what runs in other threads is cancelled first. May be called twice."""
        self.monitor.drain()
        self.engine.close()

    def answer(self, text: str, **options: Unpack[CallOptions]) -> Generation:
        """The answer to a question or a request."""
        return self.run("answer", text, {}, options)

    def translate(self, text: str, to: str, **options: Unpack[CallOptions]) -> Generation:
        """The translation; ``to`` is a language code (``'fr'``) or name (``'French'``)."""
        return self.run("translate", text, {"to": to}, options)

    def reformulate(self, text: str, **options: Unpack[CallOptions]) -> Generation:
        """The text again, in better style and grammar."""
        return self.run("reformulate", text, {}, options)

    def summarize(self, text: str, **options: Unpack[CallOptions]) -> Generation:
        """A short summary that keeps what matters."""
        return self.run("summarize", text, {}, options)

    def describe(self, text: str, **options: Unpack[CallOptions]) -> Generation:
        """A sentence or two on what the text is and what it is about."""
        return self.run("describe", text, {}, options)

    def classify(self, text: str, labels: Sequence[str], **options: Unpack[CallOptions]) -> Generation:
        """One of ``labels``, in ``.data`` and ``.text``; the decoder can write nothing else."""
        return self.run("classify", text, {"labels": check_labels(labels)}, options)

    def extract(
        self,
        text: str,
        entities: Mapping[str, Any] | None = None,
        *,
        schema: Any = None,
        many: bool = False,
        copy: bool = False,
        grounded: bool = False,
        examples: Iterable[Any] = (),
        long: bool = False,
        overlap: int | None = None,
        passes: int = 1,
        progress: Advance | None = None,
        **options: Unpack[CallOptions],
    ) -> Generation:
        """Typed values in ``.data``; what the text does not say is None.

        What to find is said by ``entities`` (``{key: hint}``, types marked as ``llm_magics.schema`` says) or by ``schema``: a line such as
        ``'name, price float'`` (its grammar is in ``llm_magics.schema.shorthand``), a JSON Schema, a dataclass, a TypedDict or a
        pydantic model.
        ``many`` finds any number of such records, as a list. ``copy`` holds free texts to pieces of ``text``; ``grounded`` drops
        values that are nowhere in it. ``examples`` are ``(text, data)`` pairs that show the model what is wanted.

        ``long`` reads a text of any length in pieces that fit, and merges what they say: see ``documents.LongStream`` for ``overlap`` and
        ``passes``; ``progress`` is called after each piece.
        """
        fields = extract_fields(entities, schema, many=many, copy=copy, grounded=grounded, examples=examples)
        if long:
            return self.long_stream(text, fields, options, overlap=overlap, passes=passes).run(progress)
        if overlap is not None or passes != 1:
            raise OptionError("overlap and passes are for a text that is read in pieces.", "Add long=True; --long in a magic.")
        return self.run("extract", text, fields, options)

    def run(self, task: str, text: str, fields: Mapping[str, Any], options: CallOptions) -> Generation:
        """Run any task to its end."""
        stream = self.stream(task, text, fields, options)
        return self.finished(stream.run(), options.get("chat"))

    def stream(self, task: str, text: str, fields: Mapping[str, Any], options: CallOptions) -> Stream:
        """The run of any task, prepared and not yet started. Pass its Generation to ``finished``."""
        chat = options.get("chat")
        history = self.chats.get(chat, ()) if chat else ()
        history += as_messages(options.get("messages", ()))
        return Stream(self.engine, prepare(self.engine, request(task, text, fields, options, history)), self.monitor)

    def long_stream(
        self, text: str, fields: Mapping[str, Any], options: CallOptions, *, overlap: int | None = None, passes: int = 1
    ) -> LongStream:
        """The extraction of a text of any length, cut into pieces and not yet started."""
        if options.get("chat"):
            raise OptionError("A text that is read in pieces is no turn of a conversation.", "Leave chat out.")
        made = request("extract", text, fields, options, as_messages(options.get("messages", ())))
        return LongStream(self.engine, made, self.monitor, overlap=overlap, passes=passes)

    def finished(self, generation: Generation, chat: str | None) -> Generation:
        """Remember a turn of the conversation ``chat``; an interrupted reply is no turn."""
        if chat and generation.finish_reason != "interrupted":
            turns = tuple(message for message in generation.messages if message.role != "system")
            self.chats[chat] = (*turns, Message("assistant", generation.text))
        return generation


def check_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Labels without blanks and repeats; OptionError when fewer than two are left."""
    kept = tuple(dict.fromkeys(label.strip() for label in labels if label.strip()))
    if isinstance(labels, str) or len(kept) < 2:
        raise OptionError(f"classify needs two labels or more, got {labels!r}.", "Pass --labels a,b; or labels=['a', 'b'] in Python.")
    return kept


def extraction(entities: Mapping[str, Any] | None, schema: Any, *, many: bool = False) -> schemas.Schema:
    """The Schema of an extract call, from exactly one of the two ways to give it."""
    if (entities is None) == (schema is None):
        raise OptionError("extract needs entities or a schema, and not both.", "Pass -e 'name: hint', --entities VAR or --schema VAR.")
    made = notation.schema_of(schema) if schema is not None else schemas.from_entities(entities or {})
    return schemas.records(made) if many else made


def extract_fields(
    entities: Mapping[str, Any] | None,
    schema: Any,
    *,
    many: bool = False,
    copy: bool = False,
    grounded: bool = False,
    examples: Iterable[Any] = (),
) -> dict[str, Any]:
    """The fields of an extract Request, from what ``Session.extract`` takes; InputError for what cannot be used."""
    made = extraction(entities, schema, many=many)
    return {"entities": made, "copy": copy, "grounded": grounded, "examples": checked(examples, made) if examples else ()}


def _silent(stage: str) -> None:
    pass


class LoadOptions(TypedDict, total=False):
    """How a model is built and loaded; what is left out is the engine's choice. As ``Options`` says; lengths are in tokens."""

    quantization: str | None
    dtype: str | None
    max_input_len: int | None
    max_seq_len: int | None
    max_batch_size: int | None
    max_beam_width: int | None
    tokens_per_block: int | None
    gemm_plugin: str | None
    kv_cache_mb: int | None
    tensor_parallel: int | None
    logprobs: bool | None
    guided: bool | None
    revision: str | None
    trust_remote_code: bool


def load(model: str = engines.DEMO, *, engine: str = "auto", progress: Progress = _silent, **options: Unpack[LoadOptions]) -> Session:
    """Load a model, building its engine first when the store has none.

    ``model`` is ``'demo'`` (bundled), a local folder, or an id on the hub. ``progress`` is called with the name of each stage; an
    ``engines.Cancellable`` can be cancelled from another thread.
    """
    return Session(engines.load(engines.build(model, engine, _load_options(options), progress), progress))


def plan(model: str = engines.DEMO, *, engine: str = "auto", progress: Progress = _silent, **options: Unpack[LoadOptions]) -> engines.Plan:
    """What ``load`` with the same words would do: engine, place, key, memory, and the commands that do it by hand."""
    return engines.plan(model, engine, _load_options(options), progress)


def _load_options(options: LoadOptions) -> Options:
    for name in options:
        if name not in LoadOptions.__annotations__:
            raise unknown("option", name, LoadOptions.__annotations__)
    return Options(**options)
