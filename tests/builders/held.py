"""How a test holds a stand-in at one point of its work, by files beside the plan (see ``standin``)."""

import json
import os
import time
from pathlib import Path

POLL_SECONDS = 0.02


def folder() -> Path:
    return Path(os.environ["STANDIN_PLAN"]).parent


def asked(name: str) -> bool:
    return (folder() / name).exists()


def wait(point: str) -> None:
    """As long as there is a file ``hold-<point>``; where it waits, ``held-<point>`` says so."""
    while asked(f"hold-{point}"):
        (folder() / f"held-{point}").touch()
        time.sleep(POLL_SECONDS)


def cut_off(point: str, spec: Path, key: str) -> None:
    """Leave half of the answer that the spec has under ``key``, once, where there is a file ``cut-<point>``."""
    if asked(f"cut-{point}"):
        (folder() / f"cut-{point}").unlink()
        answer = spec.parent / json.loads(spec.read_bytes())[key]
        os.truncate(answer, answer.stat().st_size // 2)
