"""The LLM classes."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import socket
import tempfile
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from . import build
from .classes import SamplingParams, TorchLlmArgs, TrtLlmArgs
from .device import Device
from .executor import Executor, Request
from .record import ERA, RECORD
from .requests import NOT_SIMULATED, Refusing, check_types, only_none, shown_as
from .results import RequestOutput
from .scenario import Memory, fail, gpu, log, section
from .tokenizer import wrapped


@functools.cache
def _single_process() -> bool:
    """Read once, as the real one does."""
    return os.environ.get("TLLM_WORKER_USE_SINGLE_PROCESS", "0") == "1"


class BaseLLM:
    """What both classes do."""

    _args_class: Any = None
    _extra: frozenset[str] = frozenset({"_mpi_session", "backend"})

    def _begin(self, model: Any, positional: dict[str, Any], kwargs: dict[str, Any]) -> None:
        self._executor: Executor | None = None
        self._workspace: Any = None
        self._held_mb = 0.0
        self._engine_dir: Path | None = None
        self._llm_id: str | None = None
        self.llm_build_stats = SimpleNamespace(cache_hitted=False, engine_dir=None)
        for key in kwargs:
            if key not in {*self._args_class.model_fields, *self._extra}:
                raise ValueError(f"{type(self).__name__} got invalid argument: {key}")
        kwargs = {key: value for key, value in kwargs.items() if key != "_mpi_session"}
        self.args = self._args_class(model=model, **positional, **kwargs)
        shown = {"model": str(model), **{key: value for key, value in {**positional, **kwargs}.items() if value is not None}}
        if self.args.world_size > gpu().count:
            raise RuntimeError(f"Only {gpu().count} GPUs are available, but {self.args.world_size} are required.")
        self._worker = "in-process" if self._in_process() else "process"
        log("construct", cls=type(self).__name__, args={key: shown_as(value) for key, value in shown.items()}, worker=self._worker)
        try:
            self._start()
        except BaseException:
            self._release()
            raise
        atexit.register(_shut, weakref.ref(self))

    def _in_process(self) -> bool:
        return self.args.world_size == 1 and (_single_process() or bool(self.args.gather_generation_logits))

    def _start(self) -> None:
        raise NotImplementedError

    def _run(self, folder: Path, slots: int, reuse: bool) -> None:
        self.tokenizer = self._load_tokenizer(folder)
        try:
            self._held_mb = build.loaded(folder)
        except Exception as exc:
            if self._worker == "in-process" or isinstance(exc, KeyError):
                raise
            raise RuntimeError("Executor worker returned error") from exc
        self._executor = Executor(Device(self.tokenizer, reuse=reuse), slots, self._worker)

    def _load_tokenizer(self, folder: Path) -> Any:
        if self.args.skip_tokenizer_init:
            return None
        if self.args.tokenizer is not None:
            return wrapped(self.args.tokenizer, trust_remote_code=self.args.trust_remote_code)
        if not any(folder.glob("tokenizer*")):
            return None  # the real one logs that it found none, and goes on
        return wrapped(folder, trust_remote_code=self.args.trust_remote_code)

    @property
    def llm_id(self) -> str:
        self._llm_id = self._llm_id or f"{socket.gethostname()}-{os.getpid()}-{int(time.time() * 1000)}"
        return self._llm_id

    def generate(  # noqa: PLR0917 - as the record has it
        self,
        inputs: Any,
        sampling_params: Any = None,
        use_tqdm: bool = True,
        lora_request: Any = None,
        prompt_adapter_request: Any = None,
        kv_cache_retention_config: Any = None,
        disaggregated_params: Any = None,
        scheduling_params: Any = None,
        cache_salt: Any = None,
    ) -> Any:
        batched = isinstance(inputs, list) and not isinstance(inputs[0], int)
        prompts = inputs if batched else [inputs]

        def at(value: Any, index: int) -> Any:
            return value[index] if isinstance(value, list) else value

        results = [
            self.generate_async(
                prompt,
                at(sampling_params, index),
                at(lora_request, index),
                at(prompt_adapter_request, index),
                False,
                at(kv_cache_retention_config, index),
                at(disaggregated_params, index),
                scheduling_params=at(scheduling_params, index),
                cache_salt=at(cache_salt, index),
            )
            for index, prompt in enumerate(prompts)
        ]
        for result in results:
            result.result()
        return results if batched else results[0]

    def generate_async(  # noqa: PLR0917 - as the record has it
        self,
        inputs: Any,
        sampling_params: Any = None,
        lora_request: Any = None,
        prompt_adapter_request: Any = None,
        streaming: bool = False,
        kv_cache_retention_config: Any = None,
        disaggregated_params: Any = None,
        trace_headers: Any = None,
        _postproc_params: Any = None,
        scheduling_params: Any = None,
        cache_salt: Any = None,
    ) -> RequestOutput:
        if self._executor is None or self._executor.is_shutdown():
            raise RuntimeError("LLM is shutting down")
        only_none(
            lora_request=lora_request,
            prompt_adapter_request=prompt_adapter_request,
            kv_cache_retention_config=kv_cache_retention_config,
            disaggregated_params=disaggregated_params,
            _postproc_params=_postproc_params,
            scheduling_params=scheduling_params,
            cache_salt=cache_salt,
        )
        sampling = self._prepared(sampling_params)
        prompt, ids = self._prompt(inputs, sampling)
        self._check(len(ids), sampling)
        check_types(sampling)
        only_none(**{name: getattr(sampling, name) or None for name in NOT_SIMULATED})
        if not ids:
            raise RuntimeError("[TensorRT-LLM][ERROR] Assertion failed: !mInputTokenIds.empty()")
        limit = sampling.max_tokens if sampling.max_tokens is not None else self._max_seq_len() - len(ids)
        if limit < 1:
            raise RuntimeError("[TensorRT-LLM][ERROR] Assertion failed: mMaxNewTokens > 0")
        executor = self._executor
        request = Request(executor.next_id(), ids, sampling, streaming, executor._device, limit, self._pytorch)
        result = RequestOutput._made(request, executor, self.tokenizer, prompt, time.time())
        request.result = result
        log("submit", id=request.id, prompt=prompt, prompt_tokens=len(ids), streaming=streaming, sampling=shown_as(sampling))
        self._refuse_in_runtime(request)
        executor.submit(request)
        return result

    def _refuse_in_runtime(self, request: Request) -> None:
        guide = request.sampling.guided_decoding
        if guide is not None and self.args.guided_decoding_backend is None:
            request.device = Refusing("Request has guided decoding params, but the guided decoding backend is not configured.")
        elif guide is not None and guide.structural_tag and self.args.guided_decoding_backend != "xgrammar":
            request.device = Refusing("Structural tags need the xgrammar backend.")
        elif len(request.prompt_token_ids) > self._longest_prompt():
            longest = self._longest_prompt()
            request.device = Refusing(f"Prompt length ({len(request.prompt_token_ids)}) exceeds maximum input length ({longest}).")
        elif request.sampling.logprobs and not self._pytorch and not self.args.build_config.gather_generation_logits:
            request.device = Refusing("The engine was not built with gather_generation_logits.")

    def _prepared(self, sampling: Any) -> Any:
        if sampling is None:
            sampling = SamplingParams()
        if not isinstance(sampling, SamplingParams):
            raise TypeError(f"The sampling_params must be type SamplingParams or None, but got {type(sampling)}")
        if sampling.end_id is None:
            if self.tokenizer is None:
                raise ValueError("tokenizer is required to reset end_id if it is None, or you can explicitly specify the end_id")
            pad = self.tokenizer.pad_token_id
            sampling.end_id = self.tokenizer.eos_token_id
            sampling.pad_id = sampling.end_id if pad is None else pad
            for name in ("stop", "bad"):
                texts = getattr(sampling, name)
                if texts is not None:
                    listed = [texts] if isinstance(texts, str) else texts
                    setattr(sampling, f"_{name}_word_ids", [self.tokenizer.encode(text, add_special_tokens=False) for text in listed])
        if sampling.stop is not None and sampling._stop_word_ids is None:
            raise RuntimeError(f"SamplingParams.stop ({sampling.stop}) is not processed by tokenizer, please call the setup method.")
        if not self._pytorch and isinstance(sampling.logits_processor, list):
            raise TypeError("a list of logits processors works on the PyTorch backend only")
        sampling._stream_interval = sampling._stream_interval or (self.args.stream_interval if self._pytorch else 1)
        sampling.return_perf_metrics = sampling.return_perf_metrics or self.args.return_perf_metrics
        return sampling

    def _prompt(self, inputs: Any, sampling: Any) -> tuple[str | None, list[int]]:
        if isinstance(inputs, str):
            inputs = {"prompt": inputs}
        elif isinstance(inputs, list) and all(isinstance(token, int) for token in inputs):
            inputs = {"prompt_token_ids": inputs}
        if isinstance(inputs, Mapping) and "prompt_token_ids" in inputs:
            return None, list(inputs["prompt_token_ids"])
        if not isinstance(inputs, Mapping) or not isinstance(inputs.get("prompt"), str):
            raise TypeError(f"The inputs must be type str or list of int, but got {type(inputs)}")
        if self.tokenizer is None:
            raise ValueError("tokenizer is required to tokenize string prompt")
        cut = {"truncation": True, "max_length": sampling.truncate_prompt_tokens} if sampling.truncate_prompt_tokens else {}
        return inputs["prompt"], self.tokenizer.encode(inputs["prompt"], add_special_tokens=sampling.add_special_tokens, **cut)

    _pytorch = False

    def _check(self, length: int, sampling: Any) -> None:
        raise NotImplementedError

    def _max_seq_len(self) -> int:
        raise NotImplementedError

    def _longest_prompt(self) -> int:
        raise NotImplementedError

    def get_stats(self, timeout: float | None = 2) -> list[dict[str, Any]]:
        assert self._executor is not None
        return self._executor.stats() if not self._pytorch or self.args.enable_iter_perf_stats else []

    async def _stats(self) -> Any:
        for entry in self.get_stats():
            yield entry

    def get_stats_async(self, timeout: float | None = 2) -> Any:
        return self._stats()

    def get_kv_cache_events(self, timeout: float | None = 2) -> list[dict[str, Any]]:
        raise NotImplementedError("the stand-in keeps no KV cache events")

    def get_kv_cache_events_async(self, timeout: float | None = 2) -> Any:
        raise NotImplementedError("the stand-in keeps no KV cache events")

    def shutdown(self) -> None:
        if getattr(self, "_executor", None) is not None:
            assert self._executor is not None
            self._executor.shutdown()
            self._executor = None
            log("shutdown", cls=type(self).__name__, model=str(self.args.model))
        self._release()

    def _release(self) -> None:
        held, self._held_mb = getattr(self, "_held_mb", 0.0), 0.0
        Memory.give(held)

    def _standin_busy_slots(self) -> int:
        """Requests that the runtime still works on, those nobody reads any more included."""
        return self._executor.busy() if self._executor is not None else 0

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *raised: object) -> bool:
        self.shutdown()
        return False

    def __getstate__(self) -> Any:
        raise RuntimeError("LLM object can not be pickled.")

    def __del__(self) -> None:
        self.shutdown()


class _TrtLLM(BaseLLM):
    """The engine's."""

    _args_class = TrtLlmArgs

    def __init__(  # noqa: PLR0917 - as the record has it
        self,
        model: Any,
        tokenizer: Any = None,
        tokenizer_mode: Any = "auto",
        skip_tokenizer_init: bool = False,
        trust_remote_code: bool = False,
        tensor_parallel_size: int = 1,
        dtype: str = "auto",
        revision: str | None = None,
        tokenizer_revision: str | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("backend") in ("pytorch", "_autodeploy"):
            raise NotImplementedError("what _tensorrt_engine.LLM does with another backend is not in the record")
        self._begin(model, _named(locals()), kwargs)

    def _start(self) -> None:
        folder = build.model_folder(self.args)
        self._workspace = Path(tempfile.mkdtemp(suffix="-llm-workspace", dir=self.args.workspace))
        weakref.finalize(self, shutil.rmtree, self._workspace, ignore_errors=True)
        if self.args.model_format != "engine":
            folder = build.built(self.args, folder, self._workspace)
        if self.args.guided_decoding_backend not in (None, "xgrammar"):
            raise ValueError(f"Unsupported guided decoding backend {self.args.guided_decoding_backend}")
        self._engine_dir = folder
        self.args.model = folder
        slots = self.args.max_batch_size or self.args.build_config.max_batch_size
        reuse = self.args.kv_cache_config.enable_block_reuse and self.args.build_config.plugin_config.use_paged_context_fmha
        self._run(folder, slots, reuse and os.environ.get("FORCE_DETERMINISTIC", "0") != "1")

    def _in_process(self) -> bool:
        wants_context = self.args.build_config is not None and self.args.build_config.gather_context_logits
        return super()._in_process() or (self.args.world_size == 1 and wants_context)

    @property
    def workspace(self) -> Path:
        return self._workspace  # type: ignore[no-any-return]

    def save(self, engine_dir: str) -> None:
        if self._engine_dir is None:
            raise RuntimeError("The engine is not built yet.")
        target = Path(engine_dir)
        log("save", target=str(target), source=str(self._engine_dir))
        if self._engine_dir.absolute() == target.absolute():
            return
        wanted = section("save")
        files = sorted(self._engine_dir.rglob("*"))
        target.mkdir(parents=True, exist_ok=True)
        for index, path in enumerate(files):
            if wanted.get("fail") and index >= len(files) * wanted.get("at", 0.5):
                fail(wanted["fail"])
            goal = target / path.relative_to(self._engine_dir)
            goal.mkdir(exist_ok=True) if path.is_dir() else shutil.copy2(path, goal)

    def _max_seq_len(self) -> int:
        return int(self.args.build_config.max_seq_len)

    def _longest_prompt(self) -> int:
        most = self._max_seq_len() - 1
        return most if self.args.enable_chunked_prefill else min(most, self.args.max_num_tokens or self.args.build_config.max_num_tokens)

    def _check(self, length: int, sampling: Any) -> None:
        made = self.args.build_config
        if not self.args.enable_chunked_prefill and length + (sampling.max_tokens or 0) > made.max_seq_len:
            raise ValueError(
                f"The sum of prompt length ({float(length)}) and query length (0) max_tokens ({sampling.max_tokens})"
                f" should not exceed max_seq_len ({made.max_seq_len})"
            )
        name = "n" if sampling.n == sampling.best_of else "best_of"
        if sampling.use_beam_search and sampling.best_of > (self.args.max_beam_width or made.max_beam_width):
            raise ValueError(f"sampling_params.{name} ({sampling.best_of}) cannot exceed max_beam_width ({made.max_beam_width})")
        most = self.args.max_batch_size or made.max_batch_size
        if not sampling.use_beam_search and sampling.best_of > most:
            raise ValueError(f"sampling_params.{name} ({sampling.best_of}) cannot exceed max_batch_size ({most})")
        if sampling.prompt_logprobs and not made.gather_context_logits:
            raise ValueError(f"`sampling_params's prompt_logprobs={sampling.prompt_logprobs}` requires `gather_context_logits=True`")
        if sampling.logprobs and not self.args.gather_generation_logits:
            raise ValueError(f"`sampling_params.logprobs={sampling.logprobs}` requires `gather_generation_logits=True`")


class LLM(BaseLLM):
    """PyTorch's."""

    _args_class = TorchLlmArgs
    _pytorch = True

    def __init__(  # noqa: PLR0917 - as the record has it
        self,
        model: Any,
        tokenizer: Any = None,
        tokenizer_mode: Any = "auto",
        skip_tokenizer_init: bool = False,
        trust_remote_code: bool = False,
        tensor_parallel_size: int = 1,
        dtype: str = "auto",
        revision: str | None = None,
        tokenizer_revision: str | None = None,
        **kwargs: Any,
    ) -> None:
        refused = [key for key in kwargs if key in RECORD["llm"]["pytorch"]["refused"]]
        if refused and ERA == "engine":
            raise ValueError(
                f"The following arguments are specific to TensorRT backend and cannot be used with PyTorch backend: {refused}.\n"
                "Please use 'from tensorrt_llm._tensorrt_engine import LLM' instead to use the TensorRT backend."
            )
        if kwargs.get("backend", "pytorch") != "pytorch":
            if ERA == "engine":
                raise AssertionError("the PyTorch class met an engine directory")
            raise ValueError(f"Invalid backend {kwargs['backend']!r}: the TensorRT backend has been removed; leave `backend` out.")
        self._begin(model, _named(locals()), kwargs)

    def _start(self) -> None:
        folder = build.model_folder(self.args)
        build.check_model(folder)
        self.args.model = folder
        self._run(folder, self.args.max_batch_size, self.args.kv_cache_config.enable_block_reuse)

    def _max_seq_len(self) -> int:
        config = build.check_model(Path(self.args.model))
        return int(self.args.max_seq_len or config.get("max_position_embeddings", 2048))

    def _longest_prompt(self) -> int:
        most = self._max_seq_len() - 1
        return most if self.args.enable_chunked_prefill else min(most, self.args.max_num_tokens or most)

    def _check(self, length: int, sampling: Any) -> None:
        if sampling.use_beam_search and sampling.best_of > self.args.max_beam_width:
            raise ValueError(f"sampling_params.best_of ({sampling.best_of}) cannot exceed max_beam_width ({self.args.max_beam_width})")


def _shut(reference: Any) -> None:
    llm = reference()
    if llm is not None:
        llm.shutdown()


def _named(given: dict[str, Any]) -> dict[str, Any]:
    return {name: given[name] for name in _NAMES}


_NAMES = tuple(entry["name"] for entry in RECORD["llm"]["pytorch"]["constructor"] if entry["name"] != "model")
