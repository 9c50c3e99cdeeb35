"""Build what Lambda runs: `build_lambda.py FOLDER`, under the Python that Lambda has.

Packages come as wheels for Lambda's Linux, whatever this machine is; what no invocation imports is
left out, and bytecode is put in, so that no cold start has to compile.
"""

import compileall
import py_compile
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PYTHON = (3, 13)  # the Runtime in template.yaml
LIMIT_MB = 200  # Lambda's own is 250
ROOT = Path(__file__).resolve().parent.parent

# What the imports reach, of the packages in requirements/core.txt and by their names there. tokenizers
# needs huggingface-hub only to download, onnxruntime needs flatbuffers, packaging and protobuf only to
# convert models.
PACKAGES = [
    *("backports-zstd", "boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"),
    *("numpy", "onnxruntime", "tokenizers"),
    *("arro3-core", "arro3-io", "python-calamine"),
]
# From Amazon Linux 2023, which Lambda's Python runs on, down to the oldest platform of current wheels.
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
    "onnxruntime/capi/libonnxruntime.so*",  # for C programs; Python's module has its own copy inside
    "onnxruntime/datasets",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/transformers",
    "reviewbox/__main__.py",
    "reviewbox/cli",
    "reviewbox/console",
    "reviewbox/local",
    "reviewbox/report",
    "reviewbox/stack",
    "**/*.pyi",
    "**/*.pxd",
]
SERVICES = ["events", "s3", "sqs", "sts"]  # sts: credentials of an assumed role
MODEL = ["model.onnx", "tokenizer.json", "config.json"]
MODEL_EXTRA = ["bundle.json"]  # a model of your own may lack it


def main() -> None:
    """Fill the folder named on the command line."""
    if sys.version_info[:2] != PYTHON:
        needed, this = (".".join(map(str, version[:2])) for version in (PYTHON, sys.version_info))
        sys.exit(f"build_lambda.py: Lambda runs the bytecode of Python {needed}; this is {this}")
    if len(sys.argv) != 2 or not sys.argv[1]:  # noqa: PLR2004 - its name and the folder
        sys.exit("usage: build_lambda.py FOLDER (or make build)")
    folder = Path(sys.argv[1]).resolve()
    if folder.is_dir() and any(folder.iterdir()):
        sys.exit(f"build_lambda.py: {folder} is not empty")
    missing = [name for name in MODEL if not (ROOT / "model" / name).is_file()]
    if missing:
        sys.exit(f"build_lambda.py: model/ lacks {', '.join(missing)}")
    install_packages(folder)
    copy_ours(folder)
    trim(folder)
    compile_bytecode(folder)
    report(folder)


def install_packages(folder: Path) -> None:
    """Install PACKAGES as requirements/core.txt pins them, hashes checked."""
    # One entry is a line that names a package and the indented lines after it.
    pins = (ROOT / "requirements/core.txt").read_text()
    entries = re.findall(r"^([\w.-]+)(.*\n(?:[ \t].*\n)*)", pins, re.MULTILINE)
    if unknown := sorted(set(PACKAGES) - {name for name, _ in entries}):
        sys.exit(f"build_lambda.py: requirements/core.txt has no {', '.join(unknown)}")
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
    """Copy our code and the model beside the packages."""
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src/reviewbox", folder / "reviewbox", ignore=skip)
    shutil.copytree(ROOT / "handlers", folder / "handlers", ignore=skip)
    (folder / "model").mkdir()
    for name in [*MODEL, *MODEL_EXTRA]:
        if (ROOT / "model" / name).is_file():
            shutil.copy(ROOT / "model" / name, folder / "model")


def trim(folder: Path) -> None:
    """Remove what no invocation needs. Licenses stay."""
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
    """Put bytecode beside every module, valid whatever timestamps the upload leaves behind."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    # Tracebacks should name files where Lambda has them.
    lambda_paths = {"stripdir": str(folder), "prependdir": "/var/task"}
    if not compileall.compile_dir(folder, quiet=1, invalidation_mode=mode, **lambda_paths):
        sys.exit("build_lambda.py: not everything compiles")


def report(folder: Path) -> None:
    """Print the size; fail over the limit."""
    megabytes = sum(path.stat().st_size for path in folder.rglob("*")) / 1e6
    print(f"{folder}: {megabytes:.0f} MB of {LIMIT_MB}")
    if megabytes > LIMIT_MB:
        sys.exit("build_lambda.py: too large for Lambda")


if __name__ == "__main__":
    main()
