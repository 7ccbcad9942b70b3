"""Makes the shipped engine from a trained checkpoint, by the package's own conversion.

python convert.py checkpoint ../../llm_magics/demo/engine
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from llm_magics import engines  # noqa: E402

# As transformers 4.57 and 5.x both read them; the converter writes them anew by the release that is installed.
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def convert(checkpoint: Path, out: Path, quantization: str) -> None:
    """Build the engine in a store of its own, and put it into ``out``."""
    with tempfile.TemporaryDirectory() as store:
        os.environ["LLM_MAGICS_CACHE"] = store
        built = engines.build(str(checkpoint), "onnx", engines.Options(quantization=quantization), print)
        if out.exists():
            shutil.rmtree(out)
        shutil.copytree(built.folder, out)
    for name in TOKENIZER:
        shutil.copyfile(checkpoint / name, out / name)
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    (out / "manifest.json").write_text(json.dumps(manifest | {"model": "demo"}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--quantization", default="int8")
    args = parser.parse_args()
    convert(args.checkpoint, args.out, args.quantization)
    for part in sorted(args.out.iterdir()):
        print(f"{part.stat().st_size:>12,}  {part.name}")
    print(f"{sum(part.stat().st_size for part in args.out.iterdir()):>12,}  in all")
