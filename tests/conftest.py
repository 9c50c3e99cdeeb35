import gc
import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import botocore.session
import hypothesis
import pytest
import yaml
from moto import mock_aws
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


@pytest.fixture(scope="session", autouse=True)
def _libraries_parse_fast() -> Iterator[None]:
    """Parsing took most of the time of tests with new sessions of botocore, or with stacks in moto.

    All sessions get the data that the first one has parsed, and moto reads templates with libyaml.
    """
    loader = botocore.session.create_loader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", lambda *_: loader)
        patch.setattr(yaml, "Loader", getattr(yaml, "CLoader", yaml.Loader))
        yield


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder that takes windows of 16 tokens, and knows good words from bad ones."""
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def classifier(tiny_model: Path) -> Classifier:
    return Classifier.load(tiny_model)


@pytest.fixture(scope="session")
def session(_libraries_parse_fast: None) -> boto3.Session:
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
