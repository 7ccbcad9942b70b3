"""Forms over the tasks: plain ipywidgets, so they are the same in JupyterLab, the classic Notebook and VS Code."""

from .form import Form

__all__ = ["Form"]
