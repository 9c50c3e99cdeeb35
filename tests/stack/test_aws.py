import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, NoRegionError
from botocore.parsers import ResponseParserError

from reviewbox.stack.aws import explain, is_aws


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("https://s3.eu-central-1.amazonaws.com", True),
        ("https://s3.cn-north-1.amazonaws.com.cn", True),
        ("https://bucket.vpce-1a2b-3c4d.s3.us-east-1.vpce.amazonaws.com", True),
        ("https://s3.dualstack.eu-central-1.api.aws", True),
        ("https://s3.eusc-de-east-1.amazonaws.eu", True),
        ("https://s3.us-iso-east-1.c2s.ic.gov", True),
        ("https://s3.us-isob-east-1.sc2s.sgov.gov", True),
        ("http://127.0.0.1:5000", False),
        ("http://localhost:4566", False),
        ("https://s3.amazonaws.com.example.org", False),
    ],
)
def test_only_endpoints_of_aws_partitions_are_aws(endpoint: str, expected: object) -> None:
    assert is_aws(endpoint) is expected


def client_error(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "ListObjectsV2")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            client_error("AccessDenied", "not\nyours"),
            "AWS returned AccessDenied for ListObjectsV2: not yours",
        ),
        (client_error("SlowDown", ""), "AWS returned SlowDown for ListObjectsV2"),
        (NoCredentialsError(), "no AWS credentials: set AWS_PROFILE"),
        (NoRegionError(), "no AWS region: set AWS_DEFAULT_REGION"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), 'endpoint URL: "http://127.0.0.1:1"'),
        (ResponseParserError("invalid XML\n<html>"), "the endpoint does not answer as AWS does"),
    ],
)
def test_aws_errors_are_explained_in_one_line(error: Exception, expected: str) -> None:
    line = explain(error)

    assert line is not None
    assert expected in line
    assert "\n" not in line


def test_other_errors_are_not_explained() -> None:
    assert explain(KeyError("x")) is None
