"""What the frames of the composer are made from: noun phrases, adverbials and clauses drawn at random."""

from __future__ import annotations

import random

from clauses import ESTAR, SEIN, SER, Clause
from finish import Finish
from lexicon import Adjective, Lexicon, Noun, Phrase, Verb
from noun_phrases import CASES, DETS, NP, Adj, Det, adjective_es, adjective_fr, number_det, pronoun, slot

Quad = dict[str, str]
WITH_ARTICLE = frozenset("economy policy age death past future light advice".split())  # without a plural in German alone
PREDICATIVE = frozenset(("alive", "ready", "present", "absent", "drunk"))  # not before a noun
_ONE = ("the",) * 9 + ("a",) * 6 + ("this",) * 2 + ("my", "our", "your", "his", "her", "their")
_MANY = ("the",) * 7 + (
    "this",
    "my",
    "our",
    "your",
    "his",
    "her",
    "their",
    "some",
    "some",
    "many",
    "many",
    "several",
    "several",
    "few",
    "all",
    "number",
    "number",
)
_OWNED = frozenset(("my", "our", "your", "his", "her", "their"))
BE_FR = {
    "present": ("suis", "êtes", "est", "sommes", "sont"), "past": ("étais", "étiez", "était", "étions", "étaient"),
    "future": ("serai", "serez", "sera", "serons", "seront"),
}  # fmt: skip
BE_EN = {"present": ("am", "are", "is", "are", "are"), "past": ("was", "were", "was", "were", "were"), "future": ("will be",) * 5}
_WIRD = ("werde", "werden", "wird", "werden", "werden")
AND = (("and", "et", "y", "und"), ("but", "mais", "pero", "aber"))
_FEATURES = {
    "o": "price,colour,size,weight,quality,shape,owner,manufacturer,length", "v": "price,colour,speed,owner,driver,engine,length",
    "c": "price,colour,size,quality,owner", "f": "price,taste,quality,smell,weight", "D": "title,author,date,length,translation,content",
    "l": "name,size,owner,entrance,history,opening,address,inhabitant,visitor,price", "e": "date,goal,topic,cause,success,result,participant,beginning",
    "P": "name,address,age,profession,nationality,voice,opinion,car,house,salary,health,experience,friend,mother,father,answer,idea",
    "G": "name,address,president,member,history,turnover,goal,budget,decision", "S": "name,developer,function,user,version", "n": "name,age,colour,weight,owner",
    "a": "meaning,cause,consequence,advantage", "t": "colour,name,length,height", "d": "price,quality,colour,smell,temperature",
}  # fmt: skip


class Parts:
    """Draws nouns, adjectives, phrases and clauses that go together. Not safe for use by several threads at once."""

    def __init__(self, rng: random.Random, lexicon: Lexicon) -> None:
        self.rng = rng
        self.lex = lexicon
        self.finish = Finish(lexicon.irregular)
        self._named = {noun.en[0]: noun for noun in reversed(lexicon.nouns)}
        self._features = {
            kind: [self._named[name] for name in names.split(",") if name in self._named] for kind, names in _FEATURES.items()
        }
        self._numbers = [number_det(phrase) for phrase in lexicon.phrases["numbers"]]
        self._direct = [verb for verb in lexicon.transitive if self._is_direct(verb)]
        self._passive = [verb for verb in self._direct if verb.passive]
        self._told = [verb for verb in self._direct if verb.passive and "P" in {noun.kind for noun in verb.subjects}]
        self._acting = [verb for verb in lexicon.transitive if verb.people]
        self._moving = [verb for verb in lexicon.intransitive if verb.people]
        self._alone = [verb for verb in lexicon.intransitive if verb.en.forms.infinitive != "go"]
        self._described = [noun for noun in lexicon.nouns if id(noun) in lexicon.describing]

    @staticmethod
    def _is_direct(verb: Verb) -> bool:
        return verb.de.case == "a" and not (
            verb.de.tail or verb.fr.tail or verb.es.tail or verb.en.tail and verb.en.tail in ("at", "for", "of", "to")
        )

    def noun(self, classes: str) -> Noun:
        """A noun of one of these classes."""
        return self.rng.choice(self.lex.classes[self.rng.choice(classes)])

    def adjective(self, noun: Noun, *, graded: bool = False) -> Adjective | None:
        """An adjective that makes sense with the noun."""
        fitting = self.lex.describing.get(id(noun))
        if fitting and graded:
            fitting = tuple(adjective for adjective in fitting if adjective.graded)
        return self.rng.choice(fitting) if fitting else None

    def np(self, noun: Noun, *, det: str = "", many: bool | None = None, adj: float = 0.3, some: bool = False) -> NP:
        """A noun phrase around a noun; ``adj`` is how likely an adjective is, ``some`` whether "some milk" may come."""
        rng = self.rng
        roll = rng.random()
        many = (roll < 0.28 if many is None else many) and not noun.mass
        name = det or rng.choice(_MANY if many else _ONE)
        if noun.mass and name == "a":
            name = "of" if some and noun.kind in "fd" else "the"
        if (noun.kind in "th" or (noun.mass and noun.kind == "G")) and name in _OWNED:
            name = "the"
        if noun.mass and noun.kind == "a" and name == "the" and not det and noun.en[0] not in WITH_ARTICLE and rng.random() < 0.6:
            name = "whole"
        chosen: Det = rng.choice(self._numbers) if name == "number" else DETS[name]
        word = self.adjective(noun) if rng.random() < adj else None
        made = Adj(word) if word and word.en not in PREDICATIVE else None
        return NP(noun, chosen, many, made, self.lex.irregular)

    def subject(self, verb: Verb, *, plain: bool = False) -> NP:
        """A subject that the verb can have."""
        rng = self.rng
        if verb.people and not plain:
            roll = rng.random()
            if roll < 0.28:
                return pronoun(rng.randrange(6))
            if roll < 0.36:
                return slot("{person}")
        return self.np(rng.choice(verb.subjects), adj=0.2)

    def object(self, verb: Verb, **how: float) -> NP:
        """An object that the verb can have."""
        rng = self.rng
        if self.rng.random() < 0.03 and any(noun.kind == "P" for noun in verb.objects):
            return slot("{person}")
        noun = rng.choice(verb.objects)
        if verb.en.forms.infinitive in ("wear", "cut"):
            return self.np(noun, many=False, adj=how.get("adj", 0.3))
        return self.np(noun, adj=how.get("adj", 0.3), some=True)

    def phrase(self, table: str) -> Phrase:
        """A fixed phrase."""
        return self.rng.choice(self.lex.phrases[table])

    def time(self, tense: str) -> Phrase:
        """A time that goes with the tense."""
        return self.phrase({"past": "past", "future": "future", "present": "present"}.get(tense, "future"))

    def place(self) -> Phrase:
        """Where something is."""
        if self.rng.random() < 0.3:
            return self.phrase("where")
        return self.at()

    def at(self) -> Phrase:
        """A place with its preposition."""
        noun = self.noun("llL")
        place = self.np(noun, det=self.rng.choice(("the", "the", "the", "this", "our", "a")), many=False, adj=0.2)
        row = self.lex.places[noun.at]
        return f"{row[0]} {place.en}", f"{row[1]} {place.fr}", f"{row[2]} {place.es}", f"{row[3]} {place.de(2)}"

    def to(self) -> Phrase:
        """A place as a direction."""
        noun = self.noun("llL")
        place, row = self.np(noun, det=self.rng.choice(("the", "the", "the", "this")), many=False, adj=0.15), self.lex.places[noun.at]
        word, _, case = row[7].partition("+")
        return f"{row[4]} {place.en}", f"{row[5]} {place.fr}", f"{row[6]} {place.es}", f"{word} {place.de(CASES.index(case.lower()))}"

    def clause(
        self, tenses: str = "present past past perfect future", *, active: bool = True, verb: Verb | None = None, bare: bool = False
    ) -> Clause:
        """A statement with an object or without, with some adverbials."""
        rng = self.rng
        verb = verb or rng.choice(self.lex.transitive if rng.random() < 0.72 else self._alone)
        tense = rng.choice(tenses.split())
        subj = self.subject(verb)
        obj = self.object(verb) if verb.objects else None
        if bare:
            return Clause(subj, verb, obj, tense, plain=rng.random() < 0.5)
        freq = self.phrase("frequency") if rng.random() < 0.15 and tense in ("present", "past", "perfect") else None
        time = self.time(tense) if rng.random() < 0.35 and tense != "perfect" and not freq else None
        place = (
            self.place()
            if rng.random() < (0.5 if not obj else 0.15) and subj.kind in "PGn" and verb.en.forms.infinitive != "come"
            else None
        )
        manner = self.phrase("manner") if rng.random() < 0.12 and verb.people and not place else None
        return Clause(subj, verb, obj, tense, freq=freq, time=time, place=place, manner=manner, plain=rng.random() < 0.3)

    def said(self, clause: Clause, mark: str = ".") -> Quad:
        """The clause as a sentence."""
        return self.finish(clause.en(), clause.fr(), clause.es(), clause.de(), mark)

    def pair(self, adj: bool = True) -> tuple[NP, Adjective]:
        """A noun phrase and an adjective for it."""
        noun = self.rng.choice(self._described)
        word = self.adjective(noun)
        assert word is not None
        return self.np(noun, adj=0.0), word

    def be(self, subj: NP, adj: Adj, tense: str, neg: bool = False) -> tuple[str, str, str, str, str]:
        """The parts of "is (not) ADJ": en, fr, es, de finite, de rest."""
        word, p = adj.word, subj.p
        en_word = (word.graded[0] if adj.step and word.graded else word.en) if adj.step == 1 else word.en
        degree = adj.degree or ("", "", "", "")
        en = f"{BE_EN[tense][p]} {'not ' if neg else ''}{degree[0]} {en_word}".replace("  ", " ").replace("will be not", "will not be")
        fr = BE_FR[tense][p]
        fr = f"ne {fr} pas" if neg else fr
        es = ("no " if neg else "") + (ESTAR if word.estar else SER)[tense][p]
        de_word = (word.graded[2] if word.graded else word.de) if adj.step == 1 else word.de
        rest = " ".join(part for part in ("nicht" if neg else "", degree[3], de_word) if part)
        fin = _WIRD[p] if tense == "future" else SEIN[tense][p]
        return (
            en,
            f"{fr} {adjective_fr(adj, subj.fr_i)}",
            f"{es} {adjective_es(adj, subj.es_i)}",
            fin,
            rest + (" sein" if tense == "future" else ""),
        )
