"""Build the Lambda artifact: `build_lambda.py FOLDER`, run by the Python version that Lambda has.

The packages are installed from wheels for Lambda's Linux, whatever this machine runs. Files that no
invocation imports are removed, and bytecode is added, so that a cold start does not compile anything.
"""

import compileall
import py_compile
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PYTHON = (3, 13)  # the `Runtime` in template.yaml
LIMIT_MB = 200  # Lambda's limit is 250
ROOT = Path(__file__).resolve().parent.parent

# The packages of requirements/core.txt that the handlers import, directly or not. tokenizers needs
# huggingface-hub only for downloads. onnxruntime needs flatbuffers, packaging and protobuf only to convert
# models. rich and typer are for the command line.
PACKAGES = [
    *("backports-zstd", "boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"),
    *("numpy", "onnxruntime", "tokenizers"),
]
# From Amazon Linux 2023, which Lambda's Python runs on, down to the oldest platform with wheels.
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in (34, 28, 27, 26, 24, 17)] + ["manylinux2014_x86_64"]

UNUSED = [
    "bin",
    "boto3/examples",
    "numpy/**/tests",
    "numpy/_core/include",
    "numpy/_core/lib",
    "numpy/_pyinstaller",
    "numpy/f2py",
    "numpy/random/_examples",
    "numpy/random/lib",
    "onnxruntime/backend",
    "onnxruntime/capi/libonnxruntime.so*",  # for C programs; the Python module contains its own copy
    "onnxruntime/datasets",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/transformers",
    "reviewbox/cli",
    "reviewbox/local",
    "reviewbox/stack",
    "**/*.pyi",
    "**/*.pxd",
]
SERVICES = ["s3", "sqs", "sts"]  # sts: the credentials of an assumed role
MODEL = ["model.onnx", "tokenizer.json", "config.json"]
MODEL_EXTRA = ["bundle.json"]  # optional for other models


def main() -> None:
    """Build the artifact in the folder named on the command line."""
    if sys.version_info[:2] != PYTHON:
        needed, this = (".".join(map(str, version[:2])) for version in (PYTHON, sys.version_info))
        sys.exit(f"build_lambda.py: Lambda needs the bytecode of Python {needed}, but this is Python {this}")
    if len(sys.argv) != 2 or not sys.argv[1]:  # noqa: PLR2004 - the script and the folder
        sys.exit("usage: build_lambda.py FOLDER (or make build)")
    folder = Path(sys.argv[1]).resolve()
    if folder.is_dir() and any(folder.iterdir()):
        sys.exit(f"build_lambda.py: {folder} is not empty")
    missing = [name for name in MODEL if not (ROOT / "model" / name).is_file()]
    if missing:
        sys.exit(f"build_lambda.py: missing in model/: {', '.join(missing)}")
    install_packages(folder)
    copy_ours(folder)
    trim(folder)
    compile_bytecode(folder)
    report(folder)


def install_packages(folder: Path) -> None:
    """Install PACKAGES with the versions and hashes of requirements/core.txt."""
    # An entry is a line that starts with the name of a package, and the indented lines after it.
    pins = (ROOT / "requirements/core.txt").read_text()
    entries = re.findall(r"^([\w.-]+)(.*\n(?:[ \t].*\n)*)", pins, re.MULTILINE)
    if unknown := sorted(set(PACKAGES) - {name for name, _ in entries}):
        sys.exit(f"build_lambda.py: missing in requirements/core.txt: {', '.join(unknown)}")
    wanted = [name + rest for name, rest in entries if name in PACKAGES]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        requirements.write("".join(wanted))
        requirements.flush()
        options = ["--require-hashes", "--no-deps", "--only-binary=:all:", "--no-compile"]
        options += [f"--platform={platform}" for platform in PLATFORMS]
        options += ["--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]
        command = [sys.executable, "-m", "pip", "install", *options]
        subprocess.run([*command, "--target", folder, "--requirement", requirements.name], check=True)  # noqa: S603


def copy_ours(folder: Path) -> None:
    """Copy our code and the model next to the packages."""
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src/reviewbox", folder / "reviewbox", ignore=skip)
    shutil.copytree(ROOT / "handlers", folder / "handlers", ignore=skip)
    (folder / "model").mkdir()
    for name in [*MODEL, *MODEL_EXTRA]:
        if (ROOT / "model" / name).is_file():
            shutil.copy(ROOT / "model" / name, folder / "model")


def trim(folder: Path) -> None:
    """Remove the files that no invocation needs. Licenses stay."""
    for pattern in UNUSED:
        for path in sorted(folder.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    for data in (folder / "botocore/data", folder / "boto3/data"):
        for service in data.iterdir():
            if service.is_dir() and service.name not in SERVICES:
                shutil.rmtree(service)


def compile_bytecode(folder: Path) -> None:
    """Add bytecode for every module. It stays valid when the upload changes modification times."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    # Tracebacks show the paths that files have in Lambda.
    lambda_paths = {"stripdir": str(folder), "prependdir": "/var/task"}
    if not compileall.compile_dir(folder, quiet=1, invalidation_mode=mode, **lambda_paths):
        sys.exit("build_lambda.py: some modules do not compile")


def report(folder: Path) -> None:
    """Print the size of the artifact. Exit with an error if it exceeds the limit."""
    megabytes = sum(path.stat().st_size for path in folder.rglob("*")) / 1e6
    print(f"{folder}: {megabytes:.0f} MB of {LIMIT_MB}")
    if megabytes > LIMIT_MB:
        sys.exit("build_lambda.py: the artifact is too large for Lambda")


if __name__ == "__main__":
    main()
