"""Finds pairs of phrases that translate each other inside the training quads, without a dictionary.

    python align.py aligned.npz        about two minutes on one core; ``train.py --aligned aligned.npz`` uses it

Words are aligned both ways by expectation maximization (IBM model 1 with a preference for the diagonal). A span of 2 to 9 words
is kept with its counterpart where neither way leads out of the two, and where both ways agree on all four outermost words.
"""

from __future__ import annotations

import argparse
import itertools
import random
import re
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import parallel
from notices import text_of
from values import Maker, Value
from world import LANGS, Line, Quad, World, bare, load_all, sayings

_WORD = re.compile(r"\{[^}]*\}|[^\W_]+['’](?=\w)|[^\W_]+(?:-[^\W_]+)*|[^\w\s]")
_SENTENCES = ("says", "yes", "no", "denies", "asks", "hints")
_PAIRS = tuple(itertools.combinations(LANGS, 2))
_MOST = 14  # phrases kept of a quad and a pair of languages
_LONGEST = 9
Span = tuple[int, int]


def corpus(world: World, taken: frozenset[str]) -> list[tuple[str, Quad]]:
    """Every sentence that training has, with its kind ("" for general ones), in a fixed order."""
    found: list[tuple[str, Quad]] = []
    for kind in world.kinds.values():
        quads = [*kind.opens, *(quad for made in kind.fields.values() for block in _SENTENCES for quad in getattr(made, block))]
        found += [(kind.name, quad) for quad in quads]
    found += [("", quad) for group in world.fillers.values() for quad in group]
    return found + [("", quad) for quad in parallel.load(parallel.FOLDER, taken)]


def digest(quads: Sequence[tuple[str, Quad]]) -> int:
    """A number that changes with the corpus."""
    return zlib.crc32("\n".join(line.source for _, quad in quads for line in quad.values()).encode())


def words(line: str) -> list[Span]:
    """Where the words, slots and marks of a line stand."""
    return [match.span() for match in _WORD.finditer(line)]


@dataclass
class Side:
    """One language's words as numbers, a sequence a sentence."""

    rows: list[list[int]]
    size: int

    @classmethod
    def of(cls, lines: Sequence[str]) -> Side:
        """Number the words."""
        known: dict[str, int] = {}
        rows = [[known.setdefault(line[a:b].lower(), len(known)) for a, b in words(line)] for line in lines]
        return cls(rows, len(known))


def links(source: Side, target: Side, rounds: int = 6) -> list[list[int]]:
    """For each word of each target sentence, the source word it comes from, or -1."""
    cells, groups, priors, owners = [], [], [], 0
    for given, made in zip(source.rows, target.rows, strict=True):
        m, n = len(given), len(made)
        place = np.arange(m) / max(1, m - 1)
        near = np.exp(-5 * np.abs(place[None] - (np.arange(n) / max(1, n - 1))[:, None]))
        near = np.concatenate((near / near.sum(1, keepdims=True) * 0.92, np.full((n, 1), 0.08)), 1)
        pairs = np.asarray([*given, source.size])[None] * target.size + np.asarray(made)[:, None]
        cells.append(pairs.ravel())
        priors.append(near.ravel())
        groups.append(np.repeat(np.arange(owners, owners + n), m + 1))
        owners += n
    group, prior = np.concatenate(groups), np.concatenate(priors)
    pair, where = np.unique(np.concatenate(cells), return_inverse=True)
    giver = pair // target.size
    chance = np.ones(len(pair))
    for _ in range(rounds):
        share = chance[where] * prior
        share /= np.bincount(group, share, owners)[group]
        counts = np.bincount(where, share, len(pair))
        chance = counts / np.bincount(giver, counts, source.size + 1)[giver]
    return _best(chance[where] * prior, group, source.rows, target.rows)


def _best(score: Any, group: Any, given: list[list[int]], made: list[list[int]]) -> list[list[int]]:
    order = np.lexsort((score, group))
    last = order[np.append(group[order][1:] != group[order][:-1], True)]
    first = np.append(0, np.flatnonzero(group[1:] != group[:-1]) + 1)
    chosen = iter((last - first).tolist())
    return [[at if (at := next(chosen)) < len(a) else -1 for _ in b] for a, b in zip(given, made, strict=True)]


def phrases(forth: Sequence[int], back: Sequence[int]) -> Iterator[tuple[int, int, int, int]]:
    """The spans (ends included) of source and target that translate each other. ``forth``: the source word of each target word."""
    either: list[set[int]] = [set() for _ in back]
    for at, origin in enumerate(forth):
        if origin >= 0:
            either[origin].add(at)
    for at, goal in enumerate(back):
        if goal >= 0:
            either[at].add(goal)
    origins: list[set[int]] = [set() for _ in forth]
    for at, goals in enumerate(either):
        for goal in goals:
            origins[goal].add(at)
    sure = [goal >= 0 and forth[goal] == at for at, goal in enumerate(back)]
    sure_goals = {back[at] for at, yes in enumerate(sure) if yes}
    for first in range(len(back)):
        goals: set[int] = set()
        for last in range(first, min(len(back), first + _LONGEST)):
            goals |= either[last]
            if last == first or not (sure[first] and sure[last]):
                continue
            low, high = min(goals), max(goals)
            inside = all(first <= origin <= last for goal in range(low, high + 1) for origin in origins[goal])
            if inside and low in sure_goals and high in sure_goals and high - low < _LONGEST + 3 and last - first + 1 < len(back) - 1:
                yield first, last, low, high


def _whole(word: str) -> bool:
    """Whether a phrase may begin or end with it: no mark, and no French article cut off its noun."""
    return word[0] == "{" or (word[0].isalnum() and not word.endswith(("'", "’")))


def align(quads: Sequence[Quad], seed: int = 3) -> dict[str, Any]:
    """For each pair of languages an array [n, 5]: quad, first and last word in the one, in the other."""
    rng = random.Random(seed)
    sides = {lang: Side.of([quad[lang].source for quad in quads]) for lang in LANGS}
    out = {}
    for a, b in _PAIRS:
        rows = []
        for number, (forth, back) in enumerate(zip(links(sides[a], sides[b]), links(sides[b], sides[a]), strict=True)):
            whole = {lang: [_whole(quads[number][lang].source[i:j]) for i, j in words(quads[number][lang].source)] for lang in (a, b)}
            ends = (a, a, b, b)
            found = [spans for spans in phrases(forth, back) if all(whole[lang][at] for lang, at in zip(ends, spans, strict=True))]
            rows += [(number, *spans) for spans in (found if len(found) <= _MOST else rng.sample(found, _MOST))]
        out[f"{a}_{b}"] = np.asarray(rows, np.uint16)
    return out


class Fragments:
    """Draws texts and translations made of phrases: some put one after the other, or sentences with a phrase of another sentence.

    Neither says anything, but each word has its counterpart: what cannot be learnt by heart must be translated.
    """

    def __init__(self, rng: random.Random, world: World, maker: Maker, taken: frozenset[str], path: Path) -> None:
        self.rng, self.world, self.maker = rng, world, maker
        self.quads = corpus(world, taken)
        with np.load(path) as parts:
            self.spans = {name: parts[name] for name in parts.files if name != "corpus"}
            known = int(parts["corpus"])
        self.spots = [{lang: words(quad[lang].source) for lang in LANGS} for _, quad in self.quads]
        self.words = [
            {lang: [quad[lang].source[a:b] for a, b in spots[lang]] for lang in LANGS}
            for (_, quad), spots in zip(self.quads, self.spots, strict=True)
        ]
        if known != digest(self.quads):
            raise SystemExit(f"{path} is of another corpus; run align.py again.")
        self.alike = {name: self._by_beginning(*name.split("_"), part.tolist()) for name, part in self.spans.items()}

    def _by_beginning(self, a: str, b: str, rows: list[list[int]]) -> dict[tuple[str, str], array[int]]:
        """The numbers of the phrases that begin with the same two words, one a language: "the" and "la"."""
        found: dict[tuple[str, str], array[int]] = {}
        for at, row in enumerate(rows):
            found.setdefault((self.words[row[0]][a][row[1]], self.words[row[0]][b][row[3]]), array("I")).append(at)
        return found

    def pair(self, source: str, to: str) -> tuple[str, str]:
        """A text in ``source`` and the same in ``to``."""
        rng = self.rng
        drawn = [self._phrase(source, to) for _ in range(rng.choices((1, 2, 3, 4), (30, 35, 22, 13))[0])]
        gap = rng.choice((" ", ", ", " ", ", ", "; ", "\n", " - ", ". "))
        end = rng.choice(("", "", ".", "..."))
        return gap.join(text for text, _ in drawn) + end, gap.join(text for _, text in drawn) + end

    def graft(self, source: str, to: str) -> tuple[str, str]:
        """A sentence in which a phrase has been replaced by another that begins alike, and its translation."""
        a, b = (source, to) if f"{source}_{to}" in self.spans else (to, source)
        rows, alike = self.spans[f"{a}_{b}"], self.alike[f"{a}_{b}"]
        while True:
            row = rows[self.rng.randrange(len(rows))].tolist()
            others = alike[self.words[row[0]][a][row[1]], self.words[row[0]][b][row[3]]]
            other = min((rows[self.rng.choice(others)].tolist() for _ in range(4)), key=lambda one: self._unlike(row, one))
            kind, quad = self.quads[row[0]]
            texts = []
            new = self._values(*self.quads[other[0]])
            old = self._values(kind, quad)
            for lang, at in ((source, 1 if source == a else 3), (to, 1 if to == a else 3)):
                line, spots = quad[lang].source, self.spots[row[0]][lang]
                head, tail = line[: spots[row[at]][0]], line[spots[row[at + 1]][1] :]
                middle = self._cut(other[0], lang, other[at], other[at + 1])
                parts = ((Line.of(head), old), (middle, new), (Line.of(tail), old))
                texts.append("".join(text_of({lang: part}, values, lang) for part, values in parts if part.source))
            if other[0] != row[0]:
                return texts[0], texts[1]

    @staticmethod
    def _unlike(row: Sequence[int], other: Sequence[int]) -> int:
        """How far two phrases are from having the same lengths; far where they are of one sentence."""
        if row[0] == other[0]:
            return 99
        return sum(abs((row[at + 1] - row[at]) - (other[at + 1] - other[at])) for at in (1, 3))

    def _phrase(self, source: str, to: str) -> tuple[str, str]:
        turned = f"{source}_{to}" not in self.spans
        rows = self.spans[f"{to}_{source}" if turned else f"{source}_{to}"]
        while True:
            number, *ends = map(int, rows[self.rng.randrange(len(rows))])
            kind, quad = self.quads[number]
            given, made = (ends[2:], ends[:2]) if turned else (ends[:2], ends[2:])
            if (given[0] == 0) != (made[0] == 0):  # one begins the sentence, with a capital, the other does not
                continue
            lines = {lang: self._cut(number, lang, *span) for lang, span in ((source, given), (to, made))}
            if lines[source].slots == lines[to].slots and len(bare(lines[source].source)) > 4:
                values = self._values(kind, lines)
                return text_of(lines, values, source), text_of(lines, values, to)

    def _cut(self, number: int, lang: str, first: int, last: int) -> Line:
        spots = self.spots[number][lang]
        return Line.of(self.quads[number][1][lang].source[spots[first][0] : spots[last][1]])

    def _values(self, kind: str, lines: Quad) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for name in sorted(set().union(*(line.slots for line in lines.values()))):
            if not kind:
                values[name] = self.maker.value(name.partition("_")[0])
            elif name == "name":
                values[name] = self.maker.subject(kind)
            else:
                values[name] = self.maker.value(self.world.kinds[kind].fields[name].type, f"{kind}.{name}")
        return values


def main() -> None:
    """Align the corpus."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--show", type=int, default=0)
    args = parser.parse_args()
    world, held = load_all()
    taken = sayings(held, world) if held else frozenset()
    quads = corpus(world, taken)
    made = align([quad for _, quad in quads])
    np.savez_compressed(args.out, corpus=np.asarray(digest(quads)), **made)
    print(f"{len(quads)} quads;", ", ".join(f"{name} {len(part)}" for name, part in made.items()))
    rng = random.Random(1)
    fragments = Fragments(rng, world, Maker(rng, world, "train"), taken, args.out)
    for _ in range(args.show):
        source, to = rng.sample(LANGS, 2)
        print(source, to, *(fragments.pair if rng.random() < 0.3 else fragments.graft)(source, to), sep=" | ")


if __name__ == "__main__":
    main()
