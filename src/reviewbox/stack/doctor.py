"""Checks of an installation and of a deployed stack. Nothing is changed."""

import platform
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

from botocore.exceptions import ClientError

from reviewbox.errors import ReviewboxError
from reviewbox.model.classifier import Classifier
from reviewbox.model.self_check import processor
from reviewbox.stack.aws import AWS_ERRORS, ENDPOINT_ERRORS, explain, has_credentials
from reviewbox.stack.deployment import Connect, Deployment
from reviewbox.stack.finding import Finding, State, judge
from reviewbox.stack.resource_checks import CHECKS

_MIN_PYTHON = (3, 11)
_CHECK_ENDPOINT = "check the region and AWS_ENDPOINT_URL, then try again"


def examine_installation(model: Path | None) -> Iterator[Finding]:
    """Check Python and the model, its digests and its golden reviews."""
    version = platform.python_version()
    remedy = f"install Python {'.'.join(map(str, _MIN_PYTHON))} or newer"
    yield judge("python", version, remedy if sys.version_info < _MIN_PYTHON else "", State.FAILED)
    try:
        bundle = Classifier.load(model).bundle
    except ReviewboxError as error:
        remedy = "install Reviewbox again, or restore the model folder (`git checkout model`)"
        yield Finding("model", State.FAILED, str(error), remedy)
        return
    count = len(bundle.golden)
    golden = f"{count} golden reviews agree on {processor()}" if count else "it has no golden reviews"
    yield Finding("model", State.OK, f"{bundle.folder}: {bundle.digest[:12]}, {golden}")


def examine_stack(name: str, connect: Connect, now: Callable[[], float]) -> Iterator[Finding]:
    """Check the AWS account and a deployed stack.

    `connect` returns a client for an AWS service, and `now` the time in seconds since 1970.
    """
    if not has_credentials():
        remedy = "to check a stack, set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        yield Finding("credentials", State.SKIPPED, "there are no AWS credentials", remedy)
        yield from _skipped(CHECKS, "needs credentials")
        return
    connect = cache(connect)  # making a client takes longer than most requests
    try:
        identity = connect("sts").get_caller_identity()
    except AWS_ERRORS as error:
        remedy = "renew the credentials (`aws sso login`), or select others with AWS_PROFILE"
        if isinstance(error, ENDPOINT_ERRORS):
            remedy = _CHECK_ENDPOINT
        yield Finding("credentials", State.FAILED, str(explain(error)), remedy)
        yield from _skipped(CHECKS, "needs credentials")
        return
    yield Finding("credentials", State.OK, identity["Arn"])
    try:
        deployment = Deployment.find(name, connect, now)
    except ReviewboxError as error:
        what, _, remedy = str(error).partition(": ")
        yield Finding("stack", State.FAILED, what, remedy)
    except AWS_ERRORS as error:
        yield _refused("stack", error)
    else:
        yield from _findings(deployment)
        return
    yield from _skipped(list(CHECKS)[1:], "needs a stack")


def _findings(deployment: Deployment) -> Iterator[Finding]:
    """Yield the findings of all checks. A check that fails does not stop the others."""
    for name, check in CHECKS.items():
        try:
            yield from check(deployment)
        except AWS_ERRORS as error:
            yield _refused(name, error)


def _skipped(checks: Iterable[str], reason: str) -> Iterator[Finding]:
    # A stack may have no catalog.
    return (Finding(check, State.SKIPPED, reason) for check in checks if check != "catalog")


def _refused(check: str, error: Exception) -> Finding:
    """Return the finding for a check that AWS did not let us finish."""
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
    remedy = "see docs/operations.md: Permissions lists what `reviewbox doctor` may need"
    if code.endswith(("NonExistentQueue", "QueueDoesNotExist", "ResourceNotFoundException")):
        remedy = "it was deleted outside CloudFormation: deploy the stack again under a new name"
    elif code == "NoSuchBucket":
        remedy = "see the finding for the bucket"
    elif "AccessDenied" not in code and "Unauthorized" not in code:
        remedy = _CHECK_ENDPOINT
    return Finding(check, State.FAILED, str(explain(error)), remedy)
