"""An idle daemon costs next to nothing, whatever lies in its inbox, and does not grow.

A minute by default; ``REAL_IDLE_SECONDS=300`` for as long as the promise is extrapolated from.
"""

import os
import time
from pathlib import Path

import pytest

from builders.daemons import Daemon, Root, wait_until

pytestmark = pytest.mark.faults

IDLE_SECONDS = float(os.environ.get("REAL_IDLE_SECONDS", "60"))
NUM_FILES = 10_000
MAX_CPU_SHARE = 0.01
MAX_RSS_BYTES = 80_000_000
MAX_GROWTH_BYTES = 2_000_000
#: as they come: temporary names, photographs, archives of other kinds, requests without their ZIP
KINDS = ("{}.zip.part", "IMG_{}.jpg", ".{}.zip.Xy12", "{}.tar.gz", "~${}.docx", "{}")


def fill(inbox: Path) -> None:
    for number in range(NUM_FILES):
        (inbox / KINDS[number % len(KINDS)].format(f"{number:05}")).touch()


def observe(daemon: Daemon, until: float) -> tuple[float, int]:
    """Look at the memory until then, and not so often that it disturbs; CPU seconds so far and the largest RSS."""
    largest = daemon.rss_bytes()
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(1.0, left))
        assert daemon.process.poll() is None
        largest = max(largest, daemon.rss_bytes())
    return daemon.cpu_seconds(), largest


def test_idle_daemon_among_ten_thousand_ignored_files_takes_less_than_a_percent_of_a_core(tmp_path: Path) -> None:
    # the settings that people have, not the quick ones of the other tests
    root = Root(
        tmp_path / "run", intake__scan_seconds=2.0, intake__settle_seconds=5.0, intake__incomplete_seconds=300.0
    )
    fill(root.layout.inbox)
    with root.daemon(standin=False) as daemon:
        wait_until(lambda: root.status().get("ignored_count") == NUM_FILES, "all files seen")
        started_at, cpu_at_start = time.monotonic(), daemon.cpu_seconds()
        cpu_at_third, rss_at_third = observe(daemon, started_at + IDLE_SECONDS / 3)
        cpu_at_end, rss_at_end = observe(daemon, started_at + IDLE_SECONDS)
        seconds = time.monotonic() - started_at
        share = (cpu_at_end - cpu_at_start) / seconds
        print(
            f"idle for {seconds:.0f} s: {100 * share:.2f} % of a core, "
            f"RSS {rss_at_third / 1e6:.1f} MB at a third, {rss_at_end / 1e6:.1f} MB at the end"
        )
        assert share < MAX_CPU_SHARE
        assert rss_at_end < MAX_RSS_BYTES
        assert abs(rss_at_end - rss_at_third) <= MAX_GROWTH_BYTES
        assert cpu_at_third > cpu_at_start, "it did not look at the inbox at all"
        # and it is awake
        assert root.status()["daemon"]["scan_age_seconds"] < 10
        (root.layout.inbox / "text.zip").write_text("no ZIP")
        assert root.answer("text.zip")["issues"][0]["code"] == "archive.not_a_zip"
