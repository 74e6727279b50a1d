"""An idle daemon costs next to nothing, whatever lies in its inbox, and does not grow.

A minute by default; ``REAL_IDLE_SECONDS=300`` for as long as the promise is extrapolated from.
"""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from builders import write_dataset
from builders.daemons import Daemon, Root, wait_until
from builders.mishaps import OTHER_UID, Foreign
from builders.requirements import IN_NAMESPACE, require_mounts

pytestmark = pytest.mark.faults

IDLE_SECONDS = float(os.environ.get("REAL_IDLE_SECONDS", "60"))
NUM_FILES = 10_000
#: for what is looked at again every few seconds
WAITING_SECONDS = min(60.0, IDLE_SECONDS)
#: the settings that people have, not the quick ones of the other tests
USUAL = {"intake__scan_seconds": 2.0, "intake__settle_seconds": 5.0, "intake__incomplete_seconds": 300.0}
#: of a ZIP that nobody has tried to take yet
NOT_TRIED = {"", "arriving", "to be checked"}
#: becomes the daemon by exec, in a namespace where the file is a mount point: renaming it is refused with EBUSY
BUSY_PREFIX = (*IN_NAMESPACE, "sh", "-c", 'mount --bind "$0" "$0" && exec "$@"')
MAX_CPU_SHARE = 0.01
MAX_RSS_BYTES = 80_000_000
MAX_GROWTH_BYTES = 2_000_000
#: as they come: temporary names, photographs, archives of other kinds, requests without their ZIP
KINDS = ("{}.zip.part", "IMG_{}.jpg", ".{}.zip.Xy12", "{}.tar.gz", "~${}.docx", "{}")


def fill(inbox: Path) -> None:
    for number in range(NUM_FILES):
        (inbox / KINDS[number % len(KINDS)].format(f"{number:05}")).touch()


def observe(daemon: Daemon, until: float) -> tuple[float, int]:
    """Look at the memory until then, and not so often that it disturbs; CPU seconds so far,
    its children's too, and the largest RSS.
    """
    largest = daemon.rss_bytes()
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(1.0, left))
        assert daemon.process.poll() is None
        largest = max(largest, daemon.rss_bytes())
    return daemon.cpu_seconds(children=True), largest


def unpack(inbox: Path) -> None:
    """An unpacked folder of LabelMe: photographs, each with its annotations."""
    for number in range(NUM_FILES // 2):
        (inbox / f"IMG_{number:05}.jpg").touch()
        (inbox / f"IMG_{number:05}.json").write_text('{"version": "5.4.1", "flags": {}, "shapes": []}')


@pytest.mark.parametrize("fill_", [fill, unpack])
def test_idle_daemon_among_ten_thousand_ignored_files_takes_less_than_a_percent_of_a_core(
    tmp_path: Path, fill_: Callable[[Path], None]
) -> None:
    root = Root(tmp_path / "run", **USUAL)
    fill_(root.layout.inbox)
    with root.daemon(standin=False) as daemon:
        wait_until(lambda: root.status().get("ignored_count") == NUM_FILES, "all files seen")
        started_at, cpu_at_start = time.monotonic(), daemon.cpu_seconds(children=True)
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


def hold_up(root: Root, folder: Path) -> list[str]:
    """ZIPs that cannot be taken: one will be busy, the requests of two are another user's, and a link. Their names."""
    source = write_dataset(folder / "source.zip")
    for name in ("busy.zip", "unreadable.zip", "linked.zip"):
        root.drop(source, name)
    theirs = root.layout.inbox / "unreadable.json"
    theirs.write_text("{}")
    theirs.chmod(0o600)
    os.chown(theirs, OTHER_UID, OTHER_UID)
    (root.layout.inbox / "linked.json").symlink_to(theirs)
    return ["busy.zip", "unreadable.zip", "linked.zip"]


def test_files_that_cannot_be_taken_and_folders_of_others_keep_an_idle_daemon_no_busier(tmp_path: Path) -> None:
    require_mounts()
    root = Root(tmp_path / "run", **USUAL)
    foreign = Foreign(root.layout)
    names = hold_up(root, tmp_path)
    busy = root.layout.inbox / names[0]
    with root.daemon(standin=False, obeys_permissions=True, prefix=(*BUSY_PREFIX, str(busy))) as daemon:
        wait_until(lambda: not {root.reason(name) for name in names} & NOT_TRIED, "each waits with its reason")
        started_at, cpu_at_start = time.monotonic(), daemon.cpu_seconds(children=True)
        cpu_at_end, rss_bytes = observe(daemon, started_at + WAITING_SECONDS)
        share = (cpu_at_end - cpu_at_start) / (time.monotonic() - started_at)
        print(f"{100 * share:.2f} % of a core, RSS {rss_bytes / 1e6:.1f} MB; {root.status()['inbox']}")
        assert share < MAX_CPU_SHARE
        assert rss_bytes < MAX_RSS_BYTES
        assert foreign.wrong() == []
        assert root.states() == {}
        # and it is nobody else's business
        (root.layout.inbox / "text.zip").write_text("no ZIP")
        assert root.answer("text.zip")["issues"][0]["code"] == "archive.not_a_zip"
        subprocess.run(["nsenter", f"--mount=/proc/{daemon.pid}/ns/mnt", "umount", "--lazy", busy], check=True)
        wait_until(lambda: busy.name in root.states(), "it is taken once it can be")
