"""Frames of the composer: labels, headings, genitives, measures."""

from __future__ import annotations

import re

from clauses import Clause
from noun_phrases import DETS, NP, Adj, pronoun, slot
from sentence_parts import Parts, Quad

_MEASURES = (
    ("a bottle of", "une bouteille de", "una botella de", "eine Flasche", "d"), ("a glass of", "un verre de", "un vaso de", "ein Glas", "d"),
    ("two cups of", "deux tasses de", "dos tazas de", "zwei Tassen", "d"), ("a litre of", "un litre de", "un litro de", "einen Liter", "d"),
    ("a kilo of", "un kilo de", "un kilo de", "ein Kilo", "f"), ("two kilos of", "deux kilos de", "dos kilos de", "zwei Kilo", "f"),
    ("a lot of", "beaucoup de", "mucho", "viel", "skip"), ("a little", "un peu de", "un poco de", "ein wenig", "d"),
    ("{int} grams of", "{int} grammes de", "{int} gramos de", "{int} Gramm", "f"), ("{int} bottles of", "{int} bouteilles de", "{int} botellas de", "{int} Flaschen", "d"),
)  # fmt: skip


class Nouns(Parts):
    """Labels, headings, genitives, measures."""

    def _of(self, det: str = "the") -> tuple[NP, str, str, str, str]:
        """The colour of the car: the first phrase, and the whole in each language (German nominative)."""
        owner = self.noun("ovcDlePGSn")
        features = self._features.get(owner.kind)
        if not features:
            return self._of(det)
        part = self.np(self.rng.choice(features), det=det, many=False, adj=0)
        of = self.np(owner, det=self.rng.choice(("the", "the", "this", "my", "our", "your")), many=self.rng.random() < 0.2, adj=0.2)
        words = f"of {of.en}" if not of.human or self.rng.random() < 0.3 or of.p == 4 else ""
        en = f"{part.en} {words}".strip() if words else f"{of.en}'s {part.en.removeprefix('the ')}"
        if not words and of.en.endswith("s"):
            en = f"{part.en} of {of.en}"
        return part, en, f"{part.fr} de {of.fr}", f"{part.es} de {of.es}", of.de(3)

    def frame_of(self) -> Quad:
        part, en, fr, es, of = self._of()
        de = f"{part.de()} {of}"
        noun = next(n for n in self.lex.nouns if part.en == "the " + n.en[0])
        word = self.adjective(noun)
        if word is None:
            return self.frame_of()
        degree = self.phrase("degree") if word.graded and self.rng.random() < 0.4 and " " not in word.fr[0] else None
        e, f, s, fin, rest = self.be(part, Adj(word, degree), self.rng.choice(("present", "present", "past")))
        return self.finish(f"{en} {e}", f"{fr} {f}", f"{es} {s}", f"{de} {fin} {rest}")

    def frame_what_is_of(self) -> Quad:
        part, en, fr, es, of = self._of()
        de = f"{part.de()} {of}"
        if part.human:
            return self.finish(f"who is {en}", f"qui est {fr}", f"quién es {es}", f"wer ist {de}", "?")
        quel = "quelle" if part.fr_i else "quel"
        return self.finish(f"what is {en}", f"{quel} est {fr}", f"cuál es {es}", f"was ist {de}", "?")

    def frame_do_not_know_of(self) -> Quad:
        who, (part, en, fr, es, of) = self._someone(), self._of()
        verb = next(verb for verb in self.lex.transitive if verb.en.forms.infinitive == "know")
        c = Clause(who, verb, None, "present", neg=self.rng.random() < 0.5)
        es = f"a {es}" if part.human else es
        fin = verb.de.forms.present[who.p]
        no = " nicht" if c.neg else ""
        return self.finish(f"{c.en()} {en}", f"{c.fr()} {fr}", f"{c.es()} {es}", f"{who.de()} {fin} {part.de(1)} {of}{no}")

    def frame_label(self) -> Quad:
        """A label, with or without a value."""
        rng = self.rng
        roll = rng.random()
        if roll < 0.4:
            noun = rng.choice(self.lex.nouns)
            made = self.np(noun, det="bare", many=rng.random() < 0.35, adj=0.5)
            en, fr, es, de = made.en, made.fr, made.es, made.de()
        else:
            part, en, fr, es, of = self._of()
            de = f"{part.de()} {of}"
            en, fr, es, de = (
                re.sub(r"^(the|le|la|el|der|die|das|l') ?", "", self.finish.fr(text) if i == 1 else text)
                for i, text in enumerate((en, fr, es, de))
            )
        quad = self.finish(en, fr, es, de, ":")
        if rng.random() < 0.3:
            value = rng.choice(("{int}", "{date}", "{money}", "{city}", "{person}", "{thing}", "{org}", "{year}"))
            quad = {lang: f"{text} {value}" for lang, text in quad.items()}
        return quad

    def frame_heading(self) -> Quad:
        rng = self.rng
        one = self.np(rng.choice(self._described if rng.random() < 0.7 else self.lex.nouns), det="bare", many=rng.random() < 0.5, adj=0.85)
        if rng.random() < 0.35:
            two = self.np(self.noun("aeDofS"), det="bare", many=True, adj=0.2)
            return self.finish(f"{one.en} and {two.en}", f"{one.fr} et {two.fr}", f"{one.es} y {two.es}", f"{one.de()} und {two.de()}", "")
        return self.finish(one.en, one.fr, one.es, one.de(), "")

    def frame_of_heading(self) -> Quad:
        part, en, fr, es, of = self._of()
        de = f"{part.de()} {of}"
        return self.finish(en, fr, es, de, "")

    def frame_exclaim(self) -> Quad:
        noun = self.rng.choice(self._described)
        word = self.adjective(noun, graded=True)
        if word is None or noun.mass or " " in word.fr[0] + word.es[0]:
            return self.frame_exclaim()
        made = NP(noun, DETS["a"], False, Adj(word), self.lex.irregular)
        quel = ("quel", "quelle")[made.fr_i]
        bare = NP(noun, DETS["bare"], False, Adj(word), self.lex.irregular)
        return self.finish(
            f"what {made.en}", f"{quel} {bare.fr}", f"qué {noun.es[0]} tan {word.es[made.es_i]}", f"was für {made.de()}", "!"
        )

    def frame_measure(self) -> Quad:
        rng = self.rng
        row = rng.choice([row for row in _MEASURES if row[4] != "skip"])
        noun = self.noun(row[4])
        many = not noun.mass
        made = self.np(noun, det="bare", many=many, adj=0.2)
        verbs = {"f": ("buy", "eat", "order", "bring"), "d": ("drink", "buy", "order", "bring")}[row[4]]
        name = rng.choice(verbs)
        verb = next(v for v in self.lex.transitive if v.en.forms.infinitive == name)
        obj = slot("@")
        obj.human = False
        obj.en, obj.fr, obj.es = f"{row[0]} {made.en}", f"{row[1]} {made.fr}", f"{row[2]} {made.es}"
        words = f"{row[3]} {made.de(1)}"
        obj._de = lambda case: words
        tense = rng.choice(("past", "present", "future", "would", "must"))
        return self.said(Clause(self._someone(), verb, obj, tense, time=self.time(tense) if rng.random() < 0.3 else None))

    def frame_nobody(self) -> Quad:
        """Nobody and everybody."""
        c = self.clause("past present future", verb=self.rng.choice(self._acting), bare=True)
        who = pronoun(2)
        none = self.rng.random() < 0.5
        if none and c.obj and not c.obj.definite:
            c.obj = self.np(self.rng.choice(c.verb.objects), det="the")
        who.en, who.fr, who.es, de = (
            ("nobody", "personne", "nadie", "niemand") if none else ("everyone", "tout le monde", "todo el mundo", "jeder")
        )
        who.pro = False
        who._de = lambda case: de
        c.subj = who
        fr = c.fr()
        if none:
            fr = fr.replace("personne ", "personne ne ", 1)
        return self.finish(c.en(), fr, c.es(), c.de())

    def frame_generic(self) -> Quad:
        """A whole kind: no article in English and German, one elsewhere."""
        noun = self.rng.choice(self._described)
        word = self.adjective(noun, graded=True)
        if word is None or noun.kind in "lLhb":
            return self.frame_generic()
        made = self.np(noun, det="generic", many=not noun.mass, adj=0)
        degree = (
            self.phrase("degree")
            if self.rng.random() < 0.3 and " " not in word.fr[0]
            else self.rng.choice(
                (
                    ("often", "souvent", "a menudo", "oft"),
                    ("rarely", "rarement", "raramente", "selten"),
                    ("always", "toujours", "siempre", "immer"),
                )
            )
        )
        en, fr, es, fin, rest = self.be(made, Adj(word, degree), "present")
        return self.finish(f"{made.en} {en}", f"{made.fr} {fr}", f"{made.es} {es}", f"{made.de()} {fin} {rest}")

    def frame_calendar(self) -> Quad:
        """Days and months."""
        event = self.np(self.noun("e"), det=self.rng.choice(("the", "our", "this", "the")), many=False, adj=0.2)
        name = self.rng.choice(("begin", "end", "take"))
        verb = next(v for v in self.lex.intransitive if v.en.forms.infinitive == name and v.subjects[0].kind == "e")
        day, month = self.phrase("days"), self.phrase("months")
        roll = self.rng.random()
        if roll < 0.35:
            when = (f"on {day[0]}", day[1], f"el {day[2]}", f"am {day[3]}")
        elif roll < 0.6:
            when = (f"in {month[0]}", f"en {month[1]}", f"en {month[2]}", f"im {month[3]}")
        elif roll < 0.8:
            when = (f"on {day[0]} in {{city}}", f"{day[1]} à {{city}}", f"el {day[2]} en {{city}}", f"am {day[3]} in {{city}}")
        else:
            when = ("on {date}", "le {date}", "el {date}", "am {date}")
        return self.said(Clause(event, verb, None, self.rng.choice(("present", "future")), time=when))
