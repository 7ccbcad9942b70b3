"""Frames of the composer: statements and questions."""

from __future__ import annotations

import re

from clauses import MODALS, Clause
from inflection import verb_de, verb_es, verb_fr
from lexicon import Verb
from noun_phrases import CASES, NP, Adj, pronoun, slot
from sentence_parts import BE_EN, Parts, Quad


class Statements(Parts):
    """Statements and questions."""

    def frame_statement(self) -> Quad:
        return self.said(self.clause())

    def frame_people(self) -> Quad:
        return self.said(self.clause(verb=self.rng.choice(self._acting)))

    def frame_fronted(self) -> Quad:
        """The time first: in German the subject follows the verb."""
        c = self.clause("present past future")
        time = self.time(c.tense)
        c.time = None
        return self.finish(f"{time[0]}, {c.en()}", f"{time[1]}, {c.fr()}", f"{time[2]}, {c.es()}", c.de(front=time[3]))

    def frame_span(self) -> Quad:
        c = Clause(
            self.subject(verb := self.rng.choice(self._moving[:12])),
            verb,
            None,
            self.rng.choice(("past", "future")),
            time=self.phrase("span"),
        )
        return self.said(c) if verb.en.forms.infinitive not in ("arrive", "come", "fall", "die") else self.frame_statement()

    def frame_negation(self) -> Quad:
        c = self.clause("present past future perfect", bare=True)
        c.neg = True
        if c.obj and self.rng.random() < 0.5 and c.obj.kind in "ovcDSn" and self._is_direct(c.verb):
            noun = self.rng.choice(c.verb.objects)
            if not noun.mass:
                c.obj = self.np(noun, det="any", many=True, adj=0.0)
        elif c.obj and not c.obj.definite:
            c.obj = self.np(self.rng.choice(c.verb.objects), det="the")
        return self.said(c)

    def frame_modal(self) -> Quad:
        c = self.clause(verb=self.rng.choice(self._acting + self._moving))
        c.tense, c.freq = self.rng.choice(MODALS), None
        if c.time:
            c.time = self.time("future")
        c.neg = self.rng.random() < 0.15 and c.tense in ("can", "must", "should", "want") and (c.obj is None or c.obj.definite)
        return self.said(c)

    def _passive_clause(self, tenses: str) -> Clause:
        verb = self.rng.choice(self._passive)
        subj = self.np(self.rng.choice(verb.objects), adj=0.2)
        tense = self.rng.choice(tenses.split())
        return Clause(subj, verb, None, tense, passive=True)

    def frame_passive(self) -> Quad:
        c = self._passive_clause("present past past perfect future")
        if self.rng.random() < 0.6 and c.tense != "perfect":
            c.time = self.time(c.tense)
        elif self.rng.random() < 0.4:
            c.place = self.place()
        return self.said(c)

    def frame_passive_agent(self) -> Quad:
        c = self._passive_clause("past past perfect future")
        by = slot("{org}") if self.rng.random() < 0.15 else self.np(self.rng.choice(c.verb.subjects), adj=0.2)
        c.manner = (f"by {by.en}", f"par {by.fr}", f"por {by.es}", f"von {by.de(2)}")
        return self.said(c)

    def frame_passive_modal(self) -> Quad:
        c = self._passive_clause("can must should must")
        if self.rng.random() < 0.4:
            c.time = self.time("future")
        c.neg = self.rng.random() < 0.2 and c.subj.definite
        return self.said(c)

    def frame_with(self) -> Quad:
        c = self.clause("past future", bare=True)
        row = self.phrase("with")
        kind = {
            "without": "Po",
            "with": "P",
            "for": "PG",
            "during": "e",
            "after": "e",
            "before": "e",
            "despite": "t",
            "because of": "et",
            "thanks to": "P",
        }.get(row[0])
        if kind is None:
            return self.frame_with()
        noun = (
            self.noun(kind)
            if kind not in ("t", "et")
            else self._named[
                self.rng.choice(("rain", "snow", "wind", "fog", "strike", "accident", "noise", "heat", "storm", "illness", "risk"))
            ]
        )
        made = self.np(noun, det="the" if kind in ("t", "et", "e") else "", adj=0.2)
        word, _, case = row[3].partition("+")
        c.place = (f"{row[0]} {made.en}", f"{row[1]} {made.fr}", f"{row[2]} {made.es}", f"{word} {made.de(CASES.index(case.lower()))}")
        return self.said(c)

    def frame_go(self) -> Quad:
        """To a place."""
        rng = self.rng
        who, to, tense = self._someone(), self.to(), rng.choice(("present", "past", "future", "must", "want", "would"))
        time = self.time(tense) if rng.random() < 0.6 else None
        return self.said(Clause(who, self._verb_go, None, tense, time=time, place=to))

    @property
    def _verb_go(self) -> Verb:
        return next(verb for verb in self.lex.intransitive if verb.en.forms.infinitive == "go")

    def _someone(self) -> NP:
        roll = self.rng.random()
        if roll < 0.35:
            return pronoun(self.rng.randrange(6))
        return slot("{person}") if roll < 0.45 else self.np(self.noun("P"), adj=0.15)

    def frame_since(self) -> Quad:
        """How long already: present elsewhere, perfect in English."""
        who, rng = self._someone(), self.rng
        verbs = (
            ("worked", "travailler", "trabajar", "arbeiten"), ("lived", "habiter", "vivir", "leben"), ("studied", "étudier", "estudiar", "studieren"),
            ("waited", "attendre", "esperar", "warten"),
        )  # fmt: skip
        spans = (
            ("for five years", "depuis cinq ans", "desde hace cinco años", "seit fünf Jahren"), ("since {year}", "depuis {year}", "desde {year}", "seit {year}"),
            ("for two months", "depuis deux mois", "desde hace dos meses", "seit zwei Monaten"), ("for a week", "depuis une semaine", "desde hace una semana", "seit einer Woche"),
            ("for ten years", "depuis dix ans", "desde hace diez años", "seit zehn Jahren"), ("for an hour", "depuis une heure", "desde hace una hora", "seit einer Stunde"),
        )  # fmt: skip
        row, span, where = rng.choice(verbs), rng.choice(spans), self.place()
        tables = self.lex.irregular
        p = who.p
        fr, es, de = verb_fr(row[1], tables).present[p], verb_es(row[2], tables).present[p], verb_de(row[3], tables).present[p]
        return self.finish(
            f"{who.en} {('have', 'have', 'has', 'have', 'have')[p]} {row[0]} {where[0]} {span[0]}", f"{who.fr} {fr} {where[1]} {span[1]}",
            f"{who.es} {es} {where[2]} {span[2]}".strip(), f"{who.de()} {de} {span[3]} {where[3]}",
        )  # fmt: skip

    def frame_question(self) -> Quad:
        c = self.clause("present past perfect future can must", bare=self.rng.random() < 0.5)
        c.freq = None
        if c.subj.pro and c.subj.p == 0:
            c.subj = pronoun(1)
        return self.finish(c.en("ask"), c.fr("ask"), c.es("ask"), c.de("ask"), "?")

    def frame_wh(self) -> Quad:
        """When, where, why, how."""
        c = self.clause("present past future", bare=True)
        when = (
            ("When", "Quand", "Cuándo", "Wann"),
            ("Where", "Où", "Dónde", "Wo"),
            ("Why", "Pourquoi", "Por qué", "Warum"),
            ("How", "Comment", "Cómo", "Wie"),
        )
        word = self.rng.choice(when)
        if c.subj.pro and c.subj.p == 0:
            c.subj = pronoun(1)
        return self.finish(
            f"{word[0]} {c.en('ask')}", f"{word[1]} {c.fr('ask')}", f"{word[2]} {c.es('ask')}", f"{word[3]} {c.de('ask')}", "?"
        )

    def frame_who(self) -> Quad:
        c = self.clause("present past future can must", verb=self.rng.choice(self._acting), bare=True)
        who = pronoun(2)
        who.en, who.fr, who.es, who.pro = "who", "qui", "quién", False
        who._de = lambda case: "wer"
        c.subj = who
        return self.said(c, "?")

    def frame_what(self) -> Quad:
        verb = self.rng.choice(self._direct)
        if any(noun.kind in "Pn" for noun in verb.objects):
            return self.frame_which()
        c = Clause(self.subject(verb), verb, None, self.rng.choice(("present", "past", "future", "want", "must")))
        if c.subj.pro and c.subj.p == 0:
            c.subj = pronoun(1)
        return self.finish(f"What {c.en('ask')}", f"que {c.fr('ask')}", f"qué {c.es('ask')}", f"Was {c.de('ask')}", "?")

    def frame_which(self) -> Quad:
        verb = self.rng.choice(self._direct)
        noun = self.rng.choice(verb.objects)
        head = self.np(noun, det="bare", many=self.rng.random() < 0.3, adj=0.1)
        c = Clause(self.subject(verb), verb, None, self.rng.choice(("present", "past", "future")), gap=head)
        if c.subj.pro and c.subj.p == 0:
            c.subj = pronoun(1)
        which = ("quel", "quelle", "quels", "quelles")[head.fr_i]
        ending = {"m": "en", "f": "e", "n": "es", "p": "e"}[head.de_f]
        adj = re.sub(r"^\S+?(?:er|e|es|en)(?= )", lambda m: m[0], head.de(1))
        a = "a " if noun.kind == "P" else ""
        de = f"welch{ending} {self._weak(head, adj)}"
        return self.finish(
            f"which {head.en} {c.en('ask')}",
            f"{which} {head.fr} {c.fr('ask')}",
            f"{a}qué {head.es} {c.es('ask')}",
            f"{de} {c.de('ask')}",
            "?",
        )

    @staticmethod
    def _weak(head: NP, words: str) -> str:
        """After welch-: the adjective in the weak declension (the strong one is what a bare phrase has)."""
        first, _, rest = words.partition(" ")
        if not rest:
            return words
        if head.de_f == "n" and first.endswith("es"):
            return first[:-1] + " " + rest
        return (first + "n " + rest) if head.de_f == "p" and first.endswith("e") else words

    def frame_how_much(self) -> Quad:
        noun = self.noun("ovcfdD")
        made = self.np(noun, det=self.rng.choice(("the", "this")), adj=0.3)
        en, fr, es, de = ("do", "coûtent", "cuestan", "kosten") if made.p == 4 else ("does", "coûte", "cuesta", "kostet")
        return self.finish(
            f"how much {en} {made.en} cost", f"combien {fr} {made.fr}", f"cuánto {es} {made.es}", f"wie viel {de} {made.de()}", "?"
        )

    def frame_where_is(self) -> Quad:
        made = self.np(self.noun("ovcDlP"), det=self.rng.choice(("the", "the", "my", "your", "our")), adj=0.2)
        many = made.p == 4
        return self.finish(
            f"where {'are' if many else 'is'} {made.en}", f"où {'sont' if many else 'est'} {made.fr}",
            f"dónde {'están' if many else 'está'} {made.es}", f"wo {'sind' if many else 'ist'} {made.de()}", "?",
        )  # fmt: skip

    def frame_is_it(self) -> Quad:
        subj, word = self.pair()
        if not subj.definite:
            return self.frame_is_it()
        tense = self.rng.choice(("present", "present", "past"))
        _, fr, es, fin, rest = self.be(subj, Adj(word), tense)
        return self.finish(
            f"{BE_EN[tense][subj.p]} {subj.en} {word.en}",
            f"est-ce que {subj.fr} {fr}",
            f"{es} {subj.es}",
            f"{fin} {subj.de()} {rest}",
            "?",
        )
