"""What is checked of a request before and after it is handed to the runtime, and how it is logged."""

from __future__ import annotations

from typing import Any

from .classes import CLASSES, BuildCacheConfig, GuidedDecodingParams, SamplingParams
from .record import RECORD
from .types import Refused, fit, parse

_EXACT = {"int": int, "bool": bool, "str": str}


class Refusing:
    """A device that refuses its request, as the runtime does after it was submitted."""

    def __init__(self, message: str) -> None:
        self._message = message

    def start(self, request: Any, seed: int | None) -> Any:
        raise RuntimeError(self._message)


def only_none(**given: Any) -> None:
    for name, value in given.items():
        if value is not None:
            raise NotImplementedError(f"{name}: the stand-in does not do this")


# Valid, but they would change what a result holds, or which tokens are likely, in ways that are not followed here.
NOT_SIMULATED = (
    "embedding_bias", "apply_batched_logits_processor", "top_p_min", "top_p_reset_ids", "top_p_decay", "beam_search_diversity_rate",
    "prompt_ignore_length", "length_penalty", "early_stopping", "no_repeat_ngram_size", "min_p", "beam_width_array", "prompt_logprobs",
    "return_context_logits", "return_generation_logits", "return_encoder_output", "additional_model_outputs", "lookahead_config",
)  # fmt: skip


def check_types(sampling: Any) -> None:
    """As the bindings do when the request crosses to C++: no conversion from one type to another."""
    for entry in RECORD["classes"]["SamplingParams"]["parameters"]:
        name, value = entry["name"], getattr(sampling, entry["name"])
        wanted = parse(entry["type"])
        plain = wanted.of[0].name if wanted.name == "Optional" else wanted.name
        if value is None and (wanted.name == "Optional" or name == "max_tokens"):
            continue
        exact = plain not in _EXACT or type(value) is _EXACT[plain]
        try:
            fit(wanted, value, CLASSES)
        except Refused:
            exact = False
        if not exact or (plain == "float" and not isinstance(value, (int, float))) or (name == "seed" and value < 0):
            raise TypeError(f"SamplingParams.{name}: incompatible value {value!r} for {entry['type']}")


def shown_as(value: Any) -> Any:
    if isinstance(value, SamplingParams):
        names = [entry["name"] for entry in RECORD["classes"]["SamplingParams"]["parameters"]]
        return {name: shown_as(getattr(value, name)) for name in names if getattr(value, name) not in (None, False)}
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, GuidedDecodingParams):
        return {name: getattr(value, name) for name in type(value).__slots__ if getattr(value, name)}
    if isinstance(value, BuildCacheConfig) or not isinstance(value, (str, int, float, bool, list, dict, type(None))):
        return repr(value)
    return value
