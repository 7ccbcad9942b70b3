"""The same items through langextract and through llm_magics, on the same engine, in one run.

- *items*: held-out notices. langextract gets the bundled engine as a provider of its own interface, free and held to its JSON envelope by our
  guided decoding; its prompt holds the fields with their hints and one worked example. The demo model was trained on llm_magics' prompt and
  not on langextract's, so the F1 says more of the model than of langextract.
- *alignment*: both get the same texts and the same values, with the places known, and no model. ``wrong`` is a span that holds something
  else than the value as the text has it; ``missed`` is no span.

langextract is installed from the package index into an environment that is removed at the end; ``--python`` takes one that has it.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import random
import subprocess
import sys
import sysconfig
import tempfile
import time
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .extraction import LANGS, evaluate, notices

ROOT = Path(__file__).parent.parent.parent


# The environment.


def environment(folder: Path) -> str:
    """The Python of a fresh environment with langextract that sees the packages of this one."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    outer = sysconfig.get_path("purelib")
    inner = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True, check=True
    ).stdout.strip()
    (Path(inner) / "outer.pth").write_text(f"import site; site.addsitedir({outer!r})\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", python, "-q", "--disable-pip-version-check", "install", "langextract"]
    subprocess.run(pip, check=True)
    return python


# Alignment.


@dataclasses.dataclass(frozen=True)
class Case:
    """A text, the values in the order of the text, and the place of each; None for a value that the text has not."""

    kind: str
    text: str
    values: tuple[str, ...]
    places: tuple[tuple[int, int] | None, ...]


_FILL = {
    "latin": ("The office moved twice.", "Nobody was asked.", "More details will follow.", "It was a long day."),
    "cjk": ("天気は良かったです。", "詳細は後日お知らせします。", "会議は長く続きました。"),
    "rtl": ("كان اليوم طويلا.", "ستتبع التفاصيل لاحقا.", "היום היה ארוך.", "פרטים נוספים יבואו."),
}
# kind -> (surroundings, frames with {} for the value, (as the text has it, as it was extracted)).
_KINDS: dict[str, tuple[str, tuple[str, ...], tuple[tuple[str, str], ...]]] = {
    "plain words": (
        "latin",
        ("{} was founded here.", "The place is called {}.", "They met {} there."),
        (("Velmora Systems", "Velmora Systems"), ("Mira Holt", "Mira Holt"), ("Lyon", "Lyon"), ("O'Brien & Sons", "O'Brien & Sons")),
    ),
    "inside other words": (
        "latin",
        ("The Lyonnais, the Parisians and the Romans met {}.", "Unimira, Berlinale and Alicante: {} was not there."),
        (("Lyon", "Lyon"), ("Roman", "Roman"), ("Mira", "Mira"), ("Berlin", "Berlin"), ("Ali", "Ali")),
    ),
    "not there": (
        "latin",
        ("{} was founded here.", "The place is called {}.", "They met {} there."),
        (("Velmora Systems", "Aldran Foods"), ("Mira Holt", "Pablo Ruiz"), ("Lyon", "Bern"), ("12 March 2024", "7 May 1991")),
    ),
    "other case": (
        "latin",
        ("{} was founded here.", "They met {} there."),
        (("VELMORA SYSTEMS", "Velmora Systems"), ("Straße der Freiheit", "STRASSE DER FREIHEIT"), ("İstanbul", "istanbul")),
    ),
    "combining marks": (
        "latin",
        ("{} was founded here.", "They met {} there."),
        tuple((unicodedata.normalize("NFD", name), name) for name in ("Café Zoë", "Ångström", "Nguyễn Văn", "Škoda Žižkov")),
    ),
    "cjk": (
        "cjk",
        ("{}は去年設立されました。", "場所は{}です。", "彼らは{}に会いました。"),
        (("山田太郎", "山田太郎"), ("大阪市北区", "大阪市北区"), ("株式会社東京堂", "株式会社東京堂"), ("ＡＢＣ商事", "ABC商事")),
    ),
    "emoji": (
        "latin",
        ("The team 👩‍👩‍👧‍👦 chose {} 🎉.", "{} 👍🏽 won.", "🏳️‍🌈 Welcome to {}!"),
        (("Café 🇫🇷", "Café 🇫🇷"), ("Lumo 👩‍🚀", "Lumo 👩‍🚀"), ("Nordwind", "Nordwind")),
    ),
    "right to left": (
        "rtl",
        ("تأسست {} في المدينة.", "يعمل {} هنا.", "{} נוסדה כאן."),
        (("شركة النور", "شركة النور"), ("مُحَمَّد", "محمد"), ("אור ברק", "אור ברק")),
    ),
    "line breaks": (
        "latin",
        ("{} was founded here.", "They met {} there."),
        (("Velmora\r\nSystems", "Velmora Systems"), ("Mira\r\n  Holt", "Mira Holt"), ("Rue de\u00a0la Paix", "Rue de la Paix")),
    ),
    "decimal forms": (
        "latin",
        ("It costs {} euros.", "The total was {} in all."),
        (("1.234,50", "1234.5"), ("12 500", "12500"), ("3,75", "3.75"), ("1\u202f000\u202f000", "1000000")),
    ),
}


def cases(count: int, seed: int = 7) -> list[Case]:
    """``count`` texts of each kind, with 3 values each."""
    made = []
    for kind, (around, frames, pairs) in _KINDS.items():
        rng = random.Random(f"{seed}-{kind}")
        for _ in range(count):
            text = ""
            values: list[str] = []
            places: list[tuple[int, int] | None] = []
            for written, value in rng.sample(pairs, min(3, len(pairs))):
                text += "".join(rng.choice(_FILL[around]) + rng.choice((" ", "\r\n")) for _ in range(rng.randint(1, 12)))
                before, after = rng.choice(frames).split("{}")
                start = len(text) + len(before)
                text += before + written + after + " "
                values.append(value)
                places.append(None if kind == "not there" else (start, start + len(written)))
            made.append(Case(kind, text, tuple(values), tuple(places)))
    return made


def ours(case: Case) -> list[tuple[int, int] | None]:
    from llm_magics.grounding import ground

    spans = {span.field: span for span in ground({f"f{at}": value for at, value in enumerate(case.values)}, case.text)}
    found = [spans.get(f"f{at}") for at in range(len(case.values))]
    return [None if span is None or span.status == "absent" else (span.start, span.end) for span in found]


def theirs(case: Case, tokenizer: Any) -> list[tuple[int, int] | None]:
    from langextract import data, resolver

    given = [data.Extraction(extraction_class=f"f{at}", extraction_text=value) for at, value in enumerate(case.values)]
    found = {
        each.extraction_class: each.char_interval for each in resolver.Resolver().align(given, case.text, 0, 0, tokenizer_inst=tokenizer)
    }
    places = [found.get(f"f{at}") for at in range(len(case.values))]
    return [None if place is None or place.start_pos is None else (place.start_pos, place.end_pos) for place in places]


def alignment(count: int) -> None:
    """Print wrong and missed spans, and the time, of both."""
    from langextract.core import tokenizer

    ways = {
        "llm_magics": ours,
        "langextract": lambda case: theirs(case, tokenizer.RegexTokenizer()),
        "langextract, UnicodeTokenizer": lambda case: theirs(case, tokenizer.UnicodeTokenizer()),
    }
    made = cases(count)
    print("\n| values | n | " + " | ".join(f"{way}: wrong, missed" for way in ways) + " |")
    print("| --- | --- |" + " --- |" * len(ways))
    seconds, sums = dict.fromkeys(ways, 0.0), {way: [0, 0] for way in ways}
    for kind, group in itertools.groupby(made, key=lambda case: case.kind):
        texts = list(group)
        cells = []
        for way, align in ways.items():
            started = time.perf_counter()
            found = [align(case) for case in texts]
            seconds[way] += time.perf_counter() - started
            pairs = [
                (place, true) for case, places in zip(texts, found, strict=True) for place, true in zip(places, case.places, strict=True)
            ]
            missed = sum(place is None and true is not None for place, true in pairs)
            wrong = sum(place is not None and place != true for place, true in pairs)
            sums[way] = [sums[way][0] + wrong, sums[way][1] + missed]
            cells.append(f"{wrong}, {missed}")
        print(f"| {kind} | {sum(len(case.values) for case in texts)} | " + " | ".join(cells) + " |")
    total = sum(len(case.values) for case in made)
    print(f"| all | {total} | " + " | ".join(f"{wrong}, {missed}" for wrong, missed in sums.values()) + " |")
    print("\n" + "; ".join(f"{way} {spent / len(made) * 1000:.2f} ms a text" for way, spent in seconds.items()) + f" ({len(made)} texts)")


# Items.


def _provider(session: Any, keys: Sequence[str], *, guided: bool) -> Any:
    """Our engine behind langextract's provider interface."""
    from langextract.core import base_model, types

    from llm_magics.records import Guide, Message, Prompt, Sampling

    one = [{"type": "object", "properties": {key: {"type": "string"}}, "required": [key], "additionalProperties": False} for key in keys]
    listed = {"type": "array", "items": {"anyOf": one}, "maxItems": len(one)}
    envelope = {"type": "object", "properties": {"extractions": listed}, "required": ["extractions"], "additionalProperties": False}
    guide = Guide(json_schema=envelope) if guided else None

    class EngineProvider(base_model.BaseLanguageModel):
        def infer(self, batch_prompts: Sequence[str], **options: Any) -> Iterator[Sequence[Any]]:
            for text in batch_prompts:
                prompt = Prompt(session.engine.render((Message("user", text),)), Sampling(max_new_tokens=384), guide)
                reply = "".join(chunk.text for chunk in session.engine.stream(prompt))
                yield [types.ScoredOutput(score=1.0, output=reply)]

    provider = EngineProvider()
    provider.set_fence_output(False)
    return provider


def _example(data: Any) -> Any:
    """One worked example, of text that no item has."""
    text = "Brightwell Foods is a company based in Turin. It employs 85 people."
    values = {"name": "Brightwell Foods", "city": "Turin", "staff": "85"}
    return data.ExampleData(
        text=text, extractions=[data.Extraction(extraction_class=key, extraction_text=value) for key, value in values.items()]
    )


def _through_langextract(session: Any, item: Any, *, guided: bool) -> Any:
    import langextract
    from langextract import data

    hints = "\n".join(f"- {key}: {hint}" if hint else f"- {key}" for key, hint in item.fields["entities"].items())
    told = f"Extract these values, each with the exact words of the text. Leave out what the text does not say.\n{hints}"
    model = _provider(session, [*item.fields["entities"]], guided=guided)
    return langextract.extract(
        item.text,
        told,
        [_example(data)],
        model=model,
        use_schema_constraints=False,
        show_progress=False,
        max_char_buffer=8000,
        resolver_params={"suppress_parse_errors": False},
        fence_output=False,
    )


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


@dataclasses.dataclass
class Count:
    """Mutable: it counts."""

    fields: Any
    spans: int = 0
    wrong: int = 0
    missed: int = 0
    unread: int = 0
    seconds: float = 0.0

    def span(self, text: str, value: str, place: tuple[int, int] | None) -> None:
        """Count the place of a value that was extracted as text."""
        self.spans += 1
        self.missed += place is None
        self.wrong += place is not None and _folded(text[place[0] : place[1]]) != _folded(value)

    def row(self, name: str, number: int) -> str:
        """A line of the table."""
        f1 = f"{self.fields.f1:.4f}" if self.fields.wanted else "as above"
        return f"| {name} | {number} | {f1} | {self.spans} | {self.wrong} | {self.missed} | {self.unread} | {self.seconds / number:.2f} |"


def _place(found: Any) -> tuple[int, int] | None:
    """The place of an extraction of langextract's."""
    place = found.char_interval
    return None if place is None or place.start_pos is None else (place.start_pos, place.end_pos)


def _ours(session: Any, item: Any, counted: Count, aligned: Count) -> None:
    """One notice through llm_magics; ``aligned`` counts the same values as langextract places them."""
    from langextract import data, resolver

    started = time.perf_counter()
    generation = session.extract(item.text, entities=item.fields["entities"], lang=item.lang)
    counted.seconds += time.perf_counter() - started
    evaluate.count_fields(evaluate.reading(item, item.reply), generation.data, counted.fields)
    texts = {key: value for key, value in generation.data.items() if isinstance(value, str)}
    places = {span.field: (span.start, span.end) for span in reversed(generation.spans) if span.status != "absent"}
    for key, value in texts.items():
        counted.span(item.text, value, places.get(key))
    started = time.perf_counter()
    given = [data.Extraction(extraction_class=key, extraction_text=value) for key, value in texts.items()]
    found = list(resolver.Resolver().align(given, item.text, 0, 0))
    aligned.seconds += time.perf_counter() - started
    for each in found:
        aligned.span(item.text, str(each.extraction_text), _place(each))


def _theirs(session: Any, item: Any, counted: Count, *, guided: bool) -> None:
    """One notice through langextract."""
    from langextract.resolver import ResolverParsingError

    from llm_magics import schema

    started = time.perf_counter()
    try:
        found = _through_langextract(session, item, guided=guided).extractions or []
    except ResolverParsingError:
        found = []
        counted.unread += 1
    counted.seconds += time.perf_counter() - started
    raw = {each.extraction_class: each.extraction_text for each in reversed(found)}
    read = schema.from_entities(item.fields["entities"]).parse(json.dumps(raw, default=str))
    evaluate.count_fields(evaluate.reading(item, item.reply), read, counted.fields)
    for each in found:
        counted.span(item.text, str(each.extraction_text), _place(each))


def items(count: int) -> None:
    """Print F1, spans and time of both on the same notices."""
    import llm_magics

    ours, aligned, free, guided = (Count(evaluate.FieldCounts()) for _ in range(4))
    drawn = [item for lang in LANGS for item in notices("A", lang, count)]
    with llm_magics.load("demo") as session:
        for item in drawn:
            _ours(session, item, ours, aligned)
            _theirs(session, item, free, guided=False)
            _theirs(session, item, guided, guided=True)
    print("\n| through | notices | F1 | values with text | wrong spans | no span | unreadable | s a notice |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    names = ("llm_magics", "its values, placed by langextract (s: placing alone)", "langextract", "langextract, guided by our decoder")
    for name, counted in zip(names, (ours, aligned, free, guided), strict=True):
        print(counted.row(name, len(drawn)))


def main(arguments: Sequence[str] = ()) -> None:
    """Make the environment, and run there."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench langextract_peer", description=__doc__)
    parser.add_argument("--n", type=int, default=5, help="notices a language")
    parser.add_argument("--texts", type=int, default=40, help="texts of each kind for the alignment")
    parser.add_argument("--python", help="the Python of an environment that has langextract and this one's packages")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.inside:
        import importlib.metadata

        print(f"langextract {importlib.metadata.version('langextract')}")
        alignment(args.texts)
        if args.n:
            items(args.n)
        return
    with tempfile.TemporaryDirectory() as folder:
        python = args.python or environment(Path(folder) / "env")
        command = [python, "-W", "ignore", "-m", "tests.bench.langextract_peer", "--inside", "--n", str(args.n), "--texts", str(args.texts)]
        subprocess.run(command, check=True, cwd=ROOT)


if __name__ == "__main__":
    main(sys.argv[1:])
