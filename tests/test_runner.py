"""Runs on the scripted engine: what a Generation holds, what is refused, what an interrupt keeps."""

from __future__ import annotations

import datetime
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from llm_magics.engines.scripted import ScriptedEngine
from llm_magics.errors import EngineError, OptionError, TooLongError
from llm_magics.records import Chunk, Prompt
from llm_magics.session import Session, extract_fields


class SlowEngine(ScriptedEngine):
    """One word every 10 ms, for ever."""

    closed_streams = 0

    def stream(self, prompt: Prompt) -> Iterator[Chunk]:
        self.prompts.append(prompt)
        yield Chunk(input_tokens=3, cached_tokens=1)
        try:
            while True:
                time.sleep(0.01)
                yield Chunk("word ", tokens=1)
        finally:
            self.closed_streams += 1


def test_a_generation_holds_all_of_the_run() -> None:
    engine = ScriptedEngine(["one two three"])
    generation = Session(engine).answer("What?", system="Be brief.", max_new_tokens=8)
    assert generation.text == "one two three"
    assert generation.prompt == engine.prompts[0].text == "<system>\nBe brief.\n<user>\nWhat?\n<assistant>\n"
    assert (generation.finish_reason, generation.output_tokens, generation.input_tokens) == ("stop", 3, 6)
    assert generation.timing.cached_tokens == 0
    assert 0 <= generation.timing.first_token_s <= generation.timing.total_s  # type: ignore[operator]
    assert repr(generation).startswith("one two three\n\n[scripted] 3 tokens generated in ")


def test_the_answer_start_is_sent_and_is_part_of_the_text() -> None:
    engine = ScriptedEngine(["sir"])
    generation = Session(engine).answer("Hi", answer_start="Dear ")
    assert engine.prompts[0].text.endswith("<assistant>\nDear ")
    assert generation.text == "Dear sir"


def test_a_lead_in_is_sent_and_is_not_part_of_the_text() -> None:
    engine = ScriptedEngine(["Bonjour."])
    generation = Session(engine).translate("Good morning.", to="fr")
    assert engine.prompts[0].text.endswith("<assistant>\nHere is the translation:\n\n")
    assert (generation.text, generation.answer_start) == ("Bonjour.", "Here is the translation:\n\n")


def test_a_conversation_goes_on_by_its_name_only() -> None:
    engine = ScriptedEngine(["a", "b", "c"])
    session = Session(engine)
    session.answer("1", chat="x")
    session.answer("2", chat="x")
    session.answer("3")
    assert "<user>\n1\n<assistant>\na\n<user>\n2\n" in engine.prompts[1].text
    assert "1" not in engine.prompts[2].text
    session.answer("4", messages=[{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}])
    assert "<user>\nQ\n<assistant>\nA\n<user>\n4\n" in engine.prompts[3].text
    with pytest.raises(OptionError, match="role"):
        session.answer("5", messages=[{"role": "robot", "content": "x"}])


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": -1},
        {"top_p": 0},
        {"top_p": 1.5},
        {"top_k": -1},
        {"max_new_tokens": 0},
        {"max_input_len": 0},
        {"lang": "xx"},
        {"max_tokens": 3},
    ],
)
def test_values_that_cannot_be_are_refused_before_the_engine_is_asked(options: dict[str, object]) -> None:
    engine = ScriptedEngine(["x"])
    with pytest.raises(OptionError):
        Session(engine).answer("hi", **options)  # type: ignore[arg-type]
    assert engine.prompts == []


def test_an_empty_text_is_refused() -> None:
    with pytest.raises(OptionError, match="empty"):
        Session(ScriptedEngine(["x"])).answer(" \n")


def test_a_text_that_is_too_long_is_refused_with_the_counts() -> None:
    engine = ScriptedEngine(["x"], max_seq_len=60)
    with pytest.raises(TooLongError) as error:
        Session(engine).summarize("word " * 100)
    assert "text 100" in error.value.message
    assert "this engine takes 59" in error.value.message
    assert "--max-input-len 59 would leave out the last" in error.value.hint
    assert engine.prompts == []


def test_a_text_is_cut_when_asked_for_and_the_report_says_so() -> None:
    engine = ScriptedEngine(["x"])
    words = " ".join(f"w{n}" for n in range(100))
    generation = Session(engine).summarize(words, max_input_len=60)
    assert engine.count(engine.prompts[0].text) <= 60
    assert words.startswith(generation.request.text)
    assert generation.request.text.split()[-1] in words.split()
    left = 100 - len(generation.request.text.split())
    assert generation.notes == (f"the text was cut to fit 60 input tokens; its last {left} tokens were left out.",)
    assert generation.notes[0] in repr(generation)


def test_a_prompt_that_does_not_fit_even_without_the_text_is_refused() -> None:
    with pytest.raises(TooLongError, match="too little"):
        Session(ScriptedEngine(["x"])).summarize("some words", max_input_len=5)


def test_an_interrupt_keeps_what_came() -> None:
    engine = SlowEngine([])
    session = Session(engine)
    timer = threading.Timer(0.2, signal.raise_signal, [signal.SIGINT])
    handler = signal.getsignal(signal.SIGINT)
    timer.start()
    started = time.perf_counter()
    generation = session.answer("go", chat="x")
    assert time.perf_counter() - started < 1.2
    assert generation.finish_reason == "interrupted"
    assert generation.text.startswith("word word")
    assert engine.closed_streams == 1
    assert "x" not in session.chats
    assert signal.getsignal(signal.SIGINT) is handler


def test_off_the_main_thread_a_run_is_ended_by_its_cancel() -> None:
    session = Session(SlowEngine([]))
    stream = session.stream("answer", "go", {}, {})
    thread = threading.Thread(target=stream.run)
    thread.start()
    time.sleep(0.1)
    stream.cancel.set()
    thread.join(5)
    assert stream.generation is not None
    assert stream.generation.finish_reason == "interrupted"


def test_a_second_request_waits_and_its_timing_says_so() -> None:
    session = Session(SlowEngine([]))
    first, second = (session.stream("answer", "go", {}, {}) for _ in range(2))
    threads = [threading.Thread(target=stream.run) for stream in (first, second)]
    threads[0].start()
    time.sleep(0.05)
    threads[1].start()
    time.sleep(0.25)
    first.cancel.set()
    second.cancel.set()
    for thread in threads:
        thread.join(5)
    assert first.generation is not None
    assert second.generation is not None
    assert first.generation.timing.queue_s < 0.05
    assert second.generation.timing.queue_s > 0.1


def test_a_closed_session_says_so() -> None:
    with Session(ScriptedEngine(["x"])) as session:
        pass
    session.close()
    with pytest.raises(EngineError, match="closed"):
        session.answer("hi")


def test_a_seed_is_recorded_when_sampling() -> None:
    generation = Session(ScriptedEngine(["x"])).answer("hi", temperature=1)
    assert isinstance(generation.sampling.seed, int)
    assert Session(ScriptedEngine(["x"])).answer("hi").sampling.seed is None


DOCUMENT = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 3}}}
WRONG = "$.n: 5 is greater than the maximum of 3"


def test_a_reply_that_breaks_the_users_schema_is_asked_for_once_more() -> None:
    engine = ScriptedEngine(['{"n": 5}', 'Of course: {"n": 2}'])
    generation = Session(engine).extract("x", schema=DOCUMENT)
    assert generation.data == {"n": 2}
    assert generation.notes == (f"asked again, since the first reply was not as the schema asks: {WRONG}",)
    assert len(engine.prompts) == 2
    assert generation.prompt == engine.prompts[1].text
    assert engine.prompts[1].text.startswith(engine.prompts[0].text + '{"n": 5}\n<user>\n')
    assert f"- {WRONG}\n" in engine.prompts[1].text
    assert engine.prompts[1].guide == engine.prompts[0].guide
    assert generation.timing.asks == 2
    assert generation.timing.output_tokens == 2 + 4
    assert generation.timing.input_tokens == sum(engine.count(prompt.text) for prompt in engine.prompts)
    assert [message.role for message in generation.messages] == ["system", "user", "assistant", "user"]


def test_a_second_reply_that_is_no_better_leaves_the_first() -> None:
    engine = ScriptedEngine(['{"n": 5}', '{"n": 7}'])
    generation = Session(engine).extract("x", schema=DOCUMENT)
    assert (generation.data, generation.text) == ({"n": 5}, '{"n": 5}')
    assert generation.notes == (f"not as the schema asks: {WRONG}", "asked again, without a better reply.")
    assert generation.prompt == engine.prompts[0].text
    assert (generation.timing.asks, generation.timing.output_tokens, len(engine.prompts)) == (2, 4, 2)


def test_a_correction_that_does_not_fit_is_not_asked_for() -> None:
    engine = ScriptedEngine(['{"n": 5}'])
    room = engine.count(Session(engine).extract("x", schema=DOCUMENT).prompt)
    small = ScriptedEngine(['{"n": 5}'], max_seq_len=room + 3)
    generation = Session(small).extract("x", schema=DOCUMENT)
    assert generation.notes[-1] == "there was no room to ask for a correction."
    assert len(small.prompts) == generation.timing.asks == 1


def test_a_reply_that_is_right_is_asked_for_once() -> None:
    engine = ScriptedEngine(['{"n": 2}'])
    assert Session(engine).extract("x", schema=DOCUMENT).notes == ()
    assert len(engine.prompts) == 1


def test_a_reply_without_json_is_asked_for_once_more() -> None:
    engine = ScriptedEngine(["I cannot.", '```json\n{"name": "Velmora"}\n```'])
    generation = Session(engine).extract("Velmora is here.", {"name": ""})
    assert generation.data == {"name": "Velmora"}
    assert "the reply holds no JSON object" in generation.notes[0]


def test_what_the_decoder_cannot_keep_to_is_named_before_and_enforced_after() -> None:
    document = {
        "type": "object",
        "properties": {
            "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
            "day": {"type": "string", "format": "date"},
        },
        "required": ["tags"],
    }
    engine = ScriptedEngine(['{"tags": ["a", "a"], "day": "2023-02-30"}', '{"tags": ["a", "b"], "day": "2023-02-03"}'])
    stream = Session(engine).stream("extract", "a b", extract_fields(None, document), {})
    assert stream.prepared.notes == ("the decoder cannot keep to $.tags: uniqueItems; the reply is checked against it afterwards.",)
    assert stream.prepared.prompt.guide is not None
    assert "uniqueItems" not in str(stream.prepared.prompt.guide.json_schema)
    generation = stream.run()
    assert generation.data == {"tags": ["a", "b"], "day": datetime.date(2023, 2, 3)}
    assert "non-unique elements" in generation.notes[1]
    assert "is not a 'date'" in generation.notes[1]


def test_an_interrupt_of_the_correction_keeps_the_first_reply() -> None:
    class Stopping(ScriptedEngine):
        def stream(self, prompt: Prompt) -> Iterator[Chunk]:
            if len(self.prompts) == 1:
                stream.cancel.set()
            yield from super().stream(prompt)

    stream = Session(Stopping(['{"n": 5}', '{"n": 2}'])).stream("extract", "x", extract_fields(None, DOCUMENT), {})
    generation = stream.run()
    assert (generation.data, generation.finish_reason) == ({"n": 5}, "interrupted")


def test_extract_asks_for_probabilities_and_an_answer_does_not() -> None:
    engine = ScriptedEngine(['{"n": 2}'])
    session = Session(engine)
    assert session.extract("x", schema=DOCUMENT).confidence == {}
    session.answer("x")
    assert [prompt.logprobs > 0 for prompt in engine.prompts] == [True, False]
