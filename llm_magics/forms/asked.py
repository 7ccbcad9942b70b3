"""What a form asks for: all of its inputs, as one frozen value. The rest of the forms makes it, runs it or writes it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import prompts
from ..errors import OptionError, SchemaError
from ..records import Request, Sampling
from ..session import CallOptions, check_labels, extract_fields, request
from ..tasks import find


@dataclass(frozen=True)
class Defaults:
    """What a magic takes where its line says nothing: the task's own, or what ``%config LLMMagics`` sets."""

    lang: str = "en"
    max_new_tokens: int = 0
    temperature: float = 0.0

    def sampling(self, task: str) -> Sampling:
        """The sampling of a call of ``task`` without options."""
        own = find(task).sampling
        return Sampling(self.max_new_tokens or own.max_new_tokens, self.temperature or own.temperature, own.top_p, own.top_k, own.seed)


@dataclass(frozen=True)
class Asked:
    """The inputs of a form. None in ``system``, ``format``, ``answer_start`` and ``max_input_len``: the task's default.

    ``entities`` are (name, hint) pairs, types marked in the hint. ``source`` names the variable that the text came from, if one did.
    """

    task: str
    text: str
    lang: str = "en"
    to: str = ""
    labels: tuple[str, ...] = ()
    entities: tuple[tuple[str, str], ...] = ()
    many: bool = False
    copy: bool = False
    grounded: bool = False
    system: str | None = None
    format: str | None = None
    answer_start: str | None = None
    sampling: Sampling = field(default_factory=Sampling)
    max_input_len: int | None = None
    out: str = ""
    source: str = ""

    def fields(self) -> dict[str, Any]:
        """The task's own values, as ``Session.stream`` takes them; InputError for what cannot be used."""
        values: dict[str, Any] = {}
        own = find(self.task).fields
        if "to" in own:
            values["to"] = self.to
        if "labels" in own:
            values["labels"] = check_labels(self.labels)
        if "entities" in own:
            values.update(extract_fields(self._named(), None, many=self.many, copy=self.copy, grounded=self.grounded))
        return values

    def _named(self) -> dict[str, str]:
        names = [name for name, _ in self.entities]
        if not names:
            raise OptionError("There is nothing to find yet.", "Give a row a name, such as 'price'.")
        for name in names:
            if names.count(name) > 1:
                raise SchemaError(f"The name {name!r} is there twice.", "Give each row a name of its own.")
        return dict(self.entities)

    def options(self) -> CallOptions:
        """The call options, as ``Session.stream`` takes them."""
        if self.out and not self.out.isidentifier():
            raise OptionError(f"{self.out!r} is not a name that a variable can have.", "Use letters, digits and _, such as result.")
        return {
            "lang": self.lang,
            "system": self.system,
            "format": self.format,
            "answer_start": self.answer_start,
            "max_new_tokens": self.sampling.max_new_tokens,
            "max_input_len": self.max_input_len,
            "temperature": self.sampling.temperature,
            "top_p": self.sampling.top_p,
            "top_k": self.sampling.top_k,
            "seed": self.sampling.seed,
            "stop": self.sampling.stop,
        }

    def shown_request(self, template: str | None) -> Request:
        """The Request as a template sees it, with ``template`` in place of ``format``."""
        values = self.fields()
        seen: Mapping[str, Any] = values
        if "entities" in values:
            seen = {**values, "entities": values["entities"].hints, "many": values["entities"].many}
        return request(self.task, self.text, seen, {**self.options(), "format": template})

    def user_text(self, template: str | None) -> str:
        """What the user turn says with ``template`` in place of ``format``."""
        return prompts.user_text(self.shown_request(template))
