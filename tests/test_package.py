"""What users of the installed package see."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

import reviewbox
from reviewbox.cli import app
from reviewbox.model.bundle import shipped_model_dir

ROOT = Path(__file__).parent.parent
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def test_importing_the_package_loads_no_library() -> None:
    check = "import sys, reviewbox; assert not {'numpy', 'onnxruntime', 'boto3'} & sys.modules.keys()"

    subprocess.run([sys.executable, "-c", check], check=True)  # noqa: S603 - our own code


def test_the_package_offers_its_public_names_and_no_others() -> None:
    from reviewbox.model.classifier import Classifier
    from reviewbox.model.verdicts import Verdict

    assert (reviewbox.Classifier, reviewbox.Verdict, reviewbox.__version__) == (Classifier, Verdict, VERSION)
    with pytest.raises(AttributeError, match="Classifer"):
        _ = reviewbox.Classifer  # type: ignore[attr-defined] # a misspelling


def test_the_command_prints_its_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"reviewbox {VERSION}\n"


def test_the_shipped_model_is_complete() -> None:
    names = {path.name for path in shipped_model_dir().iterdir()}

    assert names >= {"model.onnx", "tokenizer.json", "config.json", "bundle.json"}


def test_the_python_example_of_the_readme_prints_what_the_readme_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall("```python\n(.+?)```", readme, re.DOTALL)

    exec(example, {})  # noqa: S102 - our own code

    assert capsys.readouterr().out.strip() == example.rpartition("# ")[2].strip()


@pytest.mark.parametrize(
    ("module", "extra", "command"),
    [
        ("pyarrow", "parquet", ["evaluate", "reviews.parquet"]),
        ("moto", "local", ["demo", "reviews", "--template", "template.yaml"]),
    ],
)
def test_a_missing_optional_library_is_reported_with_the_extra_that_installs_it(
    module: str, extra: str, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reviews.parquet").touch()
    (tmp_path / "template.yaml").touch()
    (tmp_path / "reviews").mkdir()
    (tmp_path / "reviews" / "kettle.txt").touch()
    monkeypatch.chdir(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)

    result = CliRunner().invoke(app, command)

    assert result.exit_code == 2
    assert f"pip install 'reviewbox[{extra}]'" in result.stderr
