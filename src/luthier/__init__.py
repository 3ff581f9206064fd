"""Luthier: tune a language model to your work, prove that it got better, serve it, and keep it in tune."""

__version__ = "0.1.0"
