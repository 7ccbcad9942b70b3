"""Prompts: what they carry, what they refuse."""

from __future__ import annotations

import pytest

from llm_magics import prompts, schema
from llm_magics.errors import OptionError, TemplateError
from llm_magics.records import Message, Request
from llm_magics.tasks import TASKS

FIELDS = {
    "translate": {"to": "fr"},
    "classify": {"labels": ("good", "bad")},
    "extract": {"entities": {"name": "the (list of) names", "# x": ""}},
}


@pytest.mark.parametrize("lang", prompts.LANGS)
@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_prompt_in_every_language(task: str, lang: str) -> None:
    request = Request(task, "THE TEXT", lang=lang, fields=FIELDS.get(task, {}))
    system, user = prompts.messages(request)
    assert system.role == "system"
    assert user.role == "user"
    assert user.content.count("THE TEXT") == 1
    assert "{{" not in user.content


def test_prompts_differ_between_languages() -> None:
    for task in TASKS:
        sources = {prompts.source(lang, task) for lang in prompts.LANGS}
        assert len(sources) == (1 if task == "answer" else 4), task


def test_a_translation_names_the_language_and_begins_with_a_sentence() -> None:
    request = Request("translate", "Good morning.", lang="de", fields={"to": "French"})
    assert "Französisch" in prompts.user_text(request)
    assert prompts.lead_in(request) == "Hier ist die Übersetzung:\n\n"
    assert prompts.lead_in(Request("translate", "x", fields={"to": "fr"}, answer_start="Well, ")) == ""


def test_an_extraction_shows_keys_hints_and_null() -> None:
    entities = schema.from_entities({"name": "the model name", "# parameters": "", 'a "b"': "x"}).hints
    text = prompts.user_text(Request("extract", "T", fields={"entities": entities}))
    assert "`null`" in text
    assert '{\n    "name": # the model name\n    "# parameters":\n    "a \\"b\\"": # x\n}' in text


def test_a_format_takes_the_place_of_the_tasks_prompt() -> None:
    request = Request("translate", "hello", fields={}, format="In Spanish, please:\n\n{{ text }}")
    assert prompts.user_text(request) == "In Spanish, please:\n\nhello"


def test_a_history_stands_between_system_and_text() -> None:
    turns = (Message("user", "a"), Message("assistant", "b"))
    assert [m.content for m in prompts.messages(Request("answer", "c", history=turns, system="s"))] == ["s", "a", "b", "c"]
    assert [m.role for m in prompts.messages(Request("answer", "c", system=""))] == ["user"]


def test_a_missing_field_says_how_to_give_it() -> None:
    with pytest.raises(OptionError, match="--to fr"):
        prompts.user_text(Request("translate", "x"))


@pytest.mark.parametrize(
    "body", ['{"a": {"b": [1, 2]}}', "price: $5 {x} ${y}", "{% for %} {# no #}", "f(x) = {1}", "a { b } c", "%d %s \\n"]
)
def test_a_body_passes_through_untouched(body: str) -> None:
    assert prompts.fill_body(body + "\n{{ x }}", {"x": "filled"}) == body + "\nfilled"


def test_an_undefined_name_names_the_nearest_and_all_that_are_missing() -> None:
    with pytest.raises(TemplateError) as error:
        prompts.fill_body("{{ notise }} {{ zzz }}", {"notice": "x", "other": 1})
    assert "notise, zzz" in error.value.message
    assert "'notice'" in error.value.hint
    assert "--raw" in error.value.hint


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ text.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ lipsum.__globals__ }}",
        "{{ text|attr('__class__') }}",
    ],
)
def test_the_sandbox_refuses_to_reach_inside(template: str) -> None:
    with pytest.raises(TemplateError):
        prompts.user_text(Request("answer", "x", format=template + "{{ text }}"))
    with pytest.raises(TemplateError):
        prompts.fill_body(template, {"text": "x"})


def test_a_body_does_not_change_variables() -> None:
    names = {"rows": [1]}
    with pytest.raises(TemplateError):
        prompts.fill_body("{{ rows.append(2) }}", names)
    assert names == {"rows": [1]}


@pytest.mark.parametrize("template", ["{{ text", "{% for %}{{ text }}", "{{ text + 1 }}", "{{ text.nothing }}"])
def test_a_broken_format_is_an_error_of_the_template(template: str) -> None:
    with pytest.raises(TemplateError):
        prompts.user_text(Request("answer", "x", format=template))


def test_a_format_without_the_text_is_refused() -> None:
    with pytest.raises(TemplateError, match="text"):
        prompts.user_text(Request("answer", "x", format="Translate this: {text}"))


def test_unknown_languages_name_the_nearest() -> None:
    with pytest.raises(OptionError, match="'French'"):
        prompts.language_name("Frnch", "en")
    with pytest.raises(OptionError, match="Known: de, en, es, fr"):
        prompts.check_lang("eng")


def test_languages_are_named_in_every_prompt_language() -> None:
    for code, names in prompts.languages().items():
        assert tuple(names) == prompts.LANGS, code
        assert {prompts.language_name(name, "en") for name in names.values()} == {names["en"]}
