"""Fuzzing: ``python -m fuzzing --help``."""
