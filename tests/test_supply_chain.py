"""What a release contains: a bill of materials, allowed licenses, and a zip file that anyone can build."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parent.parent


def install(folder: Path, name: str, *metadata: str) -> None:
    """Put the metadata of a package into a folder, as pip does."""
    package = folder / f"{name}-1.0.dist-info"
    package.mkdir(parents=True)
    lines = ["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *metadata]
    (package / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")


def run(script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / ".ci" / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own script


@pytest.mark.parametrize(
    ("metadata", "expression"),
    [
        (["License-Expression: MIT OR Apache-2.0"], "MIT OR Apache-2.0"),
        (["Classifier: License :: OSI Approved :: MIT License"], "MIT"),
        (
            [
                "Classifier: License :: OSI Approved",
                "Classifier: License :: OSI Approved :: BSD License",
                "Classifier: License :: OSI Approved :: Apache Software License",
                "License: Dual License",
            ],
            "BSD-3-Clause OR Apache-2.0",
        ),
        (["License: MPL-2.0 AND MIT"], "MPL-2.0 AND MIT"),
        (["License: 3-Clause BSD License"], "BSD-3-Clause"),
    ],
)
def test_the_bill_of_materials_has_each_package_with_its_version_and_license(
    tmp_path: Path, metadata: list[str], expression: str
) -> None:
    install(tmp_path / "site", "Some_Package", *metadata)
    install(tmp_path / "site", "pip", "License: unknown")

    result = run("sbom.py", tmp_path / "site", tmp_path / "sbom.json")

    bill = json.loads((tmp_path / "sbom.json").read_text(encoding="utf-8"))
    assert result.returncode == 0
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    (component,) = bill["components"]
    assert component["purl"] == component["bom-ref"] == "pkg:pypi/some-package@1.0"
    assert (component["name"], component["version"]) == ("Some_Package", "1.0")
    assert component["licenses"] == [{"expression": expression}]


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        (["License-Expression: AGPL-3.0-only"], "AGPL-3.0-only is not allowed"),
        (["License-Expression: MIT AND GPL-2.0-or-later"], "GPL-2.0-or-later is not allowed"),
        (["Classifier: License :: Other/Proprietary License"], "unknown license"),
        (["License: as you like it"], "unknown license"),
        ([], "unknown license"),
    ],
)
def test_a_license_that_is_unknown_or_not_allowed_fails_the_build(
    tmp_path: Path, metadata: list[str], complaint: str
) -> None:
    install(tmp_path / "site", "fine", "License-Expression: MIT")
    install(tmp_path / "site", "strange", *metadata)

    result = run("sbom.py", tmp_path / "site", tmp_path / "sbom.json")

    assert result.returncode == 1
    assert f"strange 1.0: {complaint}" in result.stderr
    assert "fine" not in result.stderr
    assert not (tmp_path / "sbom.json").exists()


def test_the_zip_file_depends_on_names_and_content_only(tmp_path: Path) -> None:
    content = {"handlers/on_upload.py": "import os", "model/config.json": "{}", "z.txt": "last"}
    for build, names in (("first", list(content)), ("second", list(reversed(content)))):
        for age, name in enumerate(names):
            path = tmp_path / build / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content[name], encoding="utf-8")
            path.chmod(0o600 if build == "second" else 0o755)
            os.utime(path, (1_000_000_000 + age, 1_000_000_000 + age))
        run("pack_lambda.py", tmp_path / build, tmp_path / f"{build}.zip")

    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()
    with ZipFile(tmp_path / "first.zip") as archive:
        assert {name: archive.read(name).decode() for name in archive.namelist()} == content
        assert {entry.external_attr >> 16 & 0o777 for entry in archive.infolist()} == {0o644}


def test_an_empty_build_is_not_packed(tmp_path: Path) -> None:
    assert "run make build" in run("pack_lambda.py", tmp_path, tmp_path / "a.zip").stderr


@pytest.mark.parametrize("workflow", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=lambda p: p.name)
def test_every_action_is_pinned_by_its_commit(workflow: Path) -> None:
    used = re.findall(r"uses: (.*)", workflow.read_text(encoding="utf-8"))

    assert used
    assert not [action for action in used if not re.fullmatch(r"\S+@[0-9a-f]{40} # v[\d.]+", action)]


def test_every_pin_has_a_hash() -> None:
    for pins in (ROOT / "requirements").glob("*.txt"):
        entries = re.findall(
            r"^[\w.\[\]-]+(?:==|@).*\n(?:[ \t].*\n?)*", pins.read_text(encoding="utf-8"), re.MULTILINE
        )
        assert entries
        assert not [entry for entry in entries if "--hash=sha256:" not in entry], pins.name
