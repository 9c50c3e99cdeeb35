"""Zip what `make build` built: `pack_lambda.py FOLDER ZIP`. The same content gives the same bytes.

The order, the times and the permissions of files depend on the machine, so they are fixed here.
"""

import hashlib
import sys
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

FIRST_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file can hold
READABLE = 0o100644  # a file that everybody may read; Lambda runs it as another user


def main() -> None:
    """Write the zip file named on the command line, and print its digest as `sha256sum` does."""
    if len(sys.argv) != 3:  # noqa: PLR2004 - its name, the folder and the zip file
        sys.exit("usage: pack_lambda.py FOLDER ZIP (or make package)")
    folder, target = Path(sys.argv[1]), Path(sys.argv[2])
    target.parent.mkdir(parents=True, exist_ok=True)
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    if not files:
        sys.exit(f"pack_lambda.py: {folder} has no files; run make build")
    with ZipFile(target, "w") as archive:
        for name, path in sorted(files.items()):
            entry = ZipInfo(name, FIRST_TIME)
            entry.external_attr = READABLE << 16
            archive.writestr(entry, path.read_bytes(), ZIP_DEFLATED)
    print(f"{hashlib.sha256(target.read_bytes()).hexdigest()}  {target}")


if __name__ == "__main__":
    main()
