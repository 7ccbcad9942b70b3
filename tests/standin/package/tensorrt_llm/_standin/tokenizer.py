"""The wrapper that the library puts around a Hugging Face tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class TransformersTokenizer:
    """``tokenizer`` is the wrapped one."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    @classmethod
    def from_pretrained(cls, folder: str, **options: Any) -> TransformersTokenizer:
        if (Path(folder) / "tokenizer.json").is_file():
            from transformers import PreTrainedTokenizerFast

            return cls(PreTrainedTokenizerFast.from_pretrained(folder))
        from transformers import AutoTokenizer

        return cls(AutoTokenizer.from_pretrained(folder, **options))

    @property
    def eos_token_id(self) -> int | None:
        return self.tokenizer.eos_token_id  # type: ignore[no-any-return]

    @property
    def pad_token_id(self) -> int | None:
        return self.tokenizer.pad_token_id  # type: ignore[no-any-return]

    def encode(self, text: str, *args: Any, **kwargs: Any) -> list[int]:
        return list(self.tokenizer.encode(text, *args, **kwargs))

    def decode(self, token_ids: list[int], *args: Any, **kwargs: Any) -> str:
        return str(self.tokenizer.decode(token_ids, *args, **kwargs))

    def apply_chat_template(self, conversation: Any, *args: Any, **kwargs: Any) -> Any:
        return self.tokenizer.apply_chat_template(conversation, *args, **kwargs)

    def get_chat_template(self, chat_template: str | None = None, tools: Any = None) -> str:
        return str(self.tokenizer.get_chat_template(chat_template, tools))

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return list(self.tokenizer.convert_ids_to_tokens(ids))


def wrapped(given: Any, **options: Any) -> TransformersTokenizer:
    """A path, a Hugging Face tokenizer, or a wrapper: the wrapper."""
    if isinstance(given, TransformersTokenizer):
        return given
    if isinstance(given, (str, Path)):
        return TransformersTokenizer.from_pretrained(str(given), **options)
    return TransformersTokenizer(given)
