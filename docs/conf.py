"""How Sphinx builds the documentation: ``make docs``."""

from __future__ import annotations

from geventkws.version import __version__

project = "geventkws"
copyright = "The geventkws authors, Apache-2.0"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "WebSocket services beside a WSGI application"}

autodoc_member_order = "bysource"
autodoc_typehints = "description"
myst_heading_anchors = 3
