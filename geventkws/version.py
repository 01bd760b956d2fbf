"""The version of this package; the package metadata is read from here."""

from __future__ import annotations

__version__ = "0.1.0"

if __name__ == "__main__":
    print(__version__)
