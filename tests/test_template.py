import importlib
import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samtranslator.yaml_helper import yaml_parse

from handlers import on_schedule
from reviewbox.deadline import RESERVED_SECONDS
from reviewbox.event_bus import SOURCE
from reviewbox.leftovers import ABANDONED_SECONDS
from reviewbox.process_object import Outcome
from reviewbox.settings import Settings

ROOT = Path(__file__).parent.parent
TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
PARAMETERS: dict[str, Any] = TEMPLATE["Parameters"]
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
OUTPUTS: dict[str, Any] = TEMPLATE["Outputs"]
VARIABLES: dict[str, Any] = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
# Variables whose values come from the stack, not from a parameter.
FROM_THE_STACK = {"REVIEWBOX_QUEUE_URL", "REVIEWBOX_METRICS_NAMESPACE", "REVIEWBOX_CATALOG_PREFIX"}
TIMEOUTS: list[str] = PARAMETERS["TimeoutSeconds"]["AllowedValues"]

OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def resources_of_type(kind: str) -> dict[str, Any]:
    """Return the properties of each resource of the type `AWS::kind`, by logical id."""
    return {name: r["Properties"] for name, r in RESOURCES.items() if r["Type"] == f"AWS::{kind}"}


QUEUES = ("Uploads", "Segments", "FailedUploads")
FUNCTIONS = resources_of_type("Serverless::Function")
ALARMS = resources_of_type("CloudWatch::Alarm")
# The functions that classify, and the others.
CLASSIFIERS = ("OnUpload", "OnBatchOperation")


def statements() -> list[dict[str, Any]]:
    """Return all statements in the policies of the stack's roles."""
    managed = resources_of_type("IAM::ManagedPolicy").values()
    roles = resources_of_type("IAM::Role").values()
    documents = [policy["PolicyDocument"] for policy in managed]
    documents += [policy["PolicyDocument"] for role in roles for policy in role["Policies"]]
    nested = [statement for document in documents for statement in document["Statement"]]
    return [s["Fn::If"][1] if "Fn::If" in s else s for s in nested]


def test_environment_variables_match_the_settings() -> None:
    """The model folder is the exception: a deployed function uses the model it was built with."""
    settings = {f"REVIEWBOX_{field.name.upper()}" for field in fields(Settings)} - {"REVIEWBOX_MODEL_DIR"}

    assert {name for name in VARIABLES if name.startswith("REVIEWBOX_")} == settings


def test_parameter_defaults_match_the_settings() -> None:
    environ = {
        name: value if isinstance(value, str) else str(PARAMETERS[value["Ref"]]["Default"])
        for name, value in VARIABLES.items()
        if name.startswith("REVIEWBOX_") and name not in FROM_THE_STACK
    }

    assert Settings.from_environ(environ) == Settings()


def test_segments_are_sent_to_the_queue_that_triggers_the_function() -> None:
    mapping = FUNCTIONS["OnUpload"]["Events"]["Segments"]
    (statement,) = [s for s in statements() if s["Action"] == "sqs:SendMessage"]

    assert VARIABLES["REVIEWBOX_QUEUE_URL"] == {"Ref": "Segments"}
    assert statement["Resource"] == mapping["Properties"]["Queue"] == {"Fn::GetAtt": ["Segments", "Arn"]}


def test_the_function_may_say_when_failed_messages_of_its_queues_come_back() -> None:
    receiving = [s for s in statements() if "sqs:ReceiveMessage" in s["Action"]]

    assert all("sqs:ChangeMessageVisibility" in statement["Action"] for statement in receiving)
    assert [statement["Resource"] for statement in receiving] == [
        [event["Properties"]["Queue"] for event in FUNCTIONS[name]["Events"].values()]
        for name in ("OnUpload", "OnResult")
    ]


def test_only_work_objects_expire_and_not_before_their_messages() -> None:
    rules = {
        rule["Id"]: rule for rule in RESOURCES["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    }
    retention = RESOURCES["Uploads"]["Properties"]["MessageRetentionPeriod"]

    assert rules["work"]["Prefix"] == VARIABLES["REVIEWBOX_WORK_PREFIX"]
    assert rules["work"]["ExpirationInDays"] * 24 * 3600 > retention
    for parameter in ("SourcePrefix", "ResultsPrefix"):
        assert not re.search(PARAMETERS[parameter]["AllowedPattern"], VARIABLES["REVIEWBOX_WORK_PREFIX"])


def test_queues_are_deleted_with_their_stack_and_the_bucket_is_not() -> None:
    """Messages only name objects, which stay. A queue without its stack would have no consumer."""
    for name, resource in RESOURCES.items():
        if resource["Type"] in ("AWS::SQS::Queue", "AWS::S3::Bucket"):
            policy = "Delete" if resource["Type"] == "AWS::SQS::Queue" else "Retain"
            assert resource.get("DeletionPolicy") == resource.get("UpdateReplacePolicy") == policy, name


def test_the_daily_sweep_gets_the_bucket_and_the_time() -> None:
    """EventBridge puts quotes around the time."""
    rule = RESOURCES["Sweep"]["Properties"]
    (target,) = rule["Targets"]
    template = target["InputTransformer"]["InputTemplate"]["Fn::Sub"].replace("${BucketName}", "reviews")
    event = json.loads(template.replace("<time>", '"2026-11-30T04:00:00Z"'))

    assert rule["ScheduleExpression"] == "rate(1 day)"
    assert target["InputTransformer"]["InputPathsMap"] == {"time": "$.time"}
    assert on_schedule.is_sweep(event)
    assert event == {"reviewboxSweep": {"bucket": "reviews", "time": "2026-11-30T04:00:00Z"}}


def test_only_the_rule_may_start_a_sweep() -> None:
    (target,) = RESOURCES["Sweep"]["Properties"]["Targets"]
    permission = RESOURCES["SweepPermission"]["Properties"]

    assert target["Arn"] == {"Fn::GetAtt": ["OnBatchOperation", "Arn"]}
    assert permission["FunctionName"] == {"Ref": "OnBatchOperation"}
    assert permission["Principal"] == "events.amazonaws.com"
    assert permission["SourceArn"] == {"Fn::GetAtt": ["Sweep", "Arn"]}


def test_a_sweep_gives_nothing_up_for_which_a_segment_may_be_queued() -> None:
    retention = RESOURCES["Segments"]["Properties"]["MessageRetentionPeriod"]
    rules = RESOURCES["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    (days,) = [rule["ExpirationInDays"] for rule in rules if rule["Id"] == "work"]

    assert retention < ABANDONED_SECONDS
    assert days * 86_400 <= ABANDONED_SECONDS


def test_functions_may_delete_only_classified_tables_and_copies() -> None:
    deleting = [s for s in statements() if "DeleteObject" in str(s["Action"])]

    assert [s["Action"] for s in deleting] == ["s3:DeleteObject", "s3:DeleteObject"]
    assert [s["Resource"]["Fn::Sub"][0].partition("${Name}")[2] for s in deleting] == [
        "/${ResultsPrefix}*.classified*",
        "/catalog/${ResultsPrefix}uploaded=*",
    ]


def test_functions_differ_only_in_their_triggers() -> None:
    """With different settings, a backfill and an upload would keep replacing each other's results."""
    own = {"Description", "Handler", "Role", "LoggingConfig", "Events"}

    assert len(FUNCTIONS) == 3
    assert not set().union(*FUNCTIONS.values()) - own


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_a_handler_and_a_build_target(name: str) -> None:
    module, _, handler = FUNCTIONS[name]["Handler"].rpartition(".")
    targets = re.findall(
        r"^(build-\S.*):$", (ROOT / ".ci" / "lambda.mk").read_text(encoding="utf-8"), re.MULTILINE
    )

    assert callable(getattr(importlib.import_module(module), handler))
    assert RESOURCES[name]["Metadata"]["BuildMethod"] == "makefile"
    assert f"build-{name}" in " ".join(targets).split()


@given(st.from_regex(PARAMETERS["SourcePrefix"]["AllowedPattern"]))
def test_source_and_results_prefixes_never_overlap(prefix: str) -> None:
    assert not re.search(PARAMETERS["ResultsPrefix"]["AllowedPattern"], prefix)


def test_batch_operations_reports_are_outside_the_source_and_results_prefixes() -> None:
    prefix = OUTPUTS["BatchOperationsPrefix"]["Value"]
    (writable,) = [
        s["Resource"]["Fn::Sub"][0] for s in statements() if s["Sid"] == "WriteAndReadManifestAndReport"
    ]

    assert writable.endswith(f"/{prefix}*")
    for parameter in ("SourcePrefix", "ResultsPrefix"):
        first_folder = PARAMETERS[parameter]["Default"]
        assert PARAMETERS[parameter]["AllowedPattern"].startswith(f"^{first_folder}")
        assert not prefix.startswith(first_folder)


def test_output_names_are_stable() -> None:
    """The commands look up these names in a deployed stack."""
    assert set(OUTPUTS) == {
        *("Bucket", "SourcePrefix", "DropHere", "Results", "ResultsBucket", "ResultsPrefix"),
        *("QueueUrl", "SegmentsQueueUrl", "DeadLetterQueueUrl", "FunctionName"),
        *("OnBatchOperationArn", "BatchOperationsRoleArn", "BatchOperationsPrefix"),
        *("Catalog", "CatalogDatabase", "CatalogWorkGroup"),
    }


@pytest.mark.parametrize("timeout", TIMEOUTS)
def test_visibility_timeout_is_six_function_timeouts(timeout: str) -> None:
    """Lambda's documentation recommends this for a queue that triggers a function."""
    assert TEMPLATE["Mappings"]["Timeout"][timeout]["Visibility"] == 6 * int(timeout)


@pytest.mark.parametrize("timeout", TIMEOUTS)
def test_near_timeout_alarm_can_fire_before_the_function_stops_itself(timeout: str) -> None:
    near = TEMPLATE["Mappings"]["Timeout"][timeout]["Near"]

    assert ALARMS["OnUploadNearTimeout"]["Threshold"]["Fn::FindInMap"][::2] == ["Timeout", "Near"]
    assert near == 700 * int(timeout)
    assert near < 1000 * (int(timeout) - RESERVED_SECONDS)


def test_message_retention_allows_every_attempt() -> None:
    longest = max(map(int, TIMEOUTS))
    retention = RESOURCES["Uploads"]["Properties"]["MessageRetentionPeriod"]

    assert PARAMETERS["MaxReceives"]["MaxValue"] * 6 * longest < retention


def test_each_segment_gets_its_own_invocation() -> None:
    """Segments of a table run in parallel, and a deferred upload gets a full invocation."""
    mappings = {name: event["Properties"] for name, event in FUNCTIONS["OnUpload"]["Events"].items()}

    assert mappings["Segments"]["BatchSize"] == 1
    assert mappings["Uploads"]["BatchSize"] > 10
    assert mappings["Uploads"]["MaximumBatchingWindowInSeconds"] >= 1  # required for more than ten


def test_all_queues_handle_failed_messages_alike() -> None:
    queues = [dict(RESOURCES[name]["Properties"]) for name in ("Uploads", "Segments", "Copies")]
    names = [queue.pop("QueueName")["Fn::Sub"][0] for queue in queues]

    assert len(set(names)) == 3
    assert queues[0] == queues[1]
    assert {**queues[2], "RedrivePolicy": 0} == {**queues[0], "RedrivePolicy": 0}
    assert RESOURCES["FailedCopies"]["Properties"].keys() == RESOURCES["FailedUploads"]["Properties"].keys()


@pytest.mark.parametrize(
    ("dead_letters", "queues"), [("FailedUploads", ("Uploads", "Segments")), ("FailedCopies", ("Copies",))]
)
def test_only_its_own_queues_may_send_dead_letters_to_a_dead_letter_queue(
    dead_letters: str, queues: tuple[str, ...]
) -> None:
    policy = RESOURCES[dead_letters]["Properties"]["RedriveAllowPolicy"]
    names = [RESOURCES[name]["Properties"]["QueueName"]["Fn::Sub"][0] for name in queues]

    assert policy["redrivePermission"] == "byQueue"
    assert [arn["Fn::Sub"][0].rpartition(":")[2] for arn in policy["sourceQueueArns"]] == names


def test_queue_names_differ_between_stacks_and_fit_into_the_limit() -> None:
    """The id in a stack's ARN is unique, even among stacks with the same name, and has 36 characters."""
    for name in ("Uploads", "Segments", "Copies"):
        template, values = RESOURCES[name]["Properties"]["QueueName"]["Fn::Sub"]

        assert values == {"Id": {"Fn::Select": [2, {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]}]}}
        assert len(template.replace("${Id}", "x" * 36)) <= 80


def test_replaced_results_expire_and_current_ones_do_not() -> None:
    rules = RESOURCES["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    (rule,) = [rule for rule in rules if rule.get("Prefix") == {"Ref": "ResultsPrefix"}]

    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert "ExpirationInDays" not in rule


def test_functions_may_list_only_their_own_prefixes() -> None:
    """`StringLike` denies a listing without a prefix; `StringLikeIfExists` would allow it."""
    policy = RESOURCES["ObjectsPolicy"]["Properties"]["PolicyDocument"]
    listing = [s for s in policy["Statement"] if s.get("Action") == "s3:ListBucket"]

    assert [list(s["Condition"]) for s in listing] == [["StringLike"], ["StringLike"]]


def test_functions_may_send_only_their_own_events_and_only_if_a_bus_is_set() -> None:
    policy = RESOURCES["ObjectsPolicy"]["Properties"]["PolicyDocument"]
    (condition, statement, otherwise) = next(
        s["Fn::If"] for s in policy["Statement"] if s.get("Fn::If", [""])[0] == "SendsEvents"
    )

    assert TEMPLATE["Conditions"][condition] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "EventBusName"}, ""]}]}
    assert statement["Action"] == "events:PutEvents"
    assert statement["Condition"] == {"StringEquals": {"events:source": SOURCE}}
    assert otherwise == {"Ref": "AWS::NoValue"}


def test_metrics_of_the_log_go_to_the_namespace_of_the_embedded_metrics() -> None:
    condition, namespace, otherwise = VARIABLES["REVIEWBOX_METRICS_NAMESPACE"]["Fn::If"]
    filters = resources_of_type("Logs::MetricFilter")
    written = [t["MetricNamespace"] for f in filters.values() for t in f["MetricTransformations"]]

    assert (condition, otherwise) == ("LogsMetrics", "")
    assert written == [namespace, namespace, namespace]
    assert ALARMS["FailedObjects"]["Namespace"] == namespace


def test_failures_in_all_logs_are_counted() -> None:
    filters = resources_of_type("Logs::MetricFilter")
    logs = {name for name, r in RESOURCES.items() if r["Type"] == "AWS::Logs::LogGroup"}

    assert {f["LogGroupName"]["Ref"] for f in filters.values()} == logs
    (pattern,) = {f["FilterPattern"] for f in filters.values()}
    assert set(re.findall(r'\$\.message = "([^"]+)"', pattern)) == {"object.failed", "object.not_recorded"}


def test_dead_letters_raise_an_alarm_days_before_they_vanish() -> None:
    """SQS deletes a message by its first sending; the age of a dead letter counts from the move."""
    retention = {name: RESOURCES[name]["Properties"]["MessageRetentionPeriod"] for name in QUEUES}
    latest_alarm = retention["Uploads"] + ALARMS["OldDeadLetters"]["Threshold"]

    assert retention["FailedUploads"] - latest_alarm >= 3 * 24 * 3600


def test_failures_in_the_logs_raise_an_alarm_within_minutes() -> None:
    """Every filter writes the metric that the alarm watches, and one failure is enough."""
    filters = resources_of_type("Logs::MetricFilter")
    written = {
        (t["MetricName"], t["MetricValue"]) for f in filters.values() for t in f["MetricTransformations"]
    }
    alarm = ALARMS["FailedObjects"]

    assert written == {(alarm["MetricName"], "1")}
    assert (alarm["Statistic"], alarm["Threshold"]) == ("Sum", 0)
    assert alarm["Period"] * alarm["EvaluationPeriods"] <= 300


WATCHED = {
    "DeadLetters": ("ApproximateNumberOfMessagesVisible", "FailedUploads"),
    "OldDeadLetters": ("ApproximateAgeOfOldestMessage", "FailedUploads"),
    "OldUploads": ("ApproximateAgeOfOldestMessage", "Uploads"),
    "OldSegments": ("ApproximateAgeOfOldestMessage", "Segments"),
    "OnUploadErrors": ("Errors", "OnUpload"),
    "OnUploadThrottles": ("Throttles", "OnUpload"),
    "OnUploadNearTimeout": ("Duration", "OnUpload"),
    "OnUploadRecursion": ("RecursiveInvocationsDropped", "OnUpload"),
    "OnBatchOperationErrors": ("Errors", "OnBatchOperation"),
    "OnBatchOperationThrottles": ("Throttles", "OnBatchOperation"),
    "FailedCopiesAlarm": ("ApproximateNumberOfMessagesVisible", "FailedCopies"),
    "OldCopies": ("ApproximateAgeOfOldestMessage", "Copies"),
    "OnResultErrors": ("Errors", "OnResult"),
}


def test_each_alarm_watches_its_function_or_queue() -> None:
    assert WATCHED.keys() == ALARMS.keys() - {"FailedObjects"}
    for name, (metric, watched) in WATCHED.items():
        namespace, dimension = (
            ("AWS/Lambda", {"Name": "FunctionName", "Value": {"Ref": watched}})
            if watched in FUNCTIONS
            else ("AWS/SQS", {"Name": "QueueName", "Value": {"Fn::GetAtt": [watched, "QueueName"]}})
        )
        alarm = ALARMS[name]
        assert (alarm["Namespace"], alarm["MetricName"], alarm["Dimensions"]) == (
            namespace,
            metric,
            [dimension],
        )
        assert alarm["Threshold"] == 0 or metric in ("ApproximateAgeOfOldestMessage", "Duration")


@pytest.mark.parametrize(
    ("alarm", "queue"), [("OldUploads", "Uploads"), ("OldSegments", "Segments"), ("OldCopies", "Copies")]
)
def test_a_message_that_waits_raises_an_alarm_days_before_sqs_deletes_it(alarm: str, queue: str) -> None:
    retention = RESOURCES[queue]["Properties"]["MessageRetentionPeriod"]

    assert ALARMS[alarm]["Threshold"] <= retention - 3 * 24 * 3600


def test_restored_objects_send_the_same_notifications_as_uploads() -> None:
    filters = {
        queue["Event"]: queue["Filter"]
        for queue in RESOURCES["Bucket"]["Properties"]["NotificationConfiguration"]["QueueConfigurations"]
    }
    rule = RESOURCES["ExistingBucketRule"]["Properties"]["EventPattern"]

    assert filters["s3:ObjectRestore:Completed"] == filters["s3:ObjectCreated:*"]
    assert set(rule["detail-type"]) == {"Object Created", "Object Restore Completed"}


def test_events_rejected_by_the_queue_become_dead_letters() -> None:
    (target,) = RESOURCES["ExistingBucketRule"]["Properties"]["Targets"]
    policy = RESOURCES["FailedUploadsPolicy"]["Properties"]["PolicyDocument"]
    allowed = [s["Fn::If"][2] for s in policy["Statement"] if "Fn::If" in s]

    assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": ["FailedUploads", "Arn"]}
    assert [s["Action"] for s in allowed] == ["sqs:SendMessage"]
    assert allowed[0]["Condition"]["ArnEquals"]["aws:SourceArn"] == {
        "Fn::GetAtt": ["ExistingBucketRule", "Arn"]
    }


def test_telemetry_is_disabled_by_the_environment() -> None:
    assert VARIABLES["ORT_DISABLE_TELEMETRY"] == VARIABLES["ORT_TELEMETRY_DISABLED"] == "1"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads in /proc, which needs Linux")
def test_importing_a_handler_starts_no_threads() -> None:
    """By default, numpy's BLAS starts a thread for each other processor, which slows down cold starts."""
    check = "import os, handlers.on_upload; assert len(os.listdir('/proc/self/task')) == 1"
    variables = {name: value for name, value in VARIABLES.items() if isinstance(value, str)}

    subprocess.run([sys.executable, "-c", check], cwd=ROOT, env={**os.environ, **variables}, check=True)  # noqa: S603 - our own code


@pytest.mark.parametrize("statement", statements(), ids=lambda statement: statement["Sid"])
def test_no_statement_has_wildcard_actions_or_resources(statement: dict[str, Any]) -> None:
    actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]

    assert statement["Effect"] == "Allow"
    assert not [action for action in actions if "*" in action]
    assert statement["Resource"] != "*"


def test_both_functions_that_classify_have_the_same_access_to_objects() -> None:
    for name in CLASSIFIERS:
        role = RESOURCES[FUNCTIONS[name]["Role"]["Fn::GetAtt"][0]]
        assert role["Properties"]["ManagedPolicyArns"] == [{"Ref": "ObjectsPolicy"}]


def test_the_function_for_the_catalog_reads_results_and_writes_copies_only() -> None:
    role = RESOURCES["OnResultRole"]["Properties"]
    (policy,) = role["Policies"]
    objects = {
        s["Resource"]["Fn::Sub"][0].partition("${Name}")[2]: s["Action"]
        for s in policy["PolicyDocument"]["Statement"]
        if "Object" in str(s.get("Action"))
    }

    assert "ManagedPolicyArns" not in role
    assert objects == {
        "/${ResultsPrefix}*": "s3:GetObject",
        "/catalog/${ResultsPrefix}*": ["s3:GetObject", "s3:PutObject"],
        "/catalog/${ResultsPrefix}uploaded=*": "s3:DeleteObject",
    }


def without_catalog(value: Any) -> Any:
    """Return a part of the template as it is in a stack without a catalog."""
    if isinstance(value, dict) and value.get("Fn::If", [""])[0] == "HasCatalog":
        return value["Fn::If"][2]
    if isinstance(value, dict):
        return {name: without_catalog(item) for name, item in value.items()}
    return [without_catalog(item) for item in value] if isinstance(value, list) else value


def test_only_a_stack_with_a_catalog_has_its_resources() -> None:
    kinds = ("AWS::Glue::", "AWS::Athena::")
    with_catalog = {name for name, r in RESOURCES.items() if r.get("Condition") == "HasCatalog"}
    others = json.dumps(
        without_catalog({name: r for name, r in RESOURCES.items() if name not in with_catalog})
    )

    assert {name for name, r in RESOURCES.items() if r["Type"].startswith(kinds)} < with_catalog
    assert PARAMETERS["Catalog"]["Default"] == "false"
    for name in with_catalog:
        assert not re.search(rf'"{name}"|\{{{name}[.}}]', others), f"{name} is used without the condition"


def test_the_catalog_is_outside_of_all_other_prefixes() -> None:
    written = VARIABLES["REVIEWBOX_CATALOG_PREFIX"]["Fn::If"][1]
    rules = {r["Id"]: r for r in RESOURCES["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]}
    location = RESOURCES["CatalogTable"]["Properties"]["TableInput"]["StorageDescriptor"]["Location"]
    answers = RESOURCES["CatalogWorkGroup"]["Properties"]["WorkGroupConfiguration"]["ResultConfiguration"]

    assert location["Fn::Sub"][0] == f"s3://${{Name}}/{written}${{ResultsPrefix}}"
    assert rules["replaced-copies"]["Prefix"] == written
    assert "ExpirationInDays" not in rules["replaced-copies"]
    assert answers["OutputLocation"]["Fn::Sub"][0].startswith(
        f"s3://${{Name}}/{rules['query-results']['Prefix']}"
    )
    for prefix in (written, rules["query-results"]["Prefix"]):
        for parameter in ("SourcePrefix", "ResultsPrefix"):
            assert not re.search(PARAMETERS[parameter]["AllowedPattern"], prefix)


def test_the_catalog_starts_at_a_date_of_the_calendar() -> None:
    pattern, day = re.compile(PARAMETERS["CatalogFrom"]["AllowedPattern"]), date(2000, 1, 1)
    dates = {(day + timedelta(number)).isoformat() for number in range(36_525)}
    tried = {f"20{y:02}-{m:02}-{d:02}" for y, m, d in product(range(100), range(14), range(34))}

    assert {text for text in tried if pattern.search(text)} == dates
    others = ("1999-12-31", "2100-01-01", "2026-1-01", "2026-01-01 ", "x2026-01-01")
    assert not any(map(pattern.search, others))


def test_the_rule_for_receipts_selects_those_of_this_stack_only() -> None:
    rule = RESOURCES["ReceiptRule"]["Properties"]["EventPattern"]
    (bucket,) = rule["detail"]["bucket"]["name"]
    notifications = RESOURCES["Bucket"]["Properties"]["NotificationConfiguration"]

    assert bucket == {"Fn::If": ["SeparateResults", {"Ref": "ResultsBucketName"}, {"Ref": "BucketName"}]}
    assert rule["detail"]["object"]["key"] == [{"wildcard": {"Fn::Sub": "${ResultsPrefix}*.json"}}]
    assert rule["detail-type"] == ["Object Created", "Object Deleted"]
    assert notifications["EventBridgeConfiguration"]["Fn::If"][:2] == [
        "HasCatalog",
        {"EventBridgeEnabled": True},
    ]


def test_batch_operations_role_cannot_access_reviews_or_results() -> None:
    """S3 lists the objects and invokes the function. Only the function reads and writes them."""
    (policy,) = RESOURCES["BatchOperationsRole"]["Properties"]["Policies"]
    objects = [s for s in policy["PolicyDocument"]["Statement"] if "s3:GetObject" in s.get("Action", "")]

    assert [s["Sid"] for s in objects] == ["WriteAndReadManifestAndReport"]


@pytest.mark.parametrize("name", ALARMS)
def test_alarm_links_to_its_documentation_and_ignores_missing_data(name: str) -> None:
    alarm = ALARMS[name]

    assert alarm["AlarmDescription"].endswith("See docs/operations.md")
    assert alarm["TreatMissingData"] == "notBreaching"
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    assert alarm["AlarmActions"] == {"Fn::If": ["SendsEmail", [{"Ref": "Alarms"}], {"Ref": "AWS::NoValue"}]}
    assert alarm["OKActions"] == alarm["AlarmActions"]


def test_operations_guide_documents_exactly_the_alarms_of_the_template() -> None:
    alarms = OPERATIONS.partition("\n## Alarms\n")[2].partition("\n## ")[0]

    assert re.findall(r"^### (\w+)$", alarms, re.MULTILINE) == list(ALARMS)


@pytest.mark.parametrize("has_catalog", [True, False])
def test_dashboard_is_valid_json_and_shows_every_alarm_that_the_stack_has(
    has_catalog: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    body, variables = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    for name, value in variables.items():
        condition, if_true, if_false = value["Fn::If"]
        assert condition == "HasCatalog"
        body = body.replace(f"${{{name}}}", if_true["Fn::Sub"] if has_catalog else if_false)
    widgets = json.loads(body)["widgets"]
    (alarms,) = [w["properties"]["alarms"] for w in widgets if w["type"] == "alarm"]

    conditions = {None, "HasCatalog"} if has_catalog else {None}
    assert alarms == [f"${{{name}.Arn}}" for name in ALARMS if RESOURCES[name].get("Condition") in conditions]
    assert len({(w["x"], w["y"]) for w in widgets}) == len(widgets)
    assert ("${OnResult}" in json.dumps(widgets)) is has_catalog


def test_operations_guide_documents_every_log_event() -> None:
    source = "".join(
        path.read_text(encoding="utf-8")
        for path in [*(ROOT / "handlers").rglob("*.py"), *(ROOT / "src/reviewbox").rglob("*.py")]
    )
    logged = set(re.findall(r'"((?:object|message|task|sweep)\.[a-z_]+|invocation\.measured)"', source))
    logged |= {f"object.{outcome}" for outcome in Outcome}

    assert logged
    assert {event for event in logged if f"`{event}`" not in OPERATIONS} == set()
