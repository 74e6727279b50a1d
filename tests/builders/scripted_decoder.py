"""``python -m scripted_decoder decode SPEC``: says what a script tells it to, and decodes nothing.

The script is the input file, a JSON: ``{"frames": N, "ends": {index or "begin": how}}``. Up to ``frames`` images of one
pixel are handed over; at an index it ends: ``kill`` (SIGKILL), ``nonsense`` (a line that is no message, then it waits),
``environment``, ``installation`` (exit statuses 74 and 72). No numpy and no pydantic: it starts at once.
"""

import json
import os
import signal
import sys
from pathlib import Path


def end(how: str | None) -> None:
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "nonsense":
        print("no message", flush=True)
        sys.stdin.read()
    if how is not None:
        sys.exit({"environment": 74, "installation": 72}[how])


def tell(**message: object) -> None:
    print(json.dumps(message), flush=True)


def main() -> None:
    spec_path = Path(sys.argv[2])
    spec = json.loads(spec_path.read_text())
    script = json.loads((spec_path.parent / spec["input_path"]).read_text())
    end(script["ends"].get("start"))
    spec_path.with_name("begun").touch()
    tell(message="opened", count=script["frames"])
    for index in range(spec["start"], script["frames"]):
        tell(message="begun", index=index, name=f"image {index}")
        end(script["ends"].get(str(index)))
        slot = index - spec["start"]
        if slot >= len(spec["memory_paths"]):
            slot = int(sys.stdin.readline())
        with open(spec["memory_paths"][slot], "r+b") as memory:  # noqa: PTH123  (a path of /dev)
            memory.write(bytes([index, 0, 0]))
        sizes = {"height": 1, "width": 1, "slot": slot}
        tell(message="decoded", index=index, name=f"image {index}", stem=f"{index}", **sizes)
    tell(message="ended", issues=[])


if __name__ == "__main__":
    main()
