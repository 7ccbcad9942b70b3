"""The wheel and the sdist, built and installed as a stranger would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import llm_magics

from .conftest import ROOT


def run(*command: str, cwd: Path | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT))  # the sdist, and the wheel from it
    return folder


def test_the_sdist_holds_what_it_is_built_from(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as members:
        names = {name.split("/", 1)[1] for name in members.getnames() if "/" in name}
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "install.json", "llm_magics/demo/engine/genai_config.json"} <= names


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python of a fresh environment with the wheel and JupyterLab."""
    (wheel,) = built.glob("*.whl")
    folder = tmp_path_factory.mktemp("clean") / "venv"
    run(sys.executable, "-m", "venv", str(folder))
    python = str(folder / "bin" / "python")
    run(python, "-m", "pip", "install", "-q", "-c", str(ROOT / ".ci" / "constraints.txt"), f"{wheel}[lab]")
    return python


def test_the_wheel_works_in_a_clean_environment(built: Path, installed: str, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "llm_magics/templates/de/extract.j2" in names
    assert not [name for name in names if name.startswith(("tests", "examples", "llm_magics/labextension"))]
    code = (
        "import importlib.util, IPython.core.interactiveshell as s; shell = s.InteractiveShell.instance();"
        "assert importlib.util.find_spec('torch') is None;"
        "shell.run_line_magic('load_ext', 'llm_magics');"
        "g = shell.run_cell_magic('llm_translate', '--lang de --to fr', 'Guten Tag!');"
        "assert g.output_tokens and g.engine.model == 'demo', g"
    )
    run(installed, "-c", code, cwd=tmp_path)


def test_jupyterlab_finds_the_extension_enabled_and_fit(installed: str) -> None:
    done = subprocess.run([installed, "-m", "jupyter", "labextension", "list"], capture_output=True, text=True, check=True)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    (line,) = [line for line in plain.splitlines() if "llm_magics" in line]
    assert " ".join(line.split()) == f"llm_magics v{llm_magics.__version__} enabled OK (python, llm_magics)"


def test_the_demo_model_is_within_its_size() -> None:
    def size(folder: Path) -> float:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20

    assert size(ROOT / "llm_magics" / "demo") <= 15
    assert size(ROOT / "examples" / "demo_model" / "checkpoint") <= 20
