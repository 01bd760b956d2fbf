"""Everything that the package needs when it runs has a licence that a user of any kind can live with."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS = ("cli", "centrifuge", "django", "flask", "gunicorn", "metrics", "redis", "testing")
"""What a user may install; the other extras are for work on the project."""

ACCEPTED = re.compile(r"\b(MIT|BSD|Apache|PSF|ZPL)\b")
"""Licences that ask for no more than a notice."""

REFUSED = re.compile(r"\bA?GPL|General Public License|proprietary|commercial", re.IGNORECASE)


def licence(name: str) -> str:
    """Return what a distribution says of its licence: an SPDX expression, or else classifiers or words."""
    metadata = distribution(name).metadata
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    classified = [each for each in metadata.get_all("Classifier", []) if each.startswith("License ::")]
    words = metadata["License"].partition("\n")[0] if "License" in metadata else ""
    return " ".join(classified) or words


def needed_by(requirement: Requirement, found: dict[str, str]) -> None:
    """Add what is installed for a requirement, and all that this needs, to ``found`` with its licence."""
    for extra in requirement.extras or {""}:
        key = f"{canonicalize_name(requirement.name)}[{extra}]"
        if key in found:
            continue
        found[key] = licence(requirement.name)
        for text in distribution(requirement.name).requires or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                needed_by(needed, found)


def test_licences_of_what_users_install_are_accepted() -> None:
    found: dict[str, str] = {}
    try:
        needed_by(Requirement(f"geventkws[{','.join(EXTRAS)}]"), found)
    except PackageNotFoundError as error:
        raise AssertionError(f"{error.name} is needed, and not installed") from error
    assert len(found) > 30
    wrong = {name: said for name, said in found.items() if not ACCEPTED.search(said) or REFUSED.search(said)}
    assert wrong == {}
