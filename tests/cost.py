"""What work may cost, measured so that whatever else the machine does changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import process_time

LINEAR = 10.0
"""Seconds of computing: many times what linear work takes, and a small part of what quadratic work would."""


@contextmanager
def linear_time() -> Iterator[None]:
    """Fail if the work inside, on input of hostile size, computes for longer than ``LINEAR`` seconds."""
    began = process_time()
    yield
    assert process_time() - began < LINEAR, "it takes more than linear time"
