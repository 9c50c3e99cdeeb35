import hashlib
from pathlib import Path

import pytest

from reviewbox.errors import ConflictError
from reviewbox.folder_storage import FolderStorage
from reviewbox.objects import ObjectRef

REF = ObjectRef("reviews", "2026/a.txt")


def digest(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()}"'


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage({"reviews": tmp_path})


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_written_file_is_read_back(storage: FolderStorage, tmp_path: Path) -> None:
    etag = storage.write(REF, b"great", "text/plain", replaces=None)

    source = storage.read(REF, 5)

    assert source is not None
    assert (source.ref, source.body, source.size) == (REF, b"great", 5)
    assert source.revision.etag == etag == digest(b"great")
    assert files(tmp_path) == ["2026/a.txt"]


def test_a_file_that_is_too_large_has_no_body(storage: FolderStorage) -> None:
    storage.write(REF, b"great", "text/plain", replaces=None)

    source = storage.read(REF, 4)

    assert source is not None
    assert (source.body, source.size, source.revision.etag) == (None, 5, digest(b"great"))


def test_a_large_file_is_hashed_once_until_it_changes(tmp_path: Path) -> None:
    """It shows progress, because hashing gigabytes takes a long time."""
    hashed: list[tuple[int, int]] = []
    storage = FolderStorage({"reviews": tmp_path}, lambda done, total: hashed.append((done, total)))
    path, size = tmp_path / "a.csv", 2**24
    path.write_bytes(b"a" * size)

    first = storage.read(ObjectRef("reviews", "a.csv"), 5)
    calls = len(hashed)
    again = storage.revision(ObjectRef("reviews", "a.csv"))
    path.write_bytes(b"b" * (size + 1))
    changed = storage.revision(ObjectRef("reviews", "a.csv"))

    assert first is not None
    assert first.revision == again
    assert hashed[calls - 1] == (size, size)
    assert hashed[-1] == (size + 1, size + 1)
    assert len(hashed) == 2 * calls + 1
    assert changed is not None
    assert changed.etag == digest(b"b" * (size + 1))


@pytest.mark.parametrize(
    "ref",
    [REF, ObjectRef("reviews", "a.txt/b.txt"), ObjectRef("elsewhere", "a.txt"), ObjectRef("reviews", "x")],
)
def test_a_missing_file_has_no_source_and_no_revision(
    storage: FolderStorage, tmp_path: Path, ref: ObjectRef
) -> None:
    (tmp_path / "a.txt").touch()

    assert storage.read(ref, 5) is None
    assert storage.revision(ref) is None


def test_a_touched_file_keeps_its_revision(storage: FolderStorage, tmp_path: Path) -> None:
    storage.write(REF, b"great", "text/plain", replaces=None)
    before = storage.revision(REF)

    (tmp_path / REF.key).touch()

    assert storage.revision(REF) == before


@pytest.mark.parametrize(
    ("present", "replaces"), [(None, digest(b"older")), (b"newer", digest(b"older")), (b"newer", None)]
)
def test_a_file_with_another_etag_is_not_replaced(
    storage: FolderStorage, tmp_path: Path, present: bytes | None, replaces: str | None
) -> None:
    if present:
        storage.write(REF, present, "text/plain", replaces=None)

    with pytest.raises(ConflictError):
        storage.write(REF, b"mine", "text/plain", replaces=replaces)

    assert files(tmp_path) == (["2026/a.txt"] if present else [])


def test_a_file_with_the_expected_etag_is_replaced(storage: FolderStorage) -> None:
    older = storage.write(REF, b"older", "text/plain", replaces=None)

    newer = storage.write(REF, b"newer", "text/plain", replaces=older)

    assert newer == digest(b"newer")
    source = storage.read(REF, 5)
    assert source is not None
    assert source.body == b"newer"
