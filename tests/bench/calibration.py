"""How far the demo model's confidence can be trusted, and the map that makes it so.

Held-out items of sets A and B are extracted and classified as a user would. One half of them makes the map (Platt's scaling, one for
each kind of value), the other half measures it: what stands in the table was not used for the map. Written to
``llm_magics/demo/calibration.json``, with the digest of the engine it was measured with.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent.parent
PLACE = ROOT / "llm_magics" / "demo" / "calibration.json"
EDGES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0)


@dataclasses.dataclass(frozen=True)
class Judged:
    """One value: its kind, the probability before the guide and under it, and whether it is right."""

    set: str
    kind: str
    raw: float
    guided: float
    right: bool

    @property
    def stated(self) -> float:
        """What ``confidence`` takes: among the labels for a label, before the guide for the rest."""
        return self.guided if self.kind == "label" else self.raw


def _judged(name: str, item: Any, session: Any, evaluate: Any) -> list[Judged]:
    from llm_magics import confidence
    from llm_magics.answers import RecordAnswer
    from llm_magics.runner import prepare
    from llm_magics.session import check_labels, extract_fields, request

    fields = extract_fields(item.fields["entities"], None) if item.task == "extract" else {"labels": check_labels(item.fields["labels"])}
    prepared = prepare(session.engine, request(item.task, item.text, fields, {"lang": item.lang}))
    chunks = list(session.engine.stream(prepared.prompt))
    reply = "".join(chunk.text for chunk in chunks)
    tokens = [token for chunk in chunks for token in chunk.logprobs]
    answered = prepared.answer.read(reply, tokens, None)
    raw = prepared.answer.read(reply, [dataclasses.replace(token, guided=None) for token in tokens], None).confidence
    guided = prepared.answer.read(reply, [dataclasses.replace(token, logprob=token.guided) for token in tokens], None).confidence
    expected, got = evaluate.reading(item, item.reply), answered.data
    if item.task == "extract":
        assert isinstance(prepared.answer, RecordAnswer)
        node = prepared.answer.schema.read(reply).node
        kinds = {place.path: place.kind for place in confidence.of_records(prepared.answer.schema, node)}
    else:
        expected, got, kinds = {"label": expected}, {"label": got}, {"label": "label"}
    return [
        Judged(name, kinds[key], raw[key].raw, guided[key].raw, bool(_same(expected[key], got[key], evaluate)))
        for key in got
        if key in raw and key in expected
    ]


def _same(expected: Any, got: Any, evaluate: Any) -> bool:
    return got is None if expected is None else got is not None and evaluate.same_value(expected, got)


def _evaluate() -> Any:
    sys.path.insert(0, str(ROOT / "examples" / "demo_model"))
    import evaluate

    return evaluate


def _work(job: tuple[int, int, int]) -> list[list[Judged]]:
    """The judged values of this worker's share of the items, item by item."""
    import llm_magics

    count, part, parts = job
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[part % len(os.sched_getaffinity(0))]})
    evaluate = _evaluate()
    done = []
    with llm_magics.load("demo") as session:
        for name in ("A", "B"):
            wanted = evaluate.items(name, count, tasks=("extract", "classify"))
            done += [_judged(name, item, session, evaluate) for item in wanted[part::parts]]
    return done


def fit(raw: Sequence[float], right: Sequence[bool], towards: tuple[float, float] = (1.0, 0.0), weight: float = 4.0) -> tuple[float, float]:
    """Slope and shift of Platt's scaling, by Newton's method; ``weight`` holds them to ``towards`` where values are few."""
    from llm_magics.confidence import log_odds

    x = np.asarray([[log_odds(value), 1.0] for value in raw])
    y = np.asarray(right, dtype=float)
    start = np.asarray(towards)
    held = np.diag([weight, weight])
    found = start.copy()
    for _ in range(100):
        stated = 1 / (1 + np.exp(-np.clip(x @ found, -30, 30)))
        gradient = x.T @ (stated - y) + held @ (found - start)
        step = np.linalg.solve((x * (stated * (1 - stated))[:, None]).T @ x + held, gradient)
        found -= np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-9:
            break
    return max(float(found[0]), 0.0), float(found[1])


def scales(values: Sequence[Judged]) -> dict[str, tuple[float, float]]:
    """Slope and shift of each kind, held to those of all kinds together."""
    whole = fit([each.stated for each in values], [each.right for each in values])
    kinds = sorted({each.kind for each in values})
    groups = {kind: [each for each in values if each.kind == kind] for kind in kinds}
    return {kind: fit([e.stated for e in group], [e.right for e in group], whole) for kind, group in groups.items()}


def error(stated: Sequence[float], right: Sequence[bool]) -> float:
    """Expected calibration error: the mean distance of what is stated from what is right, over ten groups of like size."""
    order = np.argsort(np.asarray(stated), kind="stable")
    groups = [group for group in np.array_split(order, 10) if len(group)]
    gaps = [len(group) * abs(float(np.mean(np.asarray(stated)[group])) - float(np.mean(np.asarray(right)[group]))) for group in groups]
    return sum(gaps) / max(1, len(order))


def auroc(stated: Sequence[float], right: Sequence[bool]) -> float:
    """How often a right value is stated higher than a wrong one; 0.5 is chance, nan without both."""
    good = np.asarray([value for value, is_right in zip(stated, right, strict=True) if is_right])
    bad = np.asarray([value for value, is_right in zip(stated, right, strict=True) if not is_right])
    if not len(good) or not len(bad):
        return math.nan
    return float(np.mean((good[:, None] > bad[None, :]) + 0.5 * (good[:, None] == bad[None, :])))


def report(measured: Sequence[Judged], scale: Any) -> None:
    """Print the figures of the half that the map has not seen."""
    print("| values | n | right | error raw | error under the guide | error calibrated | AUROC raw | AUROC under the guide |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    kinds = sorted({each.kind for each in measured})
    for title in ("all", "set A", "set B", *kinds):
        some = [each for each in measured if title in ("all", f"set {each.set}", each.kind)]
        right = [each.right for each in some]
        mapped = [_mapped(scale, each) for each in some]
        errors = [error([each.raw for each in some], right), error([each.guided for each in some], right), error(mapped, right)]
        ranks = [auroc([each.raw for each in some], right), auroc([each.guided for each in some], right)]
        print(f"| {title} | {len(some)} | {np.mean(right):.4f} | " + " | ".join(f"{figure:.4f}" for figure in (*errors, *ranks)) + " |")
    print("\n| stated confidence | n | mean stated | right |\n| --- | --- | --- | --- |")
    for low, high in itertools.pairwise(EDGES):
        group = [each for each in measured if low <= _mapped(scale, each) < high or (high == 1.0 and _mapped(scale, each) == 1.0)]
        if group:
            stated = np.mean([_mapped(scale, each) for each in group])
            print(f"| {low:g} to {high:g} | {len(group)} | {stated:.4f} | {np.mean([each.right for each in group]):.4f} |")


def _mapped(scale: Any, each: Judged) -> float:
    mapped = scale(each.kind, each.stated)
    return float(each.stated if mapped is None else mapped)


def main(arguments: Sequence[str] = ()) -> None:
    """Measure, fit, report, write."""
    from llm_magics.confidence import DEMO, Calibration, digest

    parser = argparse.ArgumentParser(prog="python -m tests.bench.calibration", description=__doc__)
    parser.add_argument("--n", type=int, default=100, help="items a task, set and language")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--values", type=Path, metavar="FILE", help="where the judged values go, as JSON Lines")
    parser.add_argument("--dry-run", action="store_true", help="report without writing the map")
    args = parser.parse_args(arguments)
    began = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(args.workers) as pool:
        parts = pool.map(_work, [(args.n, part, args.workers) for part in range(args.workers)])
    done = [values for part in parts for values in part]
    used, measured = ([each for values in done[start::2] for each in values] for start in (0, 1))
    made = scales(used)
    report(measured, Calibration(made))
    counts = {kind: sum(each.kind == kind for each in used) for kind in made}
    print(f"\n{len(done)} items; the map is of {len(used)} values {counts}; {time.monotonic() - began:.0f} s")
    if args.values:
        lines = [json.dumps(dataclasses.asdict(each) | {"half": half}) for half, some in enumerate((used, measured)) for each in some]
        args.values.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if not args.dry_run:
        rounded = {kind: [round(figure, 4) for figure in pair] for kind, pair in made.items()}
        stored = {"engine": digest(DEMO / "engine"), "items": len(done), "values": counts, "scales": rounded}
        PLACE.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
