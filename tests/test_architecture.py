"""The rules of the architecture."""

import ast
import re
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

import reviewbox

ROOT = Path(__file__).parent.parent
PACKAGE = Path(reviewbox.__file__).parent  # of the installed wheel, if that is what is tested
MODULES = sorted(PACKAGE.rglob("*.py"))
OUTER = {"cli", "console", "local", "stack"}
STARTER = "__main__.py"  # starts the command line
CORE = [path for path in MODULES if not {*OUTER, STARTER} & set(path.relative_to(PACKAGE).parts)]

# The only modules that may import a library that does I/O or depends on the machine.
OWNERS = {
    "boto3": ("storage.py", "queue.py", "event_bus.py", "stack/", "local/"),
    "botocore": ("storage.py", "queue.py", "event_bus.py", "stack/", "local/"),
    "tokenizers": ("model/windows.py",),
    "onnxruntime": ("model/inference.py",),
    "moto": ("local/",),
    "samtranslator": ("local/",),
    "typer": ("cli/",),
    "rich": ("cli/",),
    "pyarrow": ("cli/",),
    "arro3": ("documents/formats/parquet/", "catalog/parquet.py"),
    "subprocess": ("documents/formats/parquet/decoding.py",),
    "python_calamine": ("documents/formats/xlsx/",),
}


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@cache
def imports(path: Path) -> set[str]:
    """Return the names of all modules that a module imports, except for type checking only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative name"
            found.add(str(node.module))
    return found


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_an_io_library_is_imported_by_its_own_modules_only(path: Path) -> None:
    libraries = {name.partition(".")[0] for name in imports(path)}

    for library in libraries & set(OWNERS):
        assert place(path).startswith(OWNERS[library]), f"{library} is imported by {place(path)}"


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_the_package_does_not_import_handlers(path: Path) -> None:
    assert not {name for name in imports(path) if name.partition(".")[0] == "handlers"}


@pytest.mark.parametrize("path", CORE, ids=place)
def test_the_core_does_not_import_outer_layers(path: Path) -> None:
    assert not {
        name for name in imports(path) if name.startswith(tuple(f"reviewbox.{layer}" for layer in OUTER))
    }


@pytest.mark.parametrize("path", CORE, ids=place)
def test_the_core_does_not_read_the_environment_or_the_clock(path: Path) -> None:
    """Handlers pass in both. Only inference sets variables, to disable the telemetry of onnxruntime.

    A queue and an event bus do not read the clock, but they wait before they send something again.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    clocks = {"time", "datetime"} & {name.partition(".")[0] for name in imports(path)}

    assert clocks <= ({"time"} if place(path) in ("queue.py", "event_bus.py") else set())
    assert "os.getenv" not in names
    assert "os.environ" not in names or place(path) == "model/inference.py"


def test_importing_a_handler_has_no_side_effects() -> None:
    """No client, model or telemetry exists before the first event."""
    handlers = [path.stem for path in (ROOT / "handlers").glob("on_*.py")]
    # One process imports one after the other, because each would have to import boto3.
    check = (
        "import importlib, sys, os, logging\n"
        "before = dict(os.environ)\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(f'handlers.{name}')\n"
        "    found = {'onnxruntime', 'arro3', 'python_calamine'} & set(sys.modules)\n"
        "    assert not found, (name, found)\n"
        "    assert dict(os.environ) == before, name\n"
        "    assert not logging.getLogger().handlers, name\n"
    )

    subprocess.run([sys.executable, "-c", check, *handlers], cwd=ROOT, check=True)  # noqa: S603 - our own code


def test_the_core_and_the_handlers_import_only_what_lambda_ships() -> None:
    shipped = runpy.run_path(str(ROOT / ".ci" / "build_lambda.py"))["PACKAGES"]
    code = [*CORE, *(ROOT / "handlers").glob("*.py")]
    libraries = {name.partition(".")[0] for path in code for name in imports(path)}
    standard = sys.stdlib_module_names | {"compression"}  # new in Python 3.14
    third_party = libraries - standard - {"reviewbox", "handlers"}

    # arro3-core has the module arro3.core, and python-calamine has the module python_calamine.
    assert third_party <= {name.partition("-")[0] for name in shipped} | {
        name.replace("-", "_") for name in shipped
    }


def test_pyproject_and_requirements_name_the_same_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = (ROOT / "requirements" / "core.in").read_text(encoding="utf-8").splitlines()

    def names(requirements: Iterable[str]) -> set[str]:
        return {re.split("[>;]", requirement)[0] for requirement in requirements}

    assert names(project["dependencies"]) == names(line for line in pinned if not line.startswith("#"))
