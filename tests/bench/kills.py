"""``python -m tests.bench.kills [COUNT]``: builds of the engine store, killed at random moments while two processes contend.

Every round has a key of its own. Two processes ask for its engine; the one that builds (sometimes the one that waits, sometimes
both, one after the other) gets SIGKILL at a moment drawn over the whole life of a build: writing, the manifest, fsync, the rename, the tidying. Another one
starts in its place, and the two that are left must come back with the engine. A third process asks the store without pause
and compares every byte of what it is given. Every build writes a mark of its own into all of its files, and a log of its beginning
and end, so a mixed engine, two builds at a time, and a build after a finished one would all be seen.
"""

from __future__ import annotations

import collections
import itertools
import json
import mmap
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from llm_magics.engines import cache

FILES = 12
BLOCK = 40_000
PHASES = ("starting", "waiting", "building", "sealing", "done")
# Places in the memory that all processes share: the round, whether to stop, the phase of each process of the round
_NOW, _STOP, _PHASES = 0, 8, 64


@dataclass
class Tally:
    """What came of it. Mutable: every round adds to it."""

    kills: int = 0
    phases: collections.Counter[str] = field(default_factory=collections.Counter)
    engines: int = 0
    wrong: list[str] = field(default_factory=list)
    double: list[str] = field(default_factory=list)
    both: int = 0
    found: int = 0


def key(number: int) -> cache.Key:
    return cache.Key("kills", "1", "me/model", "weights", {"quantization": "int8", "round": number})


def fault(folder: Path) -> str:
    """What is wrong with an engine's files, by their contents alone; empty when they are all of one build."""
    try:
        return _fault(folder)
    except (OSError, ValueError) as exc:
        return repr(exc)


def _fault(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir() if path.name != cache.MANIFEST)
    if names != sorted(f"part{number}" for number in range(FILES)):
        return f"files {names}"
    contents = {(folder / name).read_bytes() for name in names}
    mark = next(iter(contents))[:16]
    if contents != {mark * (BLOCK // 16)}:
        return "contents that are not of one build"
    json.loads((folder / cache.MANIFEST).read_text())
    return ""


def mark(folder: Path) -> str:
    return (folder / "part0").read_bytes()[:16].decode()


def contend(number: int, phase: Callable[[int], None], log: Path) -> None:
    """What a kernel does: ask for the engine, build it when it is not there."""
    own = f"{os.getpid():08d}{number:08d}"

    def note(what: str) -> None:
        line = f"{number} {own} {what} {time.monotonic()}\n"
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, line.encode())
        os.close(descriptor)

    def build(folder: Path) -> None:
        phase(2)
        note("begin")
        for part in range(FILES):
            with (folder / f"part{part}").open("w") as file:
                for _ in range(4):
                    file.write(own * (BLOCK // 16 // 4))
                    file.flush()
                    time.sleep(0.0005)
        note("end")
        phase(3)

    phase(1)
    folder = cache.get(key(number), build, lambda stage: None)
    phase(4)
    assert fault(folder) == "", fault(folder)


def watch(shared: mmap.mmap, report: Path) -> None:
    """Ask for the current round's engine until told to stop; what was found, and what was wrong with it."""
    finds = found = 0
    wrong: list[str] = []
    parent = os.getppid()
    while not _get(shared, _STOP) and os.getppid() == parent:
        number = _get(shared, _NOW)
        folder = cache.find(key(number))
        finds += 1
        if folder is None:
            continue
        found += 1
        wrong.extend(f"round {number}: {problem}" for problem in (fault(folder), cache.check(folder)) if problem)
    report.write_text(json.dumps({"finds": finds, "found": found, "wrong": wrong}))


def _get(shared: mmap.mmap, at: int) -> int:
    return int.from_bytes(shared[at : at + 8], sys.byteorder)


def _set(shared: mmap.mmap, at: int, value: int) -> None:
    shared[at : at + 8] = value.to_bytes(8, sys.byteorder)


def _child(work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    except BaseException as exc:  # noqa: BLE001 - a fork must not come back
        print(f"child: {exc!r}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)


class Round:
    """One key, contended for. Mutable: its processes come and go."""

    def __init__(self, number: int, shared: mmap.mmap, log: Path) -> None:
        self.number, self.shared, self.log = number, shared, log
        self.pids: list[int] = []
        self.killed: dict[int, float] = {}

    def start(self) -> None:
        at = _PHASES + 8 * len(self.pids)
        _set(self.shared, at, 0)

        def phase(value: int) -> None:
            _set(self.shared, at, value)

        self.pids.append(_child(lambda: contend(self.number, phase, self.log)))

    def phase(self, pid: int) -> int:
        return _get(self.shared, _PHASES + 8 * self.pids.index(pid))

    def alive(self) -> list[int]:
        return [pid for pid in self.pids if pid not in self.killed]

    def kill(self, random_: random.Random) -> None:
        """Mostly the one that builds."""
        alive = self.alive()
        builders = [pid for pid in alive if self.phase(pid) in (2, 3)]
        pid = builders[0] if builders and random_.random() < 0.85 else random_.choice(alive)
        self.killed[pid] = time.monotonic()
        os.kill(pid, signal.SIGKILL)

    def finish(self, tally: Tally) -> None:
        """Wait for all; a process that was through before its kill was not killed."""
        for pid in self.pids:
            _, status = os.waitpid(pid, 0)
            if os.WIFSIGNALED(status):
                tally.kills += 1
                tally.phases[PHASES[self.phase(pid)]] += 1
            else:
                self.killed.pop(pid, None)
                if status:
                    tally.wrong.append(f"round {self.number}: a process that asked for the engine failed")


def judge(round_: Round, tally: Tally) -> None:
    """One whole engine of one build; nobody built beside a living builder, or after the engine was there."""
    number = round_.number
    folder = cache.find(key(number))
    problem = "no engine" if folder is None else fault(folder) or cache.check(folder)
    if folder is None or problem:
        tally.wrong.append(f"round {number}: {problem}")
        return
    tally.engines += 1
    builds: dict[str, dict[str, float]] = {}
    for line in round_.log.read_text().splitlines():
        of, own, what, at = line.split()
        if int(of) == number:
            builds.setdefault(own, {})[what] = float(at)
    spans = sorted((build["begin"], build.get("end", round_.killed.get(int(own[:8]), 0.0)), own) for own, build in builds.items())
    for (_, ended, _), (begun, _, own) in itertools.pairwise(spans):
        if begun < ended:
            tally.double.append(f"round {number}: {own} began {ended - begun:.4f} s before the other was done")
    if mark(folder) != spans[-1][2]:
        tally.double.append(f"round {number}: built again although it was there")
    if len([path for path in folder.parent.glob(f"{key(number).name}*") if path.suffix != ".lock"]) != 1:
        tally.double.append(f"round {number}: more than one folder")


def life(store: Path) -> float:
    """Seconds that one build takes from the asking to the return, undisturbed: median of 7."""
    times = []
    for number in range(7):
        started = time.monotonic()
        contend(10**6 + number, lambda value: None, store / "calm.log")
        times.append(time.monotonic() - started)
    return statistics.median(times)


def play(count: int, seed: int, store: Path) -> tuple[Tally, dict[str, int], float]:
    chance = random.Random(seed)
    shared = mmap.mmap(-1, 4096)
    tally, log, report = Tally(), store / "builds.log", store / "watch.json"
    span = life(store)
    watcher = _child(lambda: watch(shared, report))
    number = 0
    while tally.kills < count:
        number += 1
        _set(shared, _NOW, number)
        round_ = Round(number, shared, log)
        round_.start()
        round_.start()
        moments = sorted(chance.uniform(0, 1.5 * span) for _ in range(2 if chance.random() < 0.25 and tally.kills + 1 < count else 1))
        started = time.monotonic()
        for moment in moments:
            time.sleep(max(0.0, started + moment - time.monotonic()))
            round_.kill(chance)
            round_.start()  # so that two contend again
        tally.both += len(moments) == 2
        round_.finish(tally)
        judge(round_, tally)
    contend(number + 1, lambda value: None, log)  # the next build, which tidies up
    tally.wrong += [f"left behind: {path.name}" for path in key(1).parent.glob(".*")]
    tally.wrong += [f"listed: {stored.name}: {stored.problem}" for stored in cache.listed() if stored.problem]
    _set(shared, _STOP, 1)
    os.waitpid(watcher, 0)
    seen: dict[str, int] = json.loads(report.read_text())
    tally.wrong += seen.pop("wrong")  # type: ignore[arg-type]
    return tally, seen, span


def main(arguments: Sequence[str] = ()) -> bool:
    """Kill builds (``[COUNT [SEED]]``, 200 and 0) and print what came of it; True when all was well."""
    count, seed = (*map(int, arguments), *(200, 0)[len(arguments) :])
    started = time.monotonic()
    moved = os.environ.get("LLM_MAGICS_CACHE")
    store = Path(tempfile.mkdtemp(prefix="kills-"))
    os.environ["LLM_MAGICS_CACHE"] = str(store)
    try:
        tally, seen, span = play(count, seed, store)
    finally:
        os.environ.pop("LLM_MAGICS_CACHE")
        if moved is not None:
            os.environ["LLM_MAGICS_CACHE"] = moved
        shutil.rmtree(store, ignore_errors=True)
    phases = ", ".join(f"{tally.phases[phase]} {phase}" for phase in PHASES if tally.phases[phase])
    print(
        f"kills: {tally.kills} kills ({phases}) of two contending processes, drawn over 1.5 times a build's {span * 1000:.0f} ms;", end=" "
    )
    print(f"{tally.both} rounds with two; {time.monotonic() - started:.0f} s")
    print(f"kills: {tally.engines} engines came out whole; a third process asked {seen['finds']:,} times and was given", end=" ")
    print(f"{seen['found']:,} engines; taken for whole and not: {len(tally.wrong)} (0); double builds: {len(tally.double)} (0)")
    for line in [*tally.wrong, *tally.double]:
        print("  ", line)
    return not tally.wrong and not tally.double


if __name__ == "__main__":
    sys.exit(not main(sys.argv[1:]))
