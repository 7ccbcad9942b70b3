"""llm_magics: cell magics that answer, translate, rewrite, summarize and extract with a model in the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from .records import Generation, Message
    from .session import Session, load, plan

__version__ = "0.1.0"
__all__ = ["Generation", "Message", "Session", "__version__", "load", "plan"]

_HOMES = {"Generation": "records", "Message": "records", "Session": "session", "load": "session", "plan": "session"}


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used: ``%load_ext llm_magics`` needs none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """``%load_ext llm_magics``."""
    from .magics import register

    register(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """``%unload_ext llm_magics``: the magics go, and the model's memory comes back."""
    from .magics import unregister

    unregister(shell)
