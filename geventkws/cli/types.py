"""Parses the values of options: functions that raise ``click.BadParameter``."""

from __future__ import annotations

from typing import Any

import click

from geventkws.cli.reference import Reference


def reference(value: Any) -> Reference:
    """Return the reference ``"module:name"``."""
    try:
        return value if isinstance(value, Reference) else Reference.parse(str(value))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def service(value: Any) -> tuple[str, Reference]:
    """Return the path and the reference in ``"/path=module:Service"``."""
    if isinstance(value, tuple):
        return value
    path, _, text = str(value).partition("=")
    if not path or not text:
        raise click.BadParameter(f"{value!r} is not PATH=MODULE:SERVICE, such as /chat=chat:ChatService")
    return path, reference(text)


def certificate(value: Any) -> tuple[str, tuple[str, str | None]]:
    """Return the name, and the files of the certificate and the key, in ``"name=cert,key"``."""
    if isinstance(value, tuple):
        return value
    name, _, files = str(value).partition("=")
    certfile, _, keyfile = files.partition(",")
    if not name or not certfile:
        raise click.BadParameter(f"{value!r} is not NAME=CERT,KEY, such as www.example.org=cert.pem,key.pem")
    return name, (certfile, keyfile or None)
