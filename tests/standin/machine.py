"""A machine with an NVIDIA GPU and TensorRT-LLM, as far as anything here can see: a program on the PATH, a package on sys.path."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from . import events, forget, install

ROOT = Path(__file__).parent.parent.parent
H100 = "NVIDIA H100 80GB HBM3, 9.0, 580.159.04, 81559, {free}"
SINGLE_PROCESS = "TLLM_WORKER_USE_SINGLE_PROCESS"


class Machine:
    """Lies in ``folder``, which is there and empty; ``patch`` undoes what it sets in the environment. Kernels and builds inherit it."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.site, self.log, self.scenario = folder / "site", folder / "log.jsonl", folder / "scenario.json"
        (folder / "bin").mkdir()
        self.site.mkdir()
        patch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
        patch.setenv("LLM_MAGICS_STANDIN", str(self.scenario))
        patch.setenv("LLM_MAGICS_STANDIN_LOG", str(self.log))
        patch.setenv("PYTHONPATH", f"{self.site}:{ROOT}")
        patch.delenv(SINGLE_PROCESS, raising=False)
        patch.syspath_prepend(str(self.site))
        self.says()
        self.gpu()

    def has(self, version: str = "1.2.1", era: str = "engine") -> None:
        """Install this release."""
        forget()
        install(self.site, version=version, era=era)

    def gpu(self, row: str = H100, *, free: int = 80000, count: int = 1) -> None:
        """What nvidia-smi tells. A real program on the PATH, so all of the query is run."""
        command = self.folder / "bin" / "nvidia-smi"
        command.write_text("#!/bin/sh\n" + f'echo "{row.format(free=free)}"\n' * count)
        command.chmod(0o755)

    def says(self, **scenario: Any) -> None:
        """How the stand-in behaves from now on; README.md has the keys."""
        self.scenario.write_text(json.dumps(scenario))

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """What it has logged, of these kinds."""
        return events(self.log, *kinds)
