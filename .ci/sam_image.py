"""Choose the image in which `sam local` runs the functions, build it if needed, and print its name.

That is the image of Lambda's Python, if the container engine has it or can pull it. Otherwise it is a
stand-in: a minimal Debian or Ubuntu, whichever this machine runs, with the Python and the runtime client of
`make e2e`. SAM adds Lambda's emulator to both.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SAM_PYTHON = ROOT / ".venv-sam/bin/python"
LAMBDA_PYTHON = ROOT / ".venv-e2e/bin/python"  # with Lambda's runtime client

MISSING = 3  # the exit status if this machine lacks something

# SAM's own name for the image, so that the two agree.
_LAMBDA_IMAGE = """
from samcli.local.docker.lambda_image import LambdaImage, Runtime
print(LambdaImage._INVOKE_REPO_PREFIX + "/" + Runtime.get_image_name_tag("python3.13", "x86_64"))
"""
# What the artifact needs, besides the libraries that Python itself needs.
_PACKAGES = ("ca-certificates", "libgomp1", "libstdc++6")
# Parts of Python that no function imports. tkinter would add the libraries of a desktop.
_UNUSED = ("__pycache__", "_tkinter.*", "config-*", "site-packages", "test", "*.a")
# SAM starts the emulator, and the emulator starts this.
_BOOTSTRAP = """#!/bin/sh
export PYTHONPATH=/var/task:/var/runtime
exec {python} -m awslambdaric "$_HANDLER"
"""


@dataclass(frozen=True, slots=True)
class PackageArchive:
    """Where the packages of a distribution's release are."""

    url: str
    suite: str


class MissingError(Exception):
    """This machine lacks something; the message says what, and what to do."""


def lambda_image() -> str:
    """Return the name of an image that runs Python functions as Lambda does.

    Raises:
        MissingError: there is no container engine, or none of the images is available.
    """
    if not shutil.which("docker"):
        raise MissingError("no container engine: install Docker (on Debian: apt-get install docker.io)")
    if not _succeeds("docker", "version"):
        raise MissingError("the container engine does not run or denies access: start it (dockerd)")
    image = _output(SAM_PYTHON, "-c", _LAMBDA_IMAGE)
    if _succeeds("docker", "image", "inspect", image) or _succeeds("docker", "pull", "--quiet", image):
        return image
    return _stand_in(image)


def _stand_in(lambda_image: str) -> str:
    # SAM derives the name of the image that it runs from the repository, not the tag. So a change to the
    # contents changes the repository's name, and SAM never runs an image that was built from older contents.
    client = next(_site_packages().glob("awslambdaric-*.dist-info")).name
    python = _output(LAMBDA_PYTHON, "-c", "import sys; print(sys.base_prefix, sys.version)")
    contents = f"{Path(__file__).read_text(encoding='utf-8')} {python} {client}"
    name = f"reviewbox-lambda-{hashlib.sha256(contents.encode()).hexdigest()[:12]}:latest"
    if _succeeds("docker", "image", "inspect", name):
        return name
    reason = f"{lambda_image} cannot be pulled, and its stand-in cannot be built"
    if not shutil.which("debootstrap"):
        raise MissingError(f"{reason}: install debootstrap (on Debian: apt-get install debootstrap)")
    if os.geteuid() != 0:
        raise MissingError(f"{reason} without root: run this as root once")
    print(f"{lambda_image} cannot be pulled; building its stand-in {name} takes minutes", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        _build_root(root)
        archive = Path(folder) / "root.tar"
        _run("tar", "--create", f"--file={archive}", f"--directory={root}", ".")
        _run("docker", "import", archive, name)
    return name


def _build_root(folder: Path) -> None:
    """Fill a folder with the files of the stand-in."""
    prefix = Path(_output(LAMBDA_PYTHON, "-c", "import sys; print(sys.base_prefix)"))
    if prefix == Path("/usr"):
        raise MissingError(
            "Python 3.13 is part of the system and cannot be copied: pass another one (make PYTHON313=...)"
        )
    archive = _package_archive()
    packages = ",".join([*_PACKAGES, *_packages(_libraries(prefix))])
    options = ("--variant=minbase", f"--include={packages}")
    _run("debootstrap", *options, archive.suite, folder, archive.url)
    # Python expects its library at the path that it was compiled for.
    ignored = shutil.ignore_patterns(*_UNUSED)
    shutil.copytree(prefix, folder / prefix.relative_to("/"), symlinks=True, ignore=ignored)
    runtime = folder / "var/runtime"
    shutil.copytree(_site_packages(), runtime, ignore=shutil.ignore_patterns("__pycache__", "pip*"))
    bootstrap = runtime / "bootstrap"
    bootstrap.write_text(_BOOTSTRAP.format(python=prefix / "bin/python3.13"), encoding="utf-8")
    bootstrap.chmod(0o755)


def _site_packages() -> Path:
    return Path(_output(LAMBDA_PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))"))


def _package_archive() -> PackageArchive:
    """Return the archive of the distribution's release, as apt is configured on this machine."""
    suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
    columns = ("--format", "$(CODENAME) $(REPO_URI)")
    targets = _output("apt-get", "indextargets", *columns, "Created-By: Packages").splitlines()
    urls = [url for codename, url in map(str.split, targets) if codename == suite]
    if not urls:
        raise MissingError(f"apt has no archive for {suite}: run apt-get update")
    return PackageArchive(urls[0], suite)


def _libraries(prefix: Path) -> set[str]:
    """Return the names of the system's libraries that Python and its modules load."""
    modules = [
        *(prefix / "bin").glob("python3.13"),
        *(path for path in prefix.glob("lib/python3.13/lib-dynload/*.so") if not path.match("_tkinter.*")),
    ]
    linked = re.findall(r"=> (/\S+)", _output("ldd", *modules))
    return {Path(path).name for path in linked if not Path(path).is_relative_to(prefix)}


def _packages(libraries: set[str]) -> list[str]:
    """Return the names of the distribution's packages that contain these libraries."""
    found = _output("dpkg-query", "--search", *(f"*/{library}" for library in libraries))
    return sorted({line.split(":")[0] for line in found.splitlines()})


def _run(*command: str | Path) -> None:
    """Run a command with its output in the log of this one."""
    subprocess.run(command, stdout=sys.stderr, check=True)  # noqa: S603


def _succeeds(*command: str | Path) -> bool:
    return not subprocess.run(command, capture_output=True, check=False).returncode  # noqa: S603


def _output(*command: str | Path) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()  # noqa: S603


if __name__ == "__main__":
    try:
        print(lambda_image())
    except MissingError as missing:
        print(f"sam_image.py: {missing}", file=sys.stderr)
        sys.exit(MISSING)
