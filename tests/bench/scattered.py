"""Long documents with known values: statements about one thing, spread over text about others, from the demo model's world."""

from __future__ import annotations

import dataclasses
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "examples" / "demo_model"))

import evaluate  # noqa: E402, F401 - for the benches that import this
from generate import Generator  # noqa: E402
from notices import Notice, Sentence, Thing, pieces_of  # noqa: E402
from world import load_all  # noqa: E402


@dataclasses.dataclass(frozen=True)
class Document:
    """A text, what is asked of it, and what is right.

    ``expected`` has the value of each key, None for what the text does not say; ``written`` how those that stand in the text stand there;
    ``places`` the sentences that say so, as (start, end).
    """

    lang: str
    text: str
    entities: dict[str, str]
    expected: dict[str, Any]
    written: dict[str, str]
    places: dict[str, list[tuple[int, int]]]


def _sentence(sentence: Sentence, lang: str) -> str:
    return "".join(piece for piece, _ in pieces_of(sentence, lang))


def document(
    seed: str, lang: str, tokens: int, count: Callable[[str], int], *, facts: int = 8, absent: int = 2, others: float = 0.5
) -> Document:
    """A document of about ``tokens`` tokens about a thing of set A: ``facts`` of its facts each stand in it once, far apart.

    Around them are sentences about nothing and, at the rate ``others``, notices about things of other kinds. ``absent`` fields are asked for and not said.
    """
    world, _ = load_all()
    generator = Generator(random.Random(seed), world, "held")
    thing, stated = _stated(generator, facts)
    said = {name: _sentence(sentence, lang) for name, sentence in stated.items()}
    rows = [_row(generator, thing, name, lang) for name in said]
    rest = [made for made in thing.kind.fields.values() if made.name not in thing.stated]
    generator.rng.shuffle(rest)
    unsaid = rest[:absent]
    rows += [(generator._entity(made, thing.kind.name, None, None, lang, lang, thing, True), made.name, None) for made in unsaid]
    around = _around(generator, thing, lang, tokens, count=count, others=others)
    at = sorted(generator.rng.sample(range(len(around)), len(said)))
    spots = dict(zip(at, generator.rng.sample([*said.values()], len(said)), strict=True))
    text, starts = "", {}
    for number, paragraph in enumerate(around):
        if number in spots:
            starts[spots[number]] = len(text), len(text) + len(spots[number])
            text += spots[number] + " "
        text += paragraph + "\n\n"
    known = {key: (name, value, written) for (key, _, value), name, written in rows if value is not None}
    return Document(
        lang,
        text.strip(),
        {key: hint for (key, hint, _), _, _ in rows},
        {key: value for (key, _, value), _, _ in rows},
        {key: written for key, (_, _, written) in known.items() if written is not None},
        {key: [starts[said[at]] for at, line in stated.items() if name in line.quad["en"].slots] for key, (name, _, _) in known.items()},
    )


def _stated(generator: Generator, facts: int) -> tuple[Thing, dict[str, Sentence]]:
    """A thing, and a sentence with its name for each of ``facts`` fields."""
    for _ in range(100):
        thing = generator.writer.thing()
        names = [*thing.kind.fields]
        generator.rng.shuffle(names)
        said: dict[str, Sentence] = {}
        for name in names:
            if name not in thing.stated and len(said) < facts:
                sentence = generator.writer._state(thing, name, "", named=True)
                if sentence is not None and "name" in sentence.quad["en"].slots:
                    said[name] = sentence
        if len(said) == facts:
            return thing, said
    raise AssertionError("no kind of thing has so many facts")


def _row(generator: Generator, thing: Thing, name: str, lang: str) -> tuple[tuple[str, str, Any], str, str | None]:
    fact = thing.facts[name]
    written = None if isinstance(fact, bool) else Notice([thing], []).as_written(thing, name, lang)
    return generator._entity(thing.kind.fields[name], thing.kind.name, fact, written, lang, lang, thing, True), name, written


def _around(generator: Generator, thing: Thing, lang: str, tokens: int, *, count: Callable[[str], int], others: float) -> list[str]:
    """Paragraphs about anything else, ``tokens`` together."""
    kinds = [kind for kind in generator.writer.kinds if kind is not thing.kind]
    paragraphs: list[str] = []
    held = 0
    while held < tokens:
        if generator.rng.random() >= others:
            text = " ".join(_sentence(generator.writer.filler(), lang) for _ in range(generator.rng.randint(2, 6)))
        else:
            text = generator.writer.notice(generator.rng.choice(kinds), others=False).render(lang)
        if thing.name.text(lang) not in text:
            paragraphs.append(text)
            held += count(text)
    return paragraphs
