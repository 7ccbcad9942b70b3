from .._standin.llm import LLM  # noqa: F401
from .._standin.models import export
from .._standin.results import RequestOutput
from ..executor.utils import RequestError  # noqa: F401

export(__name__)
if "TorchLlmArgs" in globals():
    LlmArgs = globals()["TorchLlmArgs"]
RequestOutput.__module__ = __name__
