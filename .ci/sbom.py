"""List what is installed in a folder, and check its licenses: `sbom.py FOLDER OUTPUT`.

The list is a software bill of materials in CycloneDX's JSON format. It has no time and no serial number, so
that the same packages give the same bytes.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

# What may be shipped, by SPDX identifier. None of these extends to the application that a package is part of.
ALLOWED = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MPL-2.0", "PSF-2.0"),
    *("Unlicense", "Zlib"),
}
# How packages without a License-Expression call these licenses, in a classifier or in the License field.
SPDX_NAMES = {
    "Apache Software License": "Apache-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
CLASSIFIER = re.compile(r"License :: (?:OSI Approved :: )?(.+)")
# The project itself, and what a virtual environment brings.
IGNORED = {"pip", "reviewbox", "setuptools"}


def main() -> None:
    """Write the list, or fail and name the packages whose licenses are unknown or not allowed."""
    if len(sys.argv) != 3:  # noqa: PLR2004 - its name, the folder and the output
        sys.exit("usage: sbom.py FOLDER OUTPUT (or make build)")
    packages = installed(Path(sys.argv[1]))
    if problems := list(license_problems(packages)):
        sys.exit("\n".join(f"sbom.py: {problem}" for problem in problems))
    Path(sys.argv[2]).write_text(json.dumps(bill_of_materials(packages), indent=2) + "\n", encoding="utf-8")
    print(f"{sys.argv[2]}: {len(packages)} packages, all with allowed licenses")


def installed(folder: Path) -> list[Distribution]:
    """Return the packages in a folder, ordered by name."""
    found = {normalized(package.name): package for package in distributions(path=[str(folder)])}
    return [package for name, package in sorted(found.items()) if name not in IGNORED]


def license_problems(packages: Iterable[Distribution]) -> Iterator[str]:
    """Yield a message for each package whose license is unknown or not allowed."""
    for package in packages:
        expression = license_of(package)
        identifiers = identifiers_in(expression)
        if not expression:
            yield f"{package.name} {package.version}: unknown license; look it up, then extend SPDX_NAMES"
        elif not identifiers <= ALLOWED:
            names = ", ".join(sorted(identifiers - ALLOWED))
            yield f"{package.name} {package.version}: {names} is not allowed; see ALLOWED"


def license_of(package: Distribution) -> str:
    """Return the SPDX expression of a package's license, or "" if it is unknown."""
    metadata = package.metadata
    if expression := metadata.get("License-Expression"):
        return expression
    matches = (CLASSIFIER.fullmatch(line) for line in metadata.get_all("Classifier", []))
    names = [match[1] for match in matches if match and match[1] != "OSI Approved"]
    if not names:
        text = metadata.get("License", "")
        return text if identifiers_in(text) <= ALLOWED else SPDX_NAMES.get(text, "")
    known = [SPDX_NAMES[name] for name in names if name in SPDX_NAMES]
    return " OR ".join(known) if len(known) == len(names) else ""


def identifiers_in(expression: str) -> set[str]:
    """Return the identifiers in an SPDX expression."""
    return set(re.findall(r"[\w.+-]+", expression)) - {"AND", "OR", "WITH"}


def bill_of_materials(packages: Iterable[Distribution]) -> dict[str, Any]:
    """Return the list in CycloneDX's format."""
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "reviewbox", "bom-ref": "reviewbox"}},
        "components": [component(package) for package in packages],
    }


def component(package: Distribution) -> dict[str, Any]:
    """Return the entry of a package."""
    purl = f"pkg:pypi/{normalized(package.name)}@{package.version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "licenses": [{"expression": license_of(package)}],
        "purl": purl,
    }


def normalized(name: str) -> str:
    """Return a package's name as the package index spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main()
