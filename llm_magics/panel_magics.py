"""``%llm_panel``: the panel of the engine, one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import magic_arguments

from . import display
from .arguments import parse
from .current import Current

if TYPE_CHECKING:
    from .panel import Panel
    from .status import StatusBoard


@magics_class
class PanelMagics(Magics):
    """The panel, and what a front end's status bar is told. Mutable: it holds the panel that is open."""

    def __init__(self, shell: InteractiveShell, current: Current) -> None:
        super().__init__(shell)
        self._current = current
        self.panel: Panel | None = None
        self.board: StatusBoard | None = None
        kernel = getattr(shell, "kernel", None)
        if hasattr(kernel, "comm_manager"):
            from .status import StatusBoard

            self.board = StatusBoard(kernel, current)

    @no_var_expand
    @line_magic
    @magic_arguments()
    def llm_panel(self, line: str) -> None:
        """Show the engine: model, memory, queue, the speed of the last runs; load, cancel, unload, and the engine store.

        A load from here goes on beside the cells: a task that is started meanwhile runs on the model that is loaded, or waits for the
        new one where there is none. A panel that was open before is closed.
        """
        parse(self.llm_panel, line)
        if not self._current.notebook:
            from . import facts
            from .engines.gpu import gpus

            display.Stages(notebook=False).say(facts.as_text(facts.read(self._current, gpus())))
            return
        from .panel import Panel  # late: ipywidgets

        self._close_panel()
        self.panel = Panel(self._current)
        self.panel.show()

    def _close_panel(self) -> None:
        if self.panel is not None:
            self.panel.close()
            self.panel = None

    def close(self) -> None:
        """Close the panel and the status comm: the extension is being unloaded."""
        self._close_panel()
        if self.board is not None:
            self.board.close()
