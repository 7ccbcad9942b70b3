"""``python -m tests.bench [NAME ...]``: the figures of the README, each as a ratio taken side by side in one run.

Machine and versions come first. Without names the quick ones run: all here but ``install``, which needs the package index.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
CHECKPOINT = ROOT / "examples" / "demo_model" / "checkpoint"
NOTICE = (
    "Velmora Systems is a company based in Lyon. It was founded in 1987 by Mira Holtan. The firm employs 240 people. "
    "Its annual revenue is 12,500 euros. More details will follow next week. The company works in the energy sector. "
)


def machine() -> None:
    """Where these figures come from."""
    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "?"
    )
    installed = {dist.name.lower(): dist.version for dist in importlib.metadata.distributions()}
    names = ("llm_magics", "onnxruntime-genai", "transformers", "torch", "ipython", "numpy", "llguidance")
    versions = [f"{name} {installed.get(name, 'absent')}" for name in names]
    print(f"{platform.platform()}, Python {platform.python_version()}, {len(os.sched_getaffinity(0))} cores, {cpu}")
    print(", ".join(versions), "\n")


def _run(code: str, *arguments: str) -> str:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, cwd=ROOT).stdout


def _wall(code: str) -> float:
    started = time.perf_counter()
    _run(code)
    return time.perf_counter() - started


def load_ext() -> None:
    """``%load_ext llm_magics`` over a bare IPython shell: whole processes, alternating, median of 10."""
    bare = "from IPython.core.interactiveshell import InteractiveShell; shell = InteractiveShell.instance();"
    loaded = bare + "shell.run_line_magic('load_ext', 'llm_magics')"
    _wall(loaded)
    pairs = [(_wall(bare), _wall(loaded)) for _ in range(10)]
    without, with_ = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(
        f"load_ext: bare IPython {without * 1000:.0f} ms, with the extension {with_ * 1000:.0f} ms: {(with_ - without) * 1000:+.0f} ms (at most 150)"
    )


_RENDERING = """
import time, statistics, json, sys
shell = get_ipython()
shell.run_line_magic('load_ext', 'llm_magics')
shell.run_line_magic('llm_load', 'demo')
engine = shell.magics_manager.registry['LLMMagics'].session.engine
line = "--max-new-tokens 256 --format 'Translate this text into French:\\n\\n{{ text }}' --answer-start 'Here is the translation:\\n\\n'"
def cell():
    started = time.perf_counter()
    generation = shell.run_cell_magic('llm_answer', line, NOTICE * 6)
    return generation, generation.output_tokens / (time.perf_counter() - started)
generation, _ = cell()
prompt = __import__('llm_magics.records').records.Prompt(generation.prompt, generation.sampling)
def bare():
    started = time.perf_counter()
    tokens = sum(chunk.tokens for chunk in engine.stream(prompt))
    return tokens / (time.perf_counter() - started)
pairs = [(bare(), cell()[1]) for _ in range(60)]
result = json.dumps([generation.output_tokens, *map(statistics.median, zip(*pairs)), statistics.median(b / a for a, b in pairs)])
"""


def rendering() -> None:
    """A 256-token cell in a real kernel over the same engine iterated bare in that kernel: alternating, median of 60 pairs."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3", cwd=str(ROOT))
    try:
        client.execute_interactive(f"NOTICE = {NOTICE!r}" + _RENDERING, timeout=300, output_hook=lambda message: None)
        reply = client.execute("", user_expressions={"r": "result"}, reply=True, timeout=60)
        shown = reply["content"]["user_expressions"]["r"]["data"]["text/plain"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    tokens, bare, cell, ratio = json.loads(shown.strip("'"))
    print(f"rendering: {tokens} tokens, bare {bare:.0f} tokens/s, %%llm_answer {cell:.0f} tokens/s, ratio {ratio:.3f} (at least 0.95)")


QUESTIONS = ["\n\nWho founded the company?", "\n\nWhere is it based?", "", "\n\nHow many people work there?", "\n\nIs it listed?"]


def decode() -> None:
    """The shipped engine over ``model.generate`` of transformers on the same checkpoint, both greedy at batch 1."""
    import torch
    from transformers import AutoModelForCausalLM

    import llm_magics

    with tempfile.TemporaryDirectory() as cache:
        os.environ["LLM_MAGICS_CACHE"] = cache
        engines = {"shipped": llm_magics.load("demo"), "fp32": llm_magics.load(str(CHECKPOINT))}
    models = {dtype: AutoModelForCausalLM.from_pretrained(CHECKPOINT, dtype=dtype) for dtype in ("auto", torch.float32)}
    translate = {
        "format": "Translate this text into French:\n\n{{ text }}",
        "answer_start": "Here is the translation:\n\n",
        "max_new_tokens": 200,
    }

    def ours(name: str) -> float:
        engines[name].answer("x", max_new_tokens=2)
        generation = engines[name].answer(NOTICE * 5, **translate)  # type: ignore[arg-type]
        assert generation.output_tokens == 200, generation
        return generation.timing.tokens_per_s or 0

    def ids(prompt: str) -> torch.Tensor:
        return torch.tensor([engines["fp32"].engine.tokenizer.encode(prompt, add_special_tokens=False)])  # type: ignore[attr-defined]

    prompt = ids(engines["fp32"].answer(NOTICE * 5, **translate).prompt)  # type: ignore[arg-type]

    def theirs(dtype: object) -> float:
        started = time.perf_counter()
        out = models[dtype].generate(prompt, max_new_tokens=200)
        return (out.shape[1] - prompt.shape[1]) / (time.perf_counter() - started)

    runs = [(ours("shipped"), ours("fp32"), theirs("auto"), theirs(torch.float32)) for _ in range(5)]
    shipped, fp32, stored, full = (statistics.median(column) for column in zip(*runs, strict=True))
    print(f"decode: 200 tokens, median of 5: shipped engine {shipped:.0f} tokens/s, fp32 engine {fp32:.0f};", end=" ")
    print(f"transformers generate {stored:.0f} (dtype as stored), {full:.0f} (fp32)")
    print(f"decode: shipped engine / the better generate {shipped / max(stored, full):.1f} (at least 4); fp32 / fp32 {fp32 / full:.1f}")
    same = 0
    for question in QUESTIONS:
        generation = engines["fp32"].answer(NOTICE + question, max_new_tokens=64)
        asked = ids(generation.prompt)
        out = models[torch.float32].generate(asked, max_new_tokens=64)[0, asked.shape[1] :]
        same += generation.text == engines["fp32"].engine.tokenizer.decode(out, skip_special_tokens=True)  # type: ignore[attr-defined]
    print(f"decode: fp32 engine and transformers fp32 write the same greedy text on {same} of {len(QUESTIONS)} prompts")


def prefix() -> None:
    """The first token on a 2,000-token text, asked about for the first and for the second time; and the same reply."""
    import llm_magics

    session = llm_magics.load("demo")
    text = NOTICE
    while session.engine.count(text) < 2000:
        text += NOTICE
    runs = []
    for _ in range(5):
        session.answer("Something else.", max_new_tokens=2)
        cold = session.answer(text + QUESTIONS[0], max_new_tokens=16)
        session.answer(text + QUESTIONS[1], max_new_tokens=16)
        warm = session.answer(text + QUESTIONS[0], max_new_tokens=16)
        assert warm.text == cold.text, (warm.text, cold.text)
        runs.append((cold.timing.first_token_s or 0, warm.timing.first_token_s or 0))
    first, second = (statistics.median(column) for column in zip(*runs, strict=True))
    counts = f"{warm.timing.cached_tokens} of {warm.input_tokens} input tokens cached"
    print(
        f"prefix: first token {first * 1000:.0f} ms cold, {second * 1000:.1f} ms after: {first / second:.0f} times less (at least 10); {counts}; same reply"
    )


def kernel() -> None:
    """From starting a kernel to the first token with the demo model; median of 5."""
    from jupyter_client.manager import start_new_kernel

    times = []
    for _ in range(5):
        started = time.perf_counter()
        manager, client = start_new_kernel(kernel_name="python3", cwd=str(ROOT))
        client.execute_interactive("%load_ext llm_magics", output_hook=lambda message: None, timeout=60)
        seen: list[float] = []

        def hook(message: dict[str, object], seen: list[float] = seen) -> None:
            shown = json.dumps(message["content"], default=str)
            if "aria-busy" in shown or "tokens generated" in shown:
                seen.append(time.perf_counter())

        client.execute_interactive("%%llm_answer\nHello World !", output_hook=hook, timeout=60)
        times.append(seen[0] - started)
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    print(f"kernel: from a new kernel to the first token shown {statistics.median(times):.2f} s (under 3)")


def _megabytes(folder: Path) -> float:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def install() -> None:
    """The README's first command, step by step, in a fresh environment: downloads, installation, first answer."""
    work = Path(tempfile.mkdtemp())
    try:
        subprocess.run([sys.executable, "-m", "venv", str(work / "venv")], check=True)
        python = str(work / "venv" / "bin" / "python")
        pip = [python, "-m", "pip", "-q", "--disable-pip-version-check"]
        constraints = str(ROOT / ".ci" / "constraints.txt")
        started = time.perf_counter()
        subprocess.run([*pip, "download", "--no-cache-dir", "-d", str(work / "wheels"), "-c", constraints, f"{ROOT}[lab]"], check=True)
        subprocess.run([*pip, "wheel", "--no-cache-dir", "--no-deps", "-w", str(work / "wheels"), str(ROOT)], check=True)
        downloaded = time.perf_counter()
        subprocess.run([*pip, "install", "--no-index", "--find-links", str(work / "wheels"), "llm_magics[lab]"], check=True)
        installed = time.perf_counter()
        notebook = shutil.copy(ROOT / "examples" / "quickstart.ipynb", work)
        subprocess.run([str(work / "venv" / "bin" / "jupyter"), "execute", notebook], check=True, capture_output=True)
        answered = time.perf_counter()
        torch = (work / "venv").glob("lib/*/site-packages/torch")
        print(
            f"install: {_megabytes(work / 'wheels'):.0f} MB downloaded in {downloaded - started:.0f} s; {_megabytes(work / 'venv'):.0f} MB installed (under 700)"
        )
        print(
            f"install: {installed - downloaded:.0f} s to install and {answered - installed:.0f} s for the whole quickstart after the downloads (under 60); torch: {any(torch)}"
        )
    finally:
        shutil.rmtree(work)


BENCHES: dict[str, Callable[[], None]] = {f.__name__: f for f in (load_ext, kernel, rendering, decode, prefix, install)}
# Those that take minutes, in modules of their own with options of their own: ``python -m tests.bench extraction --help``.
LONG = ("browser", "calibration", "extraction", "guidance", "guiding", "kills", "langextract_peer")


def main() -> None:
    """Run the benches that are named, or the quick ones."""
    if len(sys.argv) > 1 and sys.argv[1] in LONG:
        machine()
        importlib.import_module(f"tests.bench.{sys.argv[1]}").main(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which ones: {', '.join(BENCHES)}; alone, with options of its own: {', '.join(LONG)}")
    names = parser.parse_args().names or [name for name in BENCHES if name != "install"]
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        parser.error(f"no bench {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    machine()
    for name in names:
        BENCHES[name]()


if __name__ == "__main__":
    main()
