"""Loads the made-up world (a folder of TOML files) into dataclasses, strictly.

A *quad* says the same thing in the four languages; each of its lines is compiled to literal and slot segments once, so that
filling it is a join. Every error names the file, the field and the quad.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

LANGS = ("en", "fr", "es", "de")
HERE = Path(__file__).parent
SIMPLE_TYPES = frozenset(
    "person org thing city country street date month year time int float percent money mass length area data duration count "
    "email url phone code version title score bool".split()
)
YES_NO = {"en": ("yes", "no"), "fr": ("oui", "non"), "es": ("sí", "no"), "de": ("ja", "nein")}
_SLOT = re.compile(r"\{(?:(in|a):)?([a-z_]+)\}")
_BLOCKS = ("hints", "asks", "denies", "titles", "says", "yes", "no", "briefs", "briefs_yes", "briefs_no")
_SAYINGS = ("says", "yes", "no", "denies", "hints", "asks")
_SEPARATORS = (": ", " = ", " | ", " - ")


class WorldError(ValueError):
    """A world file breaks the format."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A hole in a line. ``form`` is ``in`` (country with its preposition), ``a`` (English article) or empty."""

    name: str
    form: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One language's line of a quad, as segments."""

    source: str
    segments: tuple[str | Slot, ...]
    slots: frozenset[str]

    @classmethod
    def of(cls, source: str) -> Line:
        """Compile ``source``."""
        segments: list[str | Slot] = []
        end = 0
        for match in _SLOT.finditer(source):
            if match.start() > end:
                segments.append(source[end : match.start()])
            segments.append(Slot(match[2], match[1] or ""))
            end = match.end()
        if end < len(source):
            segments.append(source[end:])
        return cls(source, tuple(segments), frozenset(part.name for part in segments if isinstance(part, Slot)))


Quad = dict[str, Line]


def quad_of(lines: Mapping[str, str]) -> Quad:
    """A quad from one string a language."""
    return {lang: Line.of(lines[lang]) for lang in LANGS}


@dataclass(frozen=True)
class Field:
    """One fact that a kind can have, with its wordings."""

    name: str
    type: str
    key: bool
    keys: Mapping[str, tuple[str, ...]]
    hints: tuple[Quad, ...]
    asks: tuple[Quad, ...]
    denies: tuple[Quad, ...]
    titles: tuple[Quad, ...]
    says: tuple[Quad, ...] = ()
    yes: tuple[Quad, ...] = ()
    no: tuple[Quad, ...] = ()
    briefs: tuple[Quad, ...] = ()
    briefs_yes: tuple[Quad, ...] = ()
    briefs_no: tuple[Quad, ...] = ()

    def stating(self, value: bool | None) -> tuple[Quad, ...]:
        """The sentences that state the fact; ``value`` is the truth of a boolean one, else None."""
        return self.says if value is None else self.yes if value else self.no

    def labels(self, value: bool | None, stop: str = "") -> tuple[Quad, ...]:
        """Label lines such as ``Price: {price}``, ended by ``stop``."""
        lines = []
        for title in self.titles:
            for separator in _SEPARATORS:
                texts = {}
                for lang in LANGS:
                    said = f"{{{self.name}}}" if value is None else YES_NO[lang][0 if value else 1]
                    word = title[lang].source
                    colon = " : " if lang == "fr" and separator == ": " else separator
                    texts[lang] = word[:1].upper() + word[1:] + colon + said + stop
                lines.append(quad_of(texts))
        return tuple(lines)


@dataclass(frozen=True)
class Kind:
    """A kind of thing: what it is called, how it is introduced, its fields."""

    name: str
    nouns: tuple[Quad, ...]
    opens: tuple[Quad, ...]
    fields: Mapping[str, Field]


@dataclass(frozen=True)
class Talk:
    """Questions without a text."""

    asks: tuple[Quad, ...]
    reply: Quad


@dataclass(frozen=True)
class World:
    """All that the samples are made of."""

    kinds: Mapping[str, Kind]
    choices: Mapping[str, tuple[Quad, ...]]
    countries: tuple[tuple[Mapping[str, str], Mapping[str, str]], ...]
    cities: tuple[str, ...]
    units: Mapping[str, Mapping[str, str]]
    months: tuple[Mapping[str, str], ...]
    joins: Mapping[str, str]
    talks: tuple[Talk, ...]
    unknown_asks: tuple[Quad, ...]
    unknown_reply: Quad
    none_hints: tuple[Quad, ...]
    none_asks: tuple[Quad, ...]
    fillers: Mapping[str, tuple[Quad, ...]]
    labels: Mapping[str, tuple[Quad, ...]]
    frames: Mapping[str, tuple[Quad, ...]] = field(default_factory=dict)


def quads(block: str, where: str, slots: Iterable[str] | None = None) -> tuple[Quad, ...]:
    """The quads of a block. ``slots`` are the names allowed in braces; None allows any."""
    allowed = None if slots is None else frozenset(slots)
    found = []
    for number, chunk in enumerate((part for part in re.split(r"\n\s*\n", block.strip()) if part.strip()), 1):
        here = f"{where}, quad {number}"
        lines: dict[str, str] = {}
        for raw in chunk.strip().splitlines():
            lang, colon, text = raw.strip().partition(":")
            if not colon or lang not in LANGS or lang in lines or not text.strip():
                raise WorldError(f"{here}: cannot read the line {raw!r}.")
            lines[lang] = text.strip()
        if tuple(sorted(lines)) != tuple(sorted(LANGS)):
            raise WorldError(f"{here}: has {', '.join(lines)}, needs each of {', '.join(LANGS)}.")
        quad = quad_of(lines)
        for lang, line in quad.items():
            names = [part.name for part in line.segments if isinstance(part, Slot)]
            if len(names) != len(set(names)):
                raise WorldError(f"{here}: a slot occurs twice in {lang}: {line.source!r}.")
            if line.slots != quad["en"].slots:
                raise WorldError(f"{here}: {lang} has the slots {sorted(line.slots)}, en {sorted(quad['en'].slots)}.")
            if allowed is not None and not line.slots <= allowed:
                raise WorldError(f"{here}: unknown slots {sorted(line.slots - allowed)} in {line.source!r}.")
            if "{" in _SLOT.sub("", line.source) or "}" in _SLOT.sub("", line.source):
                raise WorldError(f"{here}: stray brace in {line.source!r}.")
        found.append(quad)
    return tuple(found)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as exc:
        raise WorldError(f"{path.name}: {exc}") from exc


def _field(table: Mapping[str, Any], slots: frozenset[str], where: str, vocabulary: Iterable[str], base: Field | None) -> Field:
    name = str(table["name"])
    where = f"{where}, field {name}"
    kind = str(table.get("type", base.type if base else ""))
    group, _, listed = kind.partition(":")
    if kind not in SIMPLE_TYPES and not (
        (group == "choice" and listed in vocabulary)
        or (group == "list" and (listed in vocabulary or listed in ("person", "city", "country")))
    ):
        raise WorldError(f"{where}: unknown type {kind!r}.")
    blocks = ["hints", "asks", "denies", "titles"]
    blocks += ["yes", "no", "briefs_yes", "briefs_no"] if kind == "bool" else ["says", "briefs"]
    values: dict[str, tuple[Quad, ...]] = {}
    for block in blocks:
        if block in table:
            allowed: frozenset[str] = frozenset() if block == "titles" else slots
            values[block] = quads(table[block], f"{where}, {block}", allowed)
        elif base is not None:
            values[block] = getattr(base, block)
        else:
            raise WorldError(f"{where}: no {block}.")
    given = table.get("keys", {})
    if base is None and set(given) != set(LANGS):
        raise WorldError(f"{where}: keys are needed in {', '.join(LANGS)}.")
    keys = {lang: tuple(dict.fromkeys(word.strip() for word in given.get(lang, "").split(",") if word.strip())) for lang in LANGS}
    for block in ("says",):
        for number, quad in enumerate(values.get(block, ()), 1):
            if name not in quad["en"].slots:
                raise WorldError(f"{where}, {block}, quad {number}: does not say {{{name}}}.")
    return Field(name, kind, bool(table.get("key", base.key if base else False)), keys, **values)


def _kind(path: Path, vocabulary: Iterable[str], base: Kind | None, partial: bool = False) -> Kind:
    table = _toml(path)
    types = {str(row["name"]): str(row.get("type", "")) for row in table.get("field", ())}
    if base:
        types = {name: field_.type for name, field_ in base.fields.items()} | types
    slots = frozenset({"name"} | {name for name, kind in types.items() if kind != "bool"})
    fields = dict(base.fields) if base else {}
    here: dict[str, Field] = {}
    for row in table.get("field", ()):
        made = _field(row, slots, path.name, vocabulary, fields.get(str(row["name"])))
        here[made.name] = made
    nouns = quads(table["nouns"], f"{path.name}, nouns", ()) if "nouns" in table else base.nouns if base else ()
    opens = quads(table["opens"], f"{path.name}, opens", ("name",)) if "opens" in table else base.opens if base else ()
    if not partial and not (nouns and opens and here):
        raise WorldError(f"{path.name}: nouns, opens and fields are needed.")
    return Kind(str(table["kind"]), nouns, opens, here)


def _merged(kind: Kind, path: Path, vocabulary: Iterable[str]) -> Kind:
    """``kind`` with the wordings of a further file for the same kind (``more_<kind>.toml``) added."""
    empty = {
        name: replace(field_, **{block: () for block in _BLOCKS}, keys=dict.fromkeys(LANGS, ())) for name, field_ in kind.fields.items()
    }
    more = _kind(path, vocabulary, replace(kind, nouns=(), opens=(), fields=empty), partial=True)
    fields = dict(kind.fields)
    for name, extra in more.fields.items():
        if name not in fields:
            raise WorldError(f"{path.name}: field {name} is not in {kind.name}.toml.")
        keys = {lang: tuple(dict.fromkeys((*fields[name].keys[lang], *extra.keys[lang]))) for lang in LANGS}
        fields[name] = replace(
            fields[name], keys=keys, **{block: getattr(fields[name], block) + getattr(extra, block) for block in _BLOCKS}
        )
    return replace(kind, nouns=kind.nouns + more.nouns, opens=kind.opens + more.opens, fields=fields)


def _four(row: Any, where: str) -> dict[str, str]:
    if not isinstance(row, list) or len(row) != 4 or not all(isinstance(word, str) and word for word in row):
        raise WorldError(f"{where}: needs four words, got {row!r}.")
    return dict(zip(LANGS, row, strict=True))


def _vocabulary(path: Path) -> dict[str, Any]:
    table = _toml(path)
    choices = {
        name: tuple(quad_of(_four(row, f"{path.name}, choice {name}, row {number}")) for number, row in enumerate(rows, 1))
        for name, rows in table["choice"].items()
    }
    countries = []
    for number, row in enumerate(table["country"]["rows"], 1):
        if len(row) != 8:
            raise WorldError(f"{path.name}, country, row {number}: needs eight words.")
        countries.append((_four(row[0::2], path.name), _four(row[1::2], path.name)))
    return {
        "choices": choices,
        "countries": tuple(countries),
        "cities": tuple(table["city"]["names"]),
        "units": {name: _four(row, f"{path.name}, unit {name}") for name, row in table["unit"].items()},
        "months": tuple(_four(row, f"{path.name}, month {number}") for number, row in enumerate(table["month"]["names"], 1)),
        "joins": _four(table["join"]["and"], f"{path.name}, join"),
    }


def _one(block: str, where: str) -> Quad:
    return quads(block, where, ("name",))[0]


def _talk(path: Path) -> dict[str, Any]:
    table = _toml(path)
    talks = tuple(
        Talk(quads(row["asks"], f"{path.name}, talk {number}, asks", ()), _one(row["reply"], f"{path.name}, talk {number}, reply"))
        for number, row in enumerate(table["talk"], 1)
    )
    return {
        "talks": talks,
        "unknown_asks": quads(table["unknown"]["asks"], f"{path.name}, unknown, asks"),
        "unknown_reply": _one(table["unknown"]["reply"], f"{path.name}, unknown, reply"),
        "none_hints": quads(table["none"]["hints"], f"{path.name}, none, hints", ("name",)),
        "none_asks": quads(table["none"]["asks"], f"{path.name}, none, asks", ("name",)),
    }


def _filler(path: Path, base: World | None) -> dict[str, Any]:
    table = _toml(path)
    fillers = dict(base.fillers) if base else {}
    for name in ("filler", "good", "bad", "urgent"):
        if name in table:
            fillers[name] = quads(table[name]["says"], f"{path.name}, {name}", ())
    labels = dict(base.labels) if base else {}
    labels |= {name: quads(block, f"{path.name}, labels {name}", ()) for name, block in table.get("labels", {}).items()}
    return {"fillers": fillers, "labels": labels}


def _frames(path: Path) -> dict[str, tuple[Quad, ...]]:
    return {name: quads(block["quads"], f"{path.name}, {name}") for name, block in _toml(path).items()}


def load(folder: Path, base: World | None = None) -> World:
    """The world in ``folder``; what it lacks is taken from ``base``."""
    special: dict[str, Any] = {}
    readers = {"_vocab": _vocabulary, "_talk": _talk}
    for stem, reader in readers.items():
        path = folder / f"{stem}.toml"
        if path.exists():
            special |= reader(path)
        elif base is None:
            raise WorldError(f"{folder}: no {stem}.toml.")
    if (folder / "_filler.toml").exists() or base is None:
        special |= _filler(folder / "_filler.toml", base)
    if (folder / "_frames.toml").exists():
        special["frames"] = _frames(folder / "_frames.toml")
    vocabulary = special["choices"] if "choices" in special else base.choices if base else {}
    kinds = {}
    paths = sorted(folder.glob("[!_]*.toml"), key=lambda path: (path.stem.startswith("more_"), path.stem))
    for path in paths:
        stem = path.stem
        if stem.startswith("more_"):
            stem = stem.removeprefix("more_").partition(".")[0]
            if stem not in kinds:
                raise WorldError(f"{path.name}: there is no {stem}.toml.")
            kinds[stem] = _merged(kinds[stem], path, vocabulary)
        else:
            kinds[stem] = _kind(path, vocabulary, base.kinds.get(stem) if base else None)
    if not kinds:
        raise WorldError(f"{folder}: no kinds.")
    if base is not None:
        return replace(base, kinds=kinds, **special)
    return World(kinds=kinds, **special)


def bare(line: str) -> str:
    """A line for comparing: slots without names, no case, no outer marks."""
    return _SLOT.sub("{}", line).casefold().strip(" .,:;!?¿¡")


def sayings(held: World, base: World | None = None) -> frozenset[str]:
    """Every sentence, hint and question of the held-out world, ``bare``; none of what it takes over from ``base``."""
    groups: list[Iterable[Quad]] = []
    for kind in held.kinds.values():
        groups.append(kind.opens)
        groups += [getattr(field_, block) for field_ in kind.fields.values() for block in _SAYINGS]
    groups += [group for name, group in held.fillers.items() if base is None or group is not base.fillers[name]]
    return frozenset(bare(line.source) for group in groups for quad in group for line in quad.values())


def without(world: World, held: World) -> World:
    """``world`` less every key of the same field, and every hint, question and sentence anywhere, that ``held`` has too."""
    kinds = {}
    taken = sayings(held, world)
    for name, kind in world.kinds.items():
        other = held.kinds.get(name)
        fields = {}
        for field_ in kind.fields.values():
            twin = other.fields.get(field_.name) if other else None
            kept = {block: less(getattr(field_, block), taken) for block in _SAYINGS}
            keys = {lang: tuple(k for k in field_.keys[lang] if not twin or k not in twin.keys[lang]) for lang in LANGS}
            fields[field_.name] = replace(field_, keys=keys, **kept)
        kinds[name] = replace(kind, opens=less(kind.opens, taken), fields=fields)
    fillers = {name: less(group, taken) for name, group in world.fillers.items()}
    return replace(world, kinds=kinds, fillers=fillers)


def less(group: tuple[Quad, ...], taken: frozenset[str]) -> tuple[Quad, ...]:
    """The quads of ``group`` with no line in ``taken`` (``sayings``); the group itself where that is all."""
    kept = tuple(quad for quad in group if not any(bare(line.source) in taken for line in quad.values()))
    return group if len(kept) == len(group) else kept


def load_all(root: Path = HERE) -> tuple[World, World | None]:
    """The training world (less what the held-out one repeats) and the held-out world, None where it is not written yet."""
    world = load(root / "world")
    folder = root / "heldout"
    if not folder.exists() or not any(folder.glob("[!_]*.toml")):
        return world, None
    held = load(folder, world)
    return without(world, held), held
