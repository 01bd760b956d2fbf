from __future__ import annotations

from importlib.metadata import version

from geventkws.version import __version__


def test_the_installed_metadata_has_the_version_of_the_package():
    assert version("geventkws") == __version__
