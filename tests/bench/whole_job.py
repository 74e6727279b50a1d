"""The real daemon on the whole dataset: how soon it trains, and how much memory that takes."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.dataset import BenchData

MINUTES = 0.5


@dataclass(frozen=True, slots=True)
class Job:
    claim_to_first_step_seconds: float
    peak_rss_bytes: int
    images: int


def measure(data: BenchData, folder: Path, size: int) -> list[Job]:
    """The first job of its kind on a machine, which is rehearsed, and the next one."""
    root = folder / "root"
    subprocess.run([sys.executable, "-m", "segdrop", "init", str(root)], check=True, stdout=subprocess.DEVNULL)
    return [_job(data, root, size, number) for number in range(2)]


def _job(data: BenchData, root: Path, size: int, number: int) -> Job:
    request = {"image_size": size, "time_budget_minutes": MINUTES, "pretrained": "none", "force": True}
    (root / "inbox" / f"bench{number}.json").write_text(json.dumps(request))
    (root / "inbox" / f"bench{number}.zip").hardlink_to(data.archive)
    command = [sys.executable, "-m", "segdrop", "once", "--root", str(root)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (answer,) = (root / "outbox").glob(f"bench{number}-*.json")
    told: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return Job(
        told["timing"]["prepare_seconds"] + told["timing"]["first_step_seconds"],
        told["peak_rss_bytes"],
        told["dataset"]["pairs"],
    )
