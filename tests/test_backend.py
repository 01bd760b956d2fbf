"""How a module is replaced by its compiled form."""

from __future__ import annotations

from typing import Any

import pytest

from geventkws import backend


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "BACKEND", "compiled")


@pytest.mark.usefixtures("compiled")
def test_a_compiled_form_that_is_missing_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ImportError, match=r"geventkws\.loop\.workers .*GEVENTKWS_PURE=1"):
        backend.use_compiled("geventkws.loop.workers", {})


@pytest.mark.usefixtures("compiled")
def test_in_the_compiled_form_itself_nothing_is_replaced() -> None:
    names: dict[str, Any] = {"kept": 1}
    backend.use_compiled("geventkws.loop._c_workers", names)
    assert names == {"kept": 1}


def test_nor_is_anything_on_the_readable_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "BACKEND", "pure")
    names: dict[str, Any] = {"kept": 1}
    backend.use_compiled("geventkws.loop.channel", names)
    assert names == {"kept": 1}
