"""Clauses in English, French, Spanish and German: tenses, voices, negation, questions, word order."""

from __future__ import annotations

from lexicon import Phrase, Verb
from noun_phrases import CASES, DER, NP

_MODALS = {
    "can": ("can", ("peux", "pouvez", "peut", "pouvons", "peuvent"), ("puedo", "puede", "puede", "podemos", "pueden"),
            ("kann", "können", "kann", "können", "können")),
    "must": ("must", ("dois", "devez", "doit", "devons", "doivent"), ("debo", "debe", "debe", "debemos", "deben"),
             ("muss", "müssen", "muss", "müssen", "müssen")),
    "should": ("should", ("devrais", "devriez", "devrait", "devrions", "devraient"),
               ("debería", "debería", "debería", "deberíamos", "deberían"), ("sollte", "sollten", "sollte", "sollten", "sollten")),
    "want": ("", ("veux", "voulez", "veut", "voulons", "veulent"), ("quiero", "quiere", "quiere", "queremos", "quieren"),
             ("will", "wollen", "will", "wollen", "wollen")),
    "would": ("would like to", ("voudrais", "voudriez", "voudrait", "voudrions", "voudraient"),
              ("quisiera", "quisiera", "quisiera", "quisiéramos", "quisieran"), ("möchte", "möchten", "möchte", "möchten", "möchten")),
}  # fmt: skip
_MAY_NOT = ("darf", "dürfen", "darf", "dürfen", "dürfen")
MODALS = tuple(_MODALS)
_BE = {"present": ("am", "are", "is", "are", "are"), "past": ("was", "were", "was", "were", "were")}
_HAVE = ("have", "have", "has", "have", "have")
_AVOIR = ("ai", "avez", "a", "avons", "ont")
_ETRE = {
    "present": ("suis", "êtes", "est", "sommes", "sont"), "past": ("étais", "étiez", "était", "étions", "étaient"),
    "future": ("serai", "serez", "sera", "serons", "seront"),
}  # fmt: skip
_HABER = ("he", "ha", "ha", "hemos", "han")
SER = {
    "present": ("soy", "es", "es", "somos", "son"), "past": ("era", "era", "era", "éramos", "eran"),
    "pret": ("fui", "fue", "fue", "fuimos", "fueron"), "future": ("seré", "será", "será", "seremos", "serán"),
}  # fmt: skip
ESTAR = {
    "present": ("estoy", "está", "está", "estamos", "están"), "past": ("estaba", "estaba", "estaba", "estábamos", "estaban"),
    "future": ("estaré", "estará", "estará", "estaremos", "estarán"),
}  # fmt: skip
_WERDEN = {"present": ("werde", "werden", "wird", "werden", "werden"), "past": ("wurde", "wurden", "wurde", "wurden", "wurden")}
SEIN = {"present": ("bin", "sind", "ist", "sind", "sind"), "past": ("war", "waren", "war", "waren", "waren")}
_HABEN = ("habe", "haben", "hat", "haben", "haben")
_SE_FR = ("me", "vous", "se", "nous", "se")
_SE_ES = ("me", "se", "se", "nos", "se")
_SICH = ("mich", "sich", "sich", "uns", "sich")


def _agreed_fr(participle: str, index: int) -> str:
    if participle in ("dû", "mû"):
        return participle.replace("û", "u") + ("e" if index % 2 else "") + "s" * (index > 1) if index else participle
    female = participle + ("e" if index % 2 else "")
    return female + "s" if index > 1 and not female.endswith(("s", "x")) else female


def _agreed_es(participle: str, index: int) -> str:
    return participle[:-1] + ("o", "a", "os", "as")[index]


class Clause:
    """A clause that can be set as a statement, a question, a subordinate or a relative clause.

    ``tense``: present, past, perfect, future or a modal. ``style`` "plain" puts the German past in the Präteritum.
    ``gap``: the object stands before (a relative clause), as this phrase.
    """

    __slots__ = ("freq", "gap", "manner", "neg", "obj", "passive", "place", "plain", "pro", "subj", "tense", "time", "verb")

    def __init__(
        self, subj: NP, verb: Verb, obj: NP | None = None, tense: str = "present", *, neg: bool = False, freq: Phrase | None = None,
        time: Phrase | None = None, place: Phrase | None = None, manner: Phrase | None = None, passive: bool = False,
        plain: bool = False, gap: NP | None = None, pro: NP | None = None,
    ) -> None:  # fmt: skip
        self.subj, self.verb, self.obj, self.tense, self.neg = subj, verb, obj, tense, neg
        self.freq, self.time, self.place, self.manner = freq, time, place, manner
        self.passive, self.plain, self.gap, self.pro = passive, plain, gap, pro

    # English

    def _en_parts(self, ask: bool) -> tuple[str, str]:
        """The finite part ("" where it is one with the verb) and the rest."""
        forms, p, tense = self.verb.en.forms, self.subj.p, self.tense
        tail = self.verb.en.after
        if tense in _MODALS:
            if tense == "want":
                base = ("be " + forms.participle if self.passive else forms.infinitive) + tail
                verb = "wants" if p == 2 else "want"
                return (("does" if p == 2 else "do"), "want to " + base) if ask or self.neg else ("", f"{verb} to {base}")
            fin, _, more = _MODALS[tense][0].partition(" ")
            base = ("be " + forms.participle if self.passive else forms.infinitive) + tail
            return fin, f"{more} {base}" if more else base
        if tense == "future":
            return "will", ("be " + forms.participle if self.passive else forms.infinitive) + tail
        if tense == "perfect":
            return _HAVE[p], ("been " if self.passive else "") + forms.participle + tail
        if self.passive:
            return _BE[tense][p], forms.participle + tail
        if ask or self.neg:
            return ("did" if tense == "past" else "does" if p == 2 else "do"), forms.infinitive + tail
        return "", (forms.past[p] if tense == "past" else forms.present[p]) + tail

    def _en_end(self, time: bool = True) -> str:
        out = ""
        if self.obj:
            out += " " + self.obj.en
        elif self.pro:
            out += " " + ("them" if self.pro.p == 4 else "it" if not self.pro.human else "her" if self.pro.one_de == "f" else "him")
        for part in (self.manner, self.place, self.time if time else None):
            if part:
                out += " " + part[0]
        return out

    def en(self, how: str = "main", time: bool = True) -> str:
        """``how``: main, ask, vp (without the subject)."""
        fin, rest = self._en_parts(how == "ask")
        mid = (" not" if self.neg else "") + (" " + self.freq[0] if self.freq else "")
        if how == "ask":
            return f"{fin} {self.subj.en}{mid} {rest}{self._en_end(time)}"
        subj = "" if how == "vp" else self.subj.en + " "
        body = f"{subj}{fin}{mid} {rest}" if fin else f"{subj}{mid[1:] + ' ' if mid else ''}{rest}"
        return body.replace("can not", "cannot") + self._en_end(time)

    # French

    def _fr_parts(self) -> tuple[str, str, str, str]:
        """A clitic before the finite verb, the finite verb, a clitic before the rest, the rest."""
        word, p, tense = self.verb.fr, self.subj.p, self.tense
        forms = word.forms
        clitic = _SE_FR[p] if word.reflexive else self._clitic_fr()
        if self.passive:
            return "", *self._fr_passive(forms.participle)
        if tense in _MODALS:
            return "", _MODALS[tense][1][p], clitic, forms.infinitive
        if tense in ("past", "perfect"):
            agree = (
                self.subj.fr_i if word.be and not (word.reflexive and word.forms.infinitive in ("dire", "rendre")) else self._before_fr()
            )
            return clitic, (_ETRE["present"] if word.be else _AVOIR)[p], "", _agreed_fr(forms.participle, agree)
        return clitic, (forms.future if tense == "future" else forms.present)[p], "", ""

    def _fr_passive(self, participle: str) -> tuple[str, str, str]:
        p, tense, agreed = self.subj.p, self.tense, _agreed_fr(participle, self.subj.fr_i)
        if tense in _MODALS:
            return _MODALS[tense][1][p], "", "être " + agreed
        if tense in ("past", "perfect"):
            return _AVOIR[p], "", "été " + agreed
        return _ETRE[tense][p], "", agreed

    def _before_fr(self) -> int:
        """The agreement of a participle with an object that stands before it."""
        before = self.gap or self.pro
        return before.fr_i if before and not self.verb.fr.tail else 0

    def _clitic_fr(self) -> str:
        return ("le", "la", "les", "les")[self.pro.fr_i] if self.pro else ""

    def _fr_end(self, time: bool) -> str:
        out = self.verb.fr.after
        if self.obj:
            out += " " + self.obj.fr
        for part in (self.manner, self.place, self.time if time else None):
            if part:
                out += " " + part[1]
        return out

    def fr(self, how: str = "main", time: bool = True) -> str:
        """``how``: main, ask (est-ce que or an inversion), vp."""
        before, fin, inner, rest = self._fr_parts()
        none = self.neg and (self.obj is not None and self.obj.fr.startswith(("aucun ", "aucune ")))
        head = f"{before} {fin}" if before else fin
        if how == "ask" and self.subj.pro and self.subj.p:
            head += ("-t-" if fin[-1] in "ae" and self.subj.p == 2 else "-") + self.subj.fr
        if self.neg:
            head = f"ne {head}" + ("" if none else " pas")
        if self.freq:
            head += " " + self.freq[1]
        rest = " ".join(part for part in (inner, rest) if part)
        body = (f"{head} {rest}" if rest else head) + self._fr_end(time)
        if how == "vp" or (how == "ask" and self.subj.pro and self.subj.p):
            return body
        return ("est-ce que " if how == "ask" else "") + f"{self.subj.fr} {body}"

    # Spanish

    def _es_parts(self) -> tuple[str, str]:
        word, p, tense = self.verb.es, self.subj.p, self.tense
        forms = word.forms
        if self.passive:
            agreed = _agreed_es(forms.participle, self.subj.es_i)
            if tense in _MODALS:
                return _MODALS[tense][2][p], "ser " + agreed
            if tense == "perfect":
                return _HABER[p], "sido " + agreed
            return SER["pret" if tense == "past" else tense][p], agreed
        clitic = _SE_ES[p] if word.reflexive else ("lo", "la", "los", "las")[self.pro.es_i] if self.pro else ""
        lead = clitic + " " if clitic else ""
        if tense in _MODALS:
            return _MODALS[tense][2][p], forms.infinitive + clitic
        if tense == "perfect":
            return lead + _HABER[p], forms.participle
        return lead + (forms.future if tense == "future" else forms.past if tense == "past" else forms.present)[p], ""

    def _es_end(self, time: bool) -> str:
        out = self.verb.es.after
        if self.obj:
            personal = not self.verb.es.tail and self.obj.human and self.verb.es.forms.infinitive not in ("tener", "necesitar")
            out += (" a " if personal else " ") + self.obj.es
        for part in (self.manner, self.place, self.time if time else None):
            if part:
                out += " " + part[2]
        return out

    def es(self, how: str = "main", time: bool = True) -> str:
        """``how``: main, ask (the verb first), vp."""
        fin, rest = self._es_parts()
        group = ("no " if self.neg else "") + fin + (" " + rest if rest else "")
        after = " " + self.freq[2] if self.freq else ""
        subj = self.subj.es
        if how == "ask":
            return group + (" " + subj if subj else "") + after + self._es_end(time)
        return (subj + " " if subj and how != "vp" else "") + group + after + self._es_end(time)

    # German

    def _de_parts(self) -> tuple[str, str]:
        word, p, tense = self.verb.de, self.subj.p, self.tense
        forms = word.forms
        participle = word.prefix + forms.participle
        if self.passive:
            if tense in _MODALS:
                return self._modal_de()[p], participle + " werden"
            if tense == "perfect":
                return SEIN["present"][p], participle + " worden"
            if tense == "future":
                return _WERDEN["present"][p], participle + " werden"
            return _WERDEN[tense][p], participle
        if tense in _MODALS:
            return self._modal_de()[p], word.prefix + forms.infinitive
        if tense == "future":
            return _WERDEN["present"][p], word.prefix + forms.infinitive
        if tense == "perfect" or (tense == "past" and not self.plain):
            return (SEIN["present"] if word.be else _HABEN)[p], participle
        return (forms.past if tense == "past" else forms.present)[p], word.prefix

    def _modal_de(self) -> tuple[str, ...]:
        return _MAY_NOT if self.tense == "must" and self.neg else _MODALS[self.tense][3]

    def _de_mid(self, time: bool) -> list[str]:
        word = self.verb.de
        mid = [_SICH[self.subj.p]] if word.reflexive else []
        if self.pro:
            mid.append("sie" if self.pro.p == 4 else {"m": "ihn", "f": "sie", "n": "es"}[self.pro.one_de])
        obj = ""
        if self.obj:
            obj = self.obj.de(CASES.index(word.case))
            obj = f"{word.tail} {obj}" if word.tail else obj
        none = obj.startswith("kein")
        parts = [self.time[3] if self.time and time else "", self.freq[3] if self.freq else ""]
        late = word.tail != ""
        no = "nicht" if self.neg and not none and " kein" not in obj else ""
        parts += ["" if late else obj, no, self.manner[3] if self.manner else "", self.place[3] if self.place else "", obj if late else ""]
        return mid + [part for part in parts if part]

    def de(self, how: str = "main", time: bool = True, front: str = "") -> str:
        """``how``: main (``front`` first), ask, sub (the verb last), rel (the same without the subject)."""
        fin, final = self._de_parts()
        mid, subj = self._de_mid(time), self.subj.de()
        if self.verb.de.reflexive and not self.subj.pro and (how in ("ask", "sub") or front):
            subj, mid = f"{mid[0]} {subj}", mid[1:]  # sich stands before a noun that is not first
        if how in ("sub", "rel"):
            glued = final and final == self.verb.de.prefix
            end = [final + fin] if glued else [final, fin] if final else [fin]
            return " ".join(([subj] if how == "sub" else []) + mid + end)
        order = [fin, subj] if how == "ask" else [front, fin, subj] if front else [subj, fin]
        return " ".join([*order, *mid] + ([final] if final else []))


def relative_de(head: NP, case: int = 0) -> str:
    """The relative pronoun."""
    return "denen" if head.de_f == "p" and case == 2 else DER[head.de_f][case]
