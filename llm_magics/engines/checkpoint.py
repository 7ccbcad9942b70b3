"""What the user called a model -> a local folder, and where it came from.

A model of the hub comes in two steps: its small files, which are enough to plan, to render prompts and to find an engine
that was built before; and its weights, when something has to be made of them.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import AccessError, CancelledError, LLMMagicsError, ModelError, ModelNotFoundError, OfflineError
from .base import Options, Progress, check

DEMO = "demo"
_DEMO_FOLDER = Path(__file__).parent.parent / "demo" / "engine"

# What an engine is made from; everything else in a repository stays there.
_SMALL = ["*.json", "*.model", "*.jinja", "*.txt"]
_WEIGHTS = ["*.safetensors", "*.onnx", "*.onnx.data"]


@dataclass(frozen=True)
class Checkpoint:
    """A model folder on this machine. ``origin`` names its contents: ``id@revision``, or a digest of local weights.

    ``on_hub`` is true for a model of the hub, whose weights may not be in the folder yet.
    """

    name: str
    folder: Path
    origin: str
    on_hub: bool = False

    @property
    def config(self) -> dict[str, Any]:
        """The model's ``config.json``; empty when there is none."""
        return _read_json(self.folder / "config.json")

    @property
    def genai_config(self) -> dict[str, Any]:
        """``genai_config.json`` of a folder that onnxruntime-genai can load as it is; empty for others."""
        return _read_json(self.folder / "genai_config.json")

    @property
    def weight_bytes(self) -> int:
        """Size of the safetensors files; of those that the index lists where they are not here yet."""
        here = sum(path.stat().st_size for path in self.folder.glob("*.safetensors"))
        listed = _read_json(self.folder / "model.safetensors.index.json").get("metadata", {}).get("total_size", 0)
        return here or int(listed)

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """The tokens that end a reply, by ``generation_config.json`` before ``config.json``; empty when neither tells."""
        for content in (_read_json(self.folder / "generation_config.json"), self.config):
            eos = content.get("eos_token_id")
            if eos is not None:
                return tuple(eos) if isinstance(eos, list) else (eos,)
        return ()


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as exc:
        raise ModelError(f"{path} is damaged: {exc}.", "Fetch or copy the model again.") from exc
    return content


def resolve(model: str, options: Options, progress: Progress) -> Checkpoint:
    """The local folder of ``demo``, of a folder's path, or of a model id on the hub (fetched when it is not here yet)."""
    if model == DEMO:
        return Checkpoint(DEMO, _DEMO_FOLDER, "bundled")
    path = Path(model).expanduser()
    if path.is_dir():
        return local(path)
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", model):
        raise ModelNotFoundError(
            f"No folder {model!r}, and it is not a model id of the form owner/name.",
            "Use 'demo', a folder that holds config.json, or an id such as Qwen/Qwen2.5-0.5B-Instruct.",
        )
    return _fetch(model, options, progress)


def local(folder: Path) -> Checkpoint:
    """A folder of the user's; ModelNotFoundError when there is no model in it."""
    if not any((folder / name).is_file() for name in ("config.json", "genai_config.json")):
        raise ModelNotFoundError(
            f"{folder} has neither config.json nor genai_config.json.", "Name the folder that holds the model's files."
        )
    return Checkpoint(folder.resolve().name, folder.resolve(), _digest(folder))


def _digest(folder: Path) -> str:
    """Names the contents of the weights: every byte of small files, size and both ends of large ones."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix not in (".safetensors", ".json", ".jinja", ".onnx", ".data", ".bin"):
            continue
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}:".encode())
        with path.open("rb") as file:
            if size <= 64 << 20:
                digest.update(file.read())
            else:
                digest.update(file.read(1 << 20))
                file.seek(-(1 << 20), os.SEEK_END)
                digest.update(file.read())
                digest.update(str(path.stat().st_mtime_ns).encode())
    return "sha256:" + digest.hexdigest()[:32]


def _fetch(model: str, options: Options, progress: Progress) -> Checkpoint:
    progress(f"Fetching {model}")
    folder = _download(model, options.revision, _SMALL, progress)
    if not (folder / "config.json").is_file() and not (folder / "genai_config.json").is_file():
        raise ModelNotFoundError(f"{model} has no config.json.", "Choose a repository of a text generation model.")
    return Checkpoint(model, folder, f"{model}@{folder.name}", on_hub=True)


def with_weights(checkpoint: Checkpoint, progress: Progress) -> Checkpoint:
    """The checkpoint with its weights on this machine, fetched at the very revision of its small files."""
    if checkpoint.on_hub:
        size = checkpoint.weight_bytes
        progress(f"Fetching the weights of {checkpoint.name}" + (f" ({size / 2**30:.1f} GiB)" if size else ""))
        _download(checkpoint.name, checkpoint.origin.rpartition("@")[2], [*_SMALL, *_WEIGHTS], progress)
    return checkpoint


def check_weights(checkpoint: Checkpoint) -> None:
    """ModelError when the folder holds no safetensors weights."""
    if not any(checkpoint.folder.glob("*.safetensors")):
        raise ModelError(f"{checkpoint.name} has no safetensors weights.", "Use a model that is published as safetensors.")


def _download(model: str, revision: str | None, patterns: list[str], progress: Progress) -> Path:
    import huggingface_hub
    from huggingface_hub.utils import tqdm

    class Bar(tqdm):  # type: ignore[misc]
        """The hub's own bar: what it counts is when a fetch can be given up. What has come of a file is kept and gone on with."""

        def update(self, n: float | None = 1) -> bool | None:
            check(progress)
            return super().update(n)  # type: ignore[no-any-return]

    try:
        return Path(huggingface_hub.snapshot_download(model, revision=revision, allow_patterns=patterns, tqdm_class=Bar))
    except CancelledError:
        raise
    except Exception as exc:
        raise _explained(model, exc) from exc


def _explained(model: str, exc: Exception) -> LLMMagicsError:  # noqa: PLR0911 - one sentence for each of the hub's answers
    """The hub's errors in the user's words. Their own texts are left out: they may quote requests."""
    from huggingface_hub import errors

    sign_in = "set HF_TOKEN in the kernel's environment, or run `hf auth login` in a terminal"
    causes = list(_causes(exc))
    status = next((code for cause in causes if (code := _status(cause))), None)

    def met(kind: type[BaseException]) -> bool:
        return any(isinstance(cause, kind) for cause in causes)

    if met(errors.GatedRepoError):
        return AccessError(f"{model} is gated: its owner grants access on request.", f"Ask for access on its page, then {sign_in}.")
    if met(errors.RevisionNotFoundError):
        return ModelNotFoundError(f"{model} has no such revision.", "Name a branch, a tag or a commit of it, or leave --revision out.")
    if met(errors.RepositoryNotFoundError):
        return ModelNotFoundError(f"The hub has no model {model!r} that you may see.", f"Check the id. If it is private, {sign_in}.")
    if status in (401, 403):
        return AccessError(f"The hub refused {model} (HTTP {status}).", f"Accept the model's licence on its page, then {sign_in}.")
    if status:
        return ModelError(f"{model} could not be fetched: the hub answered HTTP {status}.", "Try again later.")
    if any(isinstance(cause, OSError) and cause.errno == errno.ENOSPC for cause in causes):
        return ModelError(f"The disk is full while fetching {model}.", "Free some room, or move the hub's cache: HF_HOME.")
    if met(errors.LocalEntryNotFoundError) or met(errors.OfflineModeIsEnabled):
        return OfflineError(
            f"The model hub cannot be reached, and {model} is not on this machine.",
            "Connect, or name a local folder; %llm_load demo works offline.",
        )
    return ModelError(f"{model} could not be fetched: {type(exc).__name__}.", "Try again; %tb shows the details.")


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__


def _status(exc: BaseException) -> int | None:
    return getattr(getattr(exc, "response", None), "status_code", None)
