"""The checks of a deployed function. Each raises botocore's errors."""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from reviewbox.errors import SettingsError
from reviewbox.settings import Settings
from reviewbox.stack.aws import explain
from reviewbox.stack.cost import OBJECTS_PER_BATCH
from reviewbox.stack.deployment import Deployment
from reviewbox.stack.finding import Finding, State, conclude

_SECONDS_PER_DAY = 86_400
_MAX_ERRORS = 3
_MAX_EVENTS = 1000  # events read from a log
# Our own errors, and what Lambda says about invocations that did not end well.
_ERRORS = '{ ($.level = "ERROR") || ($.type = "platform.report" && $.record.status != "success") }'


def check_function(deployment: Deployment) -> Iterator[Finding]:
    """Check the function's configuration, concurrency and triggers."""
    if not deployment.function:
        yield Finding("function", State.SKIPPED, "`reviewbox local` runs the function itself")
        return
    configuration = deployment.configuration
    problems = {
        **dict(_configuration_problems(configuration)),
        **_concurrency_problems(deployment),
        **dict(_trigger_problems(deployment)),
    }
    memory, timeout = configuration["MemorySize"], configuration["Timeout"]
    healthy = f"{deployment.function}: {memory} MB, {timeout} s, reads both queues"
    yield from conclude("function", problems, healthy)


def _configuration_problems(configuration: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("State", "LastUpdateStatus"):
        if configuration.get(name) in ("Failed", "Inactive"):
            reason = configuration.get(f"{name}Reason", "")
            yield f"{name} is {configuration[name]} {reason}".strip(), "deploy the stack again"
    try:
        Settings.from_environ(configuration.get("Environment", {}).get("Variables", {}))
    except SettingsError as error:
        yield str(error), "correct the parameter of the stack or the function's environment variable"


def _concurrency_problems(deployment: Deployment) -> Mapping[str, str]:
    concurrency = deployment.connect("lambda").get_function_concurrency(FunctionName=deployment.function)
    if "ReservedConcurrentExecutions" not in concurrency:
        return {}
    reserved = concurrency["ReservedConcurrentExecutions"]
    delete = f"aws lambda delete-function-concurrency --function-name {deployment.function}"
    detail = f"reserved concurrency of {reserved} throttles uploads until they are dead letters"
    return {detail: f"run `{delete}`, and set MaxConcurrency instead"}


def _trigger_problems(deployment: Deployment) -> Iterator[tuple[str, str]]:
    client = deployment.connect("lambda")
    listed = client.list_event_source_mappings(FunctionName=deployment.function)["EventSourceMappings"]
    mappings = {mapping["EventSourceArn"]: mapping for mapping in listed}
    for url in deployment.stack.queue_urls:
        arn = deployment.queue(url)["QueueArn"]
        mapping = mappings.get(arn)
        if mapping is None:
            # CloudFormation does not notice that the trigger is gone, and would not create it again.
            create = f"aws lambda create-event-source-mapping --function-name {deployment.function}"
            settings = f"--event-source-arn {arn} --function-response-types ReportBatchItemFailures"
            settings += f" --scaling-config MaximumConcurrency={deployment.stack.max_concurrency}"
            is_of_uploads = url == deployment.stack.queue_urls[0]
            settings += f" --batch-size {OBJECTS_PER_BATCH if is_of_uploads else 1}"
            settings += " --maximum-batching-window-in-seconds 1" if is_of_uploads else ""
            yield (
                f"the function does not read {arn}: its trigger was deleted",
                f"run `{create} {settings}`, or deploy the stack again under a new name",
            )
            continue
        update = f"aws lambda update-event-source-mapping --uuid {mapping['UUID']}"
        if mapping["State"] not in ("Enabled", "Enabling", "Creating", "Updating"):
            detail = f"the function does not read {arn}: its trigger is {mapping['State']}"
            yield detail, f"run `{update} --enabled`"
        elif "ReportBatchItemFailures" not in mapping.get("FunctionResponseTypes", []):
            remedy = f"run `{update} --function-response-types ReportBatchItemFailures`"
            yield f"one failure in a batch of {arn} repeats the whole batch", remedy


def check_permissions(deployment: Deployment) -> Iterator[Finding]:
    """Ask IAM whether the function's role has the permissions that the function needs."""
    if not deployment.function:
        yield Finding("permissions", State.SKIPPED, "the local cloud does not check permissions")
        return
    role, needed = deployment.configuration["Role"], _needed_permissions(deployment)
    try:
        denied = [
            f"{action} on {resource}"
            for resource, actions in needed.items()
            for action in _denied_actions(deployment, role, resource, actions)
        ]
    except ClientError as error:
        remedy = "to check the function's role, allow yourself iam:SimulatePrincipalPolicy"
        yield Finding("permissions", State.SKIPPED, str(explain(error)), remedy)
        return
    remedy = "deploy the stack again, and look for a permissions boundary or an organization's policy"
    if any("kms:" in action for action in denied):
        remedy = f"deploy the stack again with KmsKeyArn={denied[-1].rpartition(' ')[2]}"
    problems = {f"the role {role} lacks {', '.join(denied)}": remedy} if denied else {}
    yield from conclude("permissions", problems, f"{role} has all permissions that the function needs")


def _needed_permissions(deployment: Deployment) -> Mapping[str, str]:
    """Return the actions that the function needs, by the ARN of an example of their resource."""
    stack = deployment.stack
    partition = deployment.configuration["FunctionArn"].split(":")[1]
    source = f"arn:{partition}:s3:::{stack.bucket}"
    results = f"arn:{partition}:s3:::{stack.results_bucket}"
    uploads, *others = [deployment.queue(url)["QueueArn"] for url in stack.queue_urls]
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
        **dict.fromkeys(_keys(deployment), "kms:Decrypt kms:GenerateDataKey"),
    }


def _keys(deployment: Deployment) -> Iterator[str]:
    """Yield the ARNs of the keys that encrypt the buckets. A key that is missing may have no ARN."""
    for bucket in dict.fromkeys((deployment.stack.bucket, deployment.stack.results_bucket)):
        key = deployment.key(bucket)
        if key and key["KeyState"] != "missing":
            yield key["Arn"]


def _denied_actions(deployment: Deployment, role: str, resource: str, actions: str) -> Iterator[str]:
    stack = deployment.stack
    # The function may list only its own prefixes.
    prefixes = {stack.results_bucket: stack.results_prefix, stack.bucket: stack.source_prefix}
    prefix = prefixes.get(resource.rpartition(":::")[2])
    context = {} if prefix is None else {"s3:prefix": f"{prefix}a"}
    _, partition, service, region, *_ = resource.split(":")
    if service == "kms":  # the function may use a key through S3 only
        context = {"kms:ViaService": f"s3.{region}.amazonaws.com{'.cn' * (partition == 'aws-cn')}"}
    answer = deployment.connect("iam").simulate_principal_policy(
        PolicySourceArn=role,
        ActionNames=actions.split(),
        ResourceArns=[resource],
        ContextEntries=[
            {"ContextKeyName": name, "ContextKeyValues": [value], "ContextKeyType": "string"}
            for name, value in context.items()
        ],
    )
    for result in answer["EvaluationResults"]:
        if result["EvalDecision"] != "allowed":
            yield result["EvalActionName"]


def check_errors(deployment: Deployment) -> Iterator[Finding]:
    """Report the last errors in the function's log, which never contains review text."""
    if not deployment.function:
        yield Finding("errors", State.SKIPPED, "`reviewbox local` prints its errors on its terminal")
        return
    logging = deployment.configuration.get("LoggingConfig") or {}
    group = logging.get("LogGroup", f"/aws/lambda/{deployment.stack.name}-OnUpload")
    pages = deployment.connect("logs").get_paginator("filter_log_events")
    since = int(1000 * (deployment.now() - _SECONDS_PER_DAY))
    found = pages.paginate(logGroupName=group, startTime=since, filterPattern=_ERRORS)
    events = (event for page in found for event in page["events"])
    errors = [error for event in islice(events, _MAX_EVENTS) if (error := _error(event["message"]))]
    problems = {}
    if errors:
        detail = f"{len(errors)} in {group} in 24 hours; the last: {'; '.join(errors[-_MAX_ERRORS:])}"
        problems[detail] = "see docs/operations.md: Alarms, DeadLetters and OnUploadErrors"
    yield from conclude("errors", problems, f"none in {group} in 24 hours", State.WARNING)


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
