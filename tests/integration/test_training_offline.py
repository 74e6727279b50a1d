"""A training run, from building the model to its result, never looks for the network."""

import subprocess
import sys
from pathlib import Path

import pytest

from builders.training import training_spec, write_cache

# Audit events come from the interpreter itself (docs.python.org, "Audit events table"): no library gets around them
# in Python, and a hook cannot be taken out again, hence a process of its own.
_SCRIPT = """
import sys
from pathlib import Path

NETWORK = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request"}

def watch(event, arguments):
    if event in NETWORK:
        print("used the network:", event, arguments, file=sys.stderr, flush=True)
        raise PermissionError(event)

sys.addaudithook(watch)

if sys.argv[1] == "probe":
    import urllib.request
    urllib.request.urlopen("http://127.0.0.1:9/")

from segdrop.child_runtime import StopFlag
from segdrop.spec import TrainingSpec
from segdrop.training.loop import train

train(TrainingSpec.load(Path(sys.argv[1])), StopFlag())
"""


def run(argument: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _SCRIPT, argument], capture_output=True, text=True, check=False, timeout=240
    )


@pytest.mark.parametrize("pretrained", ["auto", "none"])
def test_training_never_uses_the_network(tmp_path: Path, pretrained: str) -> None:
    cache_dir = write_cache(tmp_path / "cache", train=2, val=1)
    spec = training_spec(tmp_path / "run", cache_dir, pretrained=pretrained, epochs=1)
    (tmp_path / "spec.json").write_text(spec.model_dump_json())
    finished = run(str(tmp_path / "spec.json"))
    assert "used the network" not in finished.stderr
    assert finished.returncode == 0, finished.stderr
    assert spec.result_path.exists()


def test_the_watch_would_notice() -> None:
    assert "used the network: urllib.Request" in run("probe").stderr
