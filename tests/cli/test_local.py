import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import boto3

SECONDS_TO_WAIT = 60


def test_the_local_cloud_runs_until_it_is_interrupted(tiny_model: Path) -> None:
    """It tells its endpoint and how to drop a file, classifies what is dropped, and ends in peace."""
    command = [sys.executable, "-c", "from reviewbox.cli import app; app()", "local", "--port", "0"]
    environment = {**os.environ, "REVIEWBOX_MODEL_DIR": str(tiny_model), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(  # noqa: S603 - our own command
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            told = ""
            while "Ctrl-C ends it" not in told:
                line = process.stdout.readline()
                assert line, f"it ended early: {told}"
                told += line
            endpoint = re.search(r"AWS_ENDPOINT_URL=(\S+)", told)
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
                time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            rest = process.stdout.read()
            process.wait(SECONDS_TO_WAIT)
        finally:
            process.kill()  # or the `with` would wait for one that hangs

    assert "aws s3 cp review.txt s3://reviewbox/incoming/review.txt" in told
    assert "object.classified" in rest
    assert "Stopped." in rest
    assert process.returncode == 0
