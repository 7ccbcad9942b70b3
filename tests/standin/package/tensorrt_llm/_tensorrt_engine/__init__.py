from .._standin.llm import _TrtLLM as LLM

__all__ = ["LLM"]
