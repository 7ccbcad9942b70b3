"""``%llm_form``: a form over a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from .arguments import parse
from .current import Current
from .errors import InputError, OptionError

if TYPE_CHECKING:
    from .forms import Form
    from .status import StatusBoard


@magics_class
class FormMagics(Magics):
    """The forms, and the cell that each one is in. ``tasks`` holds the defaults that ``%config LLMMagics`` sets. Mutable."""

    shell: InteractiveShell

    def __init__(self, shell: InteractiveShell, tasks: Any, current: Current, board: StatusBoard | None = None) -> None:
        super().__init__(shell)
        self._tasks = tasks
        self._current = current
        self._board = board
        self._forms: list[tuple[str, Form]] = []

    @no_var_expand
    @line_magic
    @magic_arguments()
    @argument("task", nargs="?", default="answer", help="answer, translate, reformulate, summarize, describe, classify or extract.")
    @argument("text", nargs="?", help="A variable to take the text from.")
    def llm_form(self, line: str) -> Form:
        """Open a form over a task: text, prompt with its tokens, sampling, Run and Stop, and the same as a cell.

        ::

            %llm_form
            form = %llm_form translate notice
        """
        args = parse(self.llm_form, line)
        try:
            form = self._opened(args.task, args.text)
        except InputError as error:
            raise UsageError(str(error)) from None
        form.show()
        return form

    def _opened(self, task: str, text: str | None) -> Form:
        if not self._current.notebook:
            raise OptionError("A form needs a notebook.", f"In a terminal use %llm_{task} VARIABLE.")
        from .forms import Form  # late: ipywidgets
        from .forms.asked import Defaults

        usual = Defaults(self._tasks.lang, self._tasks.max_new_tokens, self._tasks.temperature)
        model = (self._tasks.model, self._tasks.engine)
        form = Form(self.shell, self._current, task, usual=usual, model=model, insert=self._board.insert if self._board else None)
        try:
            if text:
                form.source.choose(text)
        except InputError:
            form.close()
            raise
        self._replace(form)
        return form

    def _replace(self, form: Form) -> None:
        """The form that this very cell had before has gone from the page: it ends."""
        cell = self._cell_id()
        for other_cell, other in self._forms:
            if cell and other_cell == cell:
                other.close()
        self._forms = [(where, each) for where, each in self._forms if not each.is_closed] + [(cell, form)]

    def _cell_id(self) -> str:
        """What the front end calls the cell that runs; empty where it does not say."""
        parent: dict[str, Any] = getattr(self.shell, "get_parent", dict)()
        return str(parent.get("metadata", {}).get("cellId") or "")

    def close(self) -> None:
        """Close all forms: the extension is being unloaded."""
        for _, form in self._forms:
            form.close()
        self._forms = []
