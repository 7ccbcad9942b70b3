"""A stand-in for tensorrt_llm, for tests: tests/standin/README.md."""

from ._standin.record import VERSION
from ._standin.scenario import at_import as _at_import

_at_import()

from . import llmapi  # noqa: E402, F401 - it comes with the package, as in the real one
from ._standin import classes as _classes  # noqa: E402, F401
from ._standin.llm import LLM  # noqa: E402
from ._standin.models import export as _export  # noqa: E402
from .llmapi import utils as _utils  # noqa: E402, F401

_export(__name__)
LLM.__module__ = __name__
__version__ = VERSION
