"""Runs cases again.

python -m tests.fuzz.replay TARGET FILE ...    run cases until one fails, such as one that the fuzzer found
python -m tests.fuzz.replay                    run all cases, those of the fuzzer's own corpus included
"""

import sys
from contextlib import suppress
from pathlib import Path

from tests.fuzz.targets import CORPUS, GROWN_CORPUS, TARGETS


def main() -> None:
    """Run the cases that the arguments name."""
    if len(sys.argv) > 1:
        for name in sys.argv[2:]:
            TARGETS[sys.argv[1]](Path(name).read_bytes())
        return
    for target, check in TARGETS.items():
        for folder in (CORPUS / target, GROWN_CORPUS / target):
            for file in sorted(folder.glob("*")):
                with suppress(Exception):  # a failure was reported when the fuzzer found it
                    check(file.read_bytes())


if __name__ == "__main__":
    main()
