"""Frames of the composer: what something is, where it is, what it costs."""

from __future__ import annotations

from clauses import ESTAR, SEIN, SER
from noun_phrases import CASES, DETS, NP, Adj, slot
from sentence_parts import AND, BE_EN, BE_FR, Parts, Quad

_OPPOSITE = frozenset(
    frozenset(pair.split("/"))
    for pair in "expensive/cheap new/old old/young big/small good/bad full/empty open/closed clean/dirty hot/cold dry/wet fast/slow difficult/easy long/short high/low wide/narrow thick/thin heavy/light hard/soft strong/weak rich/poor sick/healthy dead/alive calm/nervous useful/useless possible/impossible beautiful/ugly interesting/boring quiet/noisy modern/ancient modern/traditional simple/complicated right/wrong satisfied/dissatisfied valid/expired married/single lazy/hard-working dark/bright ripe/raw public/private positive/negative warm/cold hot/warm sweet/sour sweet/salty absent/present safe/dangerous intelligent/stupid clever/stupid polite/angry tame/wild careful/careless".split()
)


class Being(Parts):
    """What something is, where it is, what it costs."""

    def frame_copula(self) -> Quad:
        subj, word = self.pair()
        tense = self.rng.choice(("present", "present", "past", "future"))
        degree = self.phrase("degree") if word.graded and self.rng.random() < 0.5 and " " not in word.fr[0] else None
        en, fr, es, fin, rest = self.be(subj, Adj(word, degree), tense, neg=self.rng.random() < 0.25 and subj.definite)
        return self.finish(f"{subj.en} {en}", f"{subj.fr} {fr}", f"{subj.es} {es}", f"{subj.de()} {fin} {rest}")

    def frame_two_adjectives(self) -> Quad:
        noun = self.rng.choice(self._described)
        both = self.lex.describing[id(noun)]
        if len(both) < 2:
            return self.frame_copula()
        one, two = self.rng.sample(both, 2)
        subj = self.np(noun, adj=0.0)
        if one.estar != two.estar or not subj.definite or frozenset((one.en, two.en)) in _OPPOSITE:
            return self.frame_copula()
        en, fr, es, fin, rest = self.be(subj, Adj(one), "present")
        a = self.rng.choice(AND)
        return self.finish(
            f"{subj.en} {en} {a[0]} {two.en}", f"{subj.fr} {fr} {a[1]} {two.fr[subj.fr_i]}", f"{subj.es} {es} {a[2]} {two.es[subj.es_i]}",
            f"{subj.de()} {fin} {rest}{',' if a[3] == 'aber' else ''} {a[3]} {two.de}",
        )  # fmt: skip

    def frame_comparison(self) -> Quad:
        kind = self.rng.choice("ovclPnfGDS")
        one, two = self.rng.sample(self.lex.classes[kind], 2)
        words = [word for word in self.lex.describing.get(id(one), ()) if word.graded and two in word.nouns and " " not in word.fr[0]]
        if not words:
            return self.frame_comparison()
        word, roll = self.rng.choice(words), self.rng.random()
        a, b = (
            self.np(one, det=self.rng.choice(("the", "this", "my", "our")), adj=0),
            self.np(two, det=self.rng.choice(("the", "your", "their")), adj=0),
        )
        if roll < 0.6:
            en, fr, es, fin, rest = self.be(a, Adj(word, None, 1), "present")
            return self.finish(
                f"{a.en} {en} than {b.en}", f"{a.fr} {fr} que {b.fr}", f"{a.es} {es} que {b.es}", f"{a.de()} {fin} {rest} als {b.de()}"
            )
        en2, fr2, es2, de2 = (("as", "aussi", "tan", "so"), ("less", "moins", "menos", "weniger"))[roll > 0.85]
        en, fr, es, fin, rest = self.be(a, Adj(word, (en2, fr2, es2, de2)), "present")
        same = roll <= 0.85
        return self.finish(
            f"{a.en} {en} {'as' if same else 'than'} {b.en}", f"{a.fr} {fr} que {b.fr}", f"{a.es} {es} {'como' if same else 'que'} {b.es}",
            f"{a.de()} {fin} {rest} {'wie' if same else 'als'} {b.de()}",
        )  # fmt: skip

    def frame_superlative(self) -> Quad:
        noun = self.rng.choice(self._described)
        word = self.adjective(noun, graded=True)
        if word is None or " " in word.fr[0] or noun.mass:
            return self.frame_superlative()
        top = NP(noun, DETS["the"], False, Adj(word, None, 2), self.lex.irregular)
        of = self.rng.choice(
            (
                ("in {city}", "de {city}", "de {city}", "in {city}"),
                ("in the country", "du pays", "del país", "im Land"),
                ("in the world", "du monde", "del mundo", "der Welt"),
                ("of the year", "de l'année", "del año", "des Jahres"),
                ("", "", "", ""),
            )
        )
        return self.finish(
            f"this is {top.en} {of[0]}".strip(),
            f"c'est {top.fr} {of[1]}".strip(),
            f"este es {top.es} {of[2]}".strip().replace("este", "esta" if top.es_i == 1 else "este", 1),
            f"das ist {top.de()} {of[3]}".strip(),
        )

    def frame_profession(self) -> Quad:
        men = self.lex.classes["P"]
        job = self.rng.choice(men[4:50])
        who = self._named[self.rng.choice(("brother", "father", "uncle", "son", "cousin", "neighbour", "nephew", "friend", "grandfather"))]
        if job.de_g != "m" or job.fr_g != "m" or job.en[0] in ("friend", "neighbour", "colleague", "man", "boss"):
            return self.frame_profession()
        a = self.np(who, det=self.rng.choice(("my", "your", "his", "her", "our", "their")), many=False, adj=0)
        tense = self.rng.choice(("present", "past"))
        return self.finish(
            f"{a.en} {BE_EN[tense][2]} a {job.en[0]}",
            f"{a.fr} {BE_FR[tense][2]} {job.fr[0]}",
            f"{a.es} {SER[tense][2]} {job.es[0]}",
            f"{a.de()} {SEIN[tense][2]} {job.de[0][0]}",
        )

    def frame_exists(self) -> Quad:
        rng = self.rng
        noun = self.noun("ocPDnf")
        many = rng.random() < 0.5 and not noun.mass
        det = rng.choice(("some", "many", "several", "few", "number")) if many else "a"
        made = self.np(noun, det=det, many=many, adj=0.35, some=True)
        where, tense = self.place(), rng.choice(("present", "present", "past"))
        en = ("are" if made.p == 4 else "is") if tense == "present" else "were" if made.p == 4 else "was"
        fr, es, de = ("il y a", "hay", "gibt") if tense == "present" else ("il y avait", "había", "gab")
        if rng.random() < 0.5:
            return self.finish(
                f"{where[0]}, there {en} {made.en}",
                f"{where[1]}, {fr} {made.fr}",
                f"{where[2]} {es} {made.es}",
                f"{where[3]} {de} es {made.de(1)}",
            )
        return self.finish(
            f"there {en} {made.en} {where[0]}",
            f"{fr} {made.fr} {where[1]}",
            f"{es} {made.es} {where[2]}",
            f"es {de} {where[3]} {made.de(1)}",
        )

    def frame_exists_not(self) -> Quad:
        noun = self.noun("ocDnfP")
        if noun.mass:
            return self.frame_exists_not()
        made, where = self.np(noun, det="no", many=False, adj=0.2), self.place()
        fr = "de " + made.fr.partition(" ")[2]
        return self.finish(
            f"there is {made.en} {where[0]}",
            f"il n'y a pas {fr} {where[1]}",
            f"no hay {made.es} {where[2]}",
            f"es gibt {where[3]} {made.de(1)}",
        )

    def frame_located(self) -> Quad:
        near = self.rng.random() < 0.6
        one, two = (
            self.np(self.noun("ocDn" if near else "lv"), det=self.rng.choice(("the", "your", "my", "this")), adj=0.2),
            self.np(self.noun("o" if near else "lL"), det="the", many=False, adj=0.2),
        )
        row = self.phrase("relations")
        word, _, case = row[3].partition("+")
        if row[0] in ("on", "under") and not near:
            return self.frame_located()
        p = one.p
        return self.finish(
            f"{one.en} {BE_EN['present'][p]} {row[0]} {two.en}", f"{one.fr} {'se trouve' if p == 2 else 'se trouvent'} {row[1]} {two.fr}",
            f"{one.es} {ESTAR['present'][p]} {row[2]} {two.es}", f"{one.de()} {'befindet' if p == 2 else 'befinden'} sich {word} {two.de(CASES.index(case.lower()))}",
        )  # fmt: skip

    def frame_age(self) -> Quad:
        made = (
            self.np(self.noun("P"), det=self.rng.choice(("the", "my", "his", "her")), many=False, adj=0.1)
            if self.rng.random() < 0.7
            else slot("{person}")
        )
        return self.finish(
            f"{made.en} is {{int}} years old",
            f"{made.fr} a {{int}} ans",
            f"{made.es} tiene {{int}} años",
            f"{made.de()} ist {{int}} Jahre alt",
        )

    def frame_costs(self) -> Quad:
        made = self.np(self.noun("ovcfdD"), det=self.rng.choice(("the", "this", "a")), many=False, adj=0.4)
        future = self.rng.random() < 0.2
        return self.finish(
            f"{made.en} {'will cost' if future else 'costs'} {{money}}",
            f"{made.fr} {'coûtera' if future else 'coûte'} {{money}}",
            f"{made.es} {'costará' if future else 'cuesta'} {{money}}",
            f"{made.de()} {'wird {money} kosten' if future else 'kostet {money}'}",
        )
