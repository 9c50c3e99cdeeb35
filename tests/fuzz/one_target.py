"""Fuzzes one target with libFuzzer: python -m tests.fuzz.one_target TARGET [options] [folders]."""

import sys

import atheris

# Only the code under test guides the fuzzer.
with atheris.instrument_imports(include=["reviewbox", "handlers"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Run until libFuzzer stops."""
    name = sys.argv.pop(1)
    check = TARGETS[name]

    def run(case: bytes) -> None:
        check(case)  # libFuzzer accepts no result but None

    atheris.Setup(sys.argv, run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
