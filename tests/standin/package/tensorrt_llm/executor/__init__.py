from .utils import RequestError  # noqa: F401
