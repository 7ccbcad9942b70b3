__version__ = __import__("tensorrt_llm").__version__
