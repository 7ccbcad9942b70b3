from .._standin.errors import RequestError  # noqa: F401
