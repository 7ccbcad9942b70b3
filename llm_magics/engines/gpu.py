"""The NVIDIA GPUs of this machine, as the driver tells them: no CUDA library is loaded, no GPU memory is taken."""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
from dataclasses import dataclass

_FIELDS = "name,compute_cap,driver_version,memory.total,memory.free"


@dataclass(frozen=True)
class Gpu:
    """One GPU. Memory in bytes; ``compute_capability`` such as ``9.0``."""

    name: str
    compute_capability: str
    driver: str
    total: int
    free: int


def gpus() -> list[Gpu]:
    """The GPUs that this process may use, in their order; empty where there is no driver.

    ``CUDA_VISIBLE_DEVICES`` is kept to where it holds numbers.
    """
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    query = [command, f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    if done.returncode:
        return []
    found = [_gpu(row) for row in csv.reader(io.StringIO(done.stdout), skipinitialspace=True) if len(row) == 5]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return found
    chosen = [word.strip() for word in visible.split(",") if word.strip()]
    if not all(word.isdigit() for word in chosen):
        return found if chosen else []
    return [found[int(word)] for word in chosen if int(word) < len(found)]


def _gpu(row: list[str]) -> Gpu:
    name, capability, driver, total, free = row
    return Gpu(name, capability, driver, _mib(total), _mib(free))


def _mib(word: str) -> int:
    # "[N/A]" where memory is shared with the CPU
    return int(word) * 2**20 if word.isdigit() else 0
