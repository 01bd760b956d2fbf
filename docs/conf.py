"""How Sphinx builds the documentation: ``make docs``."""

from __future__ import annotations

import os

# The reference is made from the readable sources: only they have docstrings of attributes.
os.environ["GEVENTKWS_PURE"] = "1"

from geventkws import (
    ConnectionClosed,
    QueryParameters,
    Request,
    WebSocketCloseReasonCode,
    WebSocketConnection,
)
from geventkws.protocol.headers import Headers
from geventkws.testing import Client, ConnectionRefused, RunningServer, ServiceClient
from geventkws.version import __version__

project = "geventkws"
copyright = "The geventkws authors, Apache-2.0"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = "geventkws"
html_static_path = ["style"]
html_css_files = ["pictures.css"]
html_favicon = "../examples/chat/static/icon.svg"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f5fc4", "color-brand-content": "#1f5fc4"},
    "dark_css_variables": {"color-brand-primary": "#8ab4ff", "color-brand-content": "#8ab4ff"},
}
html_show_sourcelink = False
html_copy_source = False
copybutton_exclude = ".linenos, .gp, .go"

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
maximum_signature_line_length = 80
python_use_unqualified_type_names = True

MADE_BY_THE_SERVER = (
    Client,
    ConnectionClosed,
    ConnectionRefused,
    Headers,
    QueryParameters,
    Request,
    RunningServer,
    ServiceClient,
    WebSocketCloseReasonCode,
    WebSocketConnection,
)
"""Classes whose instances are given to users, who never call the constructors."""


def hide_constructor(app, what, name, obj, options, signature, return_annotation):
    """Leave the constructor's arguments out of the reference (the event ``autodoc-process-signature``)."""
    return ("", None) if obj in MADE_BY_THE_SERVER else None


def setup(app):
    app.connect("autodoc-process-signature", hide_constructor)
