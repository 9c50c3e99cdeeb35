"""`reviewbox doctor` on a healthy stack, and on stacks that are broken in one way each."""

import io
import json
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber
from moto.core.config import default_user_config
from mypy_boto3_s3 import S3Client
from tests.local_cloud import start_cloud
from tests.tiny import write_model
from typer.testing import CliRunner

from reviewbox.cli import app
from reviewbox.cli.doctor import run_doctor
from reviewbox.cli.output import Format
from reviewbox.local.cloud import _expand
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.results.keys import part_key
from reviewbox.results.receipt import Provenance
from reviewbox.stack.aws import connect
from reviewbox.stack.doctor import examine_installation, examine_stack
from reviewbox.stack.finding import Finding, State

ROOT = Path(__file__).parents[2]
REVIEWS = "reviews"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
# What moto's CloudFormation can create from the template.
SUPPORTED = ("AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::Lambda::", "AWS::Logs::LogGroup")


@dataclass(frozen=True, slots=True)
class Deployed:
    """A stack in moto, and the outputs of its template."""

    outputs: Mapping[str, str]
    queue_arn: str

    @property
    def function(self) -> str:
        return self.outputs["FunctionName"]

    @property
    def queue_url(self) -> str:
        return self.outputs["QueueUrl"]

    def mappings(self) -> list[Any]:
        client = boto3.client("lambda")
        return list(client.list_event_source_mappings(FunctionName=self.function)["EventSourceMappings"])

    def set_queue(self, **attributes: Any) -> None:
        sqs: Any = boto3.client("sqs")
        sqs.set_queue_attributes(QueueUrl=self.queue_url, Attributes=attributes)

    def notify(self, configuration: Any) -> None:
        boto3.client("s3").put_bucket_notification_configuration(
            Bucket=REVIEWS, NotificationConfiguration=configuration
        )

    def notify_queue(self, prefix: str) -> None:
        rules = [{"Name": "prefix", "Value": prefix}]
        entry = {
            "QueueArn": self.queue_arn,
            "Events": ["s3:ObjectCreated:*"],
            "Filter": {"Key": {"FilterRules": rules}},
        }
        self.notify({"QueueConfigurations": [entry]})

    def add_rule(self, state: str) -> None:
        events: Any = boto3.client("events")
        events.put_rule(Name="uploads", EventPattern='{"source": ["aws.s3"]}', State=state)
        events.put_targets(Rule="uploads", Targets=[{"Id": "queue", "Arn": self.queue_arn}])

    def log(self, *events: object) -> None:
        logs: Any = boto3.client("logs")
        stream: Any = {"logGroupName": "/aws/lambda/reviewbox-OnUpload", "logStreamName": "a"}
        logs.create_log_stream(**stream)
        now = int(1000 * time.time())
        messages = [{"timestamp": now, "message": json.dumps(event)} for event in events]
        logs.put_log_events(**stream, logEvents=messages)


@pytest.fixture(scope="module")
def expanded() -> dict[str, Any]:
    return _expand(ROOT / "template.yaml")


@pytest.fixture
def deployed(
    request: pytest.FixtureRequest, s3: S3Client, expanded: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Deployed:
    """The stack of template.yaml as far as moto supports it; its bucket sends uploads to the queue.

    A test may pass parameters of the template.
    """
    monkeypatch.setitem(default_user_config["lambda"], "use_docker", False)  # noqa: FBT003
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("handlers.py", "")
    s3.create_bucket(Bucket="unused")  # where the expanded template looks for the code
    s3.put_object(Bucket="unused", Key="unused", Body=code.getvalue())
    role = boto3.client("iam").create_role(RoleName="function", AssumeRolePolicyDocument=json.dumps(TRUST))
    template = deepcopy(expanded)
    resources = {
        name: resource
        for name, resource in template["Resources"].items()
        if resource["Type"].startswith(SUPPORTED) and not resource["Type"].endswith(("Policy", "Permission"))
    }
    for resource in resources.values():
        resource.pop("DependsOn", None)
        if resource["Type"] == "AWS::Lambda::Function":
            resource["Properties"]["Role"] = role["Role"]["Arn"]
    for absent in ("BatchOperationsRoleArn", "CatalogDatabase", "CatalogWorkGroup"):
        del template["Outputs"][absent]
    parameters = {"BucketName": REVIEWS, **getattr(request, "param", {})}
    client = boto3.client("cloudformation")
    client.create_stack(
        StackName="reviewbox",
        TemplateBody=json.dumps({**template, "Resources": resources}),
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
    )
    (stack,) = client.describe_stacks(StackName="reviewbox")["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    attributes = boto3.client("sqs").get_queue_attributes(
        QueueUrl=outputs["QueueUrl"], AttributeNames=["QueueArn"]
    )["Attributes"]
    stack_ = Deployed(outputs, attributes["QueueArn"])
    statement = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [{**statement, "Resource": stack_.queue_arn}]}
    stack_.set_queue(Policy=json.dumps(policy))
    stack_.notify_queue("incoming/")
    return stack_


@pytest.fixture(autouse=True)
def no_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def with_permissions(*denied: str, only: str = "") -> Callable[[str], Any]:
    """Return a factory of clients whose IAM denies some actions, perhaps on one resource only.

    moto cannot simulate policies.
    """

    class Iam:
        def simulate_principal_policy(self, **request: Any) -> dict[str, Any]:
            refused = denied if only in ("", *request["ResourceArns"]) else ()
            decisions = {"s3:Other": "allowed", **dict.fromkeys(refused, "implicitDeny")}
            results = [{"EvalActionName": name, "EvalDecision": decisions[name]} for name in decisions]
            return {"EvaluationResults": results}

    return lambda service: Iam() if service == "iam" else connect(service)


def findings(connect_to: Callable[[str], Any] | None = None, name: str = "reviewbox") -> list[Finding]:
    return list(examine_stack(name, connect_to or with_permissions(), time.time))


def problems(connect_to: Callable[[str], Any] | None = None) -> dict[str, str]:
    """Return what is not ok, as "detail -> remedy", by check."""
    found: dict[str, str] = {}
    for finding in findings(connect_to):
        if finding.state is not State.OK:
            line = f"{finding.detail} -> {finding.remedy}"
            found[finding.check] = "\n".join(filter(None, (found.get(finding.check), line)))
    return found


@pytest.mark.usefixtures("deployed")
def test_a_healthy_stack_passes_every_check() -> None:
    found = findings()

    assert {finding.state for finding in found} == {State.OK}, found
    assert [finding.check for finding in found] == [
        "credentials",
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
    ]


def test_a_rule_of_eventbridge_serves_as_well(deployed: Deployed) -> None:
    """Moto does not return that the bucket sends events to EventBridge, so the answer is completed here."""
    deployed.notify({"EventBridgeConfiguration": {}})
    deployed.add_rule("ENABLED")
    s3, others = boto3.client("s3"), with_permissions()
    s3.meta.events.register(
        "after-call.s3.GetBucketNotificationConfiguration",
        lambda parsed, **_: parsed.update(EventBridgeConfiguration={}),
    )

    assert not problems(lambda service: s3 if service == "s3" else others(service))


@pytest.mark.parametrize("deployed", [{"Catalog": "true"}], indirect=True)
def test_a_catalog_needs_the_events_of_the_results_bucket(deployed: Deployed) -> None:
    found = problems()

    assert found.keys() == {"catalog"}
    assert found["catalog"].startswith("the bucket reviews does not send its events to EventBridge")
    assert (
        "reviewbox catalog s3://reviews/results/ --output s3://reviews/catalog/results/" in found["catalog"]
    )
    s3, others = boto3.client("s3"), with_permissions()
    s3.meta.events.register(
        "after-call.s3.GetBucketNotificationConfiguration",
        lambda parsed, **_: parsed.update(EventBridgeConfiguration={}),
    )
    assert not problems(lambda service: s3 if service == "s3" else others(service))


def delete_bucket(deployed: Deployed) -> None:
    boto3.client("s3").delete_bucket(Bucket=REVIEWS)


def disable_rule(deployed: Deployed) -> None:
    deployed.notify({"EventBridgeConfiguration": {}})
    deployed.add_rule("DISABLED")


def no_events(deployed: Deployed) -> None:
    deployed.notify({})
    deployed.add_rule("ENABLED")


def delete_queue(deployed: Deployed) -> None:
    boto3.client("sqs").delete_queue(QueueUrl=deployed.outputs["SegmentsQueueUrl"])


def redrive_after(receives: int) -> Callable[[Deployed], None]:
    def break_it(deployed: Deployed) -> None:
        target = boto3.client("sqs").get_queue_attributes(
            QueueUrl=deployed.outputs["DeadLetterQueueUrl"], AttributeNames=["QueueArn"]
        )["Attributes"]["QueueArn"]
        policy = {"deadLetterTargetArn": target, "maxReceiveCount": receives}
        deployed.set_queue(RedrivePolicy=json.dumps(policy))

    return break_it


def send_dead_letter(deployed: Deployed) -> None:
    boto3.client("sqs").send_message(QueueUrl=deployed.outputs["DeadLetterQueueUrl"], MessageBody="{}")


def set_variable(name: str, value: str) -> Callable[[Deployed], None]:
    def break_it(deployed: Deployed) -> None:
        client = boto3.client("lambda")
        environment = client.get_function_configuration(FunctionName=deployed.function)["Environment"]
        variables = {**environment["Variables"], name: value}
        client.update_function_configuration(
            FunctionName=deployed.function, Environment={"Variables": variables}
        )

    return break_it


def reserve_concurrency(deployed: Deployed) -> None:
    boto3.client("lambda").put_function_concurrency(
        FunctionName=deployed.function, ReservedConcurrentExecutions=0
    )


def delete_mapping(deployed: Deployed) -> None:
    (uuid, *_) = (mapping["UUID"] for mapping in deployed.mappings())
    boto3.client("lambda").delete_event_source_mapping(UUID=uuid)


def disable_mapping(deployed: Deployed) -> None:
    (uuid, *_) = (mapping["UUID"] for mapping in deployed.mappings())
    boto3.client("lambda").update_event_source_mapping(UUID=uuid, Enabled=False)


def delete_function(deployed: Deployed) -> None:
    boto3.client("lambda").delete_function(FunctionName=deployed.function)


def log_errors(deployed: Deployed) -> None:
    deployed.log(
        {"level": "INFO", "message": "object.classified"},
        {"level": "ERROR", "message": "object.failed", "reason": "AWS returned AccessDenied for GetObject"},
        {"type": "platform.report", "record": {"status": "success"}},
        {"type": "platform.report", "record": {"status": "timeout"}},
        {"level": "ERROR", "errorType": "Runtime.ImportModuleError", "errorMessage": "No module named 'x'"},
    )


@pytest.mark.parametrize(
    ("break_it", "check", "detail", "remedy"),
    [
        (delete_bucket, "bucket", "reviews does not exist", "create the bucket again"),
        (lambda d: d.notify({}), "notification", "nothing sends uploads to", "add an event notification"),
        (
            lambda d: d.notify_queue("other/"),
            "notification",
            "the bucket only sends those under other/",
            "s3:ObjectCreated:* under incoming/",
        ),
        (disable_rule, "notification", "uploads is disabled", "aws events enable-rule --name uploads"),
        (no_events, "notification", "does not send its events to EventBridge", "turn on Amazon EventBridge"),
        (delete_queue, "queues", "NonExistentQueue", "deleted outside CloudFormation"),
        (lambda d: d.set_queue(VisibilityTimeout="30"), "queues", "after 30 s", "template.yaml"),
        (redrive_after(1), "queues", "gives up after 1 attempts", "template.yaml"),
        (lambda d: d.set_queue(Policy=""), "queues", "lets neither S3 nor EventBridge send", "template.yaml"),
        (send_dead_letter, "dead letters", "1 message failed", "`reviewbox redrive`"),
        (set_variable("REVIEWBOX_LABELS", "3"), "function", "LABELS must be 2 or 4", "correct the parameter"),
        (reserve_concurrency, "function", "reserved concurrency of 0", "delete-function-concurrency"),
        (delete_mapping, "function", "does not read arn:aws:sqs", "create-event-source-mapping"),
        (disable_mapping, "function", "its trigger is Disabled", "--enabled"),
        (delete_function, "function", "ResourceNotFoundException", "deleted outside CloudFormation"),
        (log_errors, "errors", "3 in /aws/lambda/reviewbox-OnUpload", "docs/operations.md"),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", ""),
)
def test_what_is_broken_is_found_with_its_remedy(
    break_it: Callable[[Deployed], None], check: str, detail: str, remedy: str, deployed: Deployed
) -> None:
    break_it(deployed)

    found = problems()

    (line,) = (line for line in found[check].splitlines() if detail in line.partition(" -> ")[0])
    assert remedy in line.partition(" -> ")[2]


def test_a_trigger_is_created_again_with_the_settings_of_the_template(deployed: Deployed) -> None:
    for mapping in deployed.mappings():
        boto3.client("lambda").delete_event_source_mapping(UUID=mapping["UUID"])

    uploads, segments = problems()["function"].splitlines()

    assert "--scaling-config MaximumConcurrency=10 --batch-size 200 --maximum-batching-window" in uploads
    assert "--scaling-config MaximumConcurrency=10 --batch-size 1`" in segments


@pytest.mark.usefixtures("deployed")
def test_parts_that_the_daily_sweep_should_have_removed_are_found(s3: S3Client) -> None:
    source = ObjectRef(REVIEWS, "incoming/a.csv")
    table_id = Provenance(source, None, "", "", calibrated=False).table_id(None)
    part = part_key("results/", source.key, table_id, 0, "csv")
    s3.put_object(Bucket=REVIEWS, Key=part, Body=b"id,review")

    def after(days: int) -> Finding:
        return list(examine_stack("reviewbox", with_permissions(), lambda: time.time() + days * 86_400))[-1]

    found = [after(days=6), after(days=8)]

    assert [finding.state for finding in found] == [State.OK, State.WARNING]
    assert "1 of 1 tables" in found[1].detail
    assert "s3://reviews/incoming/a.csv" in found[1].detail
    assert "Sweep" in found[1].remedy


def test_the_last_errors_are_shown(deployed: Deployed) -> None:
    log_errors(deployed)

    line = problems()["errors"]

    assert "object.failed AWS returned AccessDenied for GetObject; invocation: timeout; Runtime" in line
    assert "object.classified" not in line


def statements(resource: Any) -> Iterator[dict[str, Any]]:
    """Yield every statement of a policy within a resource of the template."""
    if isinstance(resource, list):
        for item in resource:
            yield from statements(item)
    elif isinstance(resource, dict):
        if resource.get("Effect") == "Allow":
            yield resource
        for item in resource.values():
            yield from statements(item)


@pytest.mark.usefixtures("deployed")
def test_all_permissions_of_the_template_are_checked_as_s3_is_asked(expanded: dict[str, Any]) -> None:
    """IAM allows listing a bucket only with one of the function's prefixes."""
    asked: list[dict[str, Any]] = []

    class Iam:
        def simulate_principal_policy(self, **request: Any) -> dict[str, Any]:
            asked.append(request)
            return {"EvaluationResults": []}

    findings(lambda service: Iam() if service == "iam" else connect(service))

    resources = expanded["Resources"]
    granted = [s["Action"] for name in ("ObjectsPolicy", "OnUploadRole") for s in statements(resources[name])]
    actions = {action for item in granted for action in ([item] if isinstance(item, str) else item)}
    other = ("logs:", "kms:", "events:", "sts:")
    assert {a for r in asked for a in r["ActionNames"]} == {a for a in actions if not a.startswith(other)}
    listing = [request for request in asked if request["ActionNames"] == ["s3:ListBucket"]]
    assert listing
    assert all(request["ContextEntries"][0]["ContextKeyName"] == "s3:prefix" for request in listing)


@pytest.mark.usefixtures("deployed")
def test_a_missing_permission_of_the_function_is_named() -> None:
    line = problems(with_permissions("s3:GetObject"))["permissions"]

    assert "lacks s3:GetObject on arn:aws:s3:::reviews/incoming/a.csv" in line
    assert "deploy the stack again" in line


def encrypt(key: str) -> None:
    default: Any = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    boto3.client("s3").put_bucket_encryption(
        Bucket=REVIEWS,
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": default}]},
    )


@pytest.mark.usefixtures("deployed")
def test_a_key_that_encrypts_a_bucket_and_that_the_function_may_not_use_is_named() -> None:
    key = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
    encrypt(key)

    assert not problems()
    line = problems(with_permissions("kms:Decrypt", only=key))["permissions"]

    assert f"lacks kms:Decrypt on {key} -> deploy the stack again with KmsKeyArn={key}" in line


@pytest.mark.usefixtures("deployed")
def test_a_key_that_cannot_be_used_is_named() -> None:
    client = boto3.client("kms")
    states = {}
    for change in (client.disable_key, client.schedule_key_deletion):
        metadata = client.create_key()["KeyMetadata"]
        encrypt(key := metadata["Arn"])
        change(KeyId=metadata["KeyId"])
        states[key] = problems()["bucket"]
    encrypt(missing := f"{key[:-12]}000000000000")
    states[missing] = problems()["bucket"]

    found = [line.partition(" -> ") for line in states.values()]
    assert [detail for detail, _, _ in found] == [
        f"{key}, which encrypts the bucket {REVIEWS}, is {state}"
        for key, state in zip(states, ("Disabled", "PendingDeletion", "missing"), strict=True)
    ]
    assert all("enable the key, or cancel its deletion" in remedy for _, _, remedy in found)


@pytest.mark.usefixtures("deployed")
def test_a_missing_key_that_the_bucket_names_by_its_alias_does_not_end_the_checks() -> None:
    encrypt("alias/reviews")

    found = problems()

    assert "alias/reviews, which encrypts the bucket" in found["bucket"]
    assert "permissions" not in found


@pytest.mark.usefixtures("deployed")
def test_permissions_that_the_user_may_not_simulate_are_skipped() -> None:
    iam = boto3.client("iam")
    stubber = Stubber(iam)
    stubber.add_client_error("simulate_principal_policy", "AccessDenied", "not allowed")
    stubber.activate()

    found = problems(lambda service: iam if service == "iam" else connect(service))

    assert "allow yourself iam:SimulatePrincipalPolicy" in found["permissions"]


@pytest.mark.usefixtures("deployed")
def test_a_check_that_aws_refuses_does_not_stop_the_others() -> None:
    sts, s3 = boto3.client("sts"), boto3.client("s3")
    stubber = Stubber(s3)
    listing, notification = "list_objects_v2", "get_bucket_notification_configuration"
    for operation in (listing, listing, notification, "get_bucket_encryption", listing):
        stubber.add_client_error(operation, "AccessDenied", "not allowed")
    stubber.activate()
    permissions = with_permissions()

    found = findings(lambda service: {"s3": s3, "sts": sts}.get(service) or permissions(service))

    states = {finding.check: finding.state for finding in found}
    assert [check for check, state in states.items() if state is State.FAILED] == [
        *("bucket", "results bucket", "notification", "leftovers")
    ]
    assert "docs/operations.md: Permissions" in next(f.remedy for f in found if f.check == "bucket")


@pytest.mark.usefixtures("s3")
def test_without_a_stack_the_way_to_one_is_shown() -> None:
    found = findings(name="other")

    assert (found[1].check, found[1].state) == ("stack", State.FAILED)
    assert "sam deploy" in found[1].remedy
    assert {finding.state for finding in found[2:]} == {State.SKIPPED}


def test_without_aws_the_installation_is_checked_and_the_rest_is_skipped(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))

    result = CliRunner().invoke(app, ["doctor", "--model", str(tiny_model), "--format", "json"])

    assert result.exit_code == 0, result.output
    states = {finding["check"]: finding["state"] for finding in json.loads(result.stdout)["findings"]}
    assert (states.pop("python"), states.pop("model")) == ("ok", "ok")
    assert set(states.values()) == {"skipped"}
    assert len(states) == 11


@pytest.mark.usefixtures("deployed")
def test_credentials_that_have_expired_are_a_failure() -> None:
    sts = boto3.client("sts")
    stubber = Stubber(sts)
    stubber.add_client_error("get_caller_identity", "ExpiredToken", "the token has expired")
    stubber.activate()

    credentials, *rest = findings(lambda _: sts)

    assert (credentials.state, "aws sso login" in credentials.remedy) == (State.FAILED, True)
    assert {finding.state for finding in rest} == {State.SKIPPED}


class Website(BaseHTTPRequestHandler):
    """A website that is not AWS: it answers each request with an error page."""

    def log_message(self, *_: object) -> None:
        """Print nothing, so that the output is that of the commands."""


def test_an_endpoint_that_is_not_of_aws_is_named(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Website) as server:
        Thread(target=server.serve_forever).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        status = CliRunner().invoke(app, ["status"])
        doctor = CliRunner().invoke(app, ["doctor", "--model", str(tiny_model), "--format", "json"])
        server.shutdown()

    assert (status.exit_code, status.stderr.count("\n")) == (2, 1)
    assert "does not answer as AWS does" in status.stderr
    (failed,) = (f for f in json.loads(doctor.stdout)["findings"] if f["state"] == "failed")
    assert "does not answer as AWS does" in failed["detail"]
    assert "AWS_ENDPOINT_URL" in failed["remedy"]


def test_an_endpoint_that_cannot_be_reached_is_no_matter_of_credentials(s3: S3Client) -> None:
    once = Config(retries={"total_max_attempts": 1})
    sts = boto3.client("sts", endpoint_url="http://127.0.0.1:1", config=once)

    credentials, *_ = findings(lambda _: sts)

    assert "Could not connect" in credentials.detail
    assert "AWS_ENDPOINT_URL" in credentials.remedy


def test_a_deleted_bucket_is_not_taken_for_a_wrong_endpoint(deployed: Deployed) -> None:
    delete_bucket(deployed)

    found = problems()

    assert found.keys() == {"bucket", "results bucket", "notification", "leftovers"}
    assert "AWS_ENDPOINT_URL" not in " ".join(found.values())


def test_a_deleted_queue_is_not_taken_for_a_missing_permission(deployed: Deployed) -> None:
    delete_queue(deployed)

    assert problems()["permissions"] == problems()["queues"]


def test_an_altered_model_is_a_failure(tmp_path: Path, tiny_model: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    (model / "bundle.json").write_text('{"sha256": {}}', encoding="utf-8")

    _, finding = examine_installation(model)

    assert finding.state is State.FAILED
    assert "has changed" in finding.detail
    assert "restore the model folder" in finding.remedy


def test_the_golden_reviews_are_counted(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    verdict = Classifier.load(model).classify(["great film"])[0]
    golden = [{"text": "great film", "label": verdict.label, "score": verdict.score}]
    (model / "bundle.json").write_text(json.dumps({"golden": golden}), encoding="utf-8")

    _, finding = examine_installation(model)

    assert (finding.state, "1 golden reviews agree" in finding.detail) == (State.OK, True)


def test_the_status_and_the_table_tell_of_failures(
    deployed: Deployed, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_doctor("reviewbox", tiny_model, Format.TABLE, with_permissions())
    deployed.notify({})
    assert not run_doctor("reviewbox", tiny_model, Format.TABLE, with_permissions())

    printed = capsys.readouterr().out
    assert "what to do" in printed
    assert "add an event notification" in " ".join(printed.split())


def test_the_local_cloud_is_healthy(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with start_cloud(ROOT / "template.yaml", 0) as cloud:
        for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            monkeypatch.setenv(name, cloud.environment[name])
        result = CliRunner().invoke(app, ["doctor", "--model", str(tiny_model), "--format", "jsonl"])

    assert result.exit_code == 0, result.output
    states = {line["check"]: line["state"] for line in map(json.loads, result.stdout.splitlines())}
    assert {check for check, state in states.items() if state != "ok"} == {
        "function",
        "permissions",
        "errors",
    }
    assert {state for state in states.values() if state != "ok"} == {"skipped"}
