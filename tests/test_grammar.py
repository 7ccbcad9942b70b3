"""The composer of parallel sentences: articles, agreement, case, elision and word order of the four languages."""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from .conftest import ROOT

FOLDER = ROOT / "examples" / "demo_model"


class Kit:
    """The grammar's parts, with entries found by their English names."""

    def __init__(self) -> None:
        import clauses
        import finish
        import grammar
        import lexicon
        import noun_phrases

        self.m = SimpleNamespace(**vars(noun_phrases), Clause=clauses.Clause, relative_de=clauses.relative_de)
        self.grammar, self.lexicon = grammar, lexicon
        self.lex = lexicon.load_lexicon(FOLDER / "world")
        self.done = finish.Finish(self.lex.irregular)

    def np(self, noun: str, det: str = "the", many: bool = False, adj: str = "", step: int = 0, *, kind: str = "") -> object:
        found = next(entry for entry in self.lex.nouns if entry.en[0] == noun and (not kind or entry.kind == kind))
        word = self.m.Adj(next(entry for entry in self.lex.adjectives if entry.en == adj), None, step) if adj else None
        dets = self.m.DETS
        chosen = dets[det] if det in dets else self.m.number_det(next(row for row in self.lex.phrases["numbers"] if row[0] == det))
        return self.m.NP(found, chosen, many, word, self.lex.irregular)

    def verb(self, name: str) -> object:
        head, _, tail = name.partition(" ")
        every = (*self.lex.transitive, *self.lex.intransitive, *self.lex.clausal)
        return next(verb for verb in every if verb.en.forms.infinitive == head and verb.en.tail == tail)

    def clause(self, subj: object, verb: str, obj: object = None, tense: str = "present", **how: object) -> object:
        return self.m.Clause(subj, self.verb(verb), obj, tense, **how)

    def said(self, clause: object, how: str = "main") -> list[str]:
        quad = self.done(clause.en(how), clause.fr(how), clause.es(how), clause.de(how), "?" if how == "ask" else ".")
        return [quad[lang] for lang in ("en", "fr", "es", "de")]

    def phrase(self, noun: object, case: int = 0) -> list[str]:
        return [self.done.en(noun.en), self.done.fr(noun.fr), self.done.es(noun.es), noun.de(case)]


@pytest.fixture(scope="module")
def kit() -> Iterator[Kit]:
    sys.path.insert(0, str(FOLDER))
    yield Kit()
    sys.path.remove(str(FOLDER))


PHRASES = [
    (("tree", "a", False, "old"), 1, ["an old tree", "un vieil arbre", "un árbol viejo", "einen alten Baum"]),
    (("hour", "a"), 0, ["an hour", "une heure", "una hora", "eine Stunde"]),
    (
        ("university", "a", False, "famous"),
        2,
        ["a famous university", "une université célèbre", "una universidad famosa", "einer berühmten Universität"],
    ),
    (("hero", "the"), 1, ["the hero", "le héros", "el héroe", "den Helden"]),
    (("water", "the", False, "cold"), 2, ["the cold water", "l'eau froide", "el agua fría", "dem kalten Wasser"]),
    (("water", "of"), 0, ["some water", "de l'eau", "agua", "Wasser"]),
    (("car", "this", True, "new"), 3, ["these new cars", "ces nouvelles voitures", "estos coches nuevos", "dieser neuen Autos"]),
    (("car", "this", False, "red"), 3, ["this red car", "cette voiture rouge", "este coche rojo", "dieses roten Autos"]),
    (("house", "a", True, "big"), 2, ["big houses", "de grandes maisons", "casas grandes", "großen Häusern"]),
    (("question", "my", False, "last"), 0, ["my last question", "ma dernière question", "mi última pregunta", "meine letzte Frage"]),
    (("school", "my"), 2, ["my school", "mon école", "mi escuela", "meiner Schule"]),
    (("hospital", "this"), 1, ["this hospital", "cet hôpital", "este hospital", "dieses Krankenhaus"]),
    (("student", "every"), 1, ["every student", "chaque étudiant", "cada estudiante", "jeden Studenten"]),
    (("language", "two", True), 2, ["two languages", "deux langues", "dos idiomas", "zwei Sprachen"]),
    (("image", "many", True), 2, ["many images", "beaucoup d'images", "muchas imágenes", "vielen Bildern"]),
    (
        ("contract", "the", False, "expensive", 2),
        0,
        ["the most expensive contract", "le contrat le plus cher", "el contrato más caro", "der teuerste Vertrag"],
    ),
    (("idea", "the", False, "good", 2), 1, ["the best idea", "la meilleure idée", "la mejor idea", "die beste Idee"]),
    (
        ("mountain", "the", False, "high", 2),
        0,
        ["the highest mountain", "la plus haute montagne", "la montaña más alta", "der höchste Berg"],
    ),
    (("house", "the"), 3, ["the house", "la maison", "la casa", "des Hauses"]),
    (("country", "the", True), 2, ["the countries", "les pays", "los países", "den Ländern"]),
    (("name", "the"), 3, ["the name", "le nom", "el nombre", "des Namens"]),
]


@pytest.mark.parametrize(("asked", "case", "expected"), PHRASES)
def test_noun_phrases(kit: Kit, asked: tuple, case: int, expected: list[str]) -> None:
    assert kit.phrase(kit.np(*asked), case) == expected


def test_clauses(kit: Kit) -> None:
    np, clause, said, who = kit.np, kit.clause, kit.said, kit.m.pronoun
    yesterday = ("yesterday", "hier", "ayer", "gestern")
    tomorrow = ("tomorrow", "demain", "mañana", "morgen")
    assert said(clause(np("teacher"), "read", np("book", "a"), "past", time=yesterday)) == [
        "The teacher read a book yesterday.", "Le professeur a lu un livre hier.", "El profesor leyó un libro ayer.",
        "Der Lehrer hat gestern ein Buch gelesen.",
    ]  # fmt: skip
    assert said(clause(who(2), "turn off", np("lamp"), "present")) == [
        "He turns off the lamp.", "Il éteint la lampe.", "Él apaga la lámpara.", "Er schaltet die Lampe aus.",
    ]  # fmt: skip
    assert said(clause(who(0), "wait for", np("student"), "present", neg=True)) == [
        "I do not wait for the student.", "Je n'attends pas l'étudiant.", "No espero al estudiante.", "Ich warte nicht auf den Studenten.",
    ]  # fmt: skip
    assert said(clause(np("woman", "the", True), "arrive", None, "past")) == [
        "The women arrived.", "Les femmes sont arrivées.", "Las mujeres llegaron.", "Die Frauen sind angekommen.",
    ]  # fmt: skip
    assert said(clause(np("sister", "my"), "remember", np("name"), "past")) == [
        "My sister remembered the name.", "Ma sœur s'est souvenue du nom.", "Mi hermana se acordó del nombre.",
        "Meine Schwester hat sich an den Namen erinnert.",
    ]  # fmt: skip
    assert said(clause(np("neighbour", "our"), "help", np("child", "the", True), "must", time=tomorrow)) == [
        "Our neighbour must help the children tomorrow.", "Notre voisin doit aider les enfants demain.",
        "Nuestro vecino debe ayudar a los niños mañana.", "Unser Nachbar muss morgen den Kindern helfen.",
    ]  # fmt: skip
    assert said(clause(np("employee", "the", True), "work", None, "would", place=("at home", "à la maison", "en casa", "zu Hause"))) == [
        "The employees would like to work at home.", "Les employés voudraient travailler à la maison.",
        "Los empleados quisieran trabajar en casa.", "Die Mitarbeiter möchten zu Hause arbeiten.",
    ]  # fmt: skip
    assert said(clause(who(1), "read", np("newspaper", "any", True, kind="D"), "past", neg=True)) == [
        "You did not read any newspapers.", "Vous n'avez pas lu de journaux.", "Usted no leyó ningún periódico.",
        "Sie haben keine Zeitungen gelesen.",
    ]  # fmt: skip


def test_passives(kit: Kit) -> None:
    np, clause, said = kit.np, kit.clause, kit.said
    by = ("by the lawyer", "par l'avocat", "por el abogado", "von dem Anwalt")
    assert said(clause(np("statement", "the", True), "sign", None, "past", passive=True, manner=by)) == [
        "The statements were signed by the lawyer.", "Les déclarations ont été signées par l'avocat.",
        "Las declaraciones fueron firmadas por el abogado.", "Die Erklärungen wurden vom Anwalt unterschrieben.",
    ]  # fmt: skip
    assert said(clause(np("letter"), "translate", None, "must", passive=True, neg=True)) == [
        "The letter must not be translated.", "La lettre ne doit pas être traduite.", "La carta no debe ser traducida.",
        "Der Brief darf nicht übersetzt werden.",
    ]  # fmt: skip


def test_questions(kit: Kit) -> None:
    np, clause, said, who = kit.np, kit.clause, kit.said, kit.m.pronoun
    assert said(clause(who(3), "write", np("letter", "a"), "past"), "ask") == [
        "Did she write a letter?", "A-t-elle écrit une lettre ?", "¿Escribió ella una carta?", "Hat sie einen Brief geschrieben?",
    ]  # fmt: skip
    assert said(clause(np("uncle", "her"), "sell", np("house"), "future"), "ask") == [
        "Will her uncle sell the house?", "Est-ce que son oncle vendra la maison ?", "¿Venderá su tío la casa?",
        "Wird ihr Onkel das Haus verkaufen?",
    ]  # fmt: skip


def test_the_german_verb_stands_last_in_a_subordinate_clause(kit: Kit) -> None:
    np, clause, who = kit.np, kit.clause, kit.m.pronoun
    assert clause(who(2), "turn on", np("radio")).de("sub") == "er das Radio einschaltet"
    assert clause(who(2), "turn on", np("radio"), "past").de("sub") == "er das Radio eingeschaltet hat"
    assert clause(np("situation"), "get better", None, "past").de("sub") == "sich die Situation gebessert hat"
    assert clause(who(2), "turn on", np("radio"), "must").de(front="heute") == "heute muss er das Radio einschalten"


def test_participles_agree_with_an_object_that_stands_before(kit: Kit) -> None:
    head = kit.np("letter", "the", True, kind="D")
    c = kit.clause(kit.m.pronoun(0), "write", None, "past", gap=head)
    assert kit.done.fr(f"{head.fr} que {c.fr()}") == "les lettres que j'ai écrites"
    assert f"{head.de()}, {kit.m.relative_de(head, 1)} {c.de('sub')}" == "die Briefe, die ich geschrieben habe"
    table = kit.np("table", "the")
    again = kit.clause(kit.m.pronoun(2), "clear", None, "past", pro=table)
    assert kit.said(again) == ["He cleared it.", "Il l'a débarrassée.", "Él la recogió.", "Er hat ihn abgeräumt."]


def test_contractions(kit: Kit) -> None:
    assert kit.done.fr("le prix de le ascenseur et de les haricots, à le héros, si il vient de le hall") == (
        "le prix de l'ascenseur et des haricots, au héros, s'il vient du hall"
    )
    assert kit.done.es("junto a el lado de el agua y iglesias o otros") == "junto al lado del agua e iglesias u otros"
    assert kit.done.de("das Haus, in dem er wohnt, steht in dem Dorf an dem See bei dem Wald.") == (
        "das Haus, in dem er wohnt, steht im Dorf am See beim Wald."
    )
    assert kit.done.en("a hour, a apple, a university, a uninteresting book") == "an hour, an apple, a university, an uninteresting book"


def test_a_bad_entry_is_reported_with_its_line(kit: Kit, tmp_path: object) -> None:
    for path in (FOLDER / "world").glob("_lexicon_*.toml"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    nouns = tmp_path / "_lexicon_nouns.toml"
    lines = nouns.read_text(encoding="utf-8").split("\n")
    at = next(i for i, line in enumerate(lines) if line.startswith('  "teacher |'))
    lines[at] = '  "teacher | professeur | m profesor | m Lehrer",'
    nouns.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(kit.lexicon.LexiconError, match=rf"_lexicon_nouns\.toml:{at + 1}: .*no gender"):
        kit.lexicon.load_lexicon(tmp_path)


def test_two_thousand_sentences(kit: Kit) -> None:
    composer = kit.grammar.Composer(random.Random(5), kit.lex)
    quads = [composer.quad() for _ in range(2000)]
    assert len({quad["en"] for quad in quads}) >= 1900
    for quad in quads:
        assert set(quad) == {"en", "fr", "es", "de"}
        assert len({tuple(sorted(re.findall(r"\{\w+\}", text))) for text in quad.values()}) == 1, quad
        for lang, text in quad.items():
            assert not re.search(r"  |^ |\s$|@|None| ,|,,|[,:] ?[.?]$", text), quad
            assert text[0].isupper() or text[0] in "{¿¡", quad
            if lang == "fr":
                assert not re.search(r"\b((de|à) (le|les)\b|(le|de|je|ne|ce|se|que) [aeéiou])", re.sub(r"\bonz", "", text)), quad
            if lang == "es":
                assert not re.search(r"\b(a el|de el|y i)\b", text), quad
        assert quad["en"].endswith("?") == quad["es"].endswith("?") == quad["de"].endswith("?") == quad["fr"].endswith(" ?"), quad


def test_the_same_seed_gives_the_same_sentences(kit: Kit) -> None:
    first, second = (kit.grammar.Composer(random.Random(3), kit.lex) for _ in "ab")
    assert [first.quad() for _ in range(50)] == [second.quad() for _ in range(50)]
