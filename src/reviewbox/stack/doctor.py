"""Checks of an installation and of a deployed stack. Each finding says how to fix what is wrong."""

import json
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cache, cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from reviewbox.errors import ReviewboxError, SettingsError
from reviewbox.leftovers import ABANDONED_SECONDS, LeftoverFinder
from reviewbox.model.classifier import Classifier, processor
from reviewbox.settings import Settings
from reviewbox.stack.aws import explain, has_credentials
from reviewbox.stack.discovery import Stack, find_stack
from reviewbox.storage import S3Storage

# Returns a client for an AWS service.
Connect = Callable[[str], Any]

_MIN_PYTHON = (3, 11)
_VISIBILITY_TIMEOUTS = 6  # of the function, as AWS recommends
_MIN_RECEIVES = 5
_PERIOD = timedelta(days=1)  # in which errors are recent
_MAX_ERRORS = 3
_MAX_EVENTS = 1000  # of a log that are read
# Our own errors, and what Lambda says about invocations that did not end well.
_ERRORS = '{ ($.level = "ERROR") || ($.type = "platform.report" && $.record.status != "success") }'
_DOCS = "see docs/operations.md"
# After this time, the daily sweep should have removed what workers left.
_SWEPT_SECONDS = ABANDONED_SECONDS + 2 * 86_400
_MAX_PAGES, _MAX_TABLES = 10, 200  # of the results that are listed, and of tables that are looked at
_AWS_CHECKS = (
    "stack",
    "bucket",
    "results bucket",
    "notification",
    "queues",
    "dead letters",
    "function",
    "permissions",
    "errors",
    "leftovers",
)


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        check: what was checked.
        state: how it ended.
        detail: what was found, or why it was skipped.
        remedy: what to do; "" if nothing is wrong.
    """

    check: str
    state: State
    detail: str
    remedy: str = ""


def examine_installation(model: Path | None) -> Iterator[Finding]:
    """Check Python and the model, its digests and its golden reviews."""
    version = platform.python_version()
    if sys.version_info < _MIN_PYTHON:
        needed = ".".join(map(str, _MIN_PYTHON))
        yield Finding("python", State.FAILED, version, f"install Python {needed} or newer")
    else:
        yield Finding("python", State.OK, version)
    try:
        bundle = Classifier.load(model).bundle
    except ReviewboxError as error:
        remedy = "install Reviewbox again, or restore the model folder (`git checkout model`)"
        yield Finding("model", State.FAILED, str(error), remedy)
        return
    golden = f"{len(bundle.golden)} golden reviews agree on {processor()}"
    if not bundle.golden:
        golden = "it has no golden reviews"
    yield Finding("model", State.OK, f"{bundle.folder}: {bundle.digest[:12]}, {golden}")


def examine_stack(name: str, connect: Connect, now: Callable[[], float]) -> Iterator[Finding]:
    """Check the AWS account and a deployed stack. Nothing is changed.

    Args:
        name: the stack.
        connect: returns a client for an AWS service.
        now: returns the time in seconds since 1970.
    """
    if not has_credentials():
        remedy = "to check a stack, set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        yield Finding("credentials", State.SKIPPED, "there are no AWS credentials", remedy)
        yield from _skipped(_AWS_CHECKS, "needs credentials")
        return
    connect = cache(connect)  # making a client takes longer than most requests
    try:
        identity = connect("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        remedy = "renew the credentials (`aws sso login`), or select others with AWS_PROFILE"
        yield Finding("credentials", State.FAILED, str(explain(error)), remedy)
        yield from _skipped(_AWS_CHECKS, "needs credentials")
        return
    yield Finding("credentials", State.OK, identity["Arn"])
    try:
        patient = _Patient.of(name, connect)
    except ReviewboxError as error:
        what, _, remedy = str(error).partition(": ")
        yield Finding("stack", State.FAILED, what, remedy)
    except (BotoCoreError, ClientError) as error:
        yield _refused("stack", error)
    else:
        yield patient.stack_status()
        yield from patient.findings(now)
        return
    yield from _skipped(_AWS_CHECKS[1:], "needs a stack")


@dataclass
class _Patient:
    """A stack, and what its checks have in common."""

    stack: Stack
    status: str
    outputs: Mapping[str, str]
    connect: Connect

    @classmethod
    def of(cls, name: str, connect: Connect) -> "_Patient":
        client = connect("cloudformation")
        stack = find_stack(client, name)
        (description,) = client.describe_stacks(StackName=name)["Stacks"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in description["Outputs"]}
        return cls(stack, description["StackStatus"], outputs, connect)

    @property
    def function(self) -> str:
        """The name of the function; "" in the local cloud, which runs it itself."""
        return self.outputs.get("FunctionName", "")

    @cached_property
    def configuration(self) -> Mapping[str, Any]:
        """The function's configuration; raises botocore's errors."""
        configuration: Mapping[str, Any] = self.connect("lambda").get_function_configuration(
            FunctionName=self.function
        )
        return configuration

    def stack_status(self) -> Finding:
        name = f"{self.stack.name}: {self.status}"
        if self.status.endswith("_FAILED") or self.status == "ROLLBACK_COMPLETE":
            remedy = (
                f"read the events (`aws cloudformation describe-stack-events --stack-name {self.stack.name}`)"
            )
            return Finding("stack", State.FAILED, name, f"{remedy}, then deploy again")
        return Finding("stack", State.OK, name)

    def findings(self, now: Callable[[], float]) -> Iterator[Finding]:
        """Yield the findings of all checks. A check that fails does not stop the others."""
        checks: Mapping[str, Callable[[], Iterable[Finding]]] = {
            "bucket": lambda: self.bucket("bucket", self.stack.bucket, self.stack.source_prefix),
            "results bucket": lambda: self.bucket(
                "results bucket", self.stack.results_bucket, self.stack.results_prefix
            ),
            "notification": self.notification,
            "catalog": self.catalog,
            "queues": self.queues,
            "dead letters": self.dead_letters,
            "function": self.function_state,
            "permissions": self.permissions,
            "errors": lambda: self.errors(now()),
            "leftovers": lambda: self.leftovers(now()),
        }
        for name, check in checks.items():
            try:
                yield from check()
            except (BotoCoreError, ClientError) as error:
                yield _refused(name, error)

    def bucket(self, check: str, bucket: str, prefix: str) -> Iterator[Finding]:
        try:
            self.connect("s3").list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise
            remedy = "create the bucket again under this name, or deploy the stack with another one"
            yield Finding(check, State.FAILED, f"the bucket {bucket} does not exist", remedy)
        else:
            yield Finding(check, State.OK, f"s3://{bucket}/{prefix}")

    def notification(self) -> Iterator[Finding]:
        """Check that uploads reach the queue: from S3 directly, or through a rule of EventBridge."""
        stack = self.stack
        arn = self._queue_attributes(stack.queue_url)["QueueArn"]
        found = self.connect("s3").get_bucket_notification_configuration(Bucket=stack.bucket)
        ours = [entry for entry in found.get("QueueConfigurations", []) if entry["QueueArn"] == arn]
        created = [
            entry
            for entry in ours
            if any(event in ("s3:ObjectCreated:*", "s3:ObjectCreated:Put") for event in entry["Events"])
        ]
        if any(stack.source_prefix.startswith(_prefix(entry)) for entry in created):
            yield Finding(
                "notification", State.OK, f"S3 sends uploads under {stack.source_prefix} to the queue"
            )
            return
        rules = self.connect("events")
        names = rules.list_rule_names_by_target(TargetArn=arn)["RuleNames"]
        disabled = [name for name in names if rules.describe_rule(Name=name)["State"] != "ENABLED"]
        wanted = f"s3:ObjectCreated:* under {stack.source_prefix} to {arn}"
        if not names:
            wrong = f"; it sends only {_prefix(created[0])}" if created else ""
            yield Finding(
                "notification",
                State.FAILED,
                f"nothing tells the queue of uploads to {stack.bucket}{wrong}",
                f"add an event notification to the bucket: {wanted}; or deploy the stack again with "
                "CreateBucket=false for a rule of EventBridge",
            )
        elif len(disabled) == len(names):
            remedy = f"run `aws events enable-rule --name {disabled[0]}`"
            yield Finding("notification", State.FAILED, f"the rule {disabled[0]} is disabled", remedy)
        elif "EventBridgeConfiguration" not in found:
            yield Finding(
                "notification",
                State.FAILED,
                f"the bucket {stack.bucket} does not send its events to EventBridge",
                "turn on Amazon EventBridge in the bucket's properties",
            )
        else:
            yield Finding("notification", State.OK, f"the rule {names[0]} sends uploads to the queue")

    def catalog(self) -> Iterator[Finding]:
        """Check that changes of results reach the catalog, if the stack has one."""
        if "Catalog" not in self.outputs:
            return
        bucket, place = self.stack.results_bucket, self.outputs["Catalog"]
        found = self.connect("s3").get_bucket_notification_configuration(Bucket=bucket)
        if "EventBridgeConfiguration" in found:
            yield Finding("catalog", State.OK, f"EventBridge is told of results in {bucket}")
            return
        results = f"s3://{bucket}/{self.stack.results_prefix}"
        yield Finding(
            "catalog",
            State.FAILED,
            f"the bucket {bucket} does not send its events to EventBridge, so nothing reaches {place}",
            "turn on Amazon EventBridge in the bucket's properties, then run "
            f"`reviewbox catalog {results} --output {place}`",
        )

    def queues(self) -> Iterator[Finding]:
        dead_letters = self._queue_attributes(self.stack.dead_letter_queue_url)["QueueArn"]
        timeout = int(self.configuration["Timeout"]) if self.function else 0
        problems = []
        for url in self.stack.queue_urls:
            attributes, queue = self._queue_attributes(url), url.rpartition("/")[2]
            redrive = json.loads(attributes.get("RedrivePolicy", "{}"))
            if redrive.get("deadLetterTargetArn") != dead_letters:
                problems.append(f"{queue} does not move failed messages to {dead_letters}")
            elif int(redrive["maxReceiveCount"]) < _MIN_RECEIVES:
                problems.append(f"{queue} gives up after {redrive['maxReceiveCount']} attempts")
            if int(attributes["VisibilityTimeout"]) < _VISIBILITY_TIMEOUTS * timeout:
                problems.append(
                    f"{queue} delivers a message again after {attributes['VisibilityTimeout']} s, although "
                    f"the function may run for {timeout} s"
                )
        # The local cloud has no policies.
        policy = self._queue_attributes(self.stack.queue_url).get("Policy", "")
        if self.function and not _allows_events(policy):
            problems.append(
                "the policy of the queue for uploads lets neither S3 nor EventBridge send messages"
            )
        remedy = (
            "deploy the stack again under a new name, or restore the queue's attributes from template.yaml"
        )
        for problem in problems:
            yield Finding("queues", State.FAILED, problem, remedy)
        if not problems:
            yield Finding("queues", State.OK, f"{len(self.stack.queue_urls)} queues and their dead letters")

    def dead_letters(self) -> Iterator[Finding]:
        attributes = self._queue_attributes(self.stack.dead_letter_queue_url)
        count = int(attributes["ApproximateNumberOfMessages"])
        if count:
            detail = f"{count} messages failed on every attempt"
            remedy = "read the reasons (`reviewbox status`), remove the cause, then run `reviewbox redrive`"
            yield Finding("dead letters", State.WARNING, detail, remedy)
        else:
            yield Finding("dead letters", State.OK, "none")

    def function_state(self) -> Iterator[Finding]:
        if not self.function:
            yield Finding("function", State.SKIPPED, "`reviewbox local` runs the function itself")
            return
        problems = dict(self._function_problems())
        for detail, remedy in problems.items():
            yield Finding("function", State.FAILED, detail, remedy)
        if not problems:
            memory, timeout = self.configuration["MemorySize"], self.configuration["Timeout"]
            detail = f"{self.function}: {memory} MB, {timeout} s, reads both queues"
            yield Finding("function", State.OK, detail)

    def _function_problems(self) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with the function, and what to do."""
        configuration, client = self.configuration, self.connect("lambda")
        for name in ("State", "LastUpdateStatus"):
            if configuration.get(name) in ("Failed", "Inactive"):
                reason = configuration.get(f"{name}Reason", "")
                yield f"{name} is {configuration[name]} {reason}".strip(), "deploy the stack again"
        try:
            Settings.from_environ(configuration.get("Environment", {}).get("Variables", {}))
        except SettingsError as error:
            yield str(error), "correct the parameter of the stack or the function's environment variable"
        concurrency = client.get_function_concurrency(FunctionName=self.function)
        if "ReservedConcurrentExecutions" in concurrency:
            reserved = concurrency["ReservedConcurrentExecutions"]
            delete = f"aws lambda delete-function-concurrency --function-name {self.function}"
            detail = f"reserved concurrency of {reserved} throttles uploads until they are dead letters"
            yield detail, f"run `{delete}`, and set MaxConcurrency instead"
        mappings = {
            mapping["EventSourceArn"]: mapping
            for mapping in client.list_event_source_mappings(FunctionName=self.function)[
                "EventSourceMappings"
            ]
        }
        for url in self.stack.queue_urls:
            arn = self._queue_attributes(url)["QueueArn"]
            mapping = mappings.get(arn)
            if mapping is None:
                yield (
                    f"the function does not read {arn}",
                    "deploy the stack again, and undo other changes to it",
                )
            elif mapping["State"] not in ("Enabled", "Enabling", "Creating", "Updating"):
                update = f"aws lambda update-event-source-mapping --uuid {mapping['UUID']} --enabled"
                yield (
                    f"the function does not read {arn}: its trigger is {mapping['State']}",
                    f"run `{update}`",
                )
            elif "ReportBatchItemFailures" not in mapping.get("FunctionResponseTypes", []):
                update = f"aws lambda update-event-source-mapping --uuid {mapping['UUID']}"
                remedy = f"run `{update} --function-response-types ReportBatchItemFailures`"
                yield f"one failure in a batch of {arn} repeats the whole batch", remedy

    def permissions(self) -> Iterator[Finding]:
        """Ask IAM whether the function's role may do what the function does."""
        if not self.function:
            yield Finding("permissions", State.SKIPPED, "the local cloud does not check permissions")
            return
        client, role = self.connect("iam"), self.configuration["Role"]
        denied = []
        for resource, actions in self._needed_permissions().items():
            try:
                answer = client.simulate_principal_policy(
                    PolicySourceArn=role,
                    ActionNames=actions.split(),
                    ResourceArns=[resource],
                    ContextEntries=self._listed_prefix(resource),
                )
            except ClientError as error:
                yield Finding(
                    "permissions",
                    State.SKIPPED,
                    str(explain(error)),
                    "to check the function's role, allow yourself iam:SimulatePrincipalPolicy",
                )
                return
            denied += [
                f"{result['EvalActionName']} on {resource}"
                for result in answer["EvaluationResults"]
                if result["EvalDecision"] != "allowed"
            ]
        if denied:
            detail = f"the role {role} may not {', '.join(denied)}"
            remedy = "deploy the stack again, and look for a permissions boundary or an organization's policy"
            yield Finding("permissions", State.FAILED, detail, remedy)
        else:
            yield Finding("permissions", State.OK, f"{role} may do all that the function does")

    def _needed_permissions(self) -> Mapping[str, str]:
        """Return the actions that the function needs, by the ARN of an example of their resource."""
        stack = self.stack
        partition = self.configuration["FunctionArn"].split(":")[1]
        source = f"arn:{partition}:s3:::{stack.bucket}"
        results = f"arn:{partition}:s3:::{stack.results_bucket}"
        uploads, *others = [self._queue_attributes(url)["QueueArn"] for url in stack.queue_urls]
        consume = "sqs:ReceiveMessage sqs:DeleteMessage sqs:GetQueueAttributes sqs:ChangeMessageVisibility"
        return {
            f"{source}/{stack.source_prefix}a.csv": "s3:GetObject",
            source: "s3:ListBucket",
            results: "s3:ListBucket",
            f"{results}/{stack.results_prefix}a.csv.json": "s3:GetObject s3:PutObject",
            f"{results}/{stack.results_prefix}a.csv.classified/0/part-00000.csv": "s3:DeleteObject",
            f"{results}/work/a": "s3:GetObject s3:PutObject",
            uploads: consume,
            **dict.fromkeys(others, f"{consume} sqs:SendMessage"),
        }

    def _listed_prefix(self, resource: str) -> list[Any]:
        """Return the condition of a request for `resource`: the function may list only its own prefixes."""
        name = resource.rpartition(":::")[2]
        if name not in (self.stack.bucket, self.stack.results_bucket):
            return []
        is_source = name == self.stack.bucket
        prefix = self.stack.source_prefix if is_source else self.stack.results_prefix
        return [
            {
                "ContextKeyName": "s3:prefix",
                "ContextKeyValues": [f"{prefix}a"],
                "ContextKeyType": "string",
            }
        ]

    def errors(self, now: float) -> Iterator[Finding]:
        """Report the last errors in the function's log, which never contains review text."""
        if not self.function:
            detail = "`reviewbox local` prints its errors on its terminal"
            yield Finding("errors", State.SKIPPED, detail)
            return
        logging = self.configuration.get("LoggingConfig") or {}
        group = logging.get("LogGroup", f"/aws/lambda/{self.stack.name}-OnUpload")
        pages = self.connect("logs").get_paginator("filter_log_events")
        found = pages.paginate(
            logGroupName=group,
            startTime=int(1000 * (now - _PERIOD.total_seconds())),
            filterPattern=_ERRORS,
        )
        events = (event for page in found for event in page["events"])
        errors = [error for event in islice(events, _MAX_EVENTS) if (error := _error(event["message"]))]
        if not errors:
            yield Finding("errors", State.OK, f"none in {group} for a day")
            return
        last = "; ".join(errors[-_MAX_ERRORS:])
        detail = f"{len(errors)} in {group} for a day; the last: {last}"
        yield Finding("errors", State.WARNING, detail, f"{_DOCS}: Alarms, DeadLetters and OnUploadErrors")

    def leftovers(self, now: float) -> Iterator[Finding]:
        """Look for parts that no receipt names, in the first tables."""
        stack = self.stack
        settings = Settings(
            source_prefix=stack.source_prefix,
            results_bucket=stack.results_bucket,
            results_prefix=stack.results_prefix,
        )
        storage = S3Storage(self.connect("s3"))
        finder = LeftoverFinder(storage, settings, stack.bucket, now - _SWEPT_SECONDS)
        pages = islice(finder.pages(), _MAX_PAGES)
        tables = list(islice((table for page in pages for table in finder.tables(page).items()), _MAX_TABLES))
        found = [ref for receipt, parts in tables if (ref := finder.source_with_leftovers(receipt, parts))]
        if found:
            detail = f"{len(found)} of {len(tables)} tables have old parts that no receipt names: {found[0]}"
            remedy = f"look for errors in the log of the daily sweep; {_DOCS}: Sweep"
            yield Finding("leftovers", State.WARNING, detail, remedy)
        else:
            yield Finding("leftovers", State.OK, f"none, after a look at {len(tables)} tables")

    def _queue_attributes(self, url: str) -> Mapping[str, str]:
        attributes: Mapping[str, str] = self.connect("sqs").get_queue_attributes(
            QueueUrl=url, AttributeNames=["All"]
        )["Attributes"]
        return attributes


def _skipped(checks: Iterable[str], reason: str) -> Iterator[Finding]:
    for check in checks:
        yield Finding(check, State.SKIPPED, reason)


def _refused(check: str, error: Exception) -> Finding:
    """Return the finding for a check that AWS did not let us finish."""
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
    remedy = f"{_DOCS}: Permissions lists what `reviewbox doctor` may need"
    if code.endswith(("NonExistentQueue", "QueueDoesNotExist", "ResourceNotFoundException")):
        remedy = "it was deleted outside of CloudFormation: deploy the stack again under a new name"
    elif "AccessDenied" not in code and "Unauthorized" not in code:
        remedy = "check the region and AWS_ENDPOINT_URL, then try again"
    return Finding(check, State.FAILED, str(explain(error)), remedy)


def _prefix(notification: Mapping[str, Any]) -> str:
    rules = notification.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    return next((str(rule["Value"]) for rule in rules if rule["Name"].casefold() == "prefix"), "")


def _allows_events(policy: str) -> bool:
    """Return whether a queue's policy lets S3 or EventBridge send messages."""
    statements = json.loads(policy)["Statement"] if policy else []
    return any(
        statement["Effect"] == "Allow" and service in json.dumps(statement.get("Principal", ""))
        for statement in statements
        for service in ("s3.amazonaws.com", "events.amazonaws.com")
    )


def _error(line: str) -> str:
    """Return what a log line says about an error; "" if it is not about one."""
    try:
        event = json.loads(line)
    except ValueError:
        return ""
    if event.get("level") == "ERROR":
        words = [event.get("message"), event.get("errorType"), event.get("errorMessage"), event.get("reason")]
        return " ".join(str(word) for word in words if word)
    record = event.get("record", {})
    if event.get("type") == "platform.report" and record.get("status") != "success":
        return " ".join(filter(None, ("invocation:", record.get("status"), record.get("errorType"))))
    return ""
