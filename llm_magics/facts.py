"""What the panel, the status bar and ``%llm_status`` tell of the engine: read once, then the same facts as text, as HTML and as JSON.

Everything from a model or a user is escaped. The HTML takes its colours from where it stands, as the reports do.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .engines import Memory, memory
from .engines.gpu import Gpu
from .monitor import Run, Turn
from .records import EngineInfo
from .report import duration

if TYPE_CHECKING:
    from .current import Current

_MUTED = "opacity:.75;font-size:90%"
_PLOTTED = 24
_BAR, _HEIGHT, _TOP, _LEFT = 12, 48, 12, 44


@dataclass(frozen=True)
class Seen:
    """A run in the queue: its task, the seconds it has run or waited, its tokens so far."""

    task: str
    seconds: float
    tokens: int

    @classmethod
    def of(cls, turn: Turn) -> Seen:
        return cls(turn.task, turn.waited_s, turn.tokens)


@dataclass(frozen=True)
class Facts:
    """The engine at one moment. Sizes in bytes; ``loading`` and ``stage`` are empty where nothing is being loaded.

    ``outcome`` says how the last load ended, ``kernel`` is the resident memory of this process.
    """

    info: EngineInfo | None
    memory: Memory
    kernel: int
    gpus: tuple[Gpu, ...] = ()
    running: Seen | None = None
    waiting: tuple[Seen, ...] = ()
    runs: tuple[Run, ...] = ()
    loading: str = ""
    stage: str = ""
    cancelled: bool = False
    notes: tuple[str, ...] = ()
    outcome: str = ""

    @property
    def is_busy(self) -> bool:
        """Whether a model runs or is being loaded: the facts then change by themselves."""
        return self.running is not None or bool(self.loading)

    @property
    def tokens_per_s(self) -> float | None:
        """Of the last run that gave tokens."""
        return next((speed for run in reversed(self.runs) if (speed := run.timing.tokens_per_s) is not None), None)


def read(current: Current, gpus: Sequence[Gpu] = ()) -> Facts:
    """The facts as they are now. The GPUs are given, since asking the driver takes its time."""
    import psutil

    kernel, loading, last = psutil.Process().memory_info().rss, current.loading, current.last
    under_way: dict[str, Any] = {}
    if loading is not None:
        under_way = {"loading": loading.model, "stage": loading.stage or "Starting", "cancelled": loading.is_cancelled}
    if last is not None:
        under_way |= {"notes": tuple(last.notes), "outcome": last.outcome}
    session = current.session
    if session is None:
        runs = current.monitor.runs if current.monitor else ()
        return Facts(None, Memory(), kernel, tuple(gpus), runs=runs, **under_way)
    queue = session.monitor
    running = queue.running
    return Facts(
        info=session.engine.info,
        memory=memory(session.engine),
        kernel=kernel,
        gpus=tuple(gpus),
        running=None if running is None else Seen.of(running),
        waiting=tuple(map(Seen.of, queue.waiting)),
        runs=queue.runs,
        **under_way,
    )


def as_json(facts: Facts) -> dict[str, Any]:
    """What a status bar needs; as the message of the comm ``llm_magics.status`` (see ``status``)."""
    info, held, speed = facts.info, facts.memory.held, facts.tokens_per_s
    return {
        "model": info.model if info else None,
        "backend": info.backend if info else None,
        "quantization": _quantization(info) or None if info else None,
        "memory_mb": None if held is None else round(held / 2**20, 1),
        "tokens_per_s": None if speed is None else round(speed, 1),
        "busy": facts.running is not None,
        "waiting": len(facts.waiting),
        "stage": f"{facts.loading}: {facts.stage}" if facts.loading else "",
    }


def _quantization(info: EngineInfo) -> str:
    return "" if info.quantization in ("none", "as found") else info.quantization


def mib(size: int | None) -> str:
    """Bytes for people; ``n/a`` where they are not known."""
    if size is None:
        return "n/a"
    return f"{size / 2**20:,.1f} MiB" if size < 10 * 2**20 else f"{size / 2**20:,.0f} MiB" if size < 2**33 else f"{size / 2**30:,.1f} GiB"


def model_line(info: EngineInfo | None) -> str:
    """``demo int8 on onnx 0.18.0 (cpu), 4,096 tokens``."""
    if info is None:
        return "No model is loaded."
    kind = f" {_quantization(info)}" if _quantization(info) else ""
    return f"{info.model}{kind} on {info.backend} {info.backend_version} ({info.device}), {info.max_seq_len:,} tokens"


def memory_rows(facts: Facts) -> list[tuple[str, str]]:
    """What holds how much: (name, size)."""
    rows = []
    if facts.info is not None:
        rows += [("weights", mib(facts.memory.weights)), ("KV cache", _kv(facts.memory))]
    rows.append(("kernel", mib(facts.kernel)))
    return rows + [(f"GPU {at} ({gpu.name})", f"{mib(gpu.total - gpu.free)} of {mib(gpu.total)}") for at, gpu in enumerate(facts.gpus)]


def memory_line(held: Memory) -> str:
    """``weights 14.3 MiB, KV cache 80.0 MiB: 1.1 MiB used, 78.9 MiB free``."""
    return f"weights {mib(held.weights)}, KV cache {_kv(held)}"


def _kv(held: Memory) -> str:
    if held.kv_total is None:
        return "n/a" if held.kv_used is None else f"{mib(held.kv_used)} used"
    if held.kv_used is None:
        return mib(held.kv_total)
    return f"{mib(held.kv_total)}: {mib(held.kv_used)} used, {mib(held.kv_total - held.kv_used)} free"


def queue_lines(facts: Facts) -> list[str]:
    """Who runs, who waits."""
    running = facts.running
    lines = [] if running is None else [f"running: {running.task}, {running.tokens:,} tokens so far, {duration(running.seconds)}"]
    return lines + [f"waiting: {seen.task}, for {duration(seen.seconds)}" for seen in facts.waiting]


def _run_line(run: Run) -> str:
    speed, timing = run.timing.tokens_per_s, run.timing
    rate = "no tokens" if speed is None else f"{speed:,.1f} tokens/s"
    waited = f", waited {duration(timing.queue_s)}" if timing.queue_s >= 0.001 else ""
    return f"{run.task}: {timing.output_tokens:,} tokens, {rate}{waited}, {run.finish_reason}"


def as_text(facts: Facts) -> str:
    """All of it for readers without HTML."""
    lines = [model_line(facts.info), "Memory: " + "; ".join(f"{name} {size}" for name, size in memory_rows(facts))]
    lines += ["Queue: " + ("; ".join(queue_lines(facts)) or "nothing runs")]
    lines += [f"Loading {facts.loading}: {facts.stage}"] if facts.loading else []
    lines += ["Last runs:", *(f"  {_run_line(run)}" for run in facts.runs[-5:])] if facts.runs else []
    return "\n".join(lines)


def as_html(facts: Facts) -> str:
    """Model, memory, queue and the speed of the last runs."""
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left;font-weight:normal;{_MUTED}">{html.escape(name)}</th>'
        f'<td style="text-align:left;padding-left:1em">{html.escape(size)}{_meter(facts.memory) if name == "KV cache" else ""}</td></tr>'
        for name, size in memory_rows(facts)
    )
    queue = "".join(f"<li>{html.escape(line)}</li>" for line in queue_lines(facts)) or "<li>nothing runs</li>"
    return (
        f'<div class="llm-magics" style="line-height:1.5"><div><strong>{html.escape(model_line(facts.info))}</strong></div>'
        f'<table aria-label="Memory" style="margin:.4em 0;border-collapse:collapse">{rows}</table>'
        f'<div style="{_MUTED}">Queue</div><ul aria-label="Queue" style="margin:.1em 0 .4em;padding-left:1.4em">{queue}</ul>'
        f"{plot(facts.runs)}</div>"
    )


def _meter(held: Memory) -> str:
    if not held.kv_total or held.kv_used is None:
        return ""
    share = min(1.0, held.kv_used / held.kv_total)
    return (
        f' <span role="img" aria-label="{share:.0%} used" style="display:inline-block;width:8em;height:.7em;border:1px solid currentColor;'
        f'vertical-align:baseline"><span style="display:block;height:100%;width:{share:.1%};background:currentColor"></span></span>'
    )


def plot(runs: Sequence[Run]) -> str:
    """Tokens per second of the last runs as bars, the last one at the right; a run that was interrupted is hollow."""
    shown = [run for run in runs if run.timing.tokens_per_s is not None][-_PLOTTED:]
    if not shown:
        return f'<div style="{_MUTED}">Tokens/s of the last runs: none yet</div>'
    top = max(run.timing.tokens_per_s or 0.0 for run in shown)
    bars = "".join(_bar(run, at, top) for at, run in enumerate(shown))
    width, height = _LEFT + _PLOTTED * (_BAR + 2), _TOP + _HEIGHT + 2
    last = _run_line(shown[-1])
    return (
        f'<div style="{_MUTED}">Tokens/s of the last runs</div>'
        f'<svg role="img" aria-label="Tokens per second of the last {len(shown)} runs; the highest {top:,.0f}. Last: {html.escape(last)}" '
        f'width="{width}" height="{height}" viewBox="0 0 {width} {height}" style="display:block;color:inherit">'
        f'<g fill="currentColor" font-size="10"><text x="{_LEFT - 6}" y="{_TOP + 4}" text-anchor="end">{top:,.0f}</text>'
        f'<text x="{_LEFT - 6}" y="{_TOP + _HEIGHT}" text-anchor="end">0</text></g>'
        f'<path d="M{_LEFT - 2} {_TOP}V{_TOP + _HEIGHT}H{width}" fill="none" stroke="currentColor" opacity=".5"/>{bars}</svg>'
        f'<div style="{_MUTED}">last: {html.escape(last)}</div>'
    )


def _bar(run: Run, at: int, top: float) -> str:
    tall = max(1.0, _HEIGHT * (run.timing.tokens_per_s or 0.0) / top)
    hollow = 'fill="none" stroke="currentColor"' if run.finish_reason == "interrupted" else 'fill="currentColor" opacity=".75"'
    x = _LEFT + at * (_BAR + 2)
    return (
        f'<rect x="{x}" y="{_TOP + _HEIGHT - tall:.1f}" width="{_BAR}" height="{tall:.1f}" {hollow}>'
        f"<title>{html.escape(_run_line(run))}</title></rect>"
    )
