"""The form of a task: inputs, Run and Stop, the answer as it comes, and what is left of it in a saved notebook."""

from __future__ import annotations

import dataclasses
import html
import threading
import time
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display

from .. import prompts
from ..current import Current
from ..errors import EngineError
from ..records import Generation
from ..report import duration
from ..subshells import heard_at_once
from ..tasks import TASKS, find
from ..twin import Twin
from . import cell, snapshot
from .asked import Asked, Defaults
from .controls import PromptControls, SamplingControls, Source
from .preview import Preview
from .rows import Entities, Labels, button, close_all, text
from .run import AnswerView, Run, shown

_LABELS = {"description_width": "9em"}
_TICK_S = 0.1


class Form:
    """One form. Mutable: the user works on it. It goes on until ``close``, which stops its run.

    ``result`` is the Generation of the last run. ``usual`` gives what the magics take where nothing is said, ``model`` the name and
    engine of the model that the first run loads where none is loaded. ``insert`` (``StatusBoard.insert``) has a front end put a cell in.
    """

    def __init__(
        self,
        shell: InteractiveShell,
        current: Current,
        task: str = "answer",
        *,
        usual: Defaults | None = None,
        model: tuple[str, str] = ("demo", "auto"),
        insert: Callable[[str, str], bool] | None = None,
    ) -> None:
        find(task)
        self._shell, self._current, self._model, self._insert = shell, current, model, insert
        self.usual = usual or Defaults()
        self.result: Generation | None = None
        self._run: Run | None = None
        self._last: Asked | None = None
        self._problem = ""
        self._closed = False
        self._shown_at: int | None = None
        self._session: Any = None
        self._counted: Any = None
        self._place: Any = None
        self.preview = Preview(lambda: self._current.session, self.asked)
        self._make_controls(task)
        self._make_buttons()
        self.twin = Twin("form")
        self.view = self._laid_out()
        self._turn_to(task)
        self.task.observe(lambda change: self._turn_to(change["new"]), "value")
        self.lang.observe(lambda change: self._turn_to(self.task.value), "value")
        self.view.observe(self._gone, "comm")
        shell.events.register("post_run_cell", self._cell_ran)
        self._unsubscribe = current.subscribe(self._model_changed)

    def _make_controls(self, task: str) -> None:
        later = self.preview.later
        self.task = widgets.Dropdown(options=[*TASKS], value=task, description="Task", style=_LABELS)
        self.lang = widgets.Dropdown(options=prompts.LANGS, value=self.usual.lang, description="Prompt language", style=_LABELS)
        named = [(f"{names['en']} ({code})", code) for code, names in prompts.languages().items()]
        self.to = widgets.Dropdown(options=named, value="fr", description="Into", style=_LABELS)
        self.source = Source(lambda: self._shell.user_ns, later)
        self.labels = Labels(later)
        self.entities = Entities(later)
        self.many, self.copied, self.grounded = (
            widgets.Checkbox(description=label, indent=False, layout=widgets.Layout(width="auto"))
            for label in ("Any number of such records", "Texts letter by letter as they stand", "Drop what is not in the text")
        )
        for control in (self.to, self.many, self.copied, self.grounded):
            control.observe(lambda _: later(), "value")
        self.prompt = PromptControls(later)
        self.sampling = SamplingControls(later)
        self.out = text("Result in variable", width="20em", placeholder="result")
        self.purpose = widgets.HTML()
        self.answer = AnswerView()
        self.status = widgets.HTML(snapshot.line(""))

    def _make_buttons(self) -> None:
        self.run_button = button("Run", "Ask the model; other cells can run meanwhile", self.run, style="primary")
        self.stop_button = button("Stop", "End this form's run and keep what came", self.stop)
        self.stop_button.disabled = True
        self.cell_button = button("Insert as cell", "Write what this form asks as a cell", self.insert)
        self.close_button = button("Close form", "Stop its run and take the form away", self.close)
        self.source_of_cell = widgets.Textarea(description="The cell", rows=4, style=_LABELS)
        self.source_of_cell.layout = widgets.Layout(width="auto", display="none")

    def _laid_out(self) -> widgets.VBox:
        self._own = {
            "to": [self.to],
            "labels": [self.labels.view],
            "entities": [
                self.entities.view,
                widgets.HBox([self.many, self.copied, self.grounded], layout=widgets.Layout(flex_flow="row wrap")),
            ],
        }
        self.fields = widgets.VBox(layout=widgets.Layout(flex="0 0 auto"))
        self.prompt_fold = Fold("Prompt", [*self.prompt.parts, self.preview.prompt])
        self.sampling_fold = Fold("Sampling", self.sampling.parts)
        buttons = widgets.HBox([self.run_button, self.stop_button, self.cell_button, self.out], layout=widgets.Layout(flex_flow="row wrap"))
        first = widgets.HBox([self.task, self.lang], layout=widgets.Layout(flex_flow="row wrap"))
        last = widgets.HBox([self.close_button], layout=widgets.Layout(justify_content="flex-end"))
        parts = [self.twin.hidden(), first, self.purpose, self.source.view, self.fields, self.prompt_fold.view, self.sampling_fold.view]
        parts += [self.preview.counts, buttons, self.status, self.answer.view, self.source_of_cell, last]
        for part in parts:
            part.layout.flex = "0 0 auto"
        return widgets.VBox(parts, layout=widgets.Layout(overflow="visible", max_width="70em"))

    def _turn_to(self, task: str) -> None:
        """Show the inputs of ``task``."""
        if self.purpose.value != (said := f'<div style="line-height:1.4">{html.escape(find(task).purpose)}</div>'):
            self.purpose.value = said
            self.fields.children = [part for name in find(task).fields for part in self._own[name]]
            self.sampling.begin(self.usual.sampling(task))
        self.prompt.begin(task, self.lang.value)
        self.preview.later()

    # What the inputs say.

    def asked(self) -> Asked:
        """The inputs as they are now; InputError for what cannot be."""
        system, template, start = self.prompt.values
        own = find(self.task.value).fields
        return Asked(
            task=self.task.value,
            text=self.source.text,
            lang=self.lang.value,
            to=self.to.value if "to" in own else "",
            labels=self.labels.labels if "labels" in own else (),
            entities=self.entities.entities if "entities" in own else (),
            many=self.many.value and "entities" in own,
            copy=self.copied.value and "entities" in own,
            grounded=self.grounded.value and "entities" in own,
            system=system,
            format=template,
            answer_start=start,
            sampling=self.sampling.sampling,
            max_input_len=self.sampling.limit,
            out=self.out.value.strip(),
            source=self.source.name,
        )

    def cell(self) -> str:
        """The source of a cell that asks for the same.

        Where the inputs are those of the last run, its seed is in it. InputError for what cannot be asked.
        """
        asked = self.asked()
        if asked == self._last and self.result is not None and asked.sampling.temperature > 0:
            asked = dataclasses.replace(asked, sampling=dataclasses.replace(asked.sampling, seed=self.result.sampling.seed))
        return cell.as_cell(asked, self.usual, self._shell.user_ns, self._shell.transform_cell)

    # What the buttons do.

    def run(self, *, wait: bool = False) -> None:
        """Begin a run, as the button does; ``wait`` until it is over."""
        if self._run is None and not self._closed:
            run = self._run = Run(self._begin, self.answer, self._ended)
            self.run_button.disabled, self.stop_button.disabled = True, False
            heard_at_once(self.stop_button.comm)
            self._say("Starting …")
            run.start()
            if wait:
                run.over.wait()

    def stop(self) -> None:
        """Stop the run; nothing where there is none."""
        run = self._run
        if run is not None:
            self._say("Stopping …")
            run.stop()

    def insert(self) -> None:
        """Put the cell into the notebook, below the form."""
        try:
            source = self.cell()
        except Exception as error:  # noqa: BLE001 - told in the form
            self.status.value = snapshot.lines(snapshot.told(error))
            return
        # On a thread: the front end's reply is a message to the kernel, which hears none while this one is handled.
        threading.Thread(target=self._handed, args=(source,), name="llm_magics insert", daemon=True).start()

    def _handed(self, source: str) -> None:
        """Where no front end puts the cell in at once, it goes with the reply to the next cell that runs; and it is shown to be copied."""
        if self._insert is not None and self._insert(source, self.twin.place):
            self._say("The cell is below this form.")
            return
        self._shell.set_next_input(source, replace=False)
        self.source_of_cell.value = source
        self.source_of_cell.rows = min(source.count("\n") + 2, 12)
        self.source_of_cell.layout.display = ""
        self._say("The cell goes in below the next cell that you run. Or copy it from the box at the end of this form.")

    # The run, on its thread.

    def _begin(self) -> Any:
        asked = self.asked()
        self._last, self._problem, self.result = asked, "", None
        fields, options = asked.fields(), asked.options()
        self._session = self._loaded()
        stream = self._session.stream(asked.task, asked.text, fields, options)
        self._follow(stream)
        return stream

    def _loaded(self) -> Any:
        """The session; the model is loaded first where there is none. Stop gives that up."""
        run = self._run
        session = self._current.session
        if session is not None or run is None:
            return session
        loading = self._current.loading
        ours = loading is None
        loading = loading or self._current.start(*self._model)
        while not loading.ended.wait(_TICK_S):
            self._say(f"Loading {loading.model}: {loading.stage} …")
            if run.is_stopped and ours:
                loading.cancel()
            elif run.is_stopped:
                break
        if self._current.session is None:
            raise EngineError(f"{loading.model} is not loaded.", loading.outcome or "Press Run again when it is.")
        return self._current.session

    def _follow(self, stream: Any) -> None:
        """Say how the run goes, from a thread that ends with it: while nothing comes, nobody else would."""
        run = self._run

        def follow() -> None:
            while run is not None and not run.over.wait(1.0 if run.first_at else _TICK_S) and self._run is run:
                if not run.is_stopped:
                    self._say(_progress(run, stream))

        threading.Thread(target=follow, name="llm_magics form", daemon=True).start()

    def _ended(self, run: Run, generation: Generation | None, problem: BaseException | None) -> None:
        self.result = generation
        self._problem = snapshot.told(problem) if problem is not None else ""
        self._run = None
        if generation is not None and self._last is not None:
            self._session.finished(generation, None)
            if self._last.out:
                self._shell.user_ns[self._last.out] = generation
        if self._closed:
            self._keep()
            return
        self.answer.end(shown(generation) if generation is not None else "")
        self.status.value = snapshot.lines(self._problem) if problem is not None else snapshot.line(_outcome(generation))
        self.run_button.disabled, self.stop_button.disabled = False, True
        self._keep()

    def _say(self, said: str) -> None:
        if not self._closed:
            self.status.value = snapshot.line(said)

    # What happens around it.

    def _cell_ran(self, _: Any) -> None:
        """Variables may be new, or hold other texts."""
        self.source.refresh()

    def _model_changed(self) -> None:
        """Another model counts other tokens; runs that come and go change nothing here."""
        session = self._current.session
        if session is not self._counted:
            self._counted = session
            self.preview.later()

    def _keep(self) -> None:
        """Update what the saved notebook shows."""
        if self._shown_at is not None:
            self.twin.show(*snapshot.taken(self._last, self.usual, self.result, self._problem))

    def show(self) -> None:
        """Put the form into the cell that runs."""
        self._shown_at = self._shell.execution_count
        self._place = display(self.twin.beside(self.view), raw=True, display_id=True)
        self._keep()

    def _ipython_display_(self) -> None:
        if self._closed:
            said, kept = snapshot.taken(self._last, self.usual, self.result, self._problem)
            display({"text/plain": said, "text/html": kept}, raw=True)
        elif self._shown_at is None:
            self.show()
        elif self._shown_at != self._shell.execution_count:
            display(self.view)

    @property
    def is_closed(self) -> bool:
        """Whether it has been closed."""
        return self._closed

    def close(self) -> None:
        """Stop the run, take the form away, and leave its last inputs and result in the notebook. May be called twice."""
        if self._closed:
            return
        self._closed = True
        run = self._run
        if run is not None:
            run.stop()
        self.preview.close()
        self._unsubscribe()
        self._shell.events.unregister("post_run_cell", self._cell_ran)
        if run is None:
            self._keep()
        if self._place is not None:
            self._place.update({"text/plain": "", "text/html": ""}, raw=True)
        close_all(self.view)
        for part in (item for parts in self._own.values() for item in parts):
            close_all(part)

    def _gone(self, change: Any) -> None:
        """The widget was closed from elsewhere: the form goes with it."""
        if change["new"] is None:
            self.close()


class Fold:
    """Inputs behind a button that opens and closes them: unlike an Accordion's title, a button is reached by the keyboard."""

    def __init__(self, title: str, parts: list[Any]) -> None:
        self.title = title
        self.button = button("", f"Show or hide: {title}", self.toggle)
        self.inside = widgets.VBox(parts, layout=widgets.Layout(display="none", padding="0 0 0 1em", flex="0 0 auto"))
        self.view = widgets.VBox([self.button, self.inside])
        self._name()

    @property
    def is_open(self) -> bool:
        """Whether the inputs are seen."""
        return bool(self.inside.layout.display != "none")

    def toggle(self) -> None:
        """Open or close it."""
        self.inside.layout.display = "none" if self.is_open else ""
        self._name()

    def _name(self) -> None:
        self.button.description = f"{'▾' if self.is_open else '▸'} {self.title}"


def _progress(run: Run, stream: Any) -> str:
    spent = duration(time.monotonic() - run.started)
    if run.first_at is not None:
        return f"Running · {spent}"
    return f"Reading the prompt · {spent}" if stream.input_tokens is not None else f"Waiting for the engine · {spent}"


def _outcome(generation: Generation | None) -> str:
    return "Stopped." if generation is None or generation.finish_reason == "interrupted" else "Done."
