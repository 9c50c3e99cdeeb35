"""What is fuzzed: a check for each kind of input, which raises if the check fails."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.fuzz.documents import check_document
from tests.fuzz.events import check_event
from tests.fuzz.model_folders import check_model_folder
from tests.fuzz.service import check_batch, check_keys, check_plan, check_receipt
from tests.fuzz.settings import check_settings
from tests.fuzz.tables import check_table
from tests.fuzz.work import check_work

# The cases in the repository, and those that a fuzzer has added on this machine, in a folder for each target.
CORPUS = Path(__file__).parent / "corpus"
GROWN_CORPUS = Path("build/fuzz/corpus")

_PROPERTY: Any = check_table  # whose examples the fuzzer generates, too

TARGETS: Mapping[str, Callable[[bytes], object]] = {
    "documents": check_document,
    "work": check_work,
    "tables": _PROPERTY.hypothesis.fuzz_one_input,
    "batches": check_batch,
    "events": check_event,
    "receipts": check_receipt,
    "plans": check_plan,
    "keys": check_keys,
    "settings": check_settings,
    "model_folders": check_model_folder,
}
