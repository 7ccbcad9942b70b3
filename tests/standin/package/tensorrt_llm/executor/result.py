from .._standin.classes import CompletionOutput  # noqa: F401
from .._standin.device import Logprob  # noqa: F401
from .._standin.results import GenerationResult  # noqa: F401
