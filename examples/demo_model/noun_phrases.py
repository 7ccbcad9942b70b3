"""Noun phrases in English, French, Spanish and German: articles, agreement, case, the place of adjectives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from inflection import Irregular
from lexicon import Adjective, Noun, Phrase

CASES = "nadg"
DER = {
    "m": ("der", "den", "dem", "des"),
    "f": ("die", "die", "der", "der"),
    "n": ("das", "das", "dem", "des"),
    "p": ("die", "die", "den", "der"),
}
_ENDINGS = {"m": ("er", "en", "em", "es"), "f": ("e", "e", "er", "er"), "n": ("es", "es", "em", "es"), "p": ("e", "e", "en", "er")}
_EIN = {"m": ("", "en", "em", "es"), "f": ("e", "e", "er", "er"), "n": ("", "", "em", "es"), "p": ("e", "e", "en", "er")}
_WEAK = {"m": ("e", "en", "en", "en"), "f": ("e", "e", "en", "en"), "n": ("e", "e", "en", "en"), "p": ("en", "en", "en", "en")}
_MIXED = {"m": ("er", "en", "en", "en"), "f": ("e", "e", "en", "en"), "n": ("es", "es", "en", "en"), "p": ("en", "en", "en", "en")}
_STRONG = {"m": ("er", "en", "em", "en"), "f": ("e", "e", "er", "er"), "n": ("es", "es", "em", "en"), "p": ("e", "e", "en", "er")}


@dataclass(frozen=True, slots=True)
class Det:
    """A determiner. fr, es: forms m f mp fp. ``de``: its stem, ``how``: der, dies, ein or none (the declension)."""

    en: tuple[str, str]
    fr: tuple[str, str, str, str]
    es: tuple[str, str, str, str]
    de: str
    how: str
    definite: bool


def _det(en: str, fr: str, es: str, de: str, how: str, definite: bool = True) -> Det:
    def four(words: str) -> tuple[str, str, str, str]:
        parts = [part.replace("_", " ") if part != "-" else "" for part in words.split()]
        parts = parts * 4 if len(parts) == 1 else [parts[0], parts[0], parts[1], parts[1]] if len(parts) == 2 else parts
        return parts[0], parts[1], parts[2], parts[3]

    one, slash, many = en.partition("/")
    return Det((one, many if slash else one), four(fr), four(es), de, how, definite)


DETS = {
    "the": _det("the", "le la les les", "el la los las", "der", "der"),
    "a": _det("a/", "un une des des", "un una - -", "ein", "ein", definite=False),
    "this": _det("this/these", "ce cette ces ces", "este esta estos estas", "dies", "dies"),
    "my": _det("my", "mon ma mes mes", "mi mis", "mein", "ein"),
    "our": _det("our", "notre nos", "nuestro nuestra nuestros nuestras", "unser", "ein"),
    "your": _det("your", "votre vos", "su sus", "Ihr", "ein"),
    "his": _det("his", "son sa ses ses", "su sus", "sein", "ein"),
    "her": _det("her", "son sa ses ses", "su sus", "ihr", "ein"),
    "their": _det("their", "leur leurs", "su sus", "ihr", "ein"),
    "no": _det("no", "aucun aucune aucun aucune", "ningún ninguna ningún ninguna", "kein", "ein", definite=False),
    "every": _det("every", "chaque", "cada", "jed", "dies"),
    "many": _det("many", "beaucoup_de", "muchos muchas muchos muchas", "viele", "none", definite=False),
    "several": _det("several", "plusieurs", "varios varias varios varias", "mehrere", "none", definite=False),
    "few": _det("few", "peu_de", "pocos pocas pocos pocas", "wenige", "none", definite=False),
    "some": _det("some", "quelques", "algunos algunas algunos algunas", "einige", "none", definite=False),
    "all": _det("all the", "tous_les toutes_les tous_les toutes_les", "todos_los todas_las todos_los todas_las", "alle", "alle"),
    "other": _det("the other", "l'autre l'autre les_autres les_autres", "el_otro la_otra los_otros las_otras", "der ander", "skip"),
    "of": _det("some", "de_le de_la", "-", "", "bare", definite=False),
    "bare": _det("/", "-", "-", "", "bare", definite=False),
    "generic": _det("/", "le la les les", "el la los las", "", "bare"),
    "whole": _det("/", "le la les les", "el la los las", "der", "der"),
    "any": _det("any", "de", "ningún ninguna ningún ninguna", "kein", "ein", definite=False),
}  # fmt: skip
DETS["of"] = replace(DETS["of"], fr=("de le", "de la", "des", "des"))


def number_det(phrase: Phrase) -> Det:
    """A number as a determiner."""
    en, fr, es, de = phrase
    return Det((en, en), (fr,) * 4, (es,) * 4, de, "number", definite=False)


def _vowel(word: str, aspirate: frozenset[str]) -> bool:
    first = word[:1].lower()
    return first in "aeiouâàéèêîïôœ" or (first == "h" and word.split(" ")[0].split("-")[0] not in aspirate)


@dataclass(frozen=True, slots=True)
class Adj:
    """An adjective with an adverb of degree, or in the comparative or superlative (``step`` 1 or 2)."""

    word: Adjective
    degree: Phrase | None = None
    step: int = 0


class NP:
    """A noun phrase: ``en``, ``fr``, ``es`` are its words, ``de(case)`` its words in a case (0 n, 1 a, 2 d, 3 g)."""

    __slots__ = ("_de", "be", "de_f", "definite", "en", "es", "es_i", "fr", "fr_i", "human", "kind", "one_de", "p", "pro", "tail")

    def __init__(self, noun: Noun, det: Det, many: bool, adj: Adj | None, irregular: Irregular) -> None:
        self.kind, self.definite, self.pro = noun.kind, det.definite, False
        self.human = noun.kind == "P"
        self.p = 4 if many else 2
        self.fr_i = 2 * many + (noun.fr_g == "f")
        es_many = many and not (det is DETS["any"])
        self.es_i = 2 * es_many + (noun.es_g == "f")
        self.de_f = "p" if many else noun.de_g
        self.one_de = noun.de_g
        self.en = _english(noun, det, many, adj)
        self.fr = _french(noun, det, self.fr_i, adj, irregular.aspirate)
        self.es = _spanish(noun, det, self.es_i, adj)
        self._de: Callable[[int], str] = lambda case: _german(noun, det, many, adj, case)
        self.tail: tuple[str, str, str, str] | None = None

    def de(self, case: int = 0) -> str:
        """The German words."""
        return self._de(case) + (self.tail[3] if self.tail else "")

    def followed(self, words: tuple[str, str, str, str]) -> NP:
        """The same with words after it in each language."""
        self.en += words[0]
        self.fr += words[1]
        self.es += words[2]
        self.tail = words
        return self


def pronoun(index: int) -> NP:
    """A personal pronoun as a subject: 0 I, 1 you, 2 he, 3 she, 4 we, 5 they."""
    made = NP.__new__(NP)
    made.en, made.fr, made.es, de = (
        ("I", "je", "", "ich"), ("you", "vous", "usted", "Sie"), ("he", "il", "él", "er"),
        ("she", "elle", "ella", "sie"), ("we", "nous", "", "wir"), ("they", "ils", "ellos", "sie"),
    )[index]  # fmt: skip
    made.p = (0, 1, 2, 2, 3, 4)[index]
    made.fr_i = made.es_i = (0, 0, 0, 1, 2, 2)[index]
    made.de_f, made.one_de = ("m", "p", "m", "f", "p", "p")[index], "m"
    made.kind, made.definite, made.pro, made.human, made.tail = "P", True, True, True, None
    made._de = lambda case: de
    return made


def slot(name: str) -> NP:
    """A slot as a subject or an object: a singular of unknown gender."""
    made = NP.__new__(NP)
    made.en = made.fr = made.es = name
    made.p, made.fr_i, made.es_i, made.de_f, made.one_de = 2, 0, 0, "m", "m"
    made.kind, made.definite, made.pro, made.human, made.tail = "P", True, False, name == "{person}", None
    made._de = lambda case: name
    return made


def _english(noun: Noun, det: Det, many: bool, adj: Adj | None) -> str:
    head = noun.en[many]
    if adj:
        word = adj.word.en if not adj.step else adj.word.graded[adj.step - 1] if adj.word.graded else adj.word.en
        head = f"{adj.degree[0]} {word} {head}" if adj.degree else f"{word} {head}"
    return f"{det.en[many]} {head}" if det.en[many] else head


def adjective_fr(adj: Adj, index: int) -> str:
    """The agreeing form with its degree."""
    word = adj.word.fr[index]
    if adj.step == 1:
        return {"bon": "meilleur", "bonne": "meilleure", "bons": "meilleurs", "bonnes": "meilleures"}.get(word, "plus " + word)
    return f"{adj.degree[1]} {word}" if adj.degree else word


def adjective_es(adj: Adj, index: int) -> str:
    """The agreeing form with its degree."""
    word = adj.word.es[index]
    if adj.step == 1:
        known = {"bueno": "mejor", "buena": "mejor", "buenos": "mejores", "buenas": "mejores"}
        known |= {"malo": "peor", "mala": "peor", "malos": "peores", "malas": "peores"}
        return known.get(word, "más " + word)
    return f"{adj.degree[2]} {word}" if adj.degree else word


def _french(noun: Noun, det: Det, index: int, adj: Adj | None, aspirate: frozenset[str]) -> str:
    head, article = noun.fr[index > 1], det.fr[index]
    if adj and adj.step == 2:
        best = {"bon": "meilleur", "bonne": "meilleure", "bons": "meilleurs", "bonnes": "meilleures"}.get(adj.word.fr[index])
        if best:
            return f"{article} {best} {head}"
        return (
            f"{article} plus {adj.word.fr[index]} {head}" if adj.word.before_fr else f"{article} {head} {article} plus {adj.word.fr[index]}"
        )
    if adj:
        word = adjective_fr(adj, index)
        if adj.word.before_fr:
            if index == 0 and not adj.degree and _vowel(head, aspirate):
                word = {"beau": "bel", "nouveau": "nouvel", "vieux": "vieil"}.get(word, word)
            head = f"{word} {head}"
            article = "de" if article == "des" and det.en[0] == "a" else article
        else:
            head = f"{head} {word}"
    if index < 2 and _vowel(head, aspirate):
        article = {"ce": "cet", "ma": "mon", "sa": "son"}.get(article, article)
    return f"{article} {head}" if article else head


def _spanish(noun: Noun, det: Det, index: int, adj: Adj | None) -> str:
    head, article = noun.es[index > 1], det.es[index]
    if adj and adj.step == 2:
        word = adj.word.es[index]
        best = {"bueno": "mejor", "buena": "mejor", "buenos": "mejores", "buenas": "mejores"}.get(word)
        return f"{article} {best} {head}" if best else f"{article} {head} más {word}"
    if adj:
        word = adjective_es(adj, index)
        word = {"primero": "primer"}.get(word, word)
        head = f"{word} {head}" if adj.word.before_es else f"{head} {word}"
    if noun.el and index == 1 and head.startswith(noun.es[0]):
        article = {"la": "el", "una": "un", "ninguna": "ningún"}.get(article, article)
    return f"{article} {head}" if article else head


def _adjective_de(adj: Adj, ending: str) -> str:
    word = adj.word
    if not word.stem:
        return word.de
    stem = word.stem if not adj.step or not word.graded else word.graded[1 + adj.step]
    return f"{adj.degree[3]} {stem}{ending}" if adj.degree else stem + ending


def _german(noun: Noun, det: Det, many: bool, adj: Adj | None, case: int) -> str:
    gender = "p" if many else noun.de_g
    how, article, table = det.how, det.de, _STRONG
    if how == "der":
        article, table = DER[gender][case], _WEAK
    elif how in ("dies", "alle"):
        article, table = (article if how == "dies" else "all") + _ENDINGS[gender][case], _WEAK
    elif how == "ein":
        article, table = ("", _STRONG) if many and article == "ein" else (article + _EIN[gender][case], _MIXED)
    elif how == "none":
        article = article[:-1] + _ENDINGS["p"][case]
    head = noun.de[many][case]
    if adj:
        head = f"{_adjective_de(adj, table[gender][case])} {head}"
    return f"{article} {head}" if article else head
