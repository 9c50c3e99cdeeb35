import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import boto3

SECONDS_TO_WAIT = 60


def test_the_local_cloud_runs_until_ctrl_c(tiny_model: Path) -> None:
    """It prints its endpoint and how to upload a file, classifies uploads, and stops without an error."""
    # A shell that runs the tests in the background ignores Ctrl-C, and processes inherit that.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from reviewbox.cli import app; app()"
    )
    command = [sys.executable, "-c", program, "local", "--port", "0"]
    environment = {**os.environ, "REVIEWBOX_MODEL_DIR": str(tiny_model), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(  # noqa: S603 - our own command
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            printed = ""
            while "Press Ctrl-C to stop" not in printed:
                line = process.stdout.readline()
                assert line, f"it ended early: {printed}"
                printed += line
            endpoint = re.search(r"AWS_ENDPOINT_URL=(\S+)", printed)
            assert endpoint is not None
            s3 = boto3.client(
                "s3",
                endpoint_url=endpoint[1],
                region_name="us-east-1",
                aws_access_key_id="any",
                aws_secret_access_key="any",
            )
            s3.put_object(Bucket="reviewbox", Key="incoming/review.txt", Body=b"great film")
            end = time.monotonic() + SECONDS_TO_WAIT
            while not s3.list_objects_v2(Bucket="reviewbox", Prefix="results/")["KeyCount"]:
                assert time.monotonic() < end
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            rest = process.stdout.read()
            process.wait(SECONDS_TO_WAIT)
        finally:
            process.kill()  # otherwise `with` would wait forever for a process that hangs

    assert "aws s3 cp review.txt s3://reviewbox/incoming/review.txt" in printed
    assert "object.classified" in rest
    assert "invocation.measured" not in rest  # metrics are for CloudWatch
    assert "Stopped." in rest
    assert process.returncode == 0
