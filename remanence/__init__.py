"""Remanence: does memory help on your sequence data, what is remembered, and the model put to work."""

__version__ = "0.1.0"
