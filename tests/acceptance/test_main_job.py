"""The main job: ZIPs dropped into the inbox of a running daemon come back, in order, whatever happens in between."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builders import broken, write_dataset
from builders.daemons import Root, is_alive, verified_zip, wait_until

#: promised for a machine of its own with the default settings; here with quicker settings, on a busy one
ANSWER_SECONDS = 15.0


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "good.zip")


class OutboxWatch(threading.Thread):
    """Looks at the outbox as somebody on the share does, all the time, and notes everything that is not whole."""

    def __init__(self, outbox: Path) -> None:
        super().__init__()
        self.outbox = outbox
        self.ended = threading.Event()
        self.faults: list[str] = []
        self.seen: dict[str, bytes] = {}

    def run(self) -> None:
        while not self.ended.wait(0.005):
            self.look()
        self.look()

    def look(self) -> None:
        self.faults += [f"{path.name} is a draft" for path in self.outbox.glob("*.tmp")]
        for path in sorted(self.outbox.glob("*.json")):
            if path.name == "status.json" or path.name in self.seen:
                continue
            content = path.read_bytes()
            self.seen[path.name] = content
            try:
                self.check(path, json.loads(content))
            except (ValueError, KeyError, OSError) as error:
                self.faults.append(f"{path.name}: {error!r}")

    def check(self, path: Path, answer: dict) -> None:
        if answer["job"] != path.stem:
            self.faults.append(f"{path.name} is about {answer['job']}")
        if answer["result"] is None:
            return
        content = (self.outbox / answer["result"]["name"]).read_bytes()
        if (len(content), hashlib.sha256(content).hexdigest()) != (
            answer["result"]["bytes"],
            answer["result"]["sha256"],
        ):
            self.faults.append(f"{path.name}: its ZIP is another, or not whole")


@contextmanager
def watched(root: Root) -> Iterator[OutboxWatch]:
    watch = OutboxWatch(root.layout.outbox)
    watch.start()
    try:
        yield watch
    finally:
        watch.ended.set()
        watch.join()


def test_ten_more_zips_all_finish_in_order_across_restarts(tmp_path: Path, good: Path) -> None:
    """An orderly restart, and then one after a SIGKILL."""
    root = Root(tmp_path / "run", queue__capacity=4)
    root.plan(first={"epochs": 2, "hold": 1})
    more = [f"more_{number}.zip" for number in range(10)]
    with watched(root) as watch:
        with root.daemon() as daemon:
            root.drop(good, "first.zip")
            wait_until(root.starts, "the first training")
            for name in more:
                root.drop(good, name)
            daemon.wait_for("queue.full")
            wait_until(lambda: len(set(root.states()) - {"first.zip"}) == 4, "as many claims as the queue holds")
            # each is claimed, or waits in the inbox
            inbox = {path.name for path in root.layout.inbox.iterdir()}
            claimed = set(root.states()) - {"first.zip"}
            assert inbox | claimed == set(more)
            assert len(claimed) == 4
            assert daemon.stop() == 0
        with root.daemon() as daemon:
            wait_until(lambda: len(root.starts()) == 2, "the training's second start")
            children = daemon.children()
            daemon.kill()
            wait_until(lambda: not any(is_alive(child) for child in children), "the children's death")
        root.flag("release")
        with root.daemon() as daemon:
            for name in ["first.zip", *more]:
                root.archived(root.answer(name))
            resumed = {event["job"].split("-")[0] for event in daemon.events("job.resumed")}
            assert daemon.stop() == 0
        assert len(list(root.layout.outbox.glob("*.json"))) == 12  # eleven answers and the status
    assert watch.faults == []
    assert len(watch.seen) == 11
    assert resumed == {"first", *(Path(name).stem for name in claimed)}
    for name, answer in root.answers().items():
        assert answer["status"] == "succeeded", name
        verified_zip(root, answer)
        kept = root.archived(answer)
        assert (answer["input"]["name"], answer["input"]["bytes"]) == (name, kept.stat().st_size)
        # final: nobody has touched what was published
        assert root.layout.published_json(answer["job"]).read_bytes() == watch.seen[f"{answer['job']}.json"]
    # the first one resumed at its checkpoint; the others trained once each, first come first served
    trained = [(name, first) for name, _, first in root.starts()]
    assert trained == [("first.zip", 0), ("first.zip", 1), ("first.zip", 1), *((name, 0) for name in more)]
    assert list(root.layout.inbox.iterdir()) == []
    assert root.states() == {}


def test_bad_zips_are_answered_within_seconds_while_a_job_trains(tmp_path: Path, good: Path) -> None:
    # settling as configured by default: the promise is about a real daemon
    root = Root(tmp_path / "run", intake__settle_seconds=5.0, intake__scan_seconds=2.0)
    root.plan(long={"hold": 0})
    root.drop(good, "long.zip")
    broken.not_a_zip(tmp_path / "text.zip")
    broken.bad_crc(tmp_path / "crc.zip")
    with root.daemon():
        wait_until(root.starts, "the training")
        for name in ("text.zip", "crc.zip"):
            root.drop(tmp_path / name)
        dropped_at = time.monotonic()
        answers = {name: root.answer(name) for name in ("text.zip", "crc.zip")}
        assert time.monotonic() - dropped_at < ANSWER_SECONDS
        assert root.states()["long.zip"] == "running"
    assert {name: answer["status"] for name, answer in answers.items()} == dict.fromkeys(answers, "rejected")
    assert answers["text.zip"]["issues"][0]["code"] == "archive.not_a_zip"
    assert answers["crc.zip"]["issues"][0]["code"] == "archive.corrupt"
    assert len(root.starts()) == 1
