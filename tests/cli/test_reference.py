"""References to objects: how they are written, and how a wrong one is refused."""

from __future__ import annotations

import re

import pytest

from geventkws.cli.reference import Reference


@pytest.mark.parametrize(
    ("text", "module", "names", "call"),
    [
        ("app:app", "app", ("app",), None),
        ("my.site:App.wsgi", "my.site", ("App", "wsgi"), None),
        ("app:create()", "app", ("create",), ((), {})),
        (
            "app:create('x', -1, [1, {'a': None}], n=2)",
            "app",
            ("create",),
            (("x", -1, [1, {"a": None}]), {"n": 2}),
        ),
    ],
)
def test_a_reference_is_a_module_and_a_name_or_a_call_with_literals(
    text: str, module: str, names: tuple[str, ...], call: object
) -> None:
    reference = Reference.parse(text)
    assert (reference.module, reference.names, reference.call) == (module, names, call)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("app", "write 'app:app'"),
        ("app.py", "write 'app:app'"),
        ("sites/app.py:site", "write 'sites.app:site'"),
        ("app:", "write 'app:app'"),
        ("", "write 'module:app'"),
        ("app:create(", "a call with literals"),
        ("app:create(name)", "a call with literals"),
        ("app:create(**{'a': 1})", "a call with literals"),
        ("app:create()()", "a call with literals"),
        ("app:apps[0]", "a call with literals"),
        ("app:app; import os", "a call with literals"),
    ],
)
def test_anything_but_a_reference_is_refused_with_how_to_write_it(text: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=re.escape(remedy)):
        Reference.parse(text)
