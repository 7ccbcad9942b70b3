"""The forms, driven by their widgets: in a real shell, and in a real kernel by the messages of a front end."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from llm_magics.engines.scripted import ScriptedEngine
from llm_magics.errors import InputError
from llm_magics.forms import Form
from llm_magics.forms.asked import Defaults
from llm_magics.session import Session
from llm_magics.tasks import TASKS

from .paced import PacedEngine
from .test_kernel import Kernel


@pytest.fixture
def form(shell: InteractiveShell, scripted: ScriptedEngine) -> Iterator[Form]:
    form = Form(shell, shell.magics_manager.registry["LLMMagics"].current)
    yield form
    form.close()


def fill(form: Form, task: str) -> None:
    """The least that a task needs beside its text."""
    form.task.value = task
    if task == "classify":
        form.labels.labels = ["praise", "blame it"]
    if task == "extract":
        form.entities.rows[0].name.value = "price"


def run(form: Form) -> Any:
    form.run(wait=True)
    return form.result


NASTY = {
    "plain": "The price is 250 euros.",
    "quotes": """it's "quoted" and ''' and \"\"\" and \\ and \\n""",
    "braces": 'f{a} {{ b }} {% raw %} {# c #} {{{ d }}} }} {{ "x" }}',
    "dollar": "$HOME ${x} $(ls) %time !ls ?x x?",
    "blanks around": "   leading\n\ttab\n\ntrailing   ",
    "line feeds around": "\n\n  text\n\n",
    "line feeds and braces": "\n{{ x }}\n{\n",
    "carriage returns": "a\r\nb\rc {\r\n}",
    "prompts": ">>> 1 + 1\n... 2",
    "ipython prompt": "In [1]: x\nOut[1]: 3",
    "magic": "%%timeit\n%matplotlib inline\n!ls",
    "unicode": "naïve 東京 👩‍👩‍👧 \u202e\u00a0\ufeff e\u0301",
    "separators": "a\u2028b\u2029c\x85d\x0ce\x1cf",
    "controls": "nul \x01 bell \x07 esc \x1b",
    "braces before controls": "{\r{{\r{{{\r",
    "only braces": "{{",
    "option": "--raw -o x",
}


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
@pytest.mark.parametrize("task", TASKS)
def test_the_inserted_cell_sends_the_identical_prompt(
    task: str, text: str, form: Form, shell: InteractiveShell, scripted: ScriptedEngine
) -> None:
    fill(form, task)
    form.source.write(text)
    run(form)
    form.cell_button.click()
    inserted = shell.rl_next_input  # what a terminal shell does with it; a kernel makes it a payload
    assert form.source_of_cell.value == inserted
    assert inserted.startswith(f"%%llm_{task}")
    before, after = scripted.prompts[-1], shell.run_cell(inserted)
    assert after.success
    assert scripted.prompts[-1] == before
    assert scripted.prompts[-1] is not before


NASTY_OPTIONS = {
    "line feeds in the system prompt": {"system": "You are\n'terse' and \"calm\"."},
    "quotes": {"system": """it's "so" $HOME {{ x }}""", "answer_start": "'\"'"},
    "a variable's name": {"system": "Hello"},
    "begins as an option": {"system": "--lang fr", "answer_start": "-o"},
    "no system prompt": {"system": ""},
    "a template in lines": {"format": "Say:\n\n{{ text }}\n  {% if lang == 'en' %}\n  now\n  {% endif %}\n{\n}"},
    "a template with raw": {"format": "{% raw %}\n{{ x }}\n{% endraw %}{{ text }}"},
    "a template with a line feed in a string": {"format": "{{ 'a\nb' }}{{ text }}"},
    "a template with trimming": {"format": "a \n {%- if lang -%} \n b \n {%- endif %}\n{{ text }}\r\nc"},
    "a comment": {"format": "{# one\ntwo #}\n{{ text }}{# 'three #}"},
    "stop texts": {"stop": "\\n\\n\nEND 'it'\n\\\\n"},
    "answer start with a line feed": {"answer_start": "Well,\n"},
}


@pytest.mark.parametrize("given", NASTY_OPTIONS.values(), ids=NASTY_OPTIONS)
@pytest.mark.parametrize("task", ["answer", "translate", "extract"])
def test_the_inserted_cell_keeps_the_options(
    task: str, given: dict[str, str], form: Form, shell: InteractiveShell, scripted: ScriptedEngine
) -> None:
    shell.user_ns["Hello"] = "a variable that happens to be there"
    fill(form, task)
    form.source.write("\n{{ some }} text")
    prompt = form.prompt
    for name, control in (("system", prompt.system), ("format", prompt.template), ("answer_start", prompt.answer_start)):
        if name in given:
            control.value = given[name]
    form.sampling.stop.value = given.get("stop", "")
    form.sampling.top_p.value, form.sampling.temperature.value, form.out.value = 0.85, 0.7, "kept"
    run(form)
    assert form.result is not None
    cell = form.cell()
    before = scripted.prompts[-1]
    assert shell.run_cell(cell).success
    assert scripted.prompts[-1] == before  # sampling with its drawn seed, stop texts and all
    assert shell.user_ns["kept"].sampling == form.result.sampling


def test_a_word_that_is_also_a_variable_is_not_taken_for_it(form: Form, shell: InteractiveShell, scripted: ScriptedEngine) -> None:
    shell.user_ns["Hello"] = "elsewhere"
    form.source.write("hi")
    form.prompt.system.value = "Hello"
    cell = form.cell()
    assert "run_cell_magic" in cell
    shell.run_cell(cell)
    assert scripted.prompts[-1].text.startswith("<system>\nHello\n")


@pytest.mark.parametrize("labels", [["a,b", "c"], ["it's", 'say "x"'], ["-x", "--y"]])
def test_labels_come_back(labels: list[str], form: Form, shell: InteractiveShell, scripted: ScriptedEngine) -> None:
    form.task.value = "classify"
    form.source.write("text")
    form.labels.labels = labels
    run(form)
    before = scripted.prompts[-1]
    assert before.guide is not None
    assert before.guide.choices == tuple(labels)
    assert shell.run_cell(form.cell()).success
    assert scripted.prompts[-1] == before


def test_values_are_typed_reordered_and_removed(form: Form, shell: InteractiveShell, scripted: ScriptedEngine) -> None:
    form.task.value = "extract"
    form.source.write("text")
    rows = form.entities
    wanted = [("b:c", "bool"), ("n", "int"), ("f", "float"), ("d", "date"), ("t", "datetime"), ("q", "quantity"), ("w", "text")]
    for name, kind in wanted:
        row = rows.add()
        row.name.value, row.type.value, row.hint.value = name, kind, "the 'thing'"
    choice = rows.add()
    choice.name.value, choice.type.value, choice.choices.value, choice.many.value = "mood", "choice", "good, so so ,bad", True
    rows.rows[0].name.value = "gone"
    rows.remove(rows.rows[0])
    rows.up(choice)
    rows.down(rows.rows[0])
    form.many.value = True
    run(form)
    entities = form.result.schema  # type: ignore[union-attr]
    assert [field.key for field in entities.fields] == ["n", "b:c", "f", "d", "t", "q", "mood", "w"]
    assert [field.type for field in entities.fields] == ["int", "bool", "float", "date", "datetime", "quantity", "choice", "str"]
    assert (entities.fields[6].many, entities.fields[6].choices, entities.many) == (True, ("good", "so so", "bad"), True)
    before = scripted.prompts[-1]
    assert shell.run_cell(form.cell()).success
    assert scripted.prompts[-1] == before
    for line in rows._lines:
        assert [child.description for child in line.children[-3:]] == ["Up", "Down", "Remove"]


def test_what_cannot_be_asked_is_told_in_two_lines(form: Form) -> None:
    form.task.value = "extract"
    form.source.write("text")
    run(form)
    assert form.result is None
    assert "There is nothing to find yet." in form.status.value
    assert "Give a row a name" in form.status.value
    form.entities.rows[0].name.value, form.entities.rows[0].type.value = "x", "choice"
    form.entities.rows[0].choices.value = "a(b),c"
    run(form)
    assert "says another type than its row" in form.status.value
    assert not form.run_button.disabled
    assert form.stop_button.disabled
    form.cell_button.click()
    assert "says another type than its row" in form.status.value
    fill(form, "answer")
    form.prompt.template.value = "{{ txt }} <b>"
    run(form)
    assert "--format has no {{ text }}" in form.status.value


def test_all_that_users_and_models_write_is_escaped(form: Form, scripted: ScriptedEngine) -> None:
    evil = "<img src=x onerror=alert(1)>"
    scripted._replies = [evil]
    form.source.write(evil)
    form.prompt.answer_start.value = evil
    form.prompt.system.value = evil
    run(form)
    form.preview.now()
    from llm_magics.forms import snapshot

    _, kept = snapshot.taken(form._last, form.usual, form.result, "")
    shown = [form.answer.view.children[0].value, form.preview.prompt.value, kept, snapshot.lines(evil), snapshot.line(evil)]
    for each in shown:
        assert "<img" not in each
        assert "&lt;img src=x onerror=alert(1)&gt;" in each


def test_the_text_comes_from_variables_and_columns(form: Form, shell: InteractiveShell, scripted: ScriptedEngine) -> None:
    pandas = pytest.importorskip("pandas")
    form.source.write("typed")
    shell.run_cell("notice = 'from a variable'")
    shell.user_ns["frame"] = pandas.DataFrame({"it's": ["first", "second"], "n": [1, 2]})
    shell.run_cell("1")
    assert set(form.source.choice.options[1:]) >= {"notice", 'frame["it\'s"]'}
    assert not any("'n'" in each for each in form.source.choice.options)
    form.source.choice.value = "notice"
    assert (form.source.area.value, form.source.area.disabled) == ("from a variable", True)
    shell.run_cell("notice = 'another'")
    assert form.source.area.value == "another"
    assert run(form).request.text == "another"
    form.source.choice.value = 'frame["it\'s"]'
    form.source.row.value = 1
    result = run(form)
    assert result, form.status.value
    assert result.request.text == "second"
    assert form.asked().source == 'frame["it\'s"], row 1'
    form.source.choice.value = form.source.choice.options[0]
    assert form.source.area.value == "typed"
    form.source.choice.value = "notice"
    shell.run_cell("del notice")
    assert form.source.area.value == "typed"


def test_the_preview_is_the_prompt_and_its_parts_add_up(form: Form, scripted: ScriptedEngine) -> None:
    form.task.value = "translate"
    form.source.write("two words")
    until(lambda: "Prompt:" in form.preview.counts.value and "text 2" in form.preview.counts.value)
    result = run(form)
    import html

    assert html.escape(result.prompt) in form.preview.prompt.value
    counts = form.preview.counts.value
    total = int(counts.split("Prompt: ")[1].split()[0])
    parts = [int(part.rsplit(" ", 1)[1]) for part in counts.split("(")[1].split(")")[0].split(" · ")]
    assert total == sum(parts) == scripted.count(result.prompt)


def until(true: Any, seconds: float = 10) -> float:
    """Wait until it is; the seconds it took."""
    started = time.monotonic()
    while not true():
        assert time.monotonic() - started < seconds
        time.sleep(0.005)
    return time.monotonic() - started


def test_a_language_brings_its_prompts_unless_they_were_edited(form: Form) -> None:
    form.lang.value = "fr"
    assert form.asked().system is None
    assert form.asked().format is None
    form.prompt.template.value = "Mon texte : {{ text }}"
    form.lang.value = "de"
    assert form.asked().format == "Mon texte : {{ text }}"
    form.prompt.reset.click()
    assert form.asked().format is None


def test_a_template_is_saved_and_found_again(form: Form, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: InteractiveShell) -> None:
    monkeypatch.chdir(tmp_path)
    form.prompt.template.value = "Short:\r\n{{ text }}\n"
    form.prompt.name.value = "no name"
    form.prompt.save.click()
    assert "letters, digits" in form.prompt.said.value
    form.prompt.name.value = "short"
    form.prompt.save.click()
    assert (tmp_path / "llm_templates" / "answer" / "short.j2").read_bytes() == b"Short:\r\n{{ text }}\n"
    form.prompt.template.value = "Other {{ text }}"
    form.prompt.save.click()
    assert "press again to replace" in form.prompt.said.value
    assert b"Short" in (tmp_path / "llm_templates" / "answer" / "short.j2").read_bytes()
    form.prompt.save.click()
    assert b"Other" in (tmp_path / "llm_templates" / "answer" / "short.j2").read_bytes()
    (tmp_path / "llm_templates" / "answer" / "short.j2").write_bytes(b"Short:\r\n{{ text }}\n")
    other = Form(shell, form._current, "answer")
    other.prompt.saved.value = "short"
    assert other.asked().format == "Short:\r\n{{ text }}\n"
    other.task.value = "translate"
    assert other.prompt.saved.options == ("the task's own",)
    assert other.asked().format is None
    other.close()


def test_the_magics_defaults_are_the_forms(shell: InteractiveShell, scripted: ScriptedEngine) -> None:
    form = Form(shell, shell.magics_manager.registry["LLMMagics"].current, usual=Defaults("fr", 20, 0.5))
    form.source.write("bonjour")
    assert form.cell() == "%%llm_answer\nbonjour"
    form.sampling.temperature.value = 0
    form.lang.value = "en"
    assert form.cell() == "%%llm_answer --lang en --temperature 0.0\nbonjour"
    form.close()


def test_an_unknown_task_names_the_nearest(shell: InteractiveShell, scripted: ScriptedEngine) -> None:
    with pytest.raises(InputError, match="Did you mean 'translate'"):
        Form(shell, shell.magics_manager.registry["LLMMagics"].current, "translat")


@pytest.fixture
def paced(shell: InteractiveShell) -> PacedEngine:
    engine = PacedEngine(100)
    shell.magics_manager.registry["LLMMagics"].session = Session(engine)
    return engine


def forms(shell: InteractiveShell, number: int) -> list[Form]:
    made = [Form(shell, shell.magics_manager.registry["LLMMagics"].current) for _ in range(number)]
    for at, form in enumerate(made):
        form.source.write(f"text {at}")
    return made


def test_two_runs_queue_and_the_second_says_that_it_waits(shell: InteractiveShell, paced: PacedEngine) -> None:
    first, second = forms(shell, 2)
    for form in (first, second):
        form.sampling.max_new_tokens.value = 80
    first.run_button.click()
    until(lambda: "Running" in first.status.value)
    second.run_button.click()
    until(lambda: "Waiting for the engine" in second.status.value)
    until(lambda: first.result and second.result)
    assert first.result.timing.queue_s < 0.2  # type: ignore[union-attr]
    assert second.result.timing.queue_s > 0.3  # type: ignore[union-attr]
    assert (first.result.output_tokens, second.result.output_tokens) == (80, 80)  # type: ignore[union-attr]
    for form in (first, second):
        form.close()


def test_stop_ends_a_run_that_waits_at_once(shell: InteractiveShell, paced: PacedEngine) -> None:
    first, second = forms(shell, 2)
    first.run_button.click()
    until(lambda: first.answer.updates > 1)
    second.run_button.click()
    until(lambda: "Waiting" in second.status.value)
    second.stop_button.click()
    assert until(lambda: "Stopped." in second.status.value) < 0.2
    first.stop_button.click()
    assert until(lambda: "Stopped." in first.status.value) < 0.2
    assert first.result.finish_reason == "interrupted"  # type: ignore[union-attr]
    assert "interrupted: the answer is partial" in first.answer.view.children[0].value
    assert len(paced.prompts) <= 1
    for form in (first, second):
        form.close()


@pytest.mark.parametrize("how", ["close", "button", "widget"])
def test_closing_a_form_stops_its_run(how: str, shell: InteractiveShell, paced: PacedEngine) -> None:
    (form,) = forms(shell, 1)
    form.run_button.click()
    until(lambda: form.answer.updates > 1)
    run = form._run
    assert run is not None
    {"close": form.close, "button": form.close_button.click, "widget": form.view.close}[how]()
    assert run.over.wait(0.2)
    assert form.is_closed
    assert form.result is not None
    assert form.result.finish_reason == "interrupted"
    assert form._cell_ran not in shell.events.callbacks["post_run_cell"]


def test_an_answer_is_sent_in_blocks_of_bounded_size(shell: InteractiveShell) -> None:
    from llm_magics.forms.run import AnswerView

    view, sent = AnswerView(), 0
    view.begin("")
    word = "word & "
    for number in range(3000):
        view._sent_at = 0  # as if each piece came a while after the last
        view.add(word if number % 50 else word + "\n")
        sent = max(sent, len(view._open.value))  # type: ignore[union-attr]
    assert sent < 2000 * 2
    text = "\n".join(child.value for child in view.view.children)
    assert text.count("word") == 3000


def test_a_broken_engine_is_told_calmly_and_the_form_goes_on(shell: InteractiveShell) -> None:
    shell.magics_manager.registry["LLMMagics"].session = Session(PacedEngine(fails_at=5))
    (form,) = forms(shell, 1)
    run(form)
    assert "RuntimeError: the engine broke" in form.status.value
    assert not form.run_button.disabled
    form.close()


def test_the_first_run_loads_the_model(shell: InteractiveShell) -> None:
    (form,) = forms(shell, 1)
    assert form.preview._session() is None
    form.preview.now()
    assert "No model is loaded yet" in form.preview.counts.value
    form.source.write("Hello World !")
    result = run(form)
    assert result.engine.model == "demo"
    until(lambda: "tokens of" in form.preview.counts.value)
    form.close()


def test_a_terminal_is_sent_elsewhere(shell: InteractiveShell, scripted: ScriptedEngine, capsys: pytest.CaptureFixture[str]) -> None:
    from IPython.core.error import UsageError

    with pytest.raises(UsageError, match="A form needs a notebook"):
        shell.run_line_magic("llm_form", "translate")


# In a kernel, as a front end sees it.


class Page:
    """A front end's copy of the widgets: what the kernel sent, and messages to it."""

    def __init__(self) -> None:
        self.kernel = Kernel()
        self.models: dict[str, dict[str, Any]] = {}
        self.displays: list[dict[str, Any]] = []
        self.kernel.run("%load_ext llm_magics")
        self.kernel.run(
            "from tests.paced import PacedEngine\nfrom llm_magics.session import Session\n"
            "get_ipython().magics_manager.registry['LLMMagics'].session = Session(PacedEngine(100))"
        )

    def take(self, seconds: float = 0.0) -> None:
        """Take what has come, waiting ``seconds`` at most for the first."""
        try:
            while True:
                message = self.kernel.client.get_iopub_msg(timeout=seconds)
                seconds = 0.0
                content = message["content"]
                if message["msg_type"] in ("comm_open", "comm_msg"):
                    state = content["data"].get("state", {})
                    self.models.setdefault(content["comm_id"], {}).update(state)
                if message["msg_type"] in ("display_data", "update_display_data"):
                    self.displays.append(content)
        except queue.Empty:
            return

    def execute(self, code: str) -> dict[str, Any]:
        sent = self.kernel.client.execute(code)
        while True:
            self.take(0.05)
            try:
                reply: dict[str, Any] = self.kernel.client.get_shell_msg(timeout=0.05)
            except queue.Empty:
                continue
            if reply["parent_header"]["msg_id"] == sent:
                self.take(0.2)
                return dict(reply["content"])

    def named(self, label: str) -> str:
        return [key for key, state in self.models.items() if state.get("description") == label][-1]

    def send(self, comm: str, data: dict[str, Any]) -> None:
        content = {"comm_id": comm, "data": data}
        self.kernel.client.shell_channel.send(self.kernel.client.session.msg("comm_msg", content))

    def click(self, label: str) -> None:
        self.send(self.named(label), {"method": "custom", "content": {"event": "click"}})

    def write(self, label: str, value: Any) -> None:
        self.send(self.named(label), {"method": "update", "state": {"value": value}, "buffer_paths": []})

    def until(self, true: Any, seconds: float = 20) -> float:
        started = time.monotonic()
        while not true():
            assert time.monotonic() - started < seconds
            self.take(0.01)
        return time.monotonic() - started

    def says(self, said: str) -> bool:
        return any(said in str(state.get("value", "")) for state in self.models.values())


@pytest.fixture
def page() -> Iterator[Page]:
    page = Page()
    yield page
    page.kernel.client.stop_channels()
    page.kernel.manager.shutdown_kernel(now=True)
    page.kernel.manager.cleanup_resources()


def test_a_form_in_a_kernel(page: Page) -> None:
    """Runs beside cells, answers within 200 ms while it runs, leaves a text in the notebook, hands its cell over."""
    assert page.execute("form = %llm_form answer")["status"] == "ok"
    view, twin = page.displays
    assert set(view["data"]) >= {"application/vnd.jupyter.widget-view+json"}
    assert "not run yet" in twin["data"]["text/html"]
    page.write("Text", "hello <there>")
    page.click("Run")
    page.until(lambda: page.says("Running"))
    grown = set()
    page.until(lambda: grown.add(sum(len(str(s.get("value", ""))) for s in page.models.values())) or len(grown) > 5)
    started = time.monotonic()
    assert page.execute("6 * 7")["status"] == "ok"  # a cell, while the form's run goes on
    assert time.monotonic() - started < 1
    page.click("▸ Sampling")  # another widget, meanwhile
    assert page.until(lambda: any(state.get("description") == "▾ Sampling" for state in page.models.values())) < 0.2
    page.click("Stop")
    stopped = page.until(lambda: page.says("Stopped."))
    print(f"Stop answered in {stopped * 1000:.0f} ms")
    assert stopped < 0.2
    page.until(lambda: "interrupted: the answer is partial" in page.displays[-1]["data"]["text/plain"])
    kept = page.displays[-1]
    assert kept["transient"]["display_id"] == twin["transient"]["display_id"]
    assert "hello &lt;there&gt;" in kept["data"]["text/html"]
    page.click("Insert as cell")
    page.until(lambda: page.says("The cell goes in below"))
    payload = page.execute("1")["payload"]
    assert [each["text"] for each in payload if each["source"] == "set_next_input"] == ["%%llm_answer\nhello <there>"]
    assert json.dumps(kept["data"])


def test_a_cell_that_is_run_again_ends_the_form_that_it_had(page: Page) -> None:
    def execute(code: str) -> None:
        message = page.kernel.client.session.msg("execute_request", {"code": code, "silent": False, "store_history": True})
        message["metadata"]["cellId"] = "the-cell"
        page.kernel.client.shell_channel.send(message)
        page.take(2)

    execute("first = %llm_form answer")
    page.until(lambda: page.displays)
    page.write("Text", "hello")
    page.click("Run")
    page.until(lambda: page.says("Running"))
    execute("second = %llm_form answer")
    page.execute("import time; time.sleep(.3)")
    assert page.kernel.value("first.is_closed, first.result.finish_reason, second.is_closed") == "(True, 'interrupted', False)"
