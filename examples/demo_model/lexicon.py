"""The lexicon of the composer: nouns, adjectives, verbs and fixed phrases in four languages, read from world/_lexicon_*.toml."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

import inflection as forms
from inflection import Forms, Irregular

CLASSES = {
    "person": "P", "org": "G", "place": "l", "outdoor": "L", "object": "o", "vehicle": "v", "clothing": "c", "food": "f", "drink": "d", "document": "D",
    "digital": "S", "event": "e", "abstract": "a", "animal": "n", "nature": "t", "body": "b", "time": "h",
}  # fmt: skip


class LexiconError(ValueError):
    """An entry that cannot be used; the message begins with file:line."""


@dataclass(frozen=True, slots=True)
class Noun:
    """Singular and plural in each language; ``de`` holds the cases n a d g, singular and then plural."""

    en: tuple[str, str]
    fr: tuple[str, str]
    es: tuple[str, str]
    de: tuple[tuple[str, ...], tuple[str, ...]]
    fr_g: str
    es_g: str
    de_g: str
    el: bool
    kind: str
    mass: bool
    at: str = ""


@dataclass(frozen=True, slots=True)
class Adjective:
    """``fr``, ``es``: m f mp fp. ``de``: predicative. ``before``: the place in fr and es. ``graded``: comparative, superlative in en and de."""

    en: str
    fr: tuple[str, ...]
    es: tuple[str, ...]
    de: str
    stem: str
    before_fr: bool
    before_es: bool
    estar: bool
    graded: tuple[str, str, str, str] | None
    nouns: tuple[Noun, ...]


@dataclass(frozen=True, slots=True)
class Word:
    """A verb of one language: its forms, what follows it, and what it needs."""

    forms: Forms
    tail: str = ""
    reflexive: bool = False
    be: bool = False
    prefix: str = ""
    case: str = "a"

    @property
    def after(self) -> str:
        """The tail with a space before it."""
        return " " + self.tail if self.tail else ""


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb with the nouns that it takes. ``objects`` is empty for an intransitive one."""

    en: Word
    fr: Word
    es: Word
    de: Word
    subjects: tuple[Noun, ...]
    objects: tuple[Noun, ...]
    passive: bool
    people: bool  # whether pronouns for people may be the subject


Phrase = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Lexicon:
    """All entries. ``describing`` gives the adjectives of a noun, ``classes`` the nouns of a class letter."""

    nouns: tuple[Noun, ...]
    classes: Mapping[str, tuple[Noun, ...]]
    adjectives: tuple[Adjective, ...]
    describing: Mapping[int, tuple[Adjective, ...]]
    transitive: tuple[Verb, ...]
    intransitive: tuple[Verb, ...]
    clausal: tuple[Verb, ...]
    phrases: Mapping[str, tuple[Phrase, ...]]
    places: Mapping[str, tuple[str, ...]]
    irregular: Irregular


def _gendered(words: str) -> tuple[str, str, str, str]:
    """gender, singular, plural ("" for the rule), code."""
    gender, _, rest = words.partition(" ")
    if gender not in ("m", "f", "n", "mn", "fa"):
        raise ValueError(f"no gender in {words!r}")
    one, _, many = rest.partition("/")
    return gender, one, many, ""


def _german(words: str) -> tuple[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    gender, one, many, _ = _gendered(words)
    if not many:
        one, _, code = one.partition(" ")
        many = one if code == "0" else forms.plural_de(one, gender[0], code)
    dative = many if many[-1] in "ns" else many + "n"
    plural = (many, many, dative, many)
    if gender == "mn":
        oblique = many
        return "m", ((one, oblique, oblique, oblique + ("s" if one == "Name" else "")), plural)
    owned = one if gender == "f" else forms.genitive_de(one)
    return gender, ((one, one, one, owned), plural)


def _noun(entry: str, kind: str) -> Noun:
    parts = [part.strip() for part in entry.split("|")]
    if len(parts) != (5 if kind in ("place", "outdoor") else 4):
        raise ValueError(f"{len(parts)} fields")
    if parts[3].endswith(" 0") and not parts[0].endswith("~"):
        raise ValueError("no plural in German: mark the English noun with ~")
    one, _, many = parts[0].removesuffix("~").partition("/")
    fr_g, fr, frs, _ = _gendered(parts[1])
    es_g, es, ess, _ = _gendered(parts[2])
    de_g, de = _german(parts[3])
    return Noun(
        (one, many or forms.plural_en(one)), (fr, frs or forms.plural_fr(fr)), (es, ess or forms.plural_es(es)), de,
        fr_g, es_g[0], de_g, es_g == "fa", CLASSES[kind], parts[0].endswith("~"), parts[4] if kind in ("place", "outdoor") else "",
    )  # fmt: skip


def _chosen(field: str, classes: Mapping[str, Sequence[Noun]]) -> tuple[Noun, ...]:
    """The nouns of ``P``, ``PG=book,letter`` or ``=book``."""
    letters, _, names = field.partition("=")
    found = [noun for letter in letters.strip() for noun in classes[letter]]
    named = {name.strip() for name in names.split(",") if name.strip()}
    every = [noun for group in classes.values() for noun in group]
    wanted = [noun for noun in every if noun.en[0] in named and noun not in found]
    unknown = named - {noun.en[0] for noun in every}
    if unknown:
        raise ValueError(f"unknown nouns: {', '.join(sorted(unknown))}")
    return tuple(found + wanted)


def _adjective(entry: str, classes: Mapping[str, Sequence[Noun]]) -> Adjective:
    parts = [part.strip() for part in entry.split("|")]
    if len(parts) != 5:
        raise ValueError(f"{len(parts)} fields")
    en, fr, es, de = parts[0].rstrip("!"), parts[1].lstrip("^"), parts[2].lstrip("^@"), parts[3].rstrip("=")
    graded = None if parts[0].endswith("!") else (*forms.compared_en(en), *forms.compared_de(de))
    return Adjective(
        en, forms.adjective_fr(fr), forms.adjective_es(es), de, "" if parts[3].endswith("=") else forms.stem_de(de),
        parts[1][0] == "^", parts[2][0] == "^", "@" in parts[2], graded, _chosen(parts[4], classes),
    )  # fmt: skip


def _romance(entry: str, make: object, irregular: Irregular, marks: tuple[str, ...]) -> Word:
    assert callable(make)
    reflexive = entry.startswith(marks) if marks else False
    if reflexive and marks[0] == "se ":
        entry = entry[3:] if entry.startswith("se ") else entry[2:]
    head, _, tail = entry.partition(" ")
    return Word(make(head, irregular), tail, reflexive, reflexive or head in irregular.etre)


def _spanish(entry: str, irregular: Irregular) -> Word:
    head, _, tail = entry.partition(" ")
    bare, colon, change = head.partition(":")
    reflexive = re.search(r"(ar|er|ir|ír)se$", bare) is not None
    return Word(forms.verb_es(bare[: -2 * reflexive or None] + colon + change, irregular), tail, reflexive)


def _verb_de(entry: str, irregular: Irregular) -> Word:
    reflexive = entry.startswith("sich ")
    entry = entry.removeprefix("sich ")
    entry, _, case = entry.partition("+")
    head, _, tail = entry.partition(" ")
    be, head = head.endswith("!"), head.rstrip("!")
    prefix, _, root = head.rpartition("/")
    return Word(forms.verb_de(root, irregular), tail, reflexive, be, prefix, case.lower() or "a")


def _verb(entry: str, classes: Mapping[str, Sequence[Noun]], irregular: Irregular) -> Verb:
    parts = [part.strip() for part in entry.split("|")]
    if len(parts) not in (5, 6, 7):
        raise ValueError(f"{len(parts)} fields")
    head, _, tail = parts[0].partition(" ")
    french = _romance(parts[1], forms.verb_fr, irregular, ("se ", "s'"))
    return Verb(
        Word(forms.verb_en(head, irregular), tail), french, _spanish(parts[2], irregular), _verb_de(parts[3], irregular),
        _chosen(parts[4], classes), _chosen(parts[5], classes) if len(parts) > 5 else (), len(parts) == 6, "P" in parts[4].partition("=")[0],
    )  # fmt: skip


def _phrase(entry: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in entry.split("|"))
    if len(parts) not in (4, 9) or "" in parts:
        raise ValueError(f"{len(parts)} fields")
    return parts


def _rows(table: Sequence[str]) -> dict[str, tuple[str, ...]]:
    split = [row.partition(":") for row in table]
    return {name: tuple(given.split()) for name, _, given in split}


def _irregular(folder: Path) -> Irregular:
    table = tomllib.loads((folder / "_lexicon_irregular.toml").read_text(encoding="utf-8"))
    rows = {lang: _rows(table[lang]["rows"]) for lang in ("en", "fr", "es", "de")}
    for lang, size in (("en", 2), ("fr", 5), ("es", 10), ("de", 3)):
        wrong = [name for name, given in rows[lang].items() if len(given) != size]
        if wrong:
            raise LexiconError(f"_lexicon_irregular.toml: {lang}: {size} forms expected for {', '.join(wrong)}")
    fr, es = table["fr"], table["es"]
    participles = dict(pair.split() for pair in es["participles"])
    return Irregular(
        rows["en"], rows["fr"], rows["es"], rows["de"], frozenset(table["en"]["doubling"]), frozenset(fr["etre"]),
        frozenset(fr["aspirate"]), frozenset(es["alone"]), participles,
    )  # fmt: skip


class _File:
    """One file of entries; a bad entry is reported with its line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text(encoding="utf-8")
        self.tables = tomllib.loads(self.text)

    def each(self, table: str, key: str, make: object) -> list[object]:
        """``make`` of every entry."""
        assert callable(make)
        done = []
        for entry in self.tables[table][key]:
            try:
                done.append(make(entry))
            except (ValueError, KeyError, IndexError) as error:
                line = self.text[: self.text.find(f'"{entry}"')].count("\n") + 1
                raise LexiconError(f"{self.path.name}:{line}: {entry!r}: {error}") from error
        return done


def load_lexicon(folder: Path) -> Lexicon:
    """Reads ``_lexicon_*.toml`` in ``folder``; LexiconError (file:line) where an entry is not right."""
    irregular = _irregular(folder)
    file = _File(folder / "_lexicon_nouns.toml")
    classes = {CLASSES[kind]: tuple(file.each(kind, "nouns", lambda entry, kind=kind: _noun(entry, kind))) for kind in file.tables}
    file = _File(folder / "_lexicon_adjectives.toml")
    adjectives = tuple(file.each("adjectives", "entries", lambda entry: _adjective(entry, classes)))
    describing: dict[int, list[Adjective]] = {}
    for adjective in adjectives:
        for noun in adjective.nouns:
            describing.setdefault(id(noun), []).append(adjective)
    file = _File(folder / "_lexicon_verbs.toml")
    verbs = {table: tuple(file.each(table, "verbs", lambda entry: _verb(entry, classes, irregular))) for table in file.tables}
    file = _File(folder / "_lexicon_phrases.toml")
    phrases = {table: tuple(file.each(table, next(iter(file.tables[table])), _phrase)) for table in file.tables}
    places = {row[0]: row[1:] for row in phrases.pop("prepositions")}
    nouns = tuple(noun for group in classes.values() for noun in group)
    return Lexicon(
        nouns, classes, adjectives, {key: tuple(value) for key, value in describing.items()},
        verbs["transitive"], verbs["intransitive"], verbs["clausal"], phrases, places, irregular,
    )  # fmt: skip
