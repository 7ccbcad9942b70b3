"""What TensorRT-LLM, MPI and CUDA say when they fail -> a sentence, and what to do.

Each row was taken from a report of its users or from the library's source; the first that fits is said. The foreign text
itself is kept out of sentences: it may be pages long.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ...errors import AccessError, BuildError, DependencyError, EngineError, LLMMagicsError, MemoryNeededError, OptionError, TooLongError
from .release import INSTALL, TORCH


@dataclass(frozen=True)
class Failure:
    """One known failure: how it is recognised, and what is said of it. ``{...}`` parts are filled from the pattern's groups."""

    pattern: str
    error: type[LLMMagicsError]
    says: str
    remedy: str


_PINNED = ", ".join(f"{torch} for {release}" for release, torch in TORCH.items())

FAILURES: tuple[Failure, ...] = (
    Failure(
        r"lib(open-)?mpi[\w.-]*: cannot open shared object|cannot load MPI library|libmpi.*not found",
        DependencyError,
        "OpenMPI is not installed: libmpi cannot be found.",
        "Install it (sudo apt-get install libopenmpi-dev), then restart the kernel.",
    ),
    Failure(
        r"undefined symbol",
        DependencyError,
        "tensorrt_llm cannot be imported: it was built for another torch than the one installed.",
        f"Install the torch that it pins ({_PINNED}), with a constraints file so that it stays; then restart the kernel.",
    ),
    Failure(
        r"No module named '(?:tensorrt|tensorrt_llm|tensorrt_bindings)'|only the stub|metadata-generation-failed",
        DependencyError,
        "Only a part of TensorRT-LLM is installed; its stub from the public index has no code.",
        INSTALL,
    ),
    Failure(
        r"(?i)deserialize (the )?cuda engine|engine plan file is (not compatible|generated on an incompatible)"
        r"|serialization assertion|magicTag",
        EngineError,
        "The engine was built by another version of TensorRT-LLM, or on another GPU.",
        "Load the model by its name: it is then built for this version and GPU. `%llm_engines` shows what is stored.",
    ),
    Failure(
        r"(?i)mpi_?size.*(==|equal|!=).*(tp|world|pp)|tp_size.*(must|mismatch|does not)"
        r"|(tensor|pipeline|context)_parallel_size.*(engine|must|mismatch|does not)",
        OptionError,
        "The engine was built for another number of GPUs.",
        "Load it with that number (--tensor-parallel N), or let it be built for this one.",
    ),
    Failure(
        r"(?i)only (\d+|supports \d+) gpus?|world[_ ]size[^\n]*(gpu|device)|not enough gpus|gpus? (are|is) visible",
        OptionError,
        "There are fewer GPUs than --tensor-parallel asks for.",
        "Lower --tensor-parallel, or show more GPUs by CUDA_VISIBLE_DEVICES.",
    ),
    Failure(
        r"(?i)out ?of ?memory|cudaErrorMemoryAllocation|failed to allocate|bad_alloc",
        MemoryNeededError,
        "The GPU's memory is not enough.",
        "Unload other models (%llm_unload), lower --kv-cache-mb, --max-batch-size or --max-seq-len, or quantize: --quantization int8.",
    ),
    Failure(
        r"(?i)exceeds?[^\n]*max_(seq_len|num_tokens|input_len)|max_(seq_len|num_tokens|input_len)[^\n]*exceed"
        r"|prompt length[^\n]*(larger|greater|longer)|exceeds (the )?maximum (input|sequence) length",
        TooLongError,
        "The prompt and --max-new-tokens together are longer than this engine takes.",
        "Shorten the text, lower --max-new-tokens, or load the model with a larger --max-seq-len.",
    ),
    Failure(
        r"(?i)gated repo|\b40[13]\b[^\n]*(client error|forbidden|unauthorized)|access to model [^\n]* is restricted",
        AccessError,
        "The hub refused the model.",
        "Accept the model's licence on its page, then set HF_TOKEN in the kernel's environment; or name a local folder.",
    ),
    Failure(
        r"(?i)no space left on device|errno 28|disk quota exceeded",
        BuildError,
        "The disk is full.",
        "Free some room (%llm_engines lists what is stored, %llm_engines rm NAME removes), or move the store: LLM_MAGICS_CACHE.",
    ),
    Failure(
        r"(?i)CUDA driver version is insufficient|no CUDA-capable device|Found no NVIDIA driver"
        r"|CUDA_ERROR_NO_DEVICE|No CUDA GPUs are available|libcuda[\w.]*: cannot open shared object",
        DependencyError,
        "No GPU can be used: the driver is missing, or too old for this CUDA.",
        "Check `nvidia-smi` in a terminal; older drivers need the cuda-compat package. %llm_doctor tells more.",
    ),
    Failure(
        r"(?i)LLM is shutting down|already (been )?shut ?down|has been shut ?down|EventLoopShutdownError",
        EngineError,
        "The engine was shut down.",
        "Load the model again: %llm_load.",
    ),
    Failure(
        r"(?i)worker (process )?(died|was killed|terminated)|MPI_ABORT",
        EngineError,
        "The worker process died.",
        "Its last words are in the terminal of the Jupyter server. Often it is main memory: free some, then load the model again.",
    ),
    Failure(
        r"guided[_ ]decoding[^\n]*(backend|not|disabled|enabled)|guided_decoding_backend",
        OptionError,
        "This engine was loaded without guided decoding.",
        "Load it again, without --no-guided.",
    ),
    Failure(
        r"gather_(generation|context)_logits",
        OptionError,
        "This engine was not built to give the probabilities of its tokens.",
        "Load the model with --logprobs: that builds another engine.",
    ),
    Failure(
        r"(?i)got (an )?invalid argument|invalid arguments? for|unexpected keyword|extra inputs are not permitted|validation error"
        r"|not support(ed)? (by|in|on) the (pytorch|tensorrt)",
        OptionError,
        "This TensorRT-LLM does not know one of the options.",
        "%llm_doctor compares what is installed with what is expected, name by name.",
    ),
)

_KILLED = BuildError(
    "The build was ended by the system, most likely for want of main memory.",
    "Free memory, or start the kernel with TRT_LLM_DISABLE_LOAD_WEIGHTS_IN_PARALLEL=1: weights are then loaded one after the other.",
)


def find(text: str) -> Failure | None:
    """The first known failure that ``text`` tells of."""
    return next((failure for failure in FAILURES if re.search(failure.pattern, text)), None)


def explained(exc: BaseException, doing: str) -> LLMMagicsError:
    """The error to show for ``exc``, met while ``doing`` something (``loading Llama on 1 GPU``).

    All of a chain is looked at: a worker's failure arrives as a bare "Executor worker returned error" with its cause behind it.
    """
    if isinstance(exc, LLMMagicsError):
        return exc
    chain = list(_chain(exc))
    for link in reversed(chain):
        failure = find(f"{type(link).__name__}: {link}")
        if failure:
            return failure.error(f"{doing[:1].upper()}{doing[1:]} failed. {failure.says}", failure.remedy)
    return unexplained(f"{type(chain[-1]).__name__}: {chain[-1]}", doing)


def explained_output(output: str, code: int, doing: str) -> LLMMagicsError:
    """The error for a process that ended with ``code`` and left ``output``."""
    failure = find(output)
    if failure:
        return failure.error(f"{doing[:1].upper()}{doing[1:]} failed. {failure.says}", failure.remedy)
    if code in (-9, 137):
        return _KILLED
    last = next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "it said nothing")
    return unexplained(last, doing)


def unexplained(text: str, doing: str) -> LLMMagicsError:
    """The error for what is in no row: its first line, and where to take it."""
    first = text.strip().splitlines()[0][:300] if text.strip() else "no message"
    return EngineError(
        f"{doing[:1].upper()}{doing[1:]} failed: {first}",
        "`llm-magics doctor --json` in a terminal gathers what a bug report needs; %tb shows the details.",
    )


def _chain(exc: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = exc
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__
