from .._standin.queues import AsyncQueue  # noqa: F401
