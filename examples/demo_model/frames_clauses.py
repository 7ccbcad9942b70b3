"""Frames of the composer: sentences of two clauses, and infinitives."""

from __future__ import annotations

import re

from clauses import Clause, relative_de
from lexicon import Noun, Verb
from noun_phrases import NP, Adj, slot
from sentence_parts import AND, Parts, Quad

_TO = (
    ("tries to", "essaie de", "intenta", "versucht"), ("decided to", "a décidé de", "decidió", "hat beschlossen"),
    ("forgot to", "a oublié de", "olvidó", "hat vergessen"), ("began to", "a commencé à", "empezó a", "hat begonnen"),
    ("promised to", "a promis de", "prometió", "hat versprochen"), ("hopes to", "espère", "espera", "hofft"),
    ("refuses to", "refuse de", "se niega a", "weigert sich"), ("tried to", "a essayé de", "intentó", "hat versucht"),
    ("is ready to", "est prêt à", "está dispuesto a", "ist bereit"), ("has the right to", "a le droit de", "tiene derecho a", "hat das Recht"),
)  # fmt: skip
_IT_IS = (
    ("important", "important", "importante", "wichtig"), ("necessary", "nécessaire", "necesario", "notwendig"),
    ("possible", "possible", "posible", "möglich"), ("impossible", "impossible", "imposible", "unmöglich"),
    ("difficult", "difficile", "difícil", "schwierig"), ("easy", "facile", "fácil", "einfach"),
    ("dangerous", "dangereux", "peligroso", "gefährlich"), ("forbidden", "interdit", "prohibido", "verboten"),
    ("useful", "utile", "útil", "nützlich"), ("too late", "trop tard", "demasiado tarde", "zu spät"),
    ("not easy", "pas facile", "no fácil", "nicht einfach"), ("better", "préférable", "mejor", "besser"),
    ("useless", "inutile", "inútil", "nutzlos"), ("normal", "normal", "normal", "normal"), ("expensive", "coûteux", "caro", "teuer"),
)  # fmt: skip
_CONJUNCTIONS = (
    ("because", "parce que", "porque", "weil"), ("because", "parce que", "porque", "weil"),
    ("while", "pendant que", "mientras", "während"), ("since", "puisque", "ya que", "da"),
)  # fmt: skip


class Clauses(Parts):
    """Sentences of two clauses, and infinitives."""

    def frame_relative_subject(self) -> Quad:
        verb = self.rng.choice(self.lex.transitive)
        noun = self.rng.choice(verb.subjects)
        word = self.adjective(noun)
        if word is None:
            return self.frame_relative_subject()
        head = self.np(noun, det="the", adj=0)
        c = Clause(head, verb, self.object(verb), self.rng.choice(("present", "past", "past")))
        en, fr, es, de = (
            f" {'who' if head.human else 'that'} {c.en('vp')}",
            f" qui {c.fr('vp')}",
            f" que {c.es('vp')}",
            f", {relative_de(head)} {c.de('rel')},",
        )
        e, f, s, fin, rest = self.be(head, Adj(word), "present" if c.tense == "present" else "past")
        return self.finish(f"{head.en}{en} {e}", f"{head.fr}{fr} {f}", f"{head.es}{es} {s}", f"{head.de()}{de} {fin} {rest}")

    def _object_relative(self) -> tuple[NP, Noun]:
        """A phrase such as "the book that the teacher read"."""
        verb = self.rng.choice(self._direct)
        nouns = [noun for noun in verb.objects if noun.kind not in "Pn"]
        if not nouns:
            return self._object_relative()
        noun = self.rng.choice(nouns)
        head = self.np(noun, det=self.rng.choice(("the", "the", "this")), adj=0.1)
        c = Clause(self.subject(verb), verb, None, self.rng.choice(("past", "past", "present", "want")), gap=head)
        c.time = self.time("past") if c.tense == "past" and self.rng.random() < 0.35 else None
        return head.followed((f" that {c.en()}", f" que {c.fr()}", f" que {c.es()}", f", {relative_de(head, 1)} {c.de('sub')},")), noun

    def frame_relative_object(self) -> Quad:
        head, noun = self._object_relative()
        word = self.adjective(noun)
        if word is None:
            return self.frame_relative_object()
        e, f, s, fin, rest = self.be(head, Adj(word), self.rng.choice(("present", "past")))
        return self.finish(f"{head.en} {e}", f"{head.fr} {f}", f"{head.es} {s}", f"{head.de()} {fin} {rest}")

    def frame_this_is_relative(self) -> Quad:
        head, _ = self._object_relative()
        if head.en.startswith("th") and head.p == 2 and head.en.startswith("the "):
            return self.finish(
                f"this is {head.en}", f"c'est {head.fr}", f"{'esta' if head.es_i == 1 else 'este'} es {head.es}", f"das ist {head.de()}"
            )
        return self.frame_this_is_relative()

    def frame_because(self) -> Quad:
        one, two = self.clause("past present", bare=True), self.clause("past present", bare=True)
        two.tense, two.plain = one.tense, one.plain
        c = self.rng.choice(_CONJUNCTIONS)
        return self.finish(
            f"{one.en()} {c[0]} {two.en()}",
            f"{one.fr()} {c[1]} {two.fr()}",
            f"{one.es()} {c[2]} {two.es()}",
            f"{one.de()}, {c[3]} {two.de('sub')}",
        )

    def frame_because_adjective(self) -> Quad:
        one, (subj, word) = self.clause("past present", bare=True), self.pair()
        e, f, s, fin, rest = self.be(subj, Adj(word), one.tense, neg=self.rng.random() < 0.2 and subj.definite)
        c = _CONJUNCTIONS[0]
        return self.finish(
            f"{one.en()} {c[0]} {subj.en} {e}",
            f"{one.fr()} {c[1]} {subj.fr} {f}",
            f"{one.es()} {c[2]} {subj.es} {s}",
            f"{one.de()}, {c[3]} {subj.de()} {rest} {fin}",
        )

    def frame_when(self) -> Quad:
        """When ..., ...: German als in the past, wenn in the present."""
        tense = self.rng.choice(("past", "past", "present"))
        one, two = self.clause(tense, bare=True), self.clause(tense, bare=True)
        one.plain = two.plain = True
        return self.finish(
            f"when {one.en()}, {two.en()}", f"quand {one.fr()}, {two.fr()}", f"cuando {one.es()}, {two.es()}",
            f"{'als' if tense == 'past' else 'wenn'} {one.de('sub')}, {two.de(front='@')}".replace("@ ", ""),
        )  # fmt: skip

    def frame_if(self) -> Quad:
        one, two = self.clause("present", bare=True), self.clause("future can must", bare=True)
        one.neg = self.rng.random() < 0.2 and (one.obj is None or one.obj.definite)
        if self.rng.random() < 0.4:
            return self.finish(
                f"{two.en()} if {one.en()}", f"{two.fr()} si {one.fr()}", f"{two.es()} si {one.es()}", f"{two.de()}, wenn {one.de('sub')}"
            )
        return self.finish(
            f"if {one.en()}, {two.en()}",
            f"si {one.fr()}, {two.fr()}",
            f"si {one.es()}, {two.es()}",
            f"wenn {one.de('sub')}, {two.de(front='@')}".replace("@ ", ""),
        )

    def frame_that(self) -> Quad:
        verb = self.rng.choice(self.lex.clausal)
        main, two = Clause(self.subject(verb), verb, None, self.rng.choice(("present", "past"))), self.clause("present past future perfect")
        if verb.en.forms.infinitive in ("know", "think", "believe"):
            main.tense = "present"
        if main.tense == "past" and two.tense in ("present", "future"):
            two.tense, two.time = "past", None
        return self.finish(
            f"{main.en()} that {two.en()}",
            f"{main.fr()} que {two.fr()}",
            f"{main.es()} que {two.es()}",
            f"{main.de()}, dass {two.de('sub')}",
        )

    def frame_whether(self) -> Quad:
        who, two = self._someone(), self.clause("past perfect future can")
        verb = next(verb for verb in self.lex.clausal if verb.en.forms.infinitive == "know")
        main = Clause(who, verb, None, "present", neg=True)
        if self.rng.random() < 0.5:
            word = self.rng.choice(
                (
                    ("when", "quand", "cuándo", "wann"),
                    ("why", "pourquoi", "por qué", "warum"),
                    ("where", "où", "dónde", "wo"),
                    ("how", "comment", "cómo", "wie"),
                )
            )
            two.time = two.place = None
        else:
            word = ("whether", "si", "si", "ob")
        return self.finish(
            f"{main.en()} {word[0]} {two.en()}",
            f"{main.fr()} {word[1]} {two.fr()}",
            f"{main.es()} {word[2]} {two.es()}",
            f"{main.de()}, {word[3]} {two.de('sub')}",
        )

    def frame_and(self) -> Quad:
        tense = self.rng.choice(("past", "present", "future"))
        one, two, a = self.clause(tense, bare=True), self.clause(tense, bare=True), self.rng.choice(AND)
        two.plain = one.plain
        return self.finish(
            f"{one.en()}, {a[0]} {two.en()}",
            f"{one.fr()}, {a[1]} {two.fr()}",
            f"{one.es()}, {a[2]} {two.es()}",
            f"{one.de()}{',' if a[3] == 'aber' else ''} {a[3]} {two.de()}",
        )

    def frame_and_subjects(self) -> Quad:
        c = self.clause("past present future")
        one, two = (
            self.np(self.rng.choice(c.verb.subjects), det=self.rng.choice(("the", "my", "our", "your")), many=False, adj=0.15) for _ in "ab"
        )
        if one.en == two.en:
            return self.frame_and_subjects()
        female = one.fr_i == two.fr_i == 1
        one.en, one.fr, one.es, words = (
            f"{one.en} and {two.en}",
            f"{one.fr} et {two.fr}",
            f"{one.es} y {two.es}",
            f"{one.de()} und {two.de()}",
        )
        one._de = lambda case: words
        one.p, one.fr_i = 4, 2 + female
        one.es_i = 3 if one.es_i == two.es_i == 1 else 2
        c.subj = one
        return self.said(c)

    def frame_it(self) -> Quad:
        """The same object again, as a pronoun."""
        first = self.rng.choice(self._told)
        verbs = [verb for verb in self._told if verb is not first and verb.de.case == "a"]
        noun = self.rng.choice(first.objects)
        fitting = [verb for verb in verbs if noun in verb.objects and any(s.kind == "P" for s in verb.subjects) and verb.en.tail == ""]
        if not fitting or noun.kind in "Pn":
            return self.frame_it()
        obj = self.np(noun, det=self.rng.choice(("the", "the", "a", "my", "this")), many=None if noun.mass else False)
        who = self._someone()
        one, two = Clause(who, first, obj, "past"), Clause(self._someone(), self.rng.choice(fitting), None, "past", pro=obj)
        return self.finish(
            f"{one.en()}, and {two.en()}", f"{one.fr()}, et {two.fr()}", f"{one.es()}, y {two.es()}", f"{one.de()}, und {two.de()}"
        )

    def infinitive(self, verb: Verb | None = None) -> tuple[str, str, str, str]:
        """A verb and its object; German with zu."""
        rng = self.rng
        verb = verb or rng.choice(self._acting + self._moving)
        if verb.fr.reflexive or verb.es.reflexive or verb.de.reflexive:
            return self.infinitive()
        obj = self.object(verb) if verb.objects else None
        c = Clause(slot("@"), verb, obj)
        word = verb.de
        zu = f"{word.prefix}zu{word.forms.infinitive}" if word.prefix else f"zu {word.forms.infinitive}"
        return (
            verb.en.forms.infinitive + verb.en.after + c._en_end(), verb.fr.forms.infinitive + c._fr_end(True),
            verb.es.forms.infinitive + c._es_end(True), " ".join([*c._de_mid(True), zu]),
        )  # fmt: skip

    @staticmethod
    def comma(words: str) -> str:
        """The comma before an infinitive with zu that has more to it."""
        return "," if len(words.split()) > 2 or (" " in words and not words.startswith("zu ")) else ""

    def frame_it_is(self) -> Quad:
        word, (en, fr, es, de) = self.rng.choice(_IT_IS), self.infinitive()
        es_is = "está" if word[0] == "forbidden" else "es"
        es_part = f"no es {word[2][3:]}" if word[2].startswith("no ") else f"{es_is} {word[2]}"
        fr_part = f"il n'est {word[1]}" if word[1].startswith("pas ") else f"il est {word[1]}"
        es_to = f"{es_part} para {es}" if word[0] == "too late" else f"{es_part} {es}"
        fr_to = f"{fr_part} pour {fr}" if word[0] == "too late" else f"{fr_part} de {fr}"
        return self.finish(f"it is {word[0]} to {en}", fr_to, es_to, f"es ist {word[3]}{self.comma(de)} {de}")

    def frame_to(self) -> Quad:
        word, (en, fr, es, de) = self.rng.choice(_TO), self.infinitive()
        who = slot("{person}") if self.rng.random() < 0.2 else self.np(self.noun("P"), many=False, adj=0.15)
        if word[0] == "is ready to" and who.fr_i:
            word = _TO[0]
        return self.finish(
            f"{who.en} {word[0]} {en}", f"{who.fr} {word[1]} {fr}", f"{who.es} {word[2]} {es}", f"{who.de()} {word[3]}{self.comma(de)} {de}"
        )

    def frame_in_order_to(self) -> Quad:
        c, (en, fr, es, de) = self.clause("past present future", verb=self.rng.choice(self._acting), bare=True), self.infinitive()
        if self.rng.random() < 0.7:
            return self.finish(f"{c.en()} to {en}", f"{c.fr()} pour {fr}", f"{c.es()} para {es}", f"{c.de()}, um {de}")
        gerund = self._gerund(en)
        return self.finish(f"{c.en()} without {gerund}", f"{c.fr()} sans {fr}", f"{c.es()} sin {es}", f"{c.de()}, ohne {de}")

    def _gerund(self, en: str) -> str:
        base, _, rest = en.partition(" ")
        verbs = (*self.lex.transitive, *self.lex.intransitive)
        return next(verb.en.forms.gerund for verb in verbs if verb.en.forms.infinitive == base) + (" " + rest if rest else "")

    def _order(self, verb: Verb) -> str:
        """The Spanish formal imperative."""
        inf, first = verb.es.forms.infinitive, verb.es.forms.present[0]
        stem = first[:-1]
        if inf.endswith("ar"):
            stem = re.sub(r"z$", "c", re.sub(r"g$", "gu", re.sub(r"c$", "qu", stem)))
            return stem + "e"
        return stem + "a"

    def frame_imperative(self) -> Quad:
        verb = self.rng.choice(self._told)
        if verb.es.forms.infinitive in ("ver", "dar", "ir", "saber"):
            return self.frame_imperative()
        obj = self.np(self.rng.choice(verb.objects), det=self.rng.choice(("the", "the", "this", "your", "all", "a")), adj=0.2)
        if obj.en.startswith("all the ") and obj.p == 2:
            return self.frame_imperative()
        c = Clause(
            slot("@"),
            verb,
            obj,
            time=self.time("future") if self.rng.random() < 0.3 else None,
            neg=obj.definite and self.rng.random() < 0.25,
        )
        mid, end = c._de_mid(True), [verb.de.prefix] if verb.de.prefix else []
        inf = verb.fr.forms
        de = " ".join([verb.de.forms.infinitive, "Sie", *mid, *end])
        en = verb.en.forms.infinitive + verb.en.after + c._en_end()
        es = self._order(verb) + c._es_end(True)
        if c.neg:
            return self.finish(
                f"please do not {en}",
                f"veuillez ne pas {inf.infinitive}{c._fr_end(True)}",
                f"por favor, no {es}",
                f"bitte {de[0].lower() + de[1:]}",
            )
        if self.rng.random() < 0.5:
            return self.finish(f"please {en}", f"veuillez {inf.infinitive}{c._fr_end(True)}", f"por favor, {es}", f"bitte {de}")
        return self.finish(en, f"{inf.present[1]}{c._fr_end(True)}", es, de)
