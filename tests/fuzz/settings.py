"""Any environment gives settings that work, or a SettingsError that names the variables."""

from collections.abc import Mapping

from reviewbox.documents.encoding import is_encoding
from reviewbox.errors import SettingsError
from reviewbox.settings import Settings


def check_settings(case: bytes) -> None:
    """Read settings from the variables of a case, one per line: `NAME=value`."""
    lines = case.decode("utf-8", "surrogateescape").split("\n")
    environ = {f"REVIEWBOX_{name}": value for name, _, value in (line.partition("=") for line in lines)}
    try:
        settings = Settings.from_environ(environ)
    except SettingsError as error:
        message = str(error)
    else:
        _check_valid(settings, environ)
        return
    assert any(name in message for name in environ)


def _check_valid(settings: Settings, environ: Mapping[str, str]) -> None:
    assert settings == Settings.from_environ(environ)
    assert len(settings.digest) == 64
    assert 1 <= settings.read_options.segment_bytes <= settings.read_options.max_bytes
    assert 0 <= settings.needs_review_below <= 1
    assert not settings.fallback_encoding or is_encoding(settings.fallback_encoding)
    own = (settings.results_prefix, settings.work_prefix)
    assert all(prefix.endswith("/") for prefix in own)
    assert settings.results_bucket or not settings.source_prefix.startswith(own)
