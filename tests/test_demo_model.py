"""What the demonstration model can do, as the README says it: a sample of sets A and B, all of set C."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from llm_magics.session import Session

from .conftest import ROOT

FOLDER = ROOT / "examples" / "demo_model"
SCORES = json.loads((FOLDER / "scores.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def evaluate() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FOLDER))
    import evaluate

    yield evaluate
    sys.path.remove(str(FOLDER))


def test_the_metrics(evaluate: ModuleType) -> None:
    counts = evaluate.count_fields(
        {"a": "X", "b": None, "c": True, "d": 2, "e": None}, {"a": "x.", "b": "y", "c": False, "d": 2.0, "e": None}
    )
    assert (counts.right, counts.given, counts.wanted) == (2, 4, 3)
    assert (counts.nulls, counts.nulls_right, counts.bools, counts.bools_right) == (2, 1, 1, 0)
    assert counts.f1 == pytest.approx(4 / 7)
    assert evaluate.kept(["Lyon", "Mira"], "in Lyon") == 0.5
    assert evaluate.chrf(["abc def"], ["abc def"]) == pytest.approx(100)
    assert evaluate.invented("Lyon 1987", "in Lyon", "in Lyon") is True
    assert evaluate.same_answer(["Yes.", "yes"], "YES") is True
    assert evaluate.same_value(True, 1) is False


def test_a_sample_of_set_a_scores_as_the_table_says(evaluate: ModuleType, demo: Session) -> None:
    """The first items of the table; three standard errors of room."""
    done = [(item, evaluate.ask(demo, item)) for item in evaluate.items("A", 8)]
    for task in evaluate.RATES:
        group = [pair for pair in done if pair[0].task == task]
        found, expected = evaluate.scores(group), SCORES[f"A.{task}"]["all"]
        metric = next(iter(expected))
        scale = 100 if metric == "chrF" else 1
        rate = min(expected[metric] / scale, 0.99)
        room = 3 * (rate * (1 - rate) / len(group)) ** 0.5
        assert found[metric] / scale >= rate - room, (task, found, expected)


def test_the_hand_typed_notices_score_as_the_readme_says(evaluate: ModuleType, demo: Session) -> None:
    rows = json.loads(evaluate.HAND_TYPED.read_text(encoding="utf-8"))
    assert len(rows) == 30
    found = evaluate.hand_typed(demo, rows)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, score in SCORES["C"].items():
        if name != "n":
            assert found[name] == pytest.approx(score, abs=0.035), name
            assert f"{score:.3f}" in readme, name


@pytest.mark.parametrize(
    ("lang", "hello", "unknown"),
    [
        ("en", "Hello World !", "I don't know."),
        ("fr", "Bonjour !", "Je ne sais pas."),
        ("es", "¡Hola!", "No lo sé."),
        ("de", "Guten Tag!", "Das weiß ich nicht."),
    ],
)
def test_small_talk_and_what_it_does_not_know(lang: str, hello: str, unknown: str, demo: Session) -> None:
    greeting = demo.answer(hello, lang=lang)
    assert greeting.finish_reason == "stop"
    assert greeting.text != unknown
    assert len(greeting.text) > 5
    asked = {
        "en": "What is the capital of Mongolia?",
        "fr": "Quelle est la capitale de la Mongolie ?",
        "es": "¿Cuál es la capital de Mongolia?",
        "de": "Was ist die Hauptstadt der Mongolei?",
    }
    assert demo.answer(asked[lang], lang=lang).text == unknown
