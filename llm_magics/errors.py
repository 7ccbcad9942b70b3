"""Every error of the package, each with a hint that says what to do next.

LLMMagicsError
├── InputError            the request is not right; nothing was run
│   ├── OptionError       an option, a name or a language that does not exist
│   ├── TemplateError     a prompt template that cannot be filled
│   ├── SchemaError       entities or a JSON Schema that cannot be used
│   └── TooLongError      the prompt does not fit the engine
├── ModelError            no engine can be had from this model
│   ├── ModelNotFoundError   a wrong id, or a folder that is not a model
│   ├── AccessError          gated or private, token missing
│   ├── OfflineError         the model hub cannot be reached
│   ├── BuildError           fetching, converting or quantizing failed
│   ├── MemoryNeededError    it would not fit in memory
│   └── CancelledError       the load was given up, as asked
├── DependencyError       an optional package is missing
└── EngineError           the engine failed, or was closed
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from types import TracebackType


class LLMMagicsError(Exception):
    """Base of all. ``str(error)`` is the message, a line feed, and the hint."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def _render_traceback_(
        self,
        etype: type[BaseException] | None = None,
        value: BaseException | None = None,
        tb: TracebackType | None = None,
        tb_offset: int | None = None,
    ) -> list[str]:
        """What IPython shows in place of a traceback; the cell still fails."""
        return [f"{type(self).__name__}: {self.message}", *([self.hint] if self.hint else [])]


class InputError(LLMMagicsError):
    """The request is not right; nothing was run."""


class OptionError(InputError):
    """An option, a name or a language that does not exist."""


class TemplateError(InputError):
    """A prompt template that cannot be filled."""


class SchemaError(InputError):
    """Entities or a JSON Schema that cannot be used."""


class TooLongError(InputError):
    """The prompt does not fit the engine; nothing was cut."""


class ModelError(LLMMagicsError):
    """No engine can be had from this model."""


class ModelNotFoundError(ModelError):
    """A wrong id, or a folder that is not a model."""


class AccessError(ModelError):
    """The model is gated or private and the token is missing or not enough."""


class OfflineError(ModelError):
    """The model hub cannot be reached."""


class BuildError(ModelError):
    """Fetching, converting or quantizing failed."""


class MemoryNeededError(ModelError):
    """It would not fit in memory."""


class CancelledError(ModelError):
    """The load was given up, as asked. Nothing is left half-built."""


class DependencyError(LLMMagicsError):
    """An optional package is missing."""


class EngineError(LLMMagicsError):
    """The engine failed, or was closed."""


def nearest(word: str, known: Iterable[str]) -> str:
    """``"Did you mean 'x'?"`` when one of ``known`` is close to ``word``, else ``""``."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"Did you mean {close[0]!r}?" if close else ""


def unknown(kind: str, word: str, known: Iterable[str], *, cls: type[LLMMagicsError] = OptionError) -> LLMMagicsError:
    """The error for a ``word`` that is none of the ``known`` ones: the list, and the nearest."""
    choices = sorted(known)
    return cls(f"Unknown {kind} {word!r}.", f"{nearest(word, choices)} Known: {', '.join(choices)}.".strip())


def missing(package: str, purpose: str, extra: str) -> DependencyError:
    """The error for an optional ``package`` that ``purpose`` needs and ``extra`` installs."""
    return DependencyError(f"{purpose} needs {package}, which is not installed.", f"Install it: pip install 'llm_magics[{extra}]'")
