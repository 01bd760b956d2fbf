from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.toolchain import compile_load_generator


@pytest.fixture(scope="session")
def load(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The load generator, compiled."""
    return compile_load_generator(tmp_path_factory.mktemp("load"))
