import pytest

from reviewbox.tool_files import is_tool_file


@pytest.mark.parametrize("folder", ["", "incoming/2026/"])
@pytest.mark.parametrize(
    "name",
    [
        "_SUCCESS", "_committed_4711", "_started_4711", "_metadata", "_common_metadata", "export_$folder$",
        ".part-00000.csv.crc", "part-00000.csv.crc", ".DS_Store", "._reviews.csv", "~$book.xlsx",
        "~$letter.doc", ".~lock.book.ods#", "Thumbs.db", "thumbs.DB", "desktop.ini", ".gitkeep", ".keep",
        "_temporary/0/part-00000.csv", "_delta_log/00000000000000000000.json", "__MACOSX/reviews.csv",
    ],
)  # fmt: skip
def test_a_file_that_a_tool_left_is_recognized(folder: str, name: str) -> None:
    assert is_tool_file(folder + name)


@pytest.mark.parametrize(
    "key",
    [
        "incoming/a.csv", "_SUCCESS/a.csv", "success.txt", "my_SUCCESS", "_SUCCESS.csv", "metadata.csv",
        "_metadata.json", "a_committed_1", "crc", ".hidden", "part-00000", "part-00000-c000.snappy.parquet",
        "~$notes.txt", "desktop.ini.txt", "keep.txt", "$folder$.csv", "", "incoming/",
    ],
)  # fmt: skip
def test_any_other_file_may_be_a_source(key: str) -> None:
    assert not is_tool_file(key)
