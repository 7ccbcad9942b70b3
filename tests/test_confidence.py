"""How sure the model was: from the tokens of exactly the value, before the guide; the runner-up; the calibration."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest

from llm_magics import confidence
from llm_magics.confidence import Calibration, Place, measure
from llm_magics.records import Prompt, TokenLogprob
from llm_magics.schema import notation
from llm_magics.session import Session

NOTICE = "Velmora Systems was founded in 1987 by Mira Holtan. The company is based in Lyon and has 240 employees."


def token(text: str, probability: float, **top: float) -> TokenLogprob:
    return TokenLogprob(text, math.log(probability), tuple((name.replace("_", " "), math.log(p)) for name, p in top.items()))


def only(tokens: list[TokenLogprob], line: str, scale: Calibration | None = None, reply: str = "") -> dict[str, confidence.Confidence]:
    schema = notation.schema_of(line)
    reply = reply or "".join(each.text for each in tokens)
    reading = schema.read(reply)
    assert reading.node is not None
    return measure(reply, tokens, confidence.of_records(schema, reading.node), scale)


def test_the_probability_is_that_of_the_tokens_that_hold_the_value() -> None:
    tokens = [
        token('{"', 0.1), token("a", 0.1), token('":', 0.1), token(' "Ly', 0.8), token("on", 0.5), token('",', 0.9), token(' "b', 0.1),
        token('": ', 0.1), token("1", 0.7), token("9", 0.6), token("}", 0.1), token("", 0.1),
    ]  # fmt: skip
    found = only(tokens, "a, b int")
    assert found["a"].probability == found["a"].raw == pytest.approx(0.8 * 0.5 * 0.9)
    assert found["b"].probability == pytest.approx(0.7 * 0.6)
    assert not found["a"].calibrated


def test_a_token_that_ends_inside_a_character_counts_for_it() -> None:
    tokens = [token('{"a": "', 1), token("", 0.5), token("日", 0.5), token('"', 1), token("}", 1)]
    assert only(tokens, "a")["a"].probability == pytest.approx(0.25)
    # The same from an engine that decodes token by token.
    alone = [token('{"a": "', 1), token("\ufffd", 0.5), token("\ufffd", 0.5), token('"', 1), token(', "b": 1', 0.1), token("}", 1)]
    found = only(alone, "a, b int", reply='{"a": "日", "b": 1}')
    assert (found["a"].probability, found["b"].probability) == (pytest.approx(0.25), pytest.approx(0.1))


def test_tokens_of_another_text_tell_nothing() -> None:
    assert only([token("quite", 0.5), token(" another", 0.5)], "a", reply='{"a": "x"}') == {}


def test_what_comes_after_a_stop_is_not_counted() -> None:
    assert only([token('{"a": "x"}', 0.5), token(" END", 0.5), token(" and", 0.5)], "a", reply='{"a": "x"}')[
        "a"
    ].probability == pytest.approx(0.5)


def test_the_runner_up_of_a_boolean_and_of_a_choice() -> None:
    found = only([token('{"a":', 1), token(" true", 0.6, _true=0.6, _null=0.1, _false=0.3), token("}", 1)], "a bool")
    assert (found["a"].runner_up, found["a"].runner_up_probability) == (False, pytest.approx(0.3))
    found = only([token('{"a":', 1), token(" null", 0.6, _null=0.6, _true=0.2, _t=0.15, _false=0.05), token("}", 1)], "a bool")
    assert (found["a"].runner_up, found["a"].runner_up_probability) == (True, pytest.approx(0.35))
    tokens = [token('{"a": ', 1), token('"', 0.9, null=0.1), token("no", 0.8, no=0.8, so=0.2), token("rth", 1), token('"}', 0.5)]
    found = only(
        [*tokens[:4], TokenLogprob('"}', math.log(0.5), (('"}', math.log(0.5)), ('east"', math.log(0.5))))], "a (north|northeast|south)"
    )
    assert (found["a"].runner_up, found["a"].runner_up_probability) == ("northeast", pytest.approx(0.9 * 0.8 * 0.5))
    assert only(tokens, "a (north|northeast|south)")["a"].runner_up == "south"


def test_the_runner_up_of_other_values_is_that_the_text_does_not_say() -> None:
    found = only(
        [token('{"a":', 1), TokenLogprob(' "', math.log(0.7), ((' "', math.log(0.7)), (" null", math.log(0.3)))), token('x"}', 1)], "a"
    )
    assert (found["a"].runner_up, found["a"].runner_up_probability) == (None, pytest.approx(0.3))
    found = only([token('{"a":', 1), token(' "', 1), token('x"}', 1)], "a")
    assert found["a"].runner_up_probability is None
    found = only([token('{"a":', 1), TokenLogprob(" 1", math.log(0.7), ((" null", math.log(0.3)),)), token("}", 1)], "a int!")
    assert found["a"].runner_up_probability is None  # null was not allowed


def test_paths_and_kinds_of_nested_values() -> None:
    schema = notation.schema_of("maker {city, n int}, lines list {item, on bool}, tags list, mood (a|b), day date")
    reply = '{"maker": {"city": "x", "n": 1}, "lines": [{"item": "y", "on": true}, {"item": null, "on": null}], "tags": ["p", "q"], "mood": "a", "day": "2024"}'
    node = schema.read(reply).node
    assert node is not None
    places = {place.path: place for place in confidence.of_records(schema, node)}
    assert {path: place.kind for path, place in places.items()} == {
        "maker.city": "text", "maker.n": "number", "lines[0].item": "text", "lines[0].on": "bool", "lines[1].item": "null",
        "lines[1].on": "null", "tags": "list", "tags[0]": "text", "tags[1]": "text", "mood": "choice", "day": "date",
    }  # fmt: skip
    assert reply[places["tags"].start : places["tags"].end] == '["p", "q"]'
    assert places["mood"].others == (("b", '"b"'), (None, "null"))
    many = notation.schema_of(["a"])
    node = many.read('[{"a": "x"}, {"a": null}]').node
    assert node is not None
    assert [place.path for place in confidence.of_records(many, node)] == ["[0].a", "[1].a"]


def test_without_probabilities_there_is_no_confidence() -> None:
    assert measure("xyz", [], [Place("a", 0, 3, "text")], None) == {}


def test_the_engines_probabilities_are_those_of_the_model(demo: Session) -> None:
    """The first token's, against the logits themselves; and every list of the likeliest is sorted and allowed."""
    generation = demo.extract(NOTICE, {"founder": "who founded the company", "listed": "(bool) whether it is listed"})
    engine = demo.engine
    guide = None if generation.schema is None else generation.schema.reply_schema
    chunks = [*engine.stream(Prompt(generation.prompt, generation.sampling, _guide(guide), logprobs=4))]
    tokens = list(itertools.chain.from_iterable(chunk.logprobs for chunk in chunks))
    assert sum(chunk.tokens for chunk in chunks) == len(tokens) == generation.output_tokens
    assert "".join(each.text for each in tokens) == generation.text
    for each in tokens:
        assert [probability for _, probability in each.top] == sorted((probability for _, probability in each.top), reverse=True)
        assert len(each.top) <= 4
        assert each.guided is not None
        assert each.logprob <= each.guided + 1e-6 <= 1e-5
        assert each.text in [text for text, _ in each.top]  # greedy: the token is the likeliest that is allowed
    engine._rewind(0)  # type: ignore[attr-defined]
    engine._cached.clear()  # type: ignore[attr-defined]
    engine._prefilled = 0  # type: ignore[attr-defined]
    logits = engine._feed(engine._ids(generation.prompt))  # type: ignore[attr-defined]
    weights = np.exp(logits - logits.max())
    engine._rewind(0)  # type: ignore[attr-defined]
    first = engine.tokenizer.encode(generation.text, add_special_tokens=False)[0]  # type: ignore[attr-defined]
    assert math.exp(tokens[0].logprob) == pytest.approx(float(weights[first] / weights.sum()), rel=1e-3)


def _guide(schema: object) -> object:
    from llm_magics.records import Guide

    return Guide(schema)  # type: ignore[arg-type]


def test_an_answer_pays_nothing(demo: Session) -> None:
    generation = demo.answer("Hello World !", max_new_tokens=4)
    assert all(chunk.logprobs == () for chunk in demo.engine.stream(Prompt(generation.prompt, generation.sampling)))


def test_classify_tells_its_runner_up(demo: Session) -> None:
    generation = demo.classify("Everybody we asked was delighted with the new phone.", labels=["praise", "complaint", "neutral"])
    sure = generation.confidence["label"]
    assert 0 < sure.probability <= 1
    assert sure.runner_up in {"praise", "complaint", "neutral"} - {generation.data}
    assert (sure.runner_up_probability or 0) <= sure.raw


def test_a_calibration_scales_the_log_odds() -> None:
    scale = Calibration({"text": (1.0, 0.0), "bool": (0.5, -1.0)})
    assert [scale("text", raw) for raw in (0.1, 0.5, 0.9)] == pytest.approx([0.1, 0.5, 0.9])
    assert scale("bool", 0.8) == pytest.approx(1 / (1 + math.exp(1 - 0.5 * math.log(4))))
    assert scale("null", 0.5) is None
    assert 0 < (scale("text", 0.0) or 0) < (scale("text", 1.0) or 0) < 1
    found = only([token('{"a":', 1), token(" true", 0.8), token("}", 1)], "a bool", scale)
    assert (found["a"].probability, found["a"].raw, found["a"].calibrated) == (scale("bool", found["a"].raw), pytest.approx(0.8), True)


def test_the_bundled_calibration_is_of_the_bundled_engine() -> None:
    """A map that was measured with another engine would state figures that nobody measured."""
    path = confidence.DEMO / "calibration.json"
    if not path.is_file():
        pytest.skip("no calibration is bundled")
    stored = json.loads(path.read_text(encoding="utf-8"))
    assert stored["engine"] == confidence.digest(confidence.DEMO / "engine"), "run: python -m tests.bench.calibration"
    assert all(slope > 0 for slope, _ in stored["scales"].values())
    assert sum(stored["values"].values()) > 500


def test_another_engine_has_no_calibration(tmp_path: Path, demo: Session) -> None:
    info = demo.engine.info
    import dataclasses

    assert confidence.calibration(dataclasses.replace(info, model="Qwen")) is None
    assert confidence.calibration(dataclasses.replace(info, backend="transformers")) is None


def test_the_fit_is_right_on_made_up_values() -> None:
    from .bench.calibration import error, fit

    random = np.random.default_rng(0)
    raw = random.uniform(0.3, 1, 6000)
    right = random.uniform(size=6000) < raw**3  # the model claims too much
    scale = Calibration({"x": fit([*raw[::2]], [*right[::2]])})
    mapped = [scale("x", value) or 0 for value in raw[1::2]]
    assert error([*raw[1::2]], [*right[1::2]]) > 0.15
    assert error(mapped, [*right[1::2]]) < 0.04
    assert fit([0.9] * 4, [True] * 4) == pytest.approx((1, 0), abs=0.2)  # a few values move little
