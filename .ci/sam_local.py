"""Run the function once with `sam local` on a sample event, with a local S3, and print the result."""

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote_plus, urlsplit

import boto3
from moto.server import ThreadedMotoServer
from sam_image import MissingError, lambda_image

ROOT = Path(__file__).resolve().parent.parent
EVENT = ROOT / "tests/events/s3_put.json"
OBJECTS = ROOT / "tests/e2e/objects.json"
# Fake credentials: without them, SAM would pass yours to the container.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_DEFAULT_REGION": "us-east-1",
}


def main() -> int:
    """Invoke the function, print its result, and return the exit status."""
    try:
        image = lambda_image()
    except MissingError as missing:
        print(f"{missing}\n(`make e2e` runs the same artifact without a container engine)", file=sys.stderr)
        return 1
    os.environ |= CREDENTIALS
    created = json.loads(EVENT.read_text(encoding="utf-8"))["Records"][0]["s3"]
    bucket, key = created["bucket"]["name"], unquote_plus(created["object"]["key"])
    endpoint = urlsplit(json.loads((ROOT / "env.json").read_text())["OnUpload"]["AWS_ENDPOINT_URL"])
    # The container connects from outside, so the server listens on all addresses.
    cloud = ThreadedMotoServer(ip_address="0.0.0.0", port=endpoint.port, verbose=False)  # noqa: S104
    cloud.start()
    try:
        s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{endpoint.port}")
        s3.create_bucket(Bucket=bucket)
        s3.put_object(
            Bucket=bucket, Key=key, Body=json.loads(OBJECTS.read_text(encoding="utf-8"))[key].encode()
        )
        command = [ROOT / ".venv-sam/bin/sam", "local", "invoke", "OnUpload", "--event", EVENT]
        command += ["--invoke-image", image, "--skip-pull-image"]
        invoked = subprocess.run(command, cwd=ROOT, env={**os.environ, "SAM_CLI_TELEMETRY": "0"}, check=False)  # noqa: S603
        if invoked.returncode:
            return invoked.returncode
        result = f"results/{key}.json"
        print(f"\ns3://{bucket}/{result}")
        print(s3.get_object(Bucket=bucket, Key=result)["Body"].read().decode())
    finally:
        cloud.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
