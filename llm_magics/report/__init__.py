"""A Generation as text and as HTML, the same facts in both.

Everything from a model or a user is escaped. The HTML carries its few styles inline and takes its colours from where it
stands, so it reads well in light and dark, in a saved notebook, and where styles are stripped.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, Literal

from . import highlight

if TYPE_CHECKING:
    from ..records import Generation, Timing

PromptView = Literal["folded", "open", "none"]

_PRE = "white-space:pre-wrap;overflow-wrap:anywhere;margin:.3em 0"
_MUTED = "opacity:.75;font-size:90%"


def duration(seconds: float) -> str:
    """``491 ms`` below a second, ``1.212 sec`` from there."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.3f} sec"


def timing_line(backend: str, timing: Timing) -> str:
    """``[onnx] 25 tokens generated in 491 ms (50.818 tokens/sec) · first token 21 ms · 56 input tokens, 40 cached``."""
    rate = "" if timing.tokens_per_s is None else f" ({timing.tokens_per_s:.3f} tokens/sec)"
    facts = [f"[{backend}] {timing.output_tokens} tokens generated in {duration(timing.total_s - timing.queue_s)}{rate}"]
    if timing.first_token_s is not None:
        facts.append(f"first token {duration(timing.first_token_s)}")
    cached = "" if timing.cached_tokens is None else f", {timing.cached_tokens} cached"
    facts.append(f"{timing.input_tokens} input tokens{cached}")
    if timing.queue_s >= 0.001:
        facts.append(f"waited {duration(timing.queue_s)}")
    if timing.measured is not None:
        queued, first = timing.measured.queue_s, timing.measured.first_token_s
        facts.append(f"by the runtime's clock: queued {duration(queued)}, first token {duration(first)}")
    return " · ".join(facts)


def _closing(generation: Generation) -> str:
    ends = {
        "stop": "stop",
        "length": f"length: cut at {generation.output_tokens} tokens, --max-new-tokens allows more",
        "interrupted": "interrupted: the answer is partial",
    }
    return f"{timing_line(generation.engine.backend, generation.timing)} · {ends[generation.finish_reason]}"


def plain(generation: Generation, prompt: PromptView = "folded") -> str:
    """The report for a terminal and for readers without HTML."""
    lines = []
    if prompt == "open":
        lines.append(prompt_text(generation.prompt))
    lines += [generation.text, ""]
    rows = highlight.of(generation)
    if rows:
        lines += [highlight.as_text(generation.request.text, rows, generation.dropped), ""]
    lines += [f"Note: {note}" for note in generation.notes]
    return "\n".join([*lines, _closing(generation)])


def prompt_text(prompt: str) -> str:
    """The prompt as the text form shows it."""
    return f"Prompt:\n{prompt}\n"


def as_html(generation: Generation, prompt: PromptView = "folded") -> str:
    """The report for a notebook: the prompt in a fold, the answer, the notes, the timing line."""
    parts = [] if prompt == "none" else [_prompt_fold(generation, prompt == "open")]
    parts.append(f'<div style="{_PRE}">{html.escape(generation.text)}</div>')
    rows = highlight.of(generation)
    if rows:
        parts.append(highlight.as_html(generation.request.text, rows, f"llm-{generation.run_id}", generation.dropped))
    parts += [f"<div><em>Note: {html.escape(note)}</em></div>" for note in generation.notes]
    parts.append(f'<div style="{_MUTED}">{html.escape(_closing(generation))}</div>')
    return f'<div class="llm-magics">{"".join(parts)}</div>'


def _prompt_fold(generation: Generation, is_open: bool) -> str:
    summary = f'<summary style="{_MUTED};cursor:pointer">Prompt · {generation.input_tokens} tokens</summary>'
    return f'<details{" open" if is_open else ""}>{summary}<pre style="{_PRE}">{html.escape(generation.prompt)}</pre></details>'


def live_html(text: str, input_tokens: int | None) -> str:
    """The answer so far. The prompt is not sent again with every update; its line keeps its place."""
    tokens = "" if input_tokens is None else f" · {input_tokens} tokens"
    return (
        f'<div class="llm-magics" aria-busy="true"><div style="{_MUTED}">▸ Prompt{tokens}</div>'
        f'<div style="{_PRE}">{html.escape(text)}</div></div>'
    )


def metadata(generation: Generation) -> dict[str, Any]:
    """What a saved notebook keeps of where an answer came from."""
    engine, sampling = generation.engine, generation.sampling
    return {
        "llm_magics": {
            "run_id": generation.run_id,
            "task": generation.request.task,
            "model": engine.model,
            "engine": f"{engine.backend} {engine.backend_version}",
            "quantization": engine.quantization,
            "temperature": sampling.temperature,
            "seed": sampling.seed,
            "input_tokens": generation.input_tokens,
            "output_tokens": generation.output_tokens,
            "finish_reason": generation.finish_reason,
        }
    }


def bundle(generation: Generation, prompt: PromptView = "folded") -> tuple[dict[str, str], dict[str, Any]]:
    """Text and HTML of one report, with its metadata."""
    return {"text/plain": plain(generation, prompt), "text/html": as_html(generation, prompt)}, metadata(generation)
