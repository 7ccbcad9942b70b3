"""Scores the demo model on held-out samples, asked the way a user asks.

Set A: the training wordings with names and values never trained on. Set B: the held-out wordings, names, values and fillers.
Set C: tests/data/hand_typed.json. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import multiprocessing
import os
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from generate import RATES, Generator, Sample  # noqa: E402
from world import LANGS, load_all  # noqa: E402

from llm_magics import schema  # noqa: E402

HAND_TYPED = HERE.parents[1] / "tests" / "data" / "hand_typed.json"
UNKNOWN = {"en": "I don't know.", "fr": "Je ne sais pas.", "es": "No lo sé.", "de": "Das weiß ich nicht."}
TASKS = (*RATES, "records")  # records: extract, asked for a list
MAX_CHARS = 4000  # of an item's text: longer ones would be cut by small settings


# metrics


@dataclass
class FieldCounts:
    """How extracted fields compare with the expected ones."""

    right: int = 0
    given: int = 0
    wanted: int = 0
    nulls: int = 0
    nulls_right: int = 0
    bools: int = 0
    bools_right: int = 0

    @property
    def f1(self) -> float:
        """F1 over the values that are not null."""
        return 2 * self.right / (self.given + self.wanted) if self.given + self.wanted else 1.0


def same_value(expected: Any, got: Any) -> bool:
    """Equality of two typed values; strings less case, outer space and a final stop, numbers to 1e-6."""
    if isinstance(expected, str) and isinstance(got, str):
        return expected.strip().rstrip(".").casefold() == got.strip().rstrip(".").casefold()
    if isinstance(expected, bool) or isinstance(got, bool):
        return expected is got
    if isinstance(expected, (int, float)) and isinstance(got, (int, float)):
        return expected == got or abs(got) < 1e300 and math.isclose(expected, got, rel_tol=1e-6)
    if isinstance(expected, dict) and isinstance(got, dict):
        return all(same_value(value, got.get(key)) for key, value in expected.items())
    if isinstance(expected, list) and isinstance(got, list):
        return len(expected) == len(got) and all(same_value(a, b) for a, b in zip(expected, got, strict=True))
    return bool(str(expected) == str(got))


def count_fields(expected: Mapping[str, Any], got: Mapping[str, Any], counts: FieldCounts | None = None) -> FieldCounts:
    """Adds one extraction to ``counts``."""
    counts = counts or FieldCounts()
    for key, value in expected.items():
        guess = got.get(key)
        right = guess is None if value is None else guess is not None and same_value(value, guess)
        if value is None:
            counts.nulls += 1
            counts.nulls_right += right
        else:
            counts.wanted += 1
            counts.right += right
        counts.given += guess is not None
        if isinstance(value, bool):
            counts.bools += 1
            counts.bools_right += right
    return counts


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """Corpus chrF (0 to 100): sacrebleu's where it is installed, else the same measure by hand."""
    try:
        from sacrebleu.metrics import CHRF
    except ImportError:
        return _chrf(hypotheses, references)
    return float(CHRF().corpus_score([*hypotheses], [[*references]]).score)


def _chrf(hypotheses: Sequence[str], references: Sequence[str], order: int = 6, beta: float = 2.0) -> float:
    scores = []
    for size in range(1, order + 1):
        match = given = wanted = 0
        for hypothesis, reference in zip(hypotheses, references, strict=True):
            a, b = (
                Counter(text[at : at + size] for at in range(len(text) - size + 1))
                for text in ("".join(hypothesis.split()), "".join(reference.split()))
            )
            match, given, wanted = match + sum((a & b).values()), given + sum(a.values()), wanted + sum(b.values())
        precision, recall = match / given if given else 0.0, match / wanted if wanted else 0.0
        scores.append((precision, recall))
    p, r = (sum(column) / order for column in zip(*scores, strict=True))
    return 100 * (1 + beta**2) * p * r / (beta**2 * p + r) if p + r else 0.0


def kept(required: Sequence[str], summary: str) -> float:
    """The part of the required values that occur in the summary."""
    return sum(value in summary for value in required) / len(required) if required else 1.0


def invented(summary: str, text: str, reference: str) -> bool:
    """Whether the summary holds a capitalised word or a number that neither the text nor the reference has."""
    known = set(_tokens(text)) | set(_tokens(reference))
    return any(token not in known for token in _tokens(summary) if token[0].isupper() or token[0].isdigit())


def _tokens(text: str) -> list[str]:
    return [token for token in (word.strip(".,;:!?()«»\"'") for word in text.replace("'", " ").split()) if token]


def same_answer(expected: Iterable[str], got: str) -> bool:
    """Whether an answer equals one of those expected, less case and final stop."""
    return any(same_value(one, got) for one in expected)


# items and decoding


def items(name: str, count: int, seed: int = 20_000, tasks: Sequence[str] = TASKS) -> list[Sample]:
    """``count`` items a task and language of set A or B."""
    world, held = load_all()
    if name == "B":
        if held is None:
            return []
        world = held
    found = []
    for task in tasks:
        for lang in LANGS:
            generator = Generator(random.Random(f"{seed}-{name}-{task}-{lang}"), world, "held", long=0.01)
            drawn = 0
            while drawn < count:
                item = generator.records(lang) if task == "records" else generator.sample(task, lang)
                item.start, item.system, item.lead_in = "", None, True
                if len(item.text) <= MAX_CHARS:
                    found.append(item)
                    drawn += 1
    return found


def task_of(item: Sample) -> str:
    """The row of the table that an item belongs to."""
    return "records" if item.fields.get("many") else item.task


def ask(session: Any, item: Sample) -> Any:
    """One item through llm_magics, as a user would; extract gives typed data, the others text."""
    if item.task == "extract":
        return session.extract(item.text, entities=item.fields["entities"], many="many" in item.fields, lang=item.lang).data
    if item.task == "translate":
        return session.translate(item.text, to=item.fields["to"], lang=item.lang).text
    if item.task == "classify":
        return session.classify(item.text, labels=item.fields["labels"], lang=item.lang).data
    if item.task == "answer":
        return session.answer(item.text, lang=item.lang, messages=item.history).text
    return getattr(session, item.task)(item.text, lang=item.lang).text


def reading(item: Sample, reply: str) -> Any:
    """What ``ask`` would give for a raw reply; for decoders outside llm_magics."""
    if item.task != "extract":
        return reply.strip()
    asked = schema.from_entities(item.fields["entities"])
    return (schema.records(asked) if item.fields.get("many") else asked).parse(reply)


def right(item: Sample, got: Any) -> bool:
    """Whether an item's result is exactly the expected one."""
    expected = reading(item, item.reply)
    if task_of(item) == "records":
        return same_value(expected, got or [])
    if item.task == "extract":
        return all(same_value(value, got.get(key)) for key, value in expected.items())
    return same_value(expected, got or "")


def scores(done: Sequence[tuple[Sample, Any]]) -> dict[str, float]:
    """The metrics of the results of one task."""
    task = task_of(done[0][0])
    exact = sum(right(item, got) for item, got in done) / len(done)
    if task in ("extract", "records"):
        counts = FieldCounts()
        for item, got in done:
            expected = reading(item, item.reply)
            for wanted, found in itertools.zip_longest(
                *((expected, got or []) if task == "records" else ([expected], [got])), fillvalue={}
            ):
                count_fields(wanted or dict.fromkeys(found), found, counts)
        return {
            "F1": counts.f1,
            "nulls": counts.nulls_right / max(1, counts.nulls),
            "bools": counts.bools_right / max(1, counts.bools),
            "exact": exact,
        }
    if task in ("translate", "reformulate"):
        return {"chrF": chrf([got or "" for _, got in done], [item.reply for item, _ in done]), "exact": exact}
    if task == "summarize":
        return {
            "kept": sum(kept(item.meta["required"], got or "") for item, got in done) / len(done),
            "precise": sum(not invented(got or "", item.text, item.reply) for item, got in done) / len(done),
            "exact": exact,
        }
    if task == "answer":
        groups: dict[str, list[bool]] = defaultdict(list)
        for item, got in done:
            groups[item.meta["mode"]].append(right(item, got))
        return {"exact": exact} | {mode: sum(group) / len(group) for mode, group in sorted(groups.items())}
    return {"exact": exact}


def table(results: Mapping[str, Sequence[tuple[Sample, Any]]]) -> tuple[str, dict[str, Any]]:
    """A Markdown table, a row a set and task, and the same as data."""
    lines = ["| set | task | n | all | en | fr | es | de |", "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    data: dict[str, Any] = {}
    for name, done in results.items():
        for task in TASKS:
            group = [pair for pair in done if task_of(pair[0]) == task]
            if not group:
                continue
            whole = scores(group)
            by_lang = {
                lang: scores([pair for pair in group if pair[0].lang == lang])
                for lang in LANGS
                if any(pair[0].lang == lang for pair in group)
            }
            main = next(iter(whole))
            cells = [f"{by_lang[lang][main]:.3f}" if lang in by_lang else "" for lang in LANGS]
            lines.append(
                f"| {name} | {task} | {len(group)} | {', '.join(f'{key} {value:.3f}' for key, value in whole.items())} | {' | '.join(cells)} |"
            )
            data[f"{name}.{task}"] = {"n": len(group), "all": whole, **by_lang}
    return "\n".join(lines), data


def hand_typed(session: Any, rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The scores on the hand-typed set."""
    counts, answers, refusals, labels = FieldCounts(), [], [], []
    for row in rows:
        text, lang = row["text"], row["lang"]
        if row.get("entities"):
            count_fields(row["expected"], session.extract(text, entities=row["entities"], lang=lang).data, counts)
        if row.get("question"):
            wanted = row["answer"] if isinstance(row["answer"], list) else [row["answer"]]
            answers.append(same_answer(wanted, session.answer(f"{text}\n\n{row['question']}", lang=lang).text))
        if row.get("unanswerable"):
            refusals.append(same_answer([UNKNOWN[lang]], session.answer(f"{text}\n\n{row['unanswerable']}", lang=lang).text))
        if row.get("labels"):
            labels.append(session.classify(text, labels=row["labels"], lang=lang).data == row["label"])
    part = lambda group: sum(group) / len(group) if group else math.nan  # noqa: E731
    return {
        "extract F1": counts.f1, "nulls": counts.nulls_right / max(1, counts.nulls), "bools": counts.bools_right / max(1, counts.bools),
        "answers": part(answers), "unanswerable": part(refusals), "labels": part(labels), "n": len(rows),
    }  # fmt: skip


def _work(job: tuple[str, str, list[Sample], int | None]) -> list[tuple[Sample, Any]]:
    import llm_magics

    model, engine, part, core = job
    if core is not None:  # many processes: a core each, and as many threads
        os.sched_setaffinity(0, {core})
    done = []
    with llm_magics.load(model, engine=engine) as session:
        for item in part:
            try:
                done.append((item, ask(session, item)))
            except Exception as exc:  # an item that fails is a wrong one; the run goes on
                print(f"{item.task} {item.lang}: {type(exc).__name__}: {exc}", file=sys.stderr)
                done.append((item, {} if item.task == "extract" else ""))
    return done


def decode(model: str, engine: str, todo: Sequence[Sample], workers: int) -> list[tuple[Sample, Any]]:
    """All items, in ``workers`` processes with a session each."""
    if not todo:
        return []
    if workers == 1:
        return _work((model, engine, [*todo], None))
    cores = sorted(os.sched_getaffinity(0))
    jobs = [(model, engine, [*todo[at::workers]], cores[at % len(cores)]) for at in range(workers)]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        return [pair for part in pool.map(_work, jobs) for pair in part]


def main() -> None:
    """Evaluate from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--sets", default="A,B,C")
    parser.add_argument("--n", type=int, default=500, help="items a task and language")
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, help="where the scores go; those of other tasks and sets that it holds are kept")
    parser.add_argument("--failures", type=Path, help="where wrong items go, as JSONL")
    args = parser.parse_args()
    names = args.sets.split(",")
    began = time.monotonic()
    tasks = args.tasks.split(",")
    todo = {name: items(name, args.n, tasks=tasks) for name in names if name in ("A", "B")}
    results = {name: decode(args.model, args.engine, each, args.workers) for name, each in todo.items()}
    text, data = table(results)
    print(text)
    if "C" in names and HAND_TYPED.exists():
        import llm_magics

        with llm_magics.load(args.model, engine=args.engine) as session:
            data["C"] = hand_typed(session, json.loads(HAND_TYPED.read_text(encoding="utf-8")))
        print(f"\n| set C (n = {data['C']['n']}) | score |\n| --- | --- |")
        print("\n".join(f"| {key} | {value:.3f} |" for key, value in data["C"].items() if key != "n"))
    print(f"\n{time.monotonic() - began:.0f} s")
    if args.json:
        before = json.loads(args.json.read_text(encoding="utf-8")) if args.json.exists() else {}
        args.json.write_text(json.dumps(before | data, indent=1, ensure_ascii=False), encoding="utf-8")
    if args.failures:
        args.failures.write_text(failures(results), encoding="utf-8")


def failures(results: Mapping[str, Sequence[tuple[Sample, Any]]], limit: int = 2_000_000) -> str:
    """The wrong items as JSONL, at most ``limit`` bytes, sets and tasks mixed."""
    wrong = [(name, item, got) for name, done in results.items() for item, got in done if not right(item, got)]
    random.Random(0).shuffle(wrong)
    lines, size = [], 0
    for name, item, got in wrong:
        row = {
            "set": name,
            "task": item.task,
            "lang": item.lang,
            "text": item.text,
            "fields": item.fields,
            "expected": item.reply,
            "got": got,
            "meta": item.meta,
        }
        if item.history:
            row["history"] = [[turn.role, turn.content] for turn in item.history]
        line = json.dumps(row, ensure_ascii=False, default=str) + "\n"
        size += len(line.encode())
        if size > limit:
            break
        lines.append(line)
    return "".join(lines)


if __name__ == "__main__":
    main()
