import gc
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import botocore.hooks
import botocore.httpsession
import botocore.regions
import botocore.session
import hypothesis
import moto.backend_index
import moto.core.models
import pytest
import typer.testing
import yaml
from botocore.client import ClientCreator
from botocore.config import Config
from botocore.endpoint_provider import EndpointProvider
from botocore.utils import parse_timestamp
from moto import mock_aws
from moto.backend_index import backend_url_patterns
from moto.core.base_backend import BaseBackend
from mypy_boto3_s3 import S3Client
from tests.faults.clients import Clock
from tests.faults.s3 import S3, Bucket
from tests.tiny import write_model

from reviewbox.model.classifier import Classifier
from reviewbox.storage import S3Storage

BUCKET = "reviewbox"

# A busy machine makes no difference to the result of a test. `make properties` tries more every night.
hypothesis.settings.register_profile("nightly", deadline=None, max_examples=500)
hypothesis.settings.register_profile("reviewbox", deadline=None, max_examples=25)
hypothesis.settings.load_profile("reviewbox")

# Garbage collection took a quarter of the time in which pytest collects the tests. What that leaves is in use
# until the end, so it is never looked at again. By default, Python looks for garbage after 700 new objects.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


def pytest_sessionfinish() -> None:
    """Find what is left at the end, for instance files that are still open. pytest would look five times."""
    gc.collect()
    gc.freeze()


# Templates are read with libyaml, even by modules that read them while they are imported.
for loader in ("Loader", "SafeLoader"):
    setattr(yaml, loader, getattr(yaml, f"C{loader}", getattr(yaml, loader)))


def _once(make: Callable[..., Any], key: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that caches the results of another, by a key made from the arguments."""
    kept: dict[Any, Any] = {}

    def get(*args: Any, **options: Any) -> Any:
        name = key(*args, **options)
        if name not in kept:
            kept[name] = make(*args, **options)
        return kept[name]

    return get


@pytest.fixture(scope="session", autouse=True)
def _libraries_are_fast() -> Iterator[None]:
    """Most of the time of tests with AWS was spent on what the libraries do repeatedly.

    All sessions of botocore get the data that the first one has parsed, and all clients share what they make
    of it. Typer makes commands once. moto keeps what it finds out about a service, tries the services that
    are used first, and answers botocore alone, not requests.
    """
    loader = botocore.session.create_loader()
    creator: Any = ClientCreator
    urls: Any = BaseBackend.urls
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", lambda *_: loader)
        make_class = _once(creator._create_client_class, lambda _creator, service, _model: service)  # noqa: SLF001
        patch.setattr(creator, "_create_client_class", make_class)
        load_model = _once(creator._load_service_model, lambda _creator, *names: names)  # noqa: SLF001
        patch.setattr(creator, "_load_service_model", load_model)
        aliaser: Any = botocore.hooks.EventAliaser
        name_event = _once(aliaser._alias_event_name, lambda _aliaser, name: name)  # noqa: SLF001
        patch.setattr(aliaser, "_alias_event_name", name_event)
        takes_options = _once(
            botocore.hooks.accepts_kwargs, lambda handler: getattr(handler, "__func__", handler)
        )
        patch.setattr(botocore.hooks, "accepts_kwargs", takes_options)
        make_context = _once(botocore.httpsession.create_urllib3_context, lambda: None)
        patch.setattr(botocore.httpsession, "create_urllib3_context", make_context)
        patch.setattr(typer.testing, "_get_command", _once(typer.main.get_command, lambda app: app))
        find_endpoints = _once(EndpointProvider, lambda **options: id(options["ruleset_data"]))
        patch.setattr(botocore.regions, "EndpointProvider", find_endpoints)
        patch.setattr(BaseBackend, "urls", property(_once(urls.fget, type)))
        patterns = sorted(backend_url_patterns, key=lambda pattern: pattern[0] not in ("s3", "sqs"))
        patch.setattr(moto.backend_index, "backend_url_patterns", patterns)
        patch.setattr(moto.core.models, "RESPONSES_METHODS", [])
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
    """One session for all clients of moto, because making one takes as long as making a client.

    The client has a short name, and equal times are parsed once: the name took a tenth of the time of each
    request, and parsing took a twentieth.
    """
    core = botocore.session.get_session()
    core.set_default_client_config(Config(user_agent="tests"))
    parsers = core.get_component("response_parser_factory")
    parsers.set_parser_defaults(timestamp_parser=cache(parse_timestamp))
    return boto3.Session(botocore_session=core)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, session: boto3.Session) -> Iterator[None]:
    """An empty account in moto, and no settings or credentials of the real environment."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "REVIEWBOX_"))]:
        monkeypatch.delenv(name)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)
        yield


@pytest.fixture
def s3(aws: None) -> S3Client:
    """An empty bucket in moto. Modules that are not about S3 itself have a client of `store` instead."""
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    return client


@pytest.fixture
def store() -> S3:
    """A fake of S3 with an empty bucket. It gives the same answers as moto in a hundredth of the time."""
    return S3(Clock(), buckets={BUCKET: Bucket()})


@pytest.fixture
def storage(s3: S3Client) -> S3Storage:
    return S3Storage(s3)
