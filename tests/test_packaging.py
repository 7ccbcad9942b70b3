"""The wheel and the sdist, built and installed as a stranger would."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

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


def test_the_wheel_works_in_a_clean_environment(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "llm_magics/templates/de/extract.j2" in names
    assert not [name for name in names if name.startswith(("tests", "examples"))]
    run(sys.executable, "-m", "venv", str(tmp_path / "venv"))
    python = str(tmp_path / "venv" / "bin" / "python")
    run(python, "-m", "pip", "install", "-q", "-c", str(ROOT / ".ci" / "constraints.txt"), str(wheel))
    code = (
        "import importlib.util, IPython.core.interactiveshell as s; shell = s.InteractiveShell.instance();"
        "assert importlib.util.find_spec('torch') is None;"
        "shell.run_line_magic('load_ext', 'llm_magics');"
        "g = shell.run_cell_magic('llm_translate', '--lang de --to fr', 'Guten Tag!');"
        "assert g.output_tokens and g.engine.model == 'demo', g"
    )
    run(python, "-c", code, cwd=tmp_path)


def test_the_demo_model_is_within_its_size() -> None:
    def size(folder: Path) -> float:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20

    assert size(ROOT / "llm_magics" / "demo") <= 15
    assert size(ROOT / "examples" / "demo_model" / "checkpoint") <= 20
