"""The doctor: on a bare machine, on the stand-in in both eras, and on machines with each of the usual faults."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from IPython.core.interactiveshell import InteractiveShell

import llm_magics
from llm_magics import doctor
from llm_magics.__main__ import main
from llm_magics.doctor import Check, Limits, probe, redaction
from llm_magics.engines import cache, tensorrt_llm
from llm_magics.engines.tensorrt_llm import builder, runtime

from . import standin
from .conftest import CHECKPOINT, ROOT
from .standin import forget, make_signatures
from .standin.machine import Machine

SIGNATURES = json.loads(make_signatures.SIGNATURES.read_text(encoding="utf-8"))
ADAPTER = Path(tensorrt_llm.__file__).parent


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A machine with a GPU whose driver and MPI libraries can be loaded, and without TensorRT-LLM."""
    (tmp_path / "machine").mkdir()
    machine = Machine(tmp_path / "machine", monkeypatch)
    libraries = tmp_path / "lib"
    libraries.mkdir()
    for name in ("libcuda.so.1", "libmpi.so.40"):
        shutil.copy(a_library(), libraries / name)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(libraries))
    for name in ("CONDA_PREFIX", "HF_TOKEN", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    yield machine
    forget()
    os.environ.pop(runtime.SINGLE_PROCESS, None)


@pytest.fixture
def machine(bare: Machine) -> Machine:
    """The same with TensorRT-LLM, and what it pins."""
    bare.has()
    pinned(bare, torch="2.9.1+cu130", transformers="4.57.3")
    return bare


def a_library() -> str:
    """Some shared library of this process: what is in it does not matter, that the loader takes it does."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8")
    return re.findall(r"(/\S+/libm[.-]\S+)", maps)[0]


def pinned(machine: Machine, **versions: str) -> None:
    """Tell other versions of packages, by metadata that comes first on the path."""
    for name, version in versions.items():
        for old in machine.site.glob(f"{name}-*.dist-info"):
            shutil.rmtree(old)
        folder = machine.site / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def found(*, smoke: bool = False, **limits: float) -> dict[str, Check]:
    return {check.name: check for check in doctor.checks(smoke, Limits(**limits))}


def states(done: dict[str, Check]) -> dict[str, str]:
    return {name: check.state for name, check in done.items()}


# signatures.json.


def test_the_signatures_are_made_from_the_record() -> None:
    assert make_signatures.SIGNATURES.read_text(encoding="utf-8") == make_signatures.text()


def names(*eras: str) -> dict[str, set[str]]:
    """The names of each class, by its own name; both eras together unless one is named."""
    made: dict[str, set[str]] = {}
    for era in eras or ("engine", "pytorch"):
        for entry in SIGNATURES[era]:
            key = entry["path"].removeprefix("tensorrt_llm.").rpartition(".")[2]
            made.setdefault(key, set()).update(entry["names"])
    made["LLM"] |= made["TrtLlmArgs"] | made["TorchLlmArgs"] if not eras else set()
    return made


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(ADAPTER.glob("*.py")):
        yield path.name, ast.parse(path.read_text(encoding="utf-8"))


def imports(node: ast.AST) -> Iterator[tuple[str, str]]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.ImportFrom) and inner.level == 0 and (inner.module or "").split(".")[0] == "tensorrt_llm":
            yield from ((str(inner.module), alias.name) for alias in inner.names)


def test_every_class_that_the_adapter_imports_is_in_the_signatures() -> None:
    paths = {entry["path"] for era in SIGNATURES.values() for entry in era}
    imported = {f"{module}.{name}" for _, tree in sources() for module, name in imports(tree)}
    assert len(imported) >= 8
    assert imported <= paths


def passed(function: ast.AST) -> Iterator[tuple[str, str]]:
    """(class, name) for what is passed by name to a class of the library; class "" for names that go there through a dict."""
    taken = {name for _, name in imports(function)}
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in taken:
            yield from ((node.func.id, keyword.arg) for keyword in node.keywords if keyword.arg)
        elif isinstance(node, ast.Dict):
            yield from (("", key.value) for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str))
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and isinstance(node.slice, ast.Constant):
            yield "", str(node.slice.value)


def test_every_name_that_the_adapter_passes_is_in_the_signatures() -> None:
    known, seen = names(), 0
    for module, tree in sources():
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef) or not any(imports(function)):
                continue
            taken = {name for _, name in imports(function)}
            anywhere = set().union(*(known[name] for name in taken))
            for cls, name in passed(function):
                seen += 1
                assert name in (known[cls] if cls else anywhere), f"{module}: {function.name} passes {name} to {cls or sorted(taken)}"
    assert seen > 20


def test_the_names_that_a_build_passes_are_in_the_signatures() -> None:
    made = SimpleNamespace(**dict.fromkeys((
        "dtype", "tensor_parallel", "tokens_per_block", "gemm_plugin", "logprobs",
        "max_input_len", "max_seq_len", "max_batch_size", "max_beam_width", "max_num_tokens",
    )), quantization="int8", checkpoint=SimpleNamespace(folder="/model"))  # fmt: skip
    job = builder.job(made, Path("/out"), trust_remote_code=False)  # type: ignore[arg-type]
    known = names("engine")
    assert set(job.build) | {"gather_generation_logits", "plugin_config"} == known["BuildConfig"]
    assert set(job.plugin) == known["PluginConfig"]


def test_what_the_adapter_reads_of_a_result_is_in_the_signatures() -> None:
    (tree,) = [tree for name, tree in sources() if name == "runtime.py"]
    read: dict[str, set[str]] = {"result": set(), "_result": set(), "output": set(), "llm": set(), "_llm": set()}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            holder = node.value.id if isinstance(node.value, ast.Name) else node.value.attr if isinstance(node.value, ast.Attribute) else ""
            read.get(holder, set()).add(node.attr)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
            holder, attribute = node.args[0], node.args[1]
            if isinstance(holder, ast.Name) and isinstance(attribute, ast.Constant):
                read.get(holder.id, set()).add(str(attribute.value))
    known = names()
    assert read["result"] | read["_result"] == known["RequestOutput"]
    assert read["output"] == known["CompletionOutput"]
    assert read["llm"] | read["_llm"] == {"generate_async", "shutdown"}


# A machine without TensorRT-LLM.


def test_a_bare_machine_has_nothing_to_mend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = found(smoke=True)
    assert states(done) == {
        "python": "ok",
        "llm_magics": "ok",
        "driver": "none",
        "GPU": "none",
        "MPI": done["MPI"].state,
        "TensorRT-LLM": "none",
        "engine store": "ok",
        "checkpoints": "ok",
        "main memory": "ok",
        "environment": "ok",
        "one token": "ok",
    }
    assert done["MPI"].state in ("none", "ok")  # a machine may have an MPI for other ends
    assert re.match(r"the demonstration model, loaded in [\d.]+ s, gave it in [\d.]+ s, by onnx [\d.]+ \(cpu\)$", done["one token"].found)
    assert "onnxruntime-genai" in done["llm_magics"].details[0]


def test_the_stub_of_the_public_index(bare: Machine) -> None:
    pinned(bare, tensorrt_llm="1.2.1")
    done = found()
    assert done["TensorRT-LLM"].state == "fail"
    assert "only the stub" in done["TensorRT-LLM"].found


# A machine with it.


@pytest.mark.parametrize(("era", "version"), [("engine", "1.2.1"), ("pytorch", "1.3.0")])
def test_a_whole_machine(machine: Machine, era: str, version: str) -> None:
    machine.has(version, era)
    if era == "pytorch":
        pinned(machine, torch="2.11.0+cu130")
    done = found()
    assert set(states(done).values()) == {"ok"}
    assert done["TensorRT-LLM"].found == f"{version}, {era} era"
    total = sum(len(entry["names"]) for entry in SIGNATURES[era])
    assert done["signatures"].found == f"all {total} names that are used are there"
    assert done["GPU"].details == ("NVIDIA H100 80GB HBM3, compute capability 9.0, 78.12 GiB free of 79.65 GiB",)
    assert done["driver"].found == "580.159.04"


def test_nothing_of_the_library_is_loaded_into_this_process(machine: Machine) -> None:
    found(smoke=True)
    assert not any(name.split(".")[0] == "tensorrt_llm" for name in sys.modules)
    assert {event["pid"] for event in machine.events("import")}.isdisjoint({os.getpid()})
    assert runtime.SINGLE_PROCESS not in os.environ


@pytest.mark.parametrize(
    ("cls", "name", "era", "path"),
    [
        ("KvCacheConfig", "max_gpu_total_bytes", "engine", "tensorrt_llm.llmapi.KvCacheConfig"),
        ("SamplingParams", "stop_token_ids", "engine", "tensorrt_llm.SamplingParams"),
        ("CompletionOutput", "token_ids", "pytorch", "tensorrt_llm.llmapi.CompletionOutput"),
        ("TrtLlmArgs", "guided_decoding_backend", "engine", "tensorrt_llm.llmapi.TrtLlmArgs"),
        ("TorchLlmArgs", "max_seq_len", "pytorch", "tensorrt_llm.llmapi.TorchLlmArgs"),
        ("BuildConfig", "max_beam_width", "engine", "tensorrt_llm.llmapi.BuildConfig"),
    ],
)
def test_a_changed_signature_is_named(machine: Machine, cls: str, name: str, era: str, path: str) -> None:
    machine.has("1.2.1" if era == "engine" else "1.3.0", era)
    record = machine.site / "tensorrt_llm" / "_standin" / "record.json"
    changed = json.loads(record.read_text(encoding="utf-8"))
    parameters = changed["classes"][cls]["parameters"]
    changed["classes"][cls]["parameters"] = [parameter for parameter in parameters if parameter["name"] != name]
    record.write_text(json.dumps(changed), encoding="utf-8")
    signatures = found()["signatures"]
    assert signatures.state == "warn"
    assert signatures.details == (f"{path} has no {name}",)
    assert "please report it" in signatures.remedy


def test_a_class_that_is_gone_is_named(machine: Machine) -> None:
    shutil.rmtree(machine.site / "tensorrt_llm" / "plugin")
    signatures = found()["signatures"]
    assert "tensorrt_llm.plugin.PluginConfig is not there" in signatures.details


def test_a_method_and_a_parameter_that_are_gone_are_named(machine: Machine) -> None:
    source = machine.site / "tensorrt_llm" / "_standin" / "llm.py"
    text = source.read_text(encoding="utf-8")
    text = text.replace("        streaming: bool = False,\n", "").replace(
        "                False,\n                at(kv", "                at(kv"
    )
    source.write_text(text.replace("def save(", "def store(").replace("streaming=streaming", "streaming=False"), encoding="utf-8")
    text = (machine.site / "tensorrt_llm" / "_standin" / "results.py").read_text(encoding="utf-8")
    (machine.site / "tensorrt_llm" / "_standin" / "results.py").write_text(text.replace("cached_tokens", "kept_tokens"), encoding="utf-8")
    assert set(found()["signatures"].details) == {
        "tensorrt_llm.llmapi.RequestOutput has no cached_tokens",
        "tensorrt_llm._tensorrt_engine.LLM has no save",
        "tensorrt_llm._tensorrt_engine.LLM.generate_async has no streaming",
    }


def test_another_torch(machine: Machine) -> None:
    pinned(machine, torch="2.12.1+cpu")
    pins = found()["pins"]
    assert pins.state == "fail"
    assert pins.details == ("torch 2.12.1+cpu (wanted ==2.9.1)",)
    assert "constraints file" in pins.remedy


def test_other_pins_are_a_note(machine: Machine) -> None:
    pinned(machine, transformers="5.0.0")
    metadata = next(machine.site.glob("tensorrt_llm-*.dist-info")) / "METADATA"
    more = 'Requires-Dist: no-such-package>=2\nRequires-Dist: never; python_version < "3"\nRequires-Dist: odd; extra == "all"\n'
    metadata.write_text(metadata.read_text() + more + "Requires-Dist: ?? not one\n")
    pins = found()["pins"]
    assert pins.state == "warn"
    assert pins.details == ("transformers 5.0.0 (wanted ==4.57.3)", "no-such-package is missing (wanted >=2)")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("libmpi", "OpenMPI is not installed"),
        ("undefined_symbol", "built for another torch"),
        ("stub_only", "Only a part of TensorRT-LLM is installed"),
        ("no_driver", "No GPU can be used"),
        ({"type": "RuntimeError", "message": "quite new"}, "quite new"),
    ],
)
def test_an_import_that_fails(machine: Machine, name: Any, said: str) -> None:
    machine.says(**{"import": {"fail": name}})
    done = found()
    assert done["import"].state == "fail"
    assert said in done["import"].found
    assert "signatures" not in done


def test_an_import_that_crashes(machine: Machine) -> None:
    machine.says(**{"import": {"fail": "killed"}})
    check = found()["import"]
    assert check.state == "fail"
    assert check.found == "importing tensorrt_llm ended its process: SIGKILL"


def test_an_import_that_hangs_is_ended_with_what_it_started(machine: Machine) -> None:
    hang(machine)
    before = time.monotonic()
    check = found(import_s=3)["import"]
    assert time.monotonic() - before < 20
    assert check.state == "fail"
    assert check.found == "importing tensorrt_llm took over 3 s"
    assert "MPI may be stuck" in check.remedy
    assert all(map(ended, hanging(machine)))


def hang(machine: Machine) -> None:
    """Let the import hang, with a child that holds its output open, as the daemons of an MPI do."""
    (machine.site / "tensorrt_llm" / "__init__.py").write_text(
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'])\n"
        "open(os.environ['LLM_MAGICS_STANDIN'] + '.pids', 'w').write(f'{os.getpid()} {child.pid}\\n')\n"
        "time.sleep(300)\n"
    )


def hanging(machine: Machine) -> list[int]:
    """The processes of such an import, when there are any."""
    path = Path(f"{machine.scenario}.pids")
    return list(map(int, path.read_text().split())) if path.exists() and path.read_text().endswith("\n") else []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_command_leaves_nothing_running(machine: Machine, number: signal.Signals) -> None:
    hang(machine)
    with subprocess.Popen(
        [sys.executable, "-m", "llm_magics", "doctor"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT
    ) as run:
        deadline = time.monotonic() + 60
        while not hanging(machine):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        run.send_signal(number)
        told = run.communicate(timeout=20)[0].decode()
    assert run.returncode == (130 if number == signal.SIGINT else -number)
    assert "Traceback" not in told
    assert "TensorRT-LLM" in told  # what was done before
    assert all(map(ended, hanging(machine)))


def ended(pid: int) -> bool:
    """Within five seconds; one that its new parent has not waited for yet counts."""
    for _ in range(50):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.1)
    return False


def test_two_copies_that_are_mixed(machine: Machine) -> None:
    installed = next(machine.site.glob("tensorrt_llm-*.dist-info"))
    text = (installed / "METADATA").read_text().replace("1.2.1", "1.2.0")
    installed.rename(installed.with_name("tensorrt_llm-1.2.0.dist-info"))
    (machine.site / "tensorrt_llm-1.2.0.dist-info" / "METADATA").write_text(text)
    assert "tensorrt_llm 1.2.1 was imported, 1.2.0 is installed" in found()["import"].found


def test_without_an_mpi(machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file of that name that is no library stands for one that cannot be loaded: an MPI of this machine does not make up for it."""
    (tmp_path / "lib" / "libmpi.so.40").write_text("no library")
    mpi = found()["MPI"]
    if mpi.state == "ok":
        pytest.skip("this machine has an MPI of its own")
    assert mpi.state == "fail"
    assert "libmpi.so.40" in mpi.found
    assert "libopenmpi-dev" in mpi.remedy


def test_an_mpi_of_conda(machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "conda" / "lib").mkdir(parents=True)
    (tmp_path / "conda" / "lib" / "libmpi.so.12").touch()
    monkeypatch.setenv("CONDA_PREFIX", str(tmp_path / "conda"))
    assert found()["MPI"].state == "warn"


# The driver.


def smi(machine: Machine, script: str) -> None:
    (machine.folder / "bin" / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")


def test_a_driver_that_fails(machine: Machine) -> None:
    smi(machine, 'echo "Failed to initialize NVML: Driver/library version mismatch"; exit 18')
    done = found()
    assert done["driver"].state == "fail"
    assert done["driver"].found == "nvidia-smi failed: Failed to initialize NVML: Driver/library version mismatch"
    assert done["GPU"].state == "none"


def test_a_driver_that_hangs(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    smi(machine, '[ -n "$1" ] && exit 9; sleep 300')
    check = found(look_s=2)["driver"]
    assert check.found == "nvidia-smi gave no answer in 2 s"


def test_a_driver_that_is_too_old_for_the_cuda_of_torch(machine: Machine) -> None:
    row = "NVIDIA H100 80GB HBM3, 9.0, 550.54.15, 81559, 80000"
    smi(machine, f'[ -n "$1" ] && echo "{row}" || echo "| NVIDIA-SMI 550.54.15   Driver Version: 550.54.15   CUDA Version: 12.4 |"')
    check = found()["driver"]
    assert check.state == "warn"
    assert check.found == "550.54.15, for CUDA up to 12.4; the torch installed is for CUDA 13"


def test_gpus_that_are_hidden(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    check = found()["GPU"]
    assert check.state == "warn"
    assert "CUDA_VISIBLE_DEVICES is ''" in check.found


# The store, and what breaks.


def test_a_damaged_engine(machine: Machine) -> None:
    folder = standin.write_engine(cache.root("tensorrt_llm") / "1.2.1" / "checkpoint_engine")
    (folder / "rank0.engine").unlink()
    check = found()["engine store"]
    assert check.state == "warn"
    assert check.details == ("checkpoint_engine: rank0.engine is missing",)


def test_a_store_that_cannot_be_written(machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LLM_MAGICS_CACHE", str(tmp_path / "file" / "engines"))
    check = found()["engine store"]
    assert check.state == "fail"
    assert "it cannot be written" in check.found
    assert "LLM_MAGICS_CACHE" in check.remedy


def test_a_check_that_breaks_does_not_end_the_others(machine: Machine) -> None:
    metadata = next(machine.site.glob("tensorrt_llm-*.dist-info")) / "METADATA"
    metadata.write_text(metadata.read_text() + 'Requires-Dist: odd; no_such_variable == "1"\n')
    (machine.site / "tensorrt_llm" / "_standin" / "installed.json").write_text("{")
    done = found()
    assert done["import"].state == "fail"
    assert done["environment"].state == "ok"
    broken = cache.root("tensorrt_llm") / "1.2.1"
    broken.parent.mkdir(parents=True)
    broken.write_text("a file where a folder should be")
    assert "environment" in found()


# One token.

DEFAULTS = {"tokenizer_mode", "skip_tokenizer_init"}  # the log shows positional ones though the adapter does not pass them


def test_one_token_of_a_stored_engine(machine: Machine) -> None:
    with llm_magics.load(str(CHECKPOINT), quantization="int8"):
        pass
    built = len(machine.events("build_start"))
    check = found(smoke=True)["one token"]
    assert check.state == "ok"
    assert re.match(
        r"the engine checkpoint_int8_engine, loaded in [\d.]+ s, gave it in [\d.]+ s, by tensorrt_llm 1\.2\.1 \(NVIDIA H100", check.found
    )
    assert check.details == ()
    assert len(machine.events("build_start")) == built
    (submitted,) = machine.events("submit")
    assert submitted["sampling"]["max_tokens"] == 1
    assert submitted["pid"] != os.getpid()
    (last,) = [event["args"] for event in machine.events("construct") if event["pid"] == submitted["pid"]]
    assert last["kv_cache_config"]["max_gpu_total_bytes"] == 512 * 2**20
    assert set(last) - DEFAULTS <= names()["TrtLlmArgs"]


def test_one_token_of_a_prepared_checkpoint(machine: Machine) -> None:
    machine.has("1.3.0", "pytorch")
    pinned(machine, torch="2.11.0+cu130")
    with llm_magics.load(str(CHECKPOINT)):
        pass
    check = found(smoke=True)["one token"]
    assert check.found.startswith("the engine checkpoint_engine, loaded in ")
    assert "tensorrt_llm 1.3.0" in check.found
    args = machine.events("construct")[-1]["args"]
    assert set(args) - DEFAULTS <= names()["TorchLlmArgs"]


def test_without_a_stored_engine_the_demonstration_model_and_a_note(machine: Machine) -> None:
    check = found(smoke=True)["one token"]
    assert check.state == "ok"
    assert check.found.startswith("the demonstration model")
    assert "The GPU was not tried" in check.details[0]


def test_an_engine_that_fails_at_its_token(machine: Machine) -> None:
    with llm_magics.load(str(CHECKPOINT)):
        pass
    machine.says(load={"fail": "cuda_oom"})
    check = found(smoke=True)["one token"]
    assert check.state == "fail"
    assert "memory is not enough" in check.found


def test_an_engine_without_room_beside_what_runs_is_left_alone(machine: Machine) -> None:
    with llm_magics.load(str(CHECKPOINT)):
        pass
    machine.gpu(free=1000)
    assert found(smoke=True)["one token"].found.startswith("the demonstration model")


def test_an_engine_that_hangs(machine: Machine) -> None:
    with llm_magics.load(str(CHECKPOINT)):
        pass
    machine.says(load={"hang_s": 300})
    check = found(smoke=True, smoke_s=8)["one token"]
    assert check.found == "the engine checkpoint_engine gave none in 8 s"


# Secrets.

SECRETS = {
    "HF_TOKEN": "hf_abcdefghijklmnopqrstuvwx",
    "MY_SERVICE_PASSWORD": "correct-horse-battery",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIK7MDENG",
    "HTTPS_PROXY": "http://maria:s3cr3tpw@proxy.example:3128",
    "HF_ENDPOINT": "https://maria:m1rr0rpw@mirror.example/hub?token=querysecret1",
}


def test_no_secret_is_told(machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    home = tmp_path / "home" / "mariasmith"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USER", "mariasmith")
    monkeypatch.setenv("LLM_MAGICS_CACHE", str(home / "engines"))
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    message = f"cannot open /scratch/mariasmith/x with {SECRETS['MY_SERVICE_PASSWORD']} at https://bob:hunter22@host/ Bearer abcdef123456"
    machine.says(**{"import": {"fail": {"type": "RuntimeError", "message": message}}})
    assert main(["doctor", "--json", "--no-smoke"]) == 1
    told = capsys.readouterr().out
    main(["doctor", "--no-smoke"])
    told += capsys.readouterr().out
    for secret in [*SECRETS.values(), "s3cr3tpw", "m1rr0rpw", "querysecret1", "hunter22", "abcdef123456", "mariasmith"]:
        assert secret not in told
    assert "HF_TOKEN is set" in told
    assert "~/engines" in told
    assert "<MY_SERVICE_PASSWORD>" in told


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("/home/anna/.cache/x", "/home/<user>/.cache/x"),
        (r"C:\Users\anna\x", r"C:\Users\<user>\x"),
        ("at /Users/anna: no", "at /Users/<user>: no"),
        ("/opt/home/lib stays", "/opt/home/lib stays"),
        ("GET https://h/x?sig=abc123&n=1", "GET https://h/x?sig=<hidden>&n=1"),
        ("sk-abcdefgh12345678 ghp_abcdefgh12345678", "<hidden> <hidden>"),
        ("\x1b[31mred\x1b[0m \x1b]0;title\x07end", "red end"),
        ("torch 2.9.1 (wanted ==2.9.1)", "torch 2.9.1 (wanted ==2.9.1)"),
        ("https://host/path@v1 stays", "https://host/path@v1 stays"),
    ],
)
def test_what_is_hidden(text: str, hidden: str) -> None:
    assert redaction.hider({})(text) == hidden


def test_a_saved_token_is_hidden(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    (tmp_path / "token").write_text("a-saved-token-of-the-hub")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    assert redaction.hider()("401 for a-saved-token-of-the-hub") == "401 for <HF_TOKEN>"


# How it is shown.


def test_the_command_as_a_program(machine: Machine) -> None:
    command = [sys.executable, "-m", "llm_magics", "doctor", "--json", "--no-smoke"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    page = json.loads(run.stdout)
    assert run.returncode == 0, page
    assert page["verdict"] == "Nothing has to be mended."
    assert [check["name"] for check in page["checks"]][:2] == ["python", "llm_magics"]
    pinned(machine, torch="2.8.0")
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 1
    assert json.loads(run.stdout)["verdict"] == "To mend: pins."


def test_lines_are_not_long(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.says(**{"import": {"fail": {"type": "RuntimeError", "message": "word " * 2000}}})
    assert main(["doctor", "--no-smoke"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 80
    text = [line for line in lines if "/" not in line]  # paths are not broken
    assert max(map(len, text)) <= 100
    assert lines[-1].startswith("To mend: import")


def test_text_and_html_say_the_same_and_are_escaped() -> None:
    check = Check("import", "fail", "a <b> & c", ("<script>",), "do 'this'")
    page = doctor.as_html([check], doctor.verdict([check]))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    for word in ("a &lt;b&gt; &amp; c", "FAIL", "To mend: import."):
        assert word in page
    assert doctor.text(check).split() == ["FAIL", "import", "a", "<b>", "&", "c", "<script>", "do", "'this'"]
    assert "one token" in doctor.as_html([check], "", "one token")


def test_the_magic_in_a_terminal(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.run_line_magic("llm_doctor", "--no-smoke")
    told = capsys.readouterr().out
    assert "python" in told
    assert "one token" not in told
    assert told.rstrip().splitlines()[-1].startswith(("Nothing has to be mended", "To mend"))


def test_a_probe_that_says_no_answer_is_told_by_its_last_line() -> None:
    ran = probe.run([sys.executable, "-c", "print('first'); print('last')"], 30)
    assert (ran.code, ran.told, ran.last_line) == (0, None, "last")


def test_the_issue_template_asks_for_it() -> None:
    template = (ROOT / ".github" / "ISSUE_TEMPLATE" / "bug_report.yml").read_text(encoding="utf-8")
    assert "llm-magics doctor --json" in template
