class RequestError(RuntimeError):
    """The runtime refused or failed one request."""


RequestError.__module__ = "tensorrt_llm.executor.utils"
