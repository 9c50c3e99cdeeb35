import importlib
import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samtranslator.yaml_helper import yaml_parse

from reviewbox.classification import SPARE_SECONDS
from reviewbox.pipeline import Outcome
from reviewbox.settings import Settings

ROOT = Path(__file__).parent.parent
TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
PARAMETERS: dict[str, Any] = TEMPLATE["Parameters"]
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
OUTPUTS: dict[str, Any] = TEMPLATE["Outputs"]
VARIABLES: dict[str, Any] = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
TIMEOUTS: list[str] = PARAMETERS["TimeoutSeconds"]["AllowedValues"]

OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def of_type(kind: str) -> dict[str, Any]:
    """Return the properties of each resource of a type."""
    return {name: r["Properties"] for name, r in RESOURCES.items() if r["Type"] == f"AWS::{kind}"}


FUNCTIONS = of_type("Serverless::Function")
ALARMS = of_type("CloudWatch::Alarm")


def statements() -> list[dict[str, Any]]:
    """Return what is allowed to our roles."""
    documents = [policy["PolicyDocument"] for policy in of_type("IAM::ManagedPolicy").values()]
    documents += [p["PolicyDocument"] for role in of_type("IAM::Role").values() for p in role["Policies"]]
    found = [statement for document in documents for statement in document["Statement"]]
    return [s["Fn::If"][1] if "Fn::If" in s else s for s in found]


def test_every_setting_is_a_variable_of_the_functions_and_the_other_way_round() -> None:
    """But for the model's folder: what is deployed is what was built."""
    settings = {f"REVIEWBOX_{field.name.upper()}" for field in fields(Settings)} - {"REVIEWBOX_MODEL_DIR"}

    assert {name for name in VARIABLES if name.startswith("REVIEWBOX_")} == settings


def test_the_parameters_defaults_are_the_settings_defaults() -> None:
    environ = {
        name: value if isinstance(value, str) else str(PARAMETERS[value["Ref"]]["Default"])
        for name, value in VARIABLES.items()
        if name.startswith("REVIEWBOX_") and value != {"Ref": "Segments"}
    }

    assert Settings.from_environ(environ) == Settings()


def test_segments_go_to_the_queue_of_segments() -> None:
    mapping = FUNCTIONS["OnUpload"]["Events"]["Segments"]
    (allowed,) = [s for s in statements() if s["Action"] == "sqs:SendMessage"]

    assert VARIABLES["REVIEWBOX_QUEUE_URL"] == {"Ref": "Segments"}
    assert allowed["Resource"] == mapping["Properties"]["Queue"] == {"Fn::GetAtt": ["Segments", "Arn"]}


def test_what_large_tables_need_outlives_their_messages_and_nothing_else() -> None:
    rules = {
        rule["Id"]: rule for rule in RESOURCES["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    }
    retention = RESOURCES["Uploads"]["Properties"]["MessageRetentionPeriod"]

    assert rules["work"]["Prefix"] == VARIABLES["REVIEWBOX_WORK_PREFIX"]
    assert rules["work"]["ExpirationInDays"] * 24 * 3600 > retention
    for parameter in ("SourcePrefix", "ResultsPrefix"):
        assert not re.search(PARAMETERS[parameter]["AllowedPattern"], VARIABLES["REVIEWBOX_WORK_PREFIX"])


def test_nothing_but_tables_can_be_removed() -> None:
    (allowed,) = [s for s in statements() if "DeleteObject" in str(s["Action"])]

    assert allowed["Action"] == "s3:DeleteObject"
    assert allowed["Resource"]["Fn::Sub"][0].endswith("/${ResultsPrefix}*.classified*")


def test_only_what_calls_them_tells_the_functions_apart() -> None:
    """Else a backfill and an upload of the same object would replace each other's result for ever."""
    own = {"Description", "Handler", "Role", "LoggingConfig", "Events"}

    assert len(FUNCTIONS) == 2
    assert not set().union(*FUNCTIONS.values()) - own


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_a_handler_and_a_way_to_be_built(name: str) -> None:
    module, _, handler = FUNCTIONS[name]["Handler"].rpartition(".")
    targets = re.findall(
        r"^(build-\S.*):$", (ROOT / ".ci" / "lambda.mk").read_text(encoding="utf-8"), re.MULTILINE
    )

    assert callable(getattr(importlib.import_module(module), handler))
    assert RESOURCES[name]["Metadata"]["BuildMethod"] == "makefile"
    assert f"build-{name}" in " ".join(targets).split()


@given(st.from_regex(PARAMETERS["SourcePrefix"]["AllowedPattern"]))
@settings(deadline=None)
def test_no_source_prefix_is_a_results_prefix(prefix: str) -> None:
    assert not re.search(PARAMETERS["ResultsPrefix"]["AllowedPattern"], prefix)


def test_reports_of_batch_operations_lie_beside_reviews_and_results() -> None:
    prefix = OUTPUTS["BatchOperationsPrefix"]["Value"]
    (written,) = [
        s["Resource"]["Fn::Sub"][0] for s in statements() if s["Sid"] == "WriteAndReadManifestAndReport"
    ]

    assert written.endswith(f"/{prefix}*")
    for parameter in ("SourcePrefix", "ResultsPrefix"):
        first_folder = PARAMETERS[parameter]["Default"]
        assert PARAMETERS[parameter]["AllowedPattern"].startswith(f"^{first_folder}")
        assert not prefix.startswith(first_folder)


def test_the_outputs_tell_what_a_command_line_needs() -> None:
    """Their names are what commands look for in a deployed stack."""
    assert set(OUTPUTS) == {
        *("Bucket", "SourcePrefix", "DropHere", "Results", "ResultsBucket", "ResultsPrefix"),
        *("QueueUrl", "SegmentsQueueUrl", "DeadLetterQueueUrl", "FunctionName"),
        *("OnBatchOperationArn", "BatchOperationsRoleArn", "BatchOperationsPrefix"),
    }


@pytest.mark.parametrize("timeout", TIMEOUTS)
def test_a_message_stays_hidden_for_six_timeouts(timeout: str) -> None:
    """As Lambda's documentation asks of a queue that feeds a function."""
    assert TEMPLATE["Mappings"]["Timeout"][timeout]["Visibility"] == 6 * int(timeout)


@pytest.mark.parametrize("timeout", TIMEOUTS)
def test_an_invocation_that_stops_in_time_still_gets_near_the_timeout(timeout: str) -> None:
    near = TEMPLATE["Mappings"]["Timeout"][timeout]["Near"]

    assert near == 700 * int(timeout)
    assert near < 1000 * (int(timeout) - SPARE_SECONDS)


def test_no_message_expires_before_its_last_receive() -> None:
    longest = max(map(int, TIMEOUTS))
    retention = RESOURCES["Uploads"]["Properties"]["MessageRetentionPeriod"]

    assert PARAMETERS["MaxReceives"]["MaxValue"] * 6 * longest < retention


def test_a_segment_has_an_invocation_to_itself() -> None:
    """So that a table's segments are classified at once, and what a batch left no time for has all of it."""
    mappings = {name: event["Properties"] for name, event in FUNCTIONS["OnUpload"]["Events"].items()}

    assert mappings["Segments"]["BatchSize"] == 1
    assert mappings["Uploads"]["BatchSize"] > 10
    assert mappings["Uploads"]["MaximumBatchingWindowInSeconds"] >= 1  # else Lambda refuses more than ten


def test_both_queues_are_alike_to_messages_that_fail() -> None:
    uploads, segments = (RESOURCES[name]["Properties"] for name in ("Uploads", "Segments"))

    assert uploads == segments


def test_what_is_restored_from_an_archive_is_told_as_uploads_are() -> None:
    told = {
        queue["Event"]: queue["Filter"]
        for queue in RESOURCES["Bucket"]["Properties"]["NotificationConfiguration"]["QueueConfigurations"]
    }
    rule = RESOURCES["ExistingBucketRule"]["Properties"]["EventPattern"]

    assert told["s3:ObjectRestore:Completed"] == told["s3:ObjectCreated:*"]
    assert set(rule["detail-type"]) == {"Object Created", "Object Restore Completed"}


def test_an_event_that_the_queue_does_not_take_becomes_a_dead_letter() -> None:
    (target,) = RESOURCES["ExistingBucketRule"]["Properties"]["Targets"]
    policy = RESOURCES["FailedUploadsPolicy"]["Properties"]["PolicyDocument"]
    allowed = [s["Fn::If"][2] for s in policy["Statement"] if "Fn::If" in s]

    assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": ["FailedUploads", "Arn"]}
    assert [s["Action"] for s in allowed] == ["sqs:SendMessage"]
    assert allowed[0]["Condition"]["ArnEquals"]["aws:SourceArn"] == {
        "Fn::GetAtt": ["ExistingBucketRule", "Arn"]
    }


def test_telemetry_is_off_before_any_import() -> None:
    assert VARIABLES["ORT_DISABLE_TELEMETRY"] == VARIABLES["ORT_TELEMETRY_DISABLED"] == "1"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="lists threads as Linux does")
def test_importing_a_handler_starts_no_threads() -> None:
    """The BLAS of numpy would start one for each other processor, which lengthens every cold start."""
    check = "import os, handlers.on_upload; assert len(os.listdir('/proc/self/task')) == 1"
    variables = {name: value for name, value in VARIABLES.items() if isinstance(value, str)}

    subprocess.run([sys.executable, "-c", check], cwd=ROOT, env={**os.environ, **variables}, check=True)  # noqa: S603 - our own code


@pytest.mark.parametrize("statement", statements(), ids=lambda statement: statement["Sid"])
def test_no_role_has_a_whole_service_or_a_whole_account(statement: dict[str, Any]) -> None:
    actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]

    assert statement["Effect"] == "Allow"
    assert not [action for action in actions if "*" in action]
    assert statement["Resource"] != "*"


def test_both_functions_may_do_the_same_with_objects() -> None:
    for function in FUNCTIONS.values():
        role = RESOURCES[function["Role"]["Fn::GetAtt"][0]]
        assert role["Properties"]["ManagedPolicyArns"] == [{"Ref": "ObjectsPolicy"}]


def test_s3_may_do_nothing_with_reviews_or_results() -> None:
    """It lists and calls; reading and writing is left to the function."""
    (policy,) = RESOURCES["BatchOperationsRole"]["Properties"]["Policies"]
    objects = [s for s in policy["PolicyDocument"]["Statement"] if "s3:GetObject" in s.get("Action", "")]

    assert [s["Sid"] for s in objects] == ["WriteAndReadManifestAndReport"]


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_says_where_its_remedy_is_and_is_silent_where_nothing_happens(name: str) -> None:
    alarm = ALARMS[name]

    assert alarm["AlarmDescription"].endswith("See docs/operations.md")
    assert alarm["TreatMissingData"] == "notBreaching"
    assert alarm["AlarmActions"] == {"Fn::If": ["SendsEmail", [{"Ref": "Alarms"}], {"Ref": "AWS::NoValue"}]}
    assert alarm["OKActions"] == alarm["AlarmActions"]


def test_what_to_do_is_written_for_each_alarm_and_for_no_other() -> None:
    alarms = OPERATIONS.partition("\n## Alarms\n")[2].partition("\n## ")[0]

    assert re.findall(r"^### (\w+)$", alarms, re.MULTILINE) == list(ALARMS)


def test_the_dashboard_is_json_and_shows_every_alarm() -> None:
    body = json.loads(RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])
    (alarms,) = [w["properties"]["alarms"] for w in body["widgets"] if w["type"] == "alarm"]

    assert alarms == [f"${{{name}.Arn}}" for name in ALARMS]


def test_what_is_logged_is_written_down() -> None:
    source = "".join(
        path.read_text(encoding="utf-8")
        for path in [*(ROOT / "handlers").glob("*.py"), *(ROOT / "src/reviewbox").glob("*.py")]
    )
    logged = set(re.findall(r'"((?:object|message|task)\.[a-z_]+)"', source))
    logged |= {f"object.{outcome}" for outcome in Outcome}

    assert logged
    assert {event for event in logged if f"`{event}`" not in OPERATIONS} == set()
