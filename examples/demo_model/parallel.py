"""The general sentences: quads from ``world/parallel/*.txt`` and, where asked, from the grammar, none of them held out.

``Parallel(maker, taken).sentence()`` draws one, every written quad as likely as another.
"""

from __future__ import annotations

import functools
import random
import re
from collections import Counter
from pathlib import Path

from grammar import Composer, Lexicon, load_lexicon
from notices import Sentence
from values import Maker
from world import LANGS, Quad, WorldError, bare, less, quad_of

SLOTS = frozenset("person org city country date year int money thing title".split())
FOLDER = Path(__file__).parent / "world" / "parallel"


def read(path: Path) -> tuple[Quad, ...]:
    """The quads of a file: four lines ``en:``, ``fr:``, ``es:``, ``de:``, a blank line between quads."""
    found: list[Quad] = []
    lines: dict[str, str] = {}
    for number, raw in enumerate([*path.read_text(encoding="utf-8").splitlines(), ""], 1):
        here = f"{path.name}:{number}"
        line = raw.strip()
        if line:
            lang, colon, text = line.partition(":")
            if not colon or len(lines) == 4 or lang != LANGS[len(lines)] or not text.strip():
                raise WorldError(f"{here}: {line!r} stands where {', '.join(LANGS[len(lines) :]) or 'a blank line'} should.")
            lines[lang] = _numbered(text.strip())
        elif lines:
            if len(lines) < 4:
                raise WorldError(f"{here}: the quad lacks {', '.join(LANGS[len(lines) :])}.")
            found.append(_checked(quad_of(lines), here))
            lines = {}
    return tuple(found)


def _numbered(line: str) -> str:
    """A slot that occurs again gets a number: the second {date} is another date. All four languages keep the order."""
    seen: Counter[str] = Counter()

    def name(match: re.Match[str]) -> str:
        seen[match[1]] += 1
        return match[0] if seen[match[1]] == 1 else f"{{{match[1]}_{'x' * (seen[match[1]] - 1)}}}"

    return re.sub(r"\{(\w+)\}", name, line)


def _checked(quad: Quad, here: str) -> Quad:
    for lang, line in quad.items():
        rest = "".join(part for part in line.segments if isinstance(part, str))
        if "{" in rest or "}" in rest or not {name.partition("_")[0] for name in line.slots} <= SLOTS:
            raise WorldError(f"{here}: unknown slot in {line.source!r}; there are {', '.join(sorted(SLOTS))}.")
        if line.slots != quad["en"].slots:
            raise WorldError(f"{here}: {lang} must have the slots of en, as often: {line.source!r}.")
    return quad


@functools.cache
def load(folder: Path, taken: frozenset[str]) -> tuple[Quad, ...]:
    """All quads of a folder, each once, less those with a line in ``taken`` (``world.sayings``)."""
    quads = {quad["en"].source: quad for path in sorted(folder.glob("*.txt")) for quad in read(path)}
    return less(tuple(quads.values()), taken)


@functools.cache
def _lexicon() -> Lexicon:
    return load_lexicon(FOLDER.parent)


class Parallel:
    """Draws general sentences. ``composed`` is the share that the grammar composes."""

    def __init__(self, rng: random.Random, maker: Maker, taken: frozenset[str], composed: float = 0.35) -> None:
        self.rng, self.maker, self.taken = rng, maker, taken
        self.quads = load(FOLDER, taken)
        self.plain = tuple(quad for quad in self.quads if not quad["en"].slots)
        self.composer = Composer(rng, _lexicon())
        self.composed = composed

    def sentence(self, plain: bool = False) -> Sentence:
        """A sentence; ``plain`` for one without names or numbers put in."""
        quad = self._composed() if self.rng.random() < self.composed else self.rng.choice(self.plain if plain else self.quads)
        return Sentence(quad, {name: self.maker.value(name.partition("_")[0]) for name in sorted(quad["en"].slots)})

    def _composed(self) -> Quad:
        while True:
            quad = quad_of(self.composer.quad())
            if less((quad,), self.taken):
                return quad
