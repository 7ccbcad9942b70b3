from .._standin.llm import LLM, BaseLLM  # noqa: F401
from .._standin.record import ERA
from .._standin.results import RequestOutput  # noqa: F401

if ERA == "engine":
    from .._standin.llm import _TrtLLM  # noqa: F401
