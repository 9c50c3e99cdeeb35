"""The checks of a deployed stack. Each raises botocore's errors."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from reviewbox.leftovers import ABANDONED_SECONDS, LeftoverFinder
from reviewbox.settings import Settings
from reviewbox.stack.deployment import Deployment
from reviewbox.stack.finding import Finding, State, conclude
from reviewbox.stack.function_checks import check_errors, check_function, check_permissions
from reviewbox.storage import S3Storage
from reviewbox.wording import number_of

_VISIBILITY_TIMEOUTS = 6  # how many timeouts of the function, as AWS recommends
_MIN_RECEIVES = 5
# After this time, the daily sweep should have removed what workers left.
_SWEPT_SECONDS = ABANDONED_SECONDS + 2 * 86_400
_MAX_PAGES, _MAX_TABLES = 10, 200  # pages of results that are listed, and tables that are checked
_UPLOADS = {"s3:ObjectCreated:*", "s3:ObjectCreated:Put"}


def _check_status(deployment: Deployment) -> Iterator[Finding]:
    stack, problems = deployment.stack, {}
    state = f"{stack.name}: {stack.status}"
    if stack.status.endswith("_FAILED") or stack.status == "ROLLBACK_COMPLETE":
        command = f"aws cloudformation describe-stack-events --stack-name {stack.name}"
        problems[state] = f"read the events (`{command}`), then deploy again"
    return conclude("stack", problems, state)


def _check_bucket(deployment: Deployment, check: str) -> Iterator[Finding]:
    stack, problems = deployment.stack, {}
    bucket, prefix = stack.bucket, stack.source_prefix
    if check == "results bucket":
        bucket, prefix = stack.results_bucket, stack.results_prefix
    try:
        deployment.connect("s3").list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise
        remedy = "create the bucket again under this name, or deploy the stack with a different one"
        problems[f"the bucket {bucket} does not exist"] = remedy
    else:
        key = deployment.key(bucket)
        if key and key["KeyState"] != "Enabled":
            detail = f"{key['Arn']}, which encrypts the bucket {bucket}, is {key['KeyState']}"
            problems[detail] = (
                "enable the key, or cancel its deletion, then run `reviewbox redrive`; if it is missing, "
                "what it encrypted is lost: choose another key for the bucket"
            )
    return conclude(check, problems, f"s3://{bucket}/{prefix}")


def _check_notification(deployment: Deployment) -> Iterator[Finding]:
    """Check that uploads reach the queue: from S3 directly, or through a rule of EventBridge."""
    bucket, prefix = deployment.stack.bucket, deployment.stack.source_prefix
    arn = deployment.queue(deployment.stack.queue_url)["QueueArn"]
    notification = deployment.notification(bucket)
    prefixes = list(_announced_prefixes(notification, arn))
    if any(map(prefix.startswith, prefixes)):
        return conclude("notification", {}, f"S3 sends uploads under {prefix} to the queue")
    rules = deployment.connect("events")
    names = rules.list_rule_names_by_target(TargetArn=arn)["RuleNames"]
    enabled = [name for name in names if rules.describe_rule(Name=name)["State"] == "ENABLED"]
    problems = {}
    if not names:
        wrong = f"; the bucket only sends those under {prefixes[0]}" if prefixes else ""
        problems[f"nothing sends uploads to {bucket} to the queue{wrong}"] = (
            f"add an event notification to the bucket: s3:ObjectCreated:* under {prefix} to {arn}; or deploy "
            "the stack again with CreateBucket=false for a rule of EventBridge"
        )
    elif not enabled:
        problems[f"the rule {names[0]} is disabled"] = f"run `aws events enable-rule --name {names[0]}`"
    elif "EventBridgeConfiguration" not in notification:
        remedy = "turn on Amazon EventBridge in the bucket's properties"
        problems[f"the bucket {bucket} does not send its events to EventBridge"] = remedy
    return conclude("notification", problems, f"the rule {' '.join(names[:1])} sends uploads to the queue")


def _announced_prefixes(notification: Mapping[str, Any], queue_arn: str) -> Iterator[str]:
    """Yield the prefixes under which S3 announces uploads to a queue."""
    for entry in notification.get("QueueConfigurations", []):
        if entry["QueueArn"] == queue_arn and not _UPLOADS.isdisjoint(entry["Events"]):
            rules = entry.get("Filter", {}).get("Key", {}).get("FilterRules", [])
            yield next((str(rule["Value"]) for rule in rules if rule["Name"].casefold() == "prefix"), "")


def _check_catalog(deployment: Deployment) -> Iterator[Finding]:
    """Check that changes to results reach the catalog, if the stack has one."""
    if "Catalog" not in deployment.stack.outputs:
        return iter(())
    stack, place, problems = deployment.stack, deployment.stack.outputs["Catalog"], {}
    if "EventBridgeConfiguration" not in deployment.notification(stack.results_bucket):
        copy = f"reviewbox catalog s3://{stack.results_bucket}/{stack.results_prefix} --output {place}"
        problems[
            f"the bucket {stack.results_bucket} does not send its events to EventBridge, so nothing reaches "
            f"{place}"
        ] = f"turn on Amazon EventBridge in the bucket's properties, then run `{copy}`"
    return conclude(
        "catalog", problems, f"results in {stack.results_bucket} reach the catalog through EventBridge"
    )


def _check_queues(deployment: Deployment) -> Iterator[Finding]:
    urls = deployment.stack.queue_urls
    problems = [problem for url in urls for problem in _queue_problems(deployment, url)]
    # The local cloud has no policies.
    if deployment.function and not _allows_events(deployment.queue(urls[0]).get("Policy", "")):
        problems.append("the policy of the queue for uploads lets neither S3 nor EventBridge send messages")
    remedy = "deploy the stack again under a new name, or restore the queue's attributes from template.yaml"
    return conclude("queues", dict.fromkeys(problems, remedy), f"{len(urls)} queues and their dead letters")


def _queue_problems(deployment: Deployment, url: str) -> Iterator[str]:
    queue, attributes = url.rpartition("/")[2], deployment.queue(url)
    dead_letters = deployment.queue(deployment.stack.dead_letter_queue_url)["QueueArn"]
    redrive = json.loads(attributes.get("RedrivePolicy", "{}"))
    if redrive.get("deadLetterTargetArn") != dead_letters:
        yield f"{queue} does not move failed messages to {dead_letters}"
    elif int(redrive["maxReceiveCount"]) < _MIN_RECEIVES:
        yield f"{queue} gives up after {redrive['maxReceiveCount']} attempts"
    timeout = int(deployment.configuration["Timeout"]) if deployment.function else 0
    visibility = int(attributes["VisibilityTimeout"])
    if visibility < _VISIBILITY_TIMEOUTS * timeout:
        again = f"{queue} delivers a message again after {visibility} s"
        yield f"{again}, although the function may run for {timeout} s"


def _allows_events(policy: str) -> bool:
    """Return whether a queue's policy lets S3 or EventBridge send messages."""
    statements = json.loads(policy)["Statement"] if policy else []
    return any(
        statement["Effect"] == "Allow" and service in json.dumps(statement.get("Principal", ""))
        for statement in statements
        for service in ("s3.amazonaws.com", "events.amazonaws.com")
    )


def _check_dead_letters(deployment: Deployment) -> Iterator[Finding]:
    attributes, problems = deployment.queue(deployment.stack.dead_letter_queue_url), {}
    if count := int(attributes["ApproximateNumberOfMessages"]):
        problems[f"{number_of(count, 'message')} failed on every attempt"] = (
            "read the reasons (`reviewbox status`), remove the cause, then run `reviewbox redrive`"
        )
    return conclude("dead letters", problems, "none", State.WARNING)


def _check_leftovers(deployment: Deployment) -> Iterator[Finding]:
    """Look for parts that no receipt names, in the first tables."""
    stack = deployment.stack
    settings = Settings(
        source_prefix=stack.source_prefix,
        results_bucket=stack.results_bucket,
        results_prefix=stack.results_prefix,
    )
    storage = S3Storage(deployment.connect("s3"))
    finder = LeftoverFinder(storage, settings, stack.bucket, deployment.now() - _SWEPT_SECONDS)
    pages = islice(finder.pages(), _MAX_PAGES)
    tables = list(islice((table for page in pages for table in finder.tables(page).items()), _MAX_TABLES))
    found = [ref for receipt, parts in tables if (ref := finder.source_with_leftovers(receipt, parts))]
    problems = {}
    if found:
        detail = f"{len(found)} of {len(tables)} tables have old parts that no receipt names: {found[0]}"
        problems[detail] = "look for errors in the log of the daily sweep; see docs/operations.md: Sweep"
    return conclude(
        "leftovers", problems, f"none in the first {number_of(len(tables), 'table')}", State.WARNING
    )


CHECKS: Mapping[str, Callable[[Deployment], Iterator[Finding]]] = {
    "stack": _check_status,
    "bucket": partial(_check_bucket, check="bucket"),
    "results bucket": partial(_check_bucket, check="results bucket"),
    "notification": _check_notification,
    "catalog": _check_catalog,
    "queues": _check_queues,
    "dead letters": _check_dead_letters,
    "function": check_function,
    "permissions": check_permissions,
    "errors": check_errors,
    "leftovers": _check_leftovers,
}
