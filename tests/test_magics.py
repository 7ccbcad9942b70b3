"""The magics in a real shell, on an engine that says what it is told."""

from __future__ import annotations

import json

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from llm_magics.engines.scripted import ScriptedEngine
from llm_magics.errors import InputError
from llm_magics.magics import MAGICS
from llm_magics.records import Generation


def sent(engine: ScriptedEngine) -> str:
    return engine.prompts[-1].text


def test_a_cell_is_the_text_and_names_are_filled(shell: InteractiveShell, scripted: ScriptedEngine) -> None:
    shell.user_ns["topic"] = "bees"
    result = shell.run_cell_magic("llm_answer", "--max-new-tokens 2", 'Say {"a": {1}} $HOME {topic} about {{ topic }}.\n')
    assert '<user>\nSay {"a": {1}} $HOME {topic} about bees.\n' in sent(scripted)
    assert isinstance(result, Generation)
    assert (result.text, result.finish_reason) == ("one two", "length")


def test_raw_leaves_the_braces(shell: InteractiveShell, scripted: ScriptedEngine) -> None:
    shell.run_cell_magic("llm_answer", "--raw", "{{ nothing }} {%")
    assert "<user>\n{{ nothing }} {%\n" in sent(scripted)


def test_the_line_form_takes_a_variable_or_words(shell: InteractiveShell, scripted: ScriptedEngine) -> None:
    shell.user_ns["notice"] = "from a variable {{ x }}"
    shell.run_line_magic("llm_summarize", "notice")
    assert "from a variable {{ x }}" in sent(scripted)
    shell.run_line_magic("llm_translate", '--to fr "What\'s new?"')
    assert "What's new?" in sent(scripted)
    assert "French" in sent(scripted)


def test_underscore_out_and_the_name_after_o_hold_the_generation(shell: InteractiveShell, scripted: ScriptedEngine) -> None:
    shell.run_cell("%%llm_answer -o kept\nhi", store_history=True)
    assert isinstance(shell.user_ns["kept"], Generation)
    assert shell.user_ns["_"] is shell.user_ns["kept"]


def test_local_names_are_seen_inside_a_function(shell: InteractiveShell, scripted: ScriptedEngine) -> None:
    shell.run_cell("def ask():\n    inner = 'LOCAL'\n    return get_ipython().run_line_magic('llm_answer', 'inner')\nask()")
    assert "LOCAL" in sent(scripted)


def test_options_reach_the_engine(shell: InteractiveShell, scripted: ScriptedEngine) -> None:
    line = "--lang fr --temperature 0.5 --top-p 0.9 --top-k 5 --seed 3 --stop END --stop X --max-new-tokens 7 --system 'Sois bref.' --answer-start 'Ah '"
    result = shell.run_cell_magic("llm_answer", line, "salut")
    sampling = scripted.prompts[-1].sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.seed, sampling.max_new_tokens) == (0.5, 0.9, 5, 3, 7)
    assert sampling.stop == ("END", "X")
    assert sent(scripted) == "<system>\nSois bref.\n<user>\nsalut\n<assistant>\nAh "
    assert result.request.lang == "fr"


def test_windows_paths_and_quotes_survive_the_line(shell: InteractiveShell, scripted: ScriptedEngine) -> None:
    shell.run_cell_magic("llm_answer", r"""--system 'C:\models\new "x" # not a comment'""", "hi")
    assert 'C:\\models\\new "x" # not a comment' in sent(scripted)


def test_extract_takes_options_a_dict_or_a_schema(shell: InteractiveShell, scripted: ScriptedEngine) -> None:
    scripted._replies = ['{"name": "Velmora", "listed": true}']
    result = shell.run_cell_magic("llm_extract", "-e 'name: the company' -e 'listed: (bool) on the exchange'", "Velmora is listed.")
    assert result.data == {"name": "Velmora", "listed": True}
    assert [(span.field, span.start, span.end, span.status) for span in result.spans] == [("name", 0, 7, "exact")]
    shell.user_ns["ents"] = {"name": "the company", "listed": "(bool)"}
    assert shell.run_cell_magic("llm_extract", "--entities ents", "x").data == {"name": "Velmora", "listed": True}
    shell.user_ns["document"] = {"type": "object", "properties": {"name": {"type": "string"}}}
    shell.run_cell_magic("llm_extract", "--schema document", "x")
    assert scripted.prompts[-1].guide.json_schema == shell.user_ns["document"]  # type: ignore[union-attr]


def test_classify_takes_words_or_a_list(shell: InteractiveShell, scripted: ScriptedEngine) -> None:
    scripted._replies = ["good"]
    assert shell.run_cell_magic("llm_classify", "--labels good,bad", "x").data == "good"
    shell.user_ns["moods"] = ["good", "sad"]
    shell.run_cell_magic("llm_classify", "--labels moods", "x")
    assert scripted.prompts[-1].guide.choices == ("good", "sad")  # type: ignore[union-attr]


def test_a_chat_goes_on(shell: InteractiveShell, scripted: ScriptedEngine) -> None:
    shell.run_cell_magic("llm_answer", "--chat c", "first")
    shell.run_cell_magic("llm_answer", "--chat c", "second")
    assert "first" in sent(scripted)
    shell.user_ns["turns"] = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
    shell.run_cell_magic("llm_answer", "--messages turns", "third")
    assert "<user>\nQ\n<assistant>\nA\n<user>\nthird\n" in sent(scripted)


SLIPS = {
    "unknown option": ("llm_answer", "--temprature 1", "x", "'--temperature'"),
    "unknown language": ("llm_answer", "--lang frr", "x", "'fr'"),
    "unknown target": ("llm_translate", "--to Frensh", "x", "'French'"),
    "no target": ("llm_translate", "", "x", "--to fr"),
    "no labels": ("llm_classify", "", "x", "--labels a,b"),
    "one label": ("llm_classify", "--labels a", "x", "two labels"),
    "no entities": ("llm_extract", "", "x", "-e 'name: hint'"),
    "undefined name": ("llm_answer", "", "{{ notise }}", "'notice'"),
    "empty cell": ("llm_answer", "", " \n\n", "empty"),
    "not an identifier": ("llm_answer", "-o 3x", "x", "not a name"),
    "words on the line of a cell": ("llm_answer", "hello there", "x", "in the cell"),
    "an open quote": ("llm_answer", "--system 'x", "x", "not closed"),
    "not a number": ("llm_answer", "--seed x", "x", "--seed"),
    "a sandboxed attribute": ("llm_answer", "--format '{{ text.__class__ }}'", "x", "sandbox"),
    "an unknown variable": ("llm_extract", "--entities entz", "x", "'ents'"),
    "a variable of another type": ("llm_extract", "--entities notice", "x", "Expected dict"),
    "too hot": ("llm_answer", "--temperature -1", "x", "temperature"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_a_short_usage_error_and_runs_nothing(slip: str, shell: InteractiveShell, scripted: ScriptedEngine) -> None:
    name, line, cell, expected = SLIPS[slip]
    shell.user_ns.update(notice="x", ents={"a": "b"})
    with pytest.raises(UsageError) as error:
        shell.run_cell_magic(name, line, cell)
    assert type(error.value) is UsageError  # IPython shows a subclass with its whole traceback
    assert expected in str(error.value)
    assert not isinstance(error.value.__cause__, InputError)
    assert scripted.prompts == []


def test_other_errors_are_two_lines_and_the_cell_fails(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    result = shell.run_cell("%llm_load no/such-model")
    assert result.error_in_exec is not None
    shown = capsys.readouterr()
    lines = [line for line in (shown.out + shown.err).splitlines() if line.strip()]
    assert lines[-2].startswith("OfflineError: The model hub cannot be reached")
    assert "Traceback" not in shown.out + shown.err


def test_a_failed_load_keeps_the_model_that_was_there(shell: InteractiveShell, scripted: ScriptedEngine) -> None:
    shell.run_cell("%llm_load no/such-model")
    assert shell.run_cell_magic("llm_answer", "", "still here?").text == "one two three"


def test_every_task_has_help_with_each_option(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    for name in MAGICS:
        document = shell.find_magic(name, "cell").__doc__
        for option in ("--lang", "--system", "--format", "--answer-start", "--max-new-tokens", "--chat", "--raw", "--no-stream", "--out"):
            assert option in document, (name, option)
        assert f"%%{name}" in document or f"%{name} " in document


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("%%llm_answer --la", "--lang"),
        ("%%llm_answer --lang ", "es"),
        ("%llm_translate --to f", "fr"),
        ("%llm_load --engine on", "onnx"),
        ("%llm_load de", "demo"),
        ("%llm_summarize noti", "notice"),
        ("%%llm_extract --entities en", "ents"),
        ("%llm_form tr", "translate"),
        ("%llm_form answer noti", "notice"),
    ],
)
def test_completion(line: str, expected: str, shell: InteractiveShell) -> None:
    shell.user_ns.update(notice="x", ents={"a": "b"})
    with provisionalcompleter():
        found = {completion.text for completion in shell.Completer.completions(line, len(line))}
    assert expected in found


def test_config_sets_defaults_and_refuses_what_cannot_be(
    shell: InteractiveShell, scripted: ScriptedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    shell.run_line_magic("config", "LLMMagics.lang = 'es'")
    shell.run_line_magic("config", "LLMMagics.max_new_tokens = 2")
    result = shell.run_cell_magic("llm_answer", "", "hola")
    assert (result.request.lang, result.text) == ("es", "one two")
    assert shell.run_cell_magic("llm_answer", "--lang de --max-new-tokens 3", "hallo").text == "one two three"
    shell.run_line_magic("config", "LLMMagics.lang = 'xx'")
    assert shell.magics_manager.registry["LLMMagics"].lang == "es"


def test_the_extension_can_be_loaded_twice_and_unloaded(shell: InteractiveShell, scripted: ScriptedEngine) -> None:
    shell.run_line_magic("load_ext", "llm_magics")
    shell.run_line_magic("reload_ext", "llm_magics")
    assert shell.find_magic("llm_answer") is not None
    shell.run_line_magic("unload_ext", "llm_magics")
    assert shell.find_magic("llm_answer") is None
    assert all(type(c).__name__ != "LLMMagics" for c in shell.configurables)


def test_a_saved_generation_is_plain_data(shell: InteractiveShell, scripted: ScriptedEngine) -> None:
    data, metadata = shell.run_cell_magic("llm_answer", "", "hi")._repr_mimebundle_()
    assert set(data) == {"text/plain", "text/html"}
    kept = json.loads(json.dumps(metadata))["llm_magics"]
    assert kept["model"] == "scripted"
    assert kept["task"] == "answer"
