"""Measure the parts of one cold start of the upload handler; `cold_start.py` runs this in the built artifact.

    python -P cold_start_probe.py DEPTH EVENT STARTED

EVENT is JSON. STARTED is `time.monotonic_ns()` from before the start of this process. The output is JSON: the
nanoseconds of wall and processor time of each part. The parts add up to the whole process.

DEPTH is the call depth to start from. CPython allocates its stack in chunks. A function that is called at the
end of a chunk maps and unmaps the next one on every call, which can cost as much as importing a package.
Whether this happens depends on the call depth, which is different in Lambda.
"""

import sys
import time

# Written to stderr before and after the import of the handler's module, to delimit the log of -X importtime.
MARKER = "-- the module --\n"

_parts: dict[str, list[int]] = {}
_last = [0, 0]  # wall and processor time of the last lap


def lap(part: str) -> None:
    """Add the time since the last lap to a part."""
    now = [time.monotonic_ns(), time.process_time_ns()]
    wall, processor = _parts.get(part, [0, 0])
    _parts[part] = [wall + now[0] - _last[0], processor + now[1] - _last[1]]
    _last[:] = now


def time_calls(owner: object, name: str, part: str, before: str) -> None:
    """Wrap a function: add the time of its calls to one part, and the time before each call to another."""
    function = getattr(owner, name)

    def timed(*arguments: object, **named: object) -> object:
        lap(before)
        result = function(*arguments, **named)
        lap(part)
        return result

    setattr(owner, name, timed)


class Context:
    """The context that Lambda passes with the event."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the maximum that Lambda allows."""
        return 900_000


def main() -> None:
    """Create the pipeline, and classify the object in the event."""
    _last[0] = int(sys.argv[3])
    lap("interpreter")
    sys.stderr.write(MARKER)
    from handlers import common, on_upload

    sys.stderr.write(MARKER)
    lap("imports")
    import onnxruntime  # noqa: F401 - imported here to measure it separately from the model

    lap("onnxruntime")
    from reviewbox.model.batching import Batcher
    from reviewbox.model.bundle import Bundle
    from reviewbox.model.classifier import Classifier
    from reviewbox.model.inference import OnnxBackend
    from reviewbox.model.windows import Windows
    from reviewbox.storage import S3Storage

    time_calls(S3Storage, "connect", "client", "settings")
    time_calls(Bundle, "read", "digests", "settings")
    time_calls(Windows, "load", "tokenizer", "settings")
    time_calls(OnnxBackend, "load", "graph", "settings")
    time_calls(Classifier, "_check_golden", "golden", "settings")
    common.pipeline()
    lap("settings")

    time_calls(Windows, "split", "inference", "requests")
    time_calls(Batcher, "run", "inference", "requests")
    import json

    response = on_upload.handler(json.loads(sys.argv[2]), Context())
    lap("requests")
    if response != {"batchItemFailures": []}:
        sys.exit(f"the handler failed: {response}")
    sys.stdout.write(json.dumps(_parts))


def run_at_depth(calls: int) -> None:
    """Run `main` that many calls deeper."""
    if calls:
        run_at_depth(calls - 1)
    else:
        main()


if __name__ == "__main__":
    run_at_depth(int(sys.argv[1]))
