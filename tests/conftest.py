import functools
import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import hypothesis
import moto.core.models
import pytest
import yaml
from moto import mock_aws
from moto.core.base_backend import BaseBackend
from moto.core.errors import ErrorLookupFactory
from mypy_boto3_s3 import S3Client
from tests.tiny import write_model

from reviewbox.model.classifier import Classifier
from reviewbox.storage import S3Storage

BUCKET = "reviewbox"

# A busy machine makes no difference to the result of a test.
hypothesis.settings.register_profile("reviewbox", deadline=None)
hypothesis.settings.load_profile("reviewbox")

# Garbage collection took a quarter of the time in which pytest collects the tests. What that leaves is in use
# until the end, so it is never looked at again.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def _once_per_class(found: Any) -> property:
    """Return a property that has the same value for all objects of a class."""
    values: dict[type, Any] = {}

    def value(owner: object) -> Any:
        if type(owner) not in values:
            values[type(owner)] = found.fget(owner)
        return values[type(owner)]

    return property(value)


@pytest.fixture(scope="session", autouse=True)
def _libraries_are_fast() -> Iterator[None]:
    """Most of the time of tests with AWS was spent on what the libraries do again and again.

    All sessions of botocore get the data that the first one has parsed, and templates are read with libyaml.
    moto keeps what it finds out about a service, and prepares answers only to botocore, not to requests.
    """
    loader = botocore.session.create_loader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", lambda *_: loader)
        for name in ("Loader", "SafeLoader"):
            patch.setattr(yaml, name, getattr(yaml, f"C{name}", getattr(yaml, name)))
        patch.setattr(moto.core.models, "RESPONSES_METHODS", [])
        patch.setattr(BaseBackend, "urls", _once_per_class(BaseBackend.urls))
        errors = staticmethod(functools.cache(ErrorLookupFactory._create_error_lut))  # noqa: SLF001
        patch.setattr(ErrorLookupFactory, "_create_error_lut", errors)
        yield


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder that takes windows of 16 tokens, and knows good words from bad ones."""
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def classifier(tiny_model: Path) -> Classifier:
    return Classifier.load(tiny_model)


@pytest.fixture(scope="session")
def session(_libraries_are_fast: None) -> boto3.Session:
    """One session for all clients of moto. Making it takes as long as making a client."""
    return boto3.Session()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, session: boto3.Session) -> Iterator[S3Client]:
    """An empty bucket in moto, and no settings or credentials of the real environment."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "REVIEWBOX_"))]:
        monkeypatch.delenv(name)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture
def storage(s3: S3Client) -> S3Storage:
    return S3Storage(s3)
