"""The forms of single words in English, French, Spanish and German.

Persons are numbered: 0 I, 1 you (formal), 2 he, she or a singular, 3 we, 4 they or a plural.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

Rows = Mapping[str, tuple[str, ...]]
_ACUTE = str.maketrans("áéíóú", "aeiou")
_UMLAUT = {"a": "ä", "o": "ö", "u": "ü", "A": "Ä", "O": "Ö", "U": "Ü"}
_INSEPARABLE = ("be", "ge", "er", "ver", "ent", "emp", "zer", "über", "unter", "wider", "miss")


@dataclass(frozen=True, slots=True)
class Irregular:
    """The tables of lexicon_irregular.toml."""

    en: Rows
    fr: Rows
    es: Rows
    de: Rows
    doubling: frozenset[str]
    etre: frozenset[str]
    aspirate: frozenset[str]
    alone: frozenset[str]
    participles: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Forms:
    """A verb of one language. ``present``, ``past`` (simple) and ``future`` (fr, es) by person."""

    infinitive: str
    present: tuple[str, ...]
    past: tuple[str, ...]
    participle: str
    future: tuple[str, ...] = ()
    gerund: str = ""


# plurals


def plural_en(word: str) -> str:
    """``city`` -> ``cities``."""
    if re.search(r"(s|x|z|ch|sh)$", word):
        return word + "es"
    return word[:-1] + "ies" if re.search(r"[^aeiou]y$", word) else word + "s"


def _plural_fr(word: str) -> str:
    if word[-1] in "sxz":
        return word
    if word.endswith("al") and word not in ("festival", "bal", "récital"):
        return word[:-2] + "aux"
    return word + ("x" if re.search(r"(au|eu)$", word) and word not in ("bleu", "pneu") else "s")


def _plural_es(word: str) -> str:
    if word[-1] in "aeiouáéó":
        return word + "s"
    if word[-1] == "z":
        return word[:-1] + "ces"
    if re.search(r"[áéíóú][ns]$", word):
        return (word if re.search(r"[aeo]í[ns]$", word) else word.translate(_ACUTE)) + "es"
    return word if word.endswith("s") and word not in ("dios", "mes", "país", "tos") else word + "es"


_LINKS = frozenset("de d' du des à au en del la el".split())


def _head_plural(words: str, one: object) -> str:
    """The words up to the first preposition are put in the plural."""
    assert callable(one)
    split = words.split(" ")
    end = next((i for i, word in enumerate(split) if word in _LINKS or word.startswith("d'")), len(split))
    return " ".join([one(word) if i < end else word for i, word in enumerate(split)])


def plural_fr(words: str) -> str:
    """``carte de visite`` -> ``cartes de visite``."""
    return _head_plural(words, _plural_fr)


def plural_es(words: str) -> str:
    """``estación central`` -> ``estaciones centrales``."""
    return _head_plural(words, _plural_es)


def umlaut(word: str) -> str:
    """The last a, o, u or au becomes ä, ö, ü or äu."""
    at = max(word.lower().rfind(vowel) for vowel in "aou")
    if at > 0 and word[at - 1 : at + 1].lower() == "au":
        at -= 1
    return word[:at] + _UMLAUT[word[at]] + word[at + 1 :]


def plural_de(word: str, gender: str, code: str) -> str:
    """The nominative plural, by ``code`` or, where that is empty, by rule."""
    if code.startswith("^"):
        return umlaut(word) + code[1:]
    if code.startswith("-"):
        return word + code[1:]
    if code in ("=", "0"):
        return word
    if gender == "f":
        if word.endswith("e"):
            return word + "n"
        if word.endswith("in"):
            return word + "nen"
        if re.search(r"(ung|heit|keit|schaft|ion|tät)$", word):
            return word + "en"
    elif re.search(r"(er|el|en|chen|lein|e)$", word):
        return word
    raise ValueError(f"no rule for the plural of {word}: give one")


def genitive_de(word: str) -> str:
    """The genitive singular of a strong masculine or neuter."""
    if word.endswith("nis"):
        return word + "ses"
    known = {"Ei": "Eies", "Herz": "Herzens", "Test": "Tests", "Algorithmus": "Algorithmus", "Tourismus": "Tourismus", "Virus": "Virus"}
    if word in known:
        return known[word]
    if word.lower().endswith("bus"):
        return word + "ses"
    return word + ("es" if re.search(r"(s|ß|x|z|tz|sch|arzt)$|^[^aeiouäöü]*[aeiouäöü]+[lrn]?(d|nn|st)$", word.lower()) else "s")


# adjectives


def feminine_fr(word: str) -> str:
    """``heureux`` -> ``heureuse``."""
    for end, female in (("eux", "euse"), ("if", "ive"), ("el", "elle"), ("ien", "ienne"), ("er", "ère"), ("eau", "elle"), ("e", "e")):
        if word.endswith(end):
            return word[: -len(end)] + female
    return word + "e"


def adjective_fr(entry: str) -> tuple[str, str, str, str]:
    """Masculine, feminine, masculine plural, feminine plural."""
    given = entry.split("/")
    if len(given) == 4:
        return (given[0], given[1], given[2], given[3])
    male, female = given[0], given[1] if len(given) > 1 else feminine_fr(given[0])
    return male, female, _plural_fr(male), female + "s"


def adjective_es(entry: str) -> tuple[str, str, str, str]:
    """As adjective_fr."""
    given = entry.split("/")
    if len(given) == 4:
        return (given[0], given[1], given[2], given[3])
    male = given[0]
    female = given[1] if len(given) > 1 else male[:-1] + "a" if male.endswith("o") else male
    return male, female, _plural_es(male), _plural_es(female)


def stem_de(word: str) -> str:
    """What the endings are added to: ``teuer`` -> ``teur``."""
    if word == "hoch":
        return "hoh"
    if word in ("teuer", "sauer"):
        return word[:-2] + "r"
    if re.search(r"(el)$", word):
        return word[:-2] + "l"
    return word[:-1] if word.endswith("e") else word


_COMPARED = {"gut": "besser best", "hoch": "höher höchst", "groß": "größer größt", "nah": "näher nächst"}
_UMLAUTED = frozenset("alt jung lang kurz stark schwach arm hart warm kalt krank dumm klug scharf gesund".split())


def compared_de(word: str) -> tuple[str, str]:
    """Comparative and the stem of the superlative."""
    if word in _COMPARED:
        comparative, superlative = _COMPARED[word].split()
        return comparative, superlative
    stem = umlaut(word) if word in _UMLAUTED else word
    end = "est" if re.search(r"(d|t|s|ß|z|sch|haft|x)$", word) and not re.search(r"(ierend|end|isch)$", word) else "st"
    return stem_de(stem) + "er", stem + end


def compared_en(word: str) -> tuple[str, str]:
    """Comparative and superlative."""
    known = {"good": ("better", "best"), "bad": ("worse", "worst")}
    if word in known:
        return known[word]
    short = len(re.findall(r"[aeiouy]+", re.sub(r"e$", "", word))) == 1 and word not in ("tired", "worried", "loyal", "fashionable")
    if re.search(r"[^aeiou]y$", word) and len(word) < 8:
        return word[:-1] + "ier", word[:-1] + "iest"
    if not short and word not in ("quiet", "narrow", "simple", "clever"):
        return "more " + word, "most " + word
    base = word[:-1] if word.endswith("e") else word + word[-1] if re.search(r"[^aeiou][aeiou][bdgmnt]$", word) else word
    return base + "er", base + "est"


# verbs


def verb_en(base: str, irregular: Irregular) -> Forms:
    """Forms of an English verb."""
    third = "has" if base == "have" else plural_en(base) if not base.endswith("o") else base + "es"
    stem = base[:-1] if base.endswith("e") else base
    past = stem + "ed" if not re.search(r"[^aeiou]y$", base) else base[:-1] + "ied"
    past, participle = irregular.en.get(base, (past, past))
    gerund = (base + base[-1] if base in irregular.doubling else "dy" if base == "die" else base if base.endswith("ee") else stem) + "ing"
    return Forms(base, (base, base, third, base, base), (past,) * 5, participle, (), gerund)


def _by_suffix(infinitive: str, rows: Rows, alone: frozenset[str] = frozenset()) -> tuple[str, ...] | None:
    for at in range(len(infinitive)):
        end = infinitive[at:]
        if end in rows and not (at and end in alone):
            return tuple(infinitive[:at] + form for form in rows[end])
    return None


def _fr_principal(inf: str, irregular: Irregular) -> tuple[str, ...]:
    """il, ils, vous, participle, stem of the future."""
    found = _by_suffix(inf, irregular.fr, frozenset(("aller", "être")))
    if found:
        return found
    stem = inf[:-2]
    if inf.endswith("ir"):
        return stem + "it", stem + "issent", stem + "issez", stem + "i", inf
    if inf.endswith("re"):
        return stem, stem + "ent", stem + "ez", stem + "u", inf[:-1]
    strong = re.sub(r"y$", "i", stem)
    strong = re.sub(r"e([^aeiouéè]+)$", r"è\1", strong) if re.search(r"[^aeiouyéè]e[lmnprstvc]$", strong) else strong
    future = strong + "er"
    strong = re.sub(r"é([^aeiouéèêâîôû]+)$", r"è\1", strong)
    return strong + "e", strong + "ent", stem + "ez", stem + "é", future


def _fr_first(il: str) -> str:
    special = {"va": "vais", "a": "ai", "est": "suis", "peut": "peux", "veut": "veux"}
    if il in special:
        return special[il]
    if il.endswith(("met", "bat")):
        return il + "s"
    if il.endswith("aît"):
        return il[:-2] + "is"
    return il[:-1] + "s" if il.endswith("t") else il + "s" if il[-1] in "dc" else il


def verb_fr(inf: str, irregular: Irregular) -> Forms:
    """Forms of a French verb; ``past`` is the imparfait."""
    il, ils, vous, participle, future = _fr_principal(inf, irregular)
    nous = {"êtes": "sommes", "faites": "faisons", "dites": "disons"}.get(vous, vous[:-2] + "ons")
    if inf.endswith("ger"):
        nous = inf[:-1] + "ons"
    elif inf.endswith("cer"):
        nous = inf[:-3] + "çons"
    stem = "ét" if inf == "être" else nous[:-3]
    soft = stem.replace("ç", "c") if inf.endswith("cer") else stem[:-1] if inf.endswith("ger") else stem
    imparfait = (stem + "ais", soft + "iez", stem + "ait", soft + "ions", stem + "aient")
    futures = tuple(future + end for end in ("ai", "ez", "a", "ons", "ont"))
    return Forms(inf, (_fr_first(il), vous, il, nous, ils), imparfait, participle, futures)


def _changed(stem: str, change: str) -> str:
    vowel = "o" if change == "ue" else "e"
    if change == "ue" and "o" not in stem:
        vowel = "u"
    at = stem.rfind(vowel)
    return stem[:at] + change + stem[at + 1 :]


def verb_es(entry: str, irregular: Irregular) -> Forms:
    """Forms of a Spanish verb; ``past`` is the pretérito."""
    inf, _, change = entry.partition(":")
    rows = _by_suffix(inf, irregular.es, irregular.alone)
    if rows:
        participle, future = rows[8], rows[9]
        present, past = rows[:4], rows[4:8]
    else:
        stem, kind = inf[:-2], inf[-2:]
        strong = _changed(stem, change) if change else stem
        first = strong[:-1] + "zc" if re.search(r"[aeiou]c$", stem) and kind != "ar" else strong
        light = _changed(stem, "u" if change == "ue" else "i") if change and kind == "ir" else stem
        light = stem[: stem.rfind("o")] + "u" + stem[stem.rfind("o") + 1 :] if change == "ue" and kind == "ir" else light
        vowel = kind[0]
        present = (first + "o", strong + ("a" if vowel == "a" else "e"), stem + {"a": "a", "e": "e", "i": "i"}[vowel] + "mos", "")
        present = (*present[:3], present[1] + "n")
        if vowel == "a":
            hard = re.sub(r"c$", "qu", re.sub(r"z$", "c", re.sub(r"g$", "gu", stem)))
            hard = hard if not stem.endswith("z") else stem[:-1] + "c"
            past = (hard + "é", stem + "ó", stem + "amos", stem + "aron")
        else:
            past = (stem + "í", light + "ió", stem + "imos", light + "ieron")
        participle, future = stem + ("ado" if vowel == "a" else "ido"), inf
    participle = next((inf[: -len(end)] + form for end, form in irregular.participles.items() if inf.endswith(end)), participle)
    future = future.translate(_ACUTE) if future.endswith("ír") else future
    futures = tuple(future + end for end in ("é", "á", "á", "emos", "án"))
    return Forms(inf, (present[0], present[1], *present[1:4]), (past[0], past[1], *past[1:4]), participle, futures)


def _de_principal(inf: str, irregular: Irregular) -> tuple[str, str, str]:
    """er, Präteritum, participle of a verb without separable prefix."""
    for prefix in ("", *_INSEPARABLE):
        if inf.startswith(prefix) and inf[len(prefix) :] in irregular.de:
            er, past, participle = irregular.de[inf[len(prefix) :]]
            return prefix + er, prefix + past, prefix + (participle.removeprefix("ge") if prefix else participle)
    stem = inf[:-2] if inf.endswith("en") else inf[:-1]
    soft = "e" if re.search(r"([dt]|[^aeiouäöülrhmn][mn]|chn|ffn)$", stem) else ""
    bare = inf.endswith("ieren") or any(inf.startswith(prefix) for prefix in _INSEPARABLE)
    return stem + soft + "t", stem + soft + "te", ("" if bare else "ge") + stem + soft + "t"


@functools.cache
def _de_first(inf: str, er: str) -> str:
    if er in ("weiß", "darf", "kann", "muss"):
        return er
    return inf[:-3] + "le" if inf.endswith("eln") else inf[:-1] + "e" if inf.endswith("ern") else inf[:-1]


def verb_de(inf: str, irregular: Irregular) -> Forms:
    """Forms of a German verb without its separable prefix; ``past`` is the Präteritum."""
    er, past, participle = _de_principal(inf, irregular)
    many = past + ("n" if past.endswith("e") else "en")
    return Forms(inf, (_de_first(inf, er), inf, er, inf, inf), (past, many, past, many, many), participle)
