"""The engine store, by real processes on a real disk."""

from __future__ import annotations

import datetime
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llm_magics.engines import cache
from llm_magics.errors import BuildError, OptionError

from .conftest import ROOT

KEY = cache.Key("test", "1", "me/model", "o", {"quantization": "int8"})
H100 = {"gpu": "NVIDIA H100", "compute_capability": "9.0", "driver": "580.1"}
LLAMA = "meta-llama/Meta-Llama-3.1-8B-Instruct"
TRT = cache.Key("tensorrt_llm", "1.2.1", LLAMA, f"{LLAMA}@abc", {"quantization": "int8", "max_seq_len": 8192, "dtype": "float16"}, H100)


def silent(stage: str) -> None:
    pass


def write(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "small.json").write_text("{}")
    (folder / "large.bin").write_bytes(bytes(range(256)) * (3 << 12))


def put(key: cache.Key) -> Path:
    return cache.get(key, write, silent)


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


BUILD = """
import sys, time
from pathlib import Path
from llm_magics.engines import cache
def build(folder):
    print("building", flush=True)
    (folder / "part").write_text("x")
    time.sleep(float(sys.argv[1]))
    (folder / "whole").write_text("x")
key = cache.Key("test", "1", "me/model", "o", {"quantization": "int8"})
print(cache.get(key, build, lambda stage: print(stage, flush=True)), flush=True)
"""


def _builder(seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", BUILD, str(seconds)], stdout=subprocess.PIPE, text=True, env=os.environ, cwd=ROOT)


def test_of_two_kernels_one_builds_and_the_other_waits_and_tells_so(store: Path) -> None:
    first = _builder(4.5)
    assert first.stdout is not None
    assert first.stdout.readline() == "building\n"
    second = _builder(0)
    printed = second.communicate(timeout=30)[0]
    place = str(KEY.folder)
    assert first.communicate(timeout=30)[0].splitlines()[-1] == place
    assert printed.splitlines()[-1] == place
    assert "building\n" not in printed.replace("is building", "")
    assert f"Another kernel (process {first.pid} on " in printed
    assert "3 s so far" in printed
    assert visible(store / "test-1") == [KEY.name]


def test_a_killed_build_leaves_nothing_taken_for_an_engine_and_the_next_clears_it_away(store: Path) -> None:
    killed = _builder(30)
    assert killed.stdout is not None
    assert killed.stdout.readline() == "building\n"
    time.sleep(0.2)
    killed.kill()
    killed.communicate()
    assert cache.listed() == []
    assert cache.find(KEY) is None
    (left,) = (store / "test-1").glob(".*")
    # The next build, even of another engine, has the room back
    put(replace(KEY, origin="p"))
    assert not left.exists()
    again = _builder(0)
    assert "building" in again.communicate(timeout=30)[0]
    assert sorted(path.name for path in KEY.folder.iterdir()) == [cache.MANIFEST, "part", "whole"]
    assert not list(store.glob("test-1/.*"))


def test_what_a_living_build_has_written_is_not_cleared_away(store: Path) -> None:
    building = _builder(2)
    assert building.stdout is not None
    assert building.stdout.readline() == "building\n"
    put(replace(KEY, origin="p"))
    assert list(store.glob("test-1/.*"))
    building.communicate(timeout=30)
    assert building.returncode == 0
    assert cache.check(KEY.folder) is None


ORPHANING = """
import subprocess, time
from llm_magics.engines import cache
def build(folder):
    script = 'sleep 1.5; mkdir -p "$0"; echo late > "$0/whole"; echo late > "$0/manifest.json"'
    subprocess.Popen(["sh", "-c", script, str(folder)], stdout=subprocess.DEVNULL)
    print("building", flush=True)
    time.sleep(30)
cache.get(cache.Key("test", "1", "me/model", "o", {"quantization": "int8"}), build, lambda stage: None)
"""


def test_what_outlives_a_killed_build_writes_into_no_engine(store: Path) -> None:
    """A converter is a process of its own, and need not die with the kernel."""
    killed = subprocess.Popen([sys.executable, "-c", ORPHANING], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert killed.stdout is not None
    assert killed.stdout.readline() == "building\n"
    killed.kill()
    killed.communicate()
    folder = put(KEY)
    time.sleep(2)
    assert cache.check(folder) is None
    assert len(cache.listed()) == 1
    assert len(list((store / "test-1").glob(".*"))) == 1
    put(replace(KEY, origin="p"))
    assert not list((store / "test-1").glob(".*"))


def test_kills_at_random_moments() -> None:
    """The short form of ``python -m tests.bench.kills``, which kills 200."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.bench.kills", "12"], capture_output=True, text=True, check=False, cwd=ROOT, timeout=60
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "kills: 12 kills" in run.stdout
    assert "taken for whole and not: 0 (0); double builds: 0 (0)" in run.stdout


# Disks


def _leaves_nothing(build: Any, error: type[BaseException], store: Path) -> BaseException:
    with pytest.raises(error) as caught:
        cache.get(KEY, build, silent)
    assert visible(store / "test-1") == []
    assert cache.listed() == []
    return caught.value


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), OSError(errno.EIO, "x")])
def test_a_failed_build_leaves_nothing(error: BaseException, store: Path) -> None:
    def build(folder: Path) -> None:
        write(folder)
        raise error

    assert _leaves_nothing(build, type(error), store) is error


def test_a_build_without_a_result_is_no_engine(store: Path) -> None:
    assert "left no files" in str(_leaves_nothing(lambda folder: None, BuildError, store))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_full_disk_during_the_build_is_a_clean_failure(wrapped: bool, store: Path) -> None:
    def build(folder: Path) -> None:
        write(folder)
        try:
            with Path("/dev/full").open("wb", buffering=0) as file:
                file.write(b"x")
        except OSError as exc:
            if wrapped:
                raise BuildError("The converter failed.") from exc
            raise

    error = _leaves_nothing(build, BuildError, store)
    assert isinstance(error, BuildError)
    assert error.message.startswith(f"The disk became full while me/model was built in {store / 'test-1'}: ")
    assert "GiB were free before" in error.message
    assert "LLM_MAGICS_CACHE" in error.hint


SMALL_DISK = """
import os, subprocess, sys
from pathlib import Path
from llm_magics.engines import cache
from llm_magics.errors import BuildError
def build(folder):  # as a converter meets it: in another process, which tells it only by failing
    with (folder / "weights").open("wb") as file:
        done = subprocess.run(["head", "-c", "32M", "/dev/zero"], stdout=file, stderr=subprocess.DEVNULL)
    if done.returncode:
        raise BuildError("The converter failed.", "")
try:
    cache.get(cache.Key("test", "1", "m", "o"), build, lambda stage: None)
except BuildError as error:
    print(error.message)
print(sorted(path.name for path in Path(os.environ["LLM_MAGICS_CACHE"]).rglob("*") if path.is_file()))
"""


def test_a_small_disk_gets_full(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size=16m none {tmp_path} && exec {sys.executable} -c '{SMALL_DISK}'"
    environment = {**os.environ, "LLM_MAGICS_CACHE": str(tmp_path), "PYTHONPATH": str(ROOT)}
    run = subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True, text=True, check=False, env=environment)
    if "unshare failed" in run.stderr or "permission denied" in run.stderr.lower() or "not permitted" in run.stderr.lower():
        pytest.skip("file systems cannot be mounted here")
    message, left = run.stdout.splitlines()
    assert message.startswith("The disk became full while m was built in")
    assert left == "['m_engine-" + cache.Key("test", "1", "m", "o").digest + ".lock']"


def test_a_disk_that_is_too_small_is_met_before_the_build(store: Path) -> None:
    def build(folder: Path) -> None:
        raise AssertionError

    with pytest.raises(BuildError, match=r"takes about 1048576\.0 GiB on the disk; \d+\.\d GiB are free in ") as error:
        cache.get(KEY, build, silent, needed_bytes=1 << 50)
    assert "%llm_engines rm" in error.value.hint


# Damage


def _cut(folder: Path) -> str:
    os.truncate(folder / "large.bin", 1000)
    return "large.bin has 1,000 bytes, not 3,145,728"


def _missing(folder: Path) -> str:
    (folder / "sub" / "small.json").unlink()
    return "sub/small.json is missing"


def _changed(folder: Path) -> str:
    (folder / "sub" / "small.json").write_text("[]")
    return "sub/small.json has been changed"


def _zeroed_end(folder: Path) -> str:
    with (folder / "large.bin").open("rb+") as file:
        file.seek(-10, os.SEEK_END)
        file.write(bytes(10))
    return "large.bin has been changed"


def _manifest(folder: Path) -> str:
    (folder / cache.MANIFEST).write_text('{"backend": ')
    return "manifest.json cannot be read"


def _no_manifest(folder: Path) -> str:
    (folder / cache.MANIFEST).unlink()
    return "manifest.json is missing"


@pytest.mark.parametrize("damage", [_cut, _missing, _changed, _zeroed_end, _manifest, _no_manifest])
def test_a_damaged_engine_is_named_set_aside_and_rebuilt(damage: Any, store: Path) -> None:
    folder = put(KEY)
    assert cache.check(folder) is None
    told = damage(folder)
    assert cache.check(folder) == told
    assert [(stored.name, stored.problem) for stored in cache.listed()] == [(KEY.name, told)]
    stages: list[str] = []
    assert cache.get(KEY, write, stages.append) == folder
    assert cache.check(folder) is None
    (aside,) = (stored for stored in cache.listed() if stored.problem)
    assert aside.name.startswith(f"{KEY.name}.damaged-")
    if damage is not _no_manifest:  # what has no manifest is met only when its place is needed
        assert aside.problem == told
        assert f"{KEY.name} is damaged: {told}. It is set aside as {aside.name}" in stages[0]
    assert cache.find(KEY) == folder
    cache.remove(aside.path)
    assert visible(store / "test-1") == [KEY.name]


def test_setting_aside_takes_an_engine_out_of_use_twice_in_a_second(store: Path) -> None:
    asides = {cache.set_aside(put(KEY), "for the test") for _ in range(3)}
    assert len(asides) == 3
    assert cache.find(KEY) is None
    assert {stored.problem for stored in cache.listed()} == {"for the test"}


def test_a_check_before_each_load_is_cheap() -> None:
    def build(folder: Path) -> None:
        for rank in range(8):
            with (folder / f"rank{rank}.engine").open("wb") as file:
                file.truncate(1 << 30)
        (folder / "config.json").write_text("{}" * 1000)

    folder = cache.get(KEY, build, silent)

    def seconds() -> float:
        started = time.perf_counter()
        assert cache.check(folder) is None
        return time.perf_counter() - started

    assert min(seconds() for _ in range(5)) < 0.05


# Keys and places


def test_every_part_of_a_key_counts_but_the_driver() -> None:
    base = cache.Key("onnx", "1", "m", "o", {"quantization": "none"}, H100)
    others = [
        cache.Key("onnx", "2", "m", "o", base.options, H100),
        cache.Key("onnx", "1", "n", "o", base.options, H100),
        cache.Key("onnx", "1", "m", "p", base.options, H100),
        cache.Key("onnx", "1", "m", "o", {"quantization": "int8"}, H100),
        cache.Key("onnx", "1", "m", "o", base.options, {**H100, "gpu": "NVIDIA A100"}),
        cache.Key("onnx", "1", "m", "o", base.options),
    ]
    assert len({key.digest for key in (base, *others)}) == 7
    assert base.digest == replace(base, machine={**H100, "driver": "590.2"}).digest
    for other in others:
        assert len(base.differences(other)) == (3 if not other.machine else 1) - (not other.machine)
        assert cache.find(other) is None
    assert base.differences(base) == ()


def test_a_near_miss_says_which_parts_differ() -> None:
    put(replace(TRT, options={**TRT.options, "max_seq_len": 4096}))
    put(replace(TRT, backend_version="1.2.0", machine={**H100, "gpu": "NVIDIA A100", "compute_capability": "8.0"}))
    put(replace(TRT, model="meta-llama/Other"))
    put(replace(TRT, backend="test"))
    put(replace(TRT, options={"quantization": "int8", "dtype": "float16"}, origin=f"{LLAMA}@old"))
    assert [why for _, why in cache.near(TRT)] == [
        ("max_seq_len 4096 (wanted 8192)",),
        (f"weights {LLAMA}@old (wanted {LLAMA}@abc)", "max_seq_len unset (wanted 8192)"),
        ("version 1.2.0 (wanted 1.2.1)", "gpu NVIDIA A100 (wanted NVIDIA H100)", "compute_capability 8.0 (wanted 9.0)"),
    ]


def test_tensorrt_engines_stand_where_users_put_theirs_and_coexist(tmp_path: Path) -> None:
    longer = replace(TRT, options={**TRT.options, "max_seq_len": 16384})
    plain = put(TRT)
    assert plain == tmp_path / "cache" / "tensorrt_llm" / "1.2.1" / "Meta_Llama_3.1_8B_Instruct_int8_engine"
    assert put(longer).name == f"{plain.name}-{longer.digest}"
    assert put(TRT) == plain
    assert put(replace(TRT, options={"quantization": "none"})).name == "Meta_Llama_3.1_8B_Instruct_engine"
    cache.remove(plain)
    assert cache.find(TRT) is None
    assert put(longer).name == longer.folder.name == f"{plain.name}-{longer.digest}"
    assert put(TRT) == plain


def test_what_stands_in_the_way_is_kept() -> None:
    TRT.plain.mkdir(parents=True)
    (TRT.plain / "notes.txt").write_text("mine")
    assert put(TRT).name == f"{TRT.plain.name}-{TRT.digest}"
    assert (TRT.plain / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("model", ["x" * 300, "me/é" * 90, "me/a:b*c?d\\e|f", "..", "", "me/.hidden", "con", "me/a b"])
def test_any_model_name_makes_a_folder(model: str, store: Path) -> None:
    key = replace(KEY, model=model)
    folder = put(key)
    assert folder.parent == store / "test-1"
    assert not folder.name.startswith(".")
    assert len(folder.name.encode()) < 200
    (stored,) = cache.listed()
    assert stored.model == model
    cache.set_aside(folder, "x")
    assert put(key) == folder
    assert cache.find(replace(KEY, model=model + "y")) is None


def test_the_list_tells_all() -> None:
    before = datetime.datetime.now().astimezone() - datetime.timedelta(seconds=2)
    folder = put(replace(TRT, machine={**H100, "gpus": 2}))
    put(KEY)
    stored = next(stored for stored in cache.listed() if stored.path == folder)
    assert (stored.backend, stored.version, stored.model, stored.gpu) == ("tensorrt_llm", "1.2.1", LLAMA, "NVIDIA H100")
    assert stored.options == "quantization int8, max_seq_len 8192, dtype float16"
    assert stored.size == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) > 3 << 20
    assert before < stored.built < before + datetime.timedelta(seconds=60)
    assert stored.took_s is not None
    assert 0 <= stored.took_s < 30
    assert (stored.used, stored.by_hand, stored.problem) == (None, False, "")
    assert stored.key is not None
    assert stored.key.machine["driver"] == "580.1"
    assert stored.key.differences(replace(TRT, machine={**H100, "gpus": 2})) == ()
    cache.used(folder)
    used = next(stored.used for stored in cache.listed() if stored.path == folder)
    assert used is not None
    assert before < used
    assert cache.check(folder) is None


def test_only_engines_of_the_store_are_stamped(tmp_path: Path) -> None:
    folder = put(KEY)
    outside = tmp_path / "elsewhere"
    shutil.copytree(folder, outside)
    before = sorted(tmp_path.rglob("*"))
    for place in (outside, folder / "sub", tmp_path / "no-such"):
        cache.used(place)
    assert sorted(tmp_path.rglob("*")) == before
    cache.used(folder)
    assert sorted(tmp_path.rglob("*")) != before


# Engines built by hand


def _by_hand(place: Path, *, world: int = 1, algorithm: str | None = "W8A16", version: str = "1.2.1") -> Path:
    """What convert_checkpoint.py and trtllm-build leave with the options of the seed's notebook."""
    shape = {"num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32, "vocab_size": 128256}
    config = {
        "version": version,
        "pretrained_config": {
            "architecture": "LlamaForCausalLM", "dtype": "float16", **shape,
            "mapping": {"world_size": world, "tp_size": world, "pp_size": 1, "cp_size": 1},
            "quantization": {"quant_algo": algorithm, "kv_cache_quant_algo": None},
        },
        "build_config": {
            "max_input_len": 16384, "max_seq_len": 24576, "max_batch_size": 8, "max_beam_width": 1, "max_num_tokens": 8192,
            "gather_generation_logits": False, "plugin_config": {"tokens_per_block": 32, "gemm_plugin": "float16"},
        },
    }  # fmt: skip
    place.mkdir(parents=True)
    (place / "config.json").write_text(json.dumps(config))
    for rank in range(world):
        (place / f"rank{rank}.engine").write_bytes(b"ftrt" * 1000)
    return place


def test_an_engine_built_by_hand_is_found_as_it_is() -> None:
    place = _by_hand(TRT.plain)
    before = sorted(place.iterdir())
    shape = {"num_hidden_layers": 32, "hidden_size": 4096, "vocab_size": 128256}
    found = cache.by_hand(TRT, {"quantization": "int8", "max_input_len": 4096, "gemm_plugin": "auto", "kv_cache_mb": 2048}, shape)
    assert found == cache.HandBuilt(place, (), "")
    assert found.fits
    assert cache.find(TRT) is None
    cache.used(place)
    (stored,) = cache.listed()
    assert (stored.by_hand, stored.problem, stored.key) == (True, "", None)
    assert (stored.model, stored.backend, stored.version) == ("Meta_Llama_3.1_8B_Instruct", "tensorrt_llm", "1.2.1")
    assert "quantization int8" in stored.options
    assert "max_seq_len 24576" in stored.options
    assert stored.used is not None
    assert sorted(place.iterdir()) == before
    cache.remove(place)
    assert list(place.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"max_seq_len": 24576, "max_batch_size": 8, "max_beam_width": 1, "tokens_per_block": 32, "dtype": "float16"}, ()),
        ({"max_seq_len": 24577}, ("max_seq_len 24576 (wanted 24577)",)),
        ({"max_beam_width": 4}, ("max_beam_width 1 (wanted 4)",)),
        ({"tokens_per_block": 64}, ("tokens_per_block 32 (wanted 64)",)),
        ({"dtype": "bfloat16"}, ("dtype float16 (wanted bfloat16)",)),
        ({"gemm_plugin": "fp8"}, ("gemm_plugin float16 (wanted fp8)",)),
        ({"logprobs": True}, ("logprobs False (wanted True)",)),
    ],
)
def test_what_was_asked_for_is_kept_to_by_an_engine_built_by_hand(asked: dict[str, Any], why: tuple[str, ...]) -> None:
    _by_hand(TRT.plain)
    found = cache.by_hand(TRT, asked)
    assert found is not None
    assert found.differences == why


def test_an_engine_built_by_hand_that_does_not_do_is_left_alone() -> None:
    assert cache.by_hand(TRT, {}) is None
    assert cache.by_hand(KEY, {}) is None
    place = _by_hand(TRT.plain, world=2, algorithm=None, version="1.0.0")
    found = cache.by_hand(TRT, {}, {"num_hidden_layers": 28})
    assert found is not None
    assert found.differences == (
        "version 1.0.0 (wanted 1.2.1)",
        "quantization none (wanted int8)",
        "tensor_parallel 2 (wanted 1)",
        "num_hidden_layers 32 (wanted 28)",
    )
    ((stored, why),) = cache.near(TRT)
    assert (stored.path, why) == (place, found.differences[:3])
    built = put(TRT)
    assert built.name == f"{place.name}-{TRT.digest}"
    (place / "rank1.engine").unlink()
    found = cache.by_hand(TRT, {})
    assert found is not None
    assert found.problem == "rank1.engine is missing"
    assert not found.fits
    assert cache.check(place) == "rank1.engine is missing"
    (place / "rank0.engine").write_bytes(b"")
    assert cache.check(place) == "rank0.engine is empty"
    assert cache.near(TRT) == []
    aside = cache.set_aside(place, "rank0.engine is empty")
    assert cache.by_hand(TRT, {}) is None
    cache.remove(aside)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"pretrained_config": 1, "build_config": {}}', '{"architecture": "x", "dtype": "float16"}']
)
def test_other_folders_of_the_cache_are_no_engines(content: str) -> None:
    place = TRT.plain.with_name("Meta_Llama_3.1_8B_Instruct_int8_checkpoint")
    place.mkdir(parents=True)
    (place / "config.json").write_text(content)
    assert cache.listed() == []
    with pytest.raises(OptionError, match="no engine of the store"):
        cache.remove(place)
    place.rename(TRT.plain)
    assert cache.by_hand(TRT, {}) is None
    (stored,) = cache.listed()
    assert stored.problem == "config.json is not that of an engine"


def test_a_moved_home_cache_still_has_what_was_built_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who build by hand write ~/.cache out, whatever XDG_CACHE_HOME says."""
    monkeypatch.delenv("LLM_MAGICS_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    place = _by_hand(tmp_path / "home" / ".cache" / "tensorrt_llm" / "1.2.1" / TRT.plain.name)
    found = cache.by_hand(TRT, {})
    assert found is not None
    assert found.folder == place
    assert cache.root() == tmp_path / "xdg" / "llm_magics"
    assert put(TRT) == tmp_path / "xdg" / "tensorrt_llm" / "1.2.1" / TRT.plain.name
    assert {stored.path for stored in cache.listed()} == {place, TRT.plain}
    cache.remove(place)


# What other releases, other people and other machines have left


def test_manifests_of_the_first_release_are_still_found(store: Path) -> None:
    name = "checkpoint_int8_engine-" + cache.Key("onnx", "0.18.0", "checkpoint", "sha256:1", {"quantization": "int8"}).digest
    assert name.endswith("-f1d724fc")  # as it was computed then
    folder = store / "onnx-0.18.0" / name
    folder.mkdir(parents=True)
    old = {"backend": "onnx", "backend_version": "0.18.0", "model": "checkpoint", "origin": "sha256:1", "options": {"quantization": "int8"}}
    (folder / cache.MANIFEST).write_text(json.dumps(old, indent=1))
    assert cache.check(folder) == "there is nothing but its manifest"
    (folder / "model.onnx").write_bytes(b"x")
    assert cache.check(folder) is None
    key = cache.Key("onnx", "0.18.0", "checkpoint", "sha256:1", {"quantization": "int8"})
    for wanted in (key, replace(key, machine={"platform": "linux-x86_64"})):
        assert cache.find(wanted) == folder
        assert cache.get(wanted, lambda folder: pytest.fail("it is there"), silent) == folder
    (stored,) = cache.listed()
    assert (stored.name, stored.problem, stored.took_s, stored.gpu) == (name, "", None, "")
    cache.remove(folder)
    assert visible(store / "onnx-0.18.0") == []


def test_only_engines_of_the_store_are_removed(store: Path, tmp_path: Path) -> None:
    folder = put(KEY)
    outside = tmp_path / "elsewhere" / "x" / folder.name
    shutil.copytree(folder, outside)
    inside = store / "test-1" / "notes"
    inside.mkdir()
    for place in (
        outside,
        inside,
        store,
        store / "test-1",
        folder / "sub",
        tmp_path,
        Path("/"),
        folder.parent / ".." / "..",
        Path("no-such"),
    ):
        with pytest.raises(OptionError, match="no engine of the store"):
            cache.remove(place)
    link = folder.with_name("linked_engine")
    link.symlink_to(outside)
    cache.remove(link)
    assert cache.check(outside) is None
    assert not link.is_symlink()
    cache.remove(folder.parent / ".." / "test-1" / folder.name)
    assert visible(store / "test-1") == ["notes"]


def test_what_is_being_built_is_not_removed(store: Path) -> None:
    folder = put(KEY)
    shutil.move(folder, store / "test-1" / "kept")
    building = _builder(2)
    assert building.stdout is not None
    assert building.stdout.readline() == "building\n"
    shutil.move(store / "test-1" / "kept", folder)
    with pytest.raises(OptionError, match="is being built by another kernel"):
        cache.remove(folder)
    building.send_signal(signal.SIGKILL)
    building.communicate()
    cache.remove(folder)


def test_a_store_behind_links_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    monkeypatch.setenv("LLM_MAGICS_CACHE", str(tmp_path / "link"))
    folder = put(TRT)
    (folder.parent.parent / "latest").symlink_to("1.2.1")
    (stored,) = cache.listed()
    assert stored.path == folder
    cache.remove(folder)
    assert cache.listed() == []


# The modules are imported before: the other user may not read where they are installed.
OTHER_USER = """
import os, sys, tempfile
from llm_magics.engines import cache
def build(folder):
    (folder / "x").write_text("x")
def key(origin):
    return cache.Key("test", "1", "me/model", origin, {"quantization": "int8"})
store = os.environ.pop("LLM_MAGICS_CACHE")
with tempfile.TemporaryDirectory() as os.environ["LLM_MAGICS_CACHE"]:
    cache.get(key("o"), build, lambda stage: None)
    cache.listed()
os.setuid(54321)
for name in ("LLM_MAGICS_CACHE", "XDG_CACHE_HOME", "HOME"):
    os.environ.pop(name, None)
try:
    cache.root()
except Exception as error:
    print(error)
os.environ["LLM_MAGICS_CACHE"] = store
for origin in ("o", "p", "damaged"):
    try:
        folder = cache.get(key(origin), build, lambda stage: None)
        cache.used(folder)
        print(folder, cache.check(folder))
    except Exception as error:
        print(error)
try:
    cache.remove(key("o").folder)
except Exception as error:
    print(error)
print(len(cache.listed()))
"""


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="needs root to become another user")
def test_another_user_may_use_what_is_there_and_is_told_what_may_not_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """One whom the system does not know, as in many containers: without a home."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        monkeypatch.setenv("LLM_MAGICS_CACHE", place)
        folder = put(KEY)
        damaged = put(replace(KEY, origin="damaged"))
        told = _missing(damaged)
        run = subprocess.run([sys.executable, "-c", OTHER_USER], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.splitlines() == [
        "There is no home folder to keep engines in.",
        "Set LLM_MAGICS_CACHE to a folder, or HOME.",
        f"{folder} None",
        f"No engine can be stored in {folder.parent}: Permission denied.",
        "Set LLM_MAGICS_CACHE to a folder that can be written.",
        f"{damaged.name} is damaged ({told}), and no engine can be stored in {folder.parent}: Permission denied.",
        "Set LLM_MAGICS_CACHE to a folder that can be written.",
        f"{folder} cannot be removed: Permission denied.",
        "Ask the owner of the folder.",
        "2",
    ]
