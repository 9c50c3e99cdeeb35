from pathlib import Path

import pytest

from reviewbox.errors import ErrorCode

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("code", ErrorCode)
def test_the_readme_says_what_to_do_about_each_error(code: ErrorCode) -> None:
    assert f"`{code}`" in README
