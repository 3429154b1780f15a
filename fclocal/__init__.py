"""Function calls you can trust from local GGUF models."""

__version__ = "0.1.0"
