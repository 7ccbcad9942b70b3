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
KEY = ("backend", "backend_version", "model", "origin", "options")
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def convert(checkpoint: Path, out: Path, quantization: str) -> None:
    """Build the engine in a store of its own, and put it into ``out``."""
    with tempfile.TemporaryDirectory() as store:
        os.environ["LLM_MAGICS_CACHE"] = store
        built = engines.build(str(checkpoint), "onnx", engines.Options(quantization=quantization), print)
        if out.exists():
            shutil.rmtree(out)
        shutil.copytree(built.folder, out)
    halve_embedding(out)
    for name in TOKENIZER:
        shutil.copyfile(checkpoint / name, out / name)
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    kept = {name: manifest[name] for name in KEY} | {"model": "demo"}  # the rest tells of the build, and of files as they were
    (out / "manifest.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def halve_embedding(folder: Path) -> None:
    """Store the embedding as fp16, which is what the checkpoint holds: looked up, then cast. The same numbers in half the bytes."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(folder / "model.onnx"))
    graph = model.graph
    lookup = next(node for node in graph.node if node.op_type == "Gather" and node.input[0] == "model.embed_tokens.weight")
    weight = next(part for part in graph.initializer if part.name == lookup.input[0])
    wide = numpy_helper.to_array(weight)
    half = wide.astype(np.float16)
    if not np.array_equal(half.astype(np.float32), wide):
        raise SystemExit("The embedding holds numbers that fp16 does not; train.py saves fp16.")
    weight.CopyFrom(numpy_helper.from_array(half, weight.name))
    result = lookup.output[0]
    lookup.output[0] = result + "_fp16"
    place = list(graph.node).index(lookup) + 1
    graph.node.insert(place, helper.make_node("Cast", [lookup.output[0]], [result], name=lookup.name + "/Cast", to=TensorProto.FLOAT))
    (folder / "model.onnx.data").unlink()
    onnx.save(model, str(folder / "model.onnx"), save_as_external_data=True, location="model.onnx.data", size_threshold=1024)


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
