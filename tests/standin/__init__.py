"""Puts the stand-in for tensorrt_llm where a test wants it. README.md says what it is."""

from __future__ import annotations

import compileall
import contextlib
import importlib
import importlib.util
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).parent
RECORD = HERE / "record.json"
# Gone with the engine backend, or only of use to it.
_ENGINE_ONLY = ("_tensorrt_engine", "builder.py", "plugin")
_REQUIRES = {
    "engine": ("torch==2.9.1", "transformers==4.57.3", "tensorrt~=10.13.0"),
    "pytorch": ("torch==2.11.0",),
}


def install(target: Path, *, version: str = "1.2.1", era: str = "engine", tensorrt: str | None = "10.13.3.9") -> Path:
    """Write the package and its dist-infos into ``target``, which may hold an earlier one; returns ``target``.

    ``era`` is ``engine`` (with the TensorRT backend) or ``pytorch`` (after its removal: no tensorrt then). ``tensorrt`` None
    leaves its dist-info out.
    """
    if era not in _REQUIRES:
        raise ValueError(era)
    package = target / "tensorrt_llm"
    if package.exists():
        shutil.rmtree(package)
    shutil.copytree(HERE / "package" / "tensorrt_llm", package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(RECORD, package / "_standin" / "record.json")
    (package / "_standin" / "installed.json").write_text(json.dumps({"version": version, "era": era, "tensorrt": tensorrt or ""}))
    compileall.compile_dir(package, quiet=2)
    for old in [*target.glob("tensorrt_llm-*.dist-info"), *target.glob("tensorrt-*.dist-info")]:
        shutil.rmtree(old)
    _dist_info(target, "tensorrt_llm", version, _REQUIRES[era])
    if era == "engine" and tensorrt:
        _dist_info(target, "tensorrt", tensorrt, ())
    if era == "pytorch":
        for name in _ENGINE_ONLY:
            gone = package / name
            shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    return target


@contextlib.contextmanager
def imported(target: Path) -> Iterator[ModuleType]:
    """``tensorrt_llm`` of ``target``, imported afresh into this process and forgotten afterwards."""
    forget()
    sys.path.insert(0, str(target))
    importlib.invalidate_caches()
    try:
        yield importlib.import_module("tensorrt_llm")
    finally:
        sys.path.remove(str(target))
        forget()


def forget() -> None:
    """Have ``tensorrt_llm`` imported afresh the next time."""
    for name in [name for name in sys.modules if name.split(".")[0] == "tensorrt_llm"]:
        del sys.modules[name]


def events(log: Path, *kinds: str) -> list[dict[str, Any]]:
    """The lines of a log, or those of some kinds."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return [event for event in map(json.loads, lines) if not kinds or event["event"] in kinds]


def _dist_info(target: Path, name: str, version: str, requires: tuple[str, ...]) -> None:
    folder = target / f"{name}-{version}.dist-info"
    folder.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {one}" for one in requires)]
    (folder / "METADATA").write_text("\n".join(lines) + "\n")
    (folder / "INSTALLER").write_text("tests.standin\n")


def write_engine(
    folder: Path,
    *,
    version: str = "1.2.1",
    tensorrt: str = "10.13.3.9",
    gpu: str = "NVIDIA H100 80GB HBM3",
    sm: int = 90,
    tp_size: int = 1,
    pp_size: int = 1,
    quant_algo: str | None = None,
    engine_bytes: int = 65536,
    **build_config: Any,
) -> Path:
    """An engine folder such as ``trtllm-build`` makes by hand: no tokenizer in it. ``build_config`` replaces its values."""
    parameters = json.loads(RECORD.read_text(encoding="utf-8"))["classes"]
    defaults = _defaults(parameters["BuildConfig"]) | {"max_seq_len": 4096, "kv_cache_type": "paged", "lora_config": {}} | build_config
    defaults["plugin_config"] = _defaults(parameters["PluginConfig"]) | build_config.get("plugin_config", {})
    mapping = {"world_size": tp_size * pp_size, "tp_size": tp_size, "pp_size": pp_size, "cp_size": 1}
    config = {
        "version": version,
        "pretrained_config": {
            "architecture": "LlamaForCausalLM",
            "dtype": "float16",
            "vocab_size": 4096,
            "mapping": mapping,
            "quantization": {"quant_algo": quant_algo, "kv_cache_quant_algo": None},
        },
        "build_config": {name: value for name, value in defaults.items() if name not in ("dry_run", "visualize_network")},
    }
    bound = {"version": version, "tensorrt": tensorrt, "gpu": gpu, "sm": sm}
    for _ in _engine_dir().write(folder, config, bound, size=engine_bytes, steps=1):
        pass
    return folder


def _defaults(described: dict[str, Any]) -> dict[str, Any]:
    return {
        entry["name"]: entry["default_enum"][1] if "default_enum" in entry else entry.get("default")
        for entry in described["parameters"]
        if "default_factory" not in entry
    }


def _engine_dir() -> ModuleType:
    """The package's own module for engine folders; it needs nothing of the rest."""
    path = HERE / "package" / "tensorrt_llm" / "_standin" / "engine_dir.py"
    spec = importlib.util.spec_from_file_location("standin_engine_dir", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
