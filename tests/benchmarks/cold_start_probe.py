"""One cold start of the upload handler, part by part; `cold_start.py` runs it in the built artifact.

    python -P cold_start_probe.py DEPTH EVENT STARTED

EVENT is JSON, STARTED `time.monotonic_ns()` from before this process. Prints as JSON the nanoseconds of
wall and of processor time that each part took; together they are the whole process.

DEPTH is how many calls deep to begin. CPython's stack is made of chunks, and a function that is called
just where one ends has the next mapped and unmapped each time, which here may cost as much as a package.
Whether and where that happens depends on the depth, which in Lambda is another one.
"""

import sys
import time

# A line on stderr before the handler's module is imported and behind it: what -X importtime writes there
# between the two is that import.
MARK = "-- the module --\n"

_parts: dict[str, list[int]] = {}
_last = [0, 0]  # wall and processor time of the last lap


def lap(part: str) -> None:
    """Count all time since the last lap towards a part."""
    now = [time.monotonic_ns(), time.process_time_ns()]
    wall, processor = _parts.get(part, [0, 0])
    _parts[part] = [wall + now[0] - _last[0], processor + now[1] - _last[1]]
    _last[:] = now


def time_calls(owner: object, name: str, part: str, before: str) -> None:
    """Have a function's calls counted towards a part, and what comes before each towards another."""
    work = getattr(owner, name)

    def timed(*arguments: object, **named: object) -> object:
        lap(before)
        result = work(*arguments, **named)
        lap(part)
        return result

    setattr(owner, name, timed)


class Context:
    """What the runtime passes beside the event."""

    def get_remaining_time_in_millis(self) -> int:
        """Return what is enough for anything."""
        return 900_000


def main() -> None:
    """Start, and classify what the event names."""
    _last[0] = int(sys.argv[3])
    lap("interpreter")
    sys.stderr.write(MARK)
    from handlers import common, on_upload

    sys.stderr.write(MARK)
    lap("imports")
    import onnxruntime  # noqa: F401 - imported when the model is loaded; here to see it by itself

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


def deeper(calls: int) -> None:
    """Run it so many calls deeper."""
    if calls:
        deeper(calls - 1)
    else:
        main()


if __name__ == "__main__":
    deeper(int(sys.argv[1]))
