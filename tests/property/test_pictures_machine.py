"""The inbox with images, JSON files and ZIPs of the same names against a model, whatever people do in whatever order.

A photo is claimed exactly with a request for a prediction that fits it alone, or without any where the operator has
named a model; what an annotation tool keeps beside it holds it; and no file is lost or changed.
"""

import json
import os
import shutil
import tempfile
import unicodedata
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from builders.spool import WALL, fresh_root, small_zip
from segdrop.intake.claim import claim
from segdrop.intake.inbox import Inbox, QuickCheckAnswer
from segdrop.settings import IntakeSettings
from segdrop.spool.store import Store

MEMORY = Path("/dev/shm")
SETTLE_SECONDS = 5
STEMS = st.sampled_from(["a", "A", unicodedata.normalize("NFC", "Zoë"), unicodedata.normalize("NFD", "zoë")])
SUFFIXES = st.sampled_from(["jpg", "png", "mp4", "zip"])
#: what a ``.json`` may hold → whether it is a request for a prediction
CONTENTS = {
    '{"task": "predict", "model": "m"}': True,
    '{"level": 2}': False,
    '{"task": "train"}': False,
    '{"shapes": [], "imagePath": "a.jpg"}': False,
    "[]": False,
}


def key(stem: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", stem).casefold())


class PicturesMachine(RuleBasedStateMachine):
    """The model: what lies in the inbox and what was claimed, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(
            tempfile.mkdtemp(prefix="segdrop-pictures-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None)
        )
        self.store = Store(fresh_root(self.folder))
        self.now = 0.0
        self.count = 0
        self.files: dict[str, bytes] = {}
        self.claimed: dict[str, tuple[bytes, bytes | None]] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @initialize(has_default_model=st.booleans())
    def begin(self, has_default_model: bool) -> None:
        self.has_default_model = has_default_model
        self.restart()

    @rule()
    def restart(self) -> None:
        self.inbox = Inbox(
            self.store.layout.inbox,
            IntakeSettings(settle_seconds=SETTLE_SECONDS, incomplete_seconds=SETTLE_SECONDS),
            late_path=self.store.layout.late_requests,
            has_default_model=self.has_default_model,
        )

    # people

    @rule(stem=STEMS, suffix=SUFFIXES)
    def drop(self, stem: str, suffix: str) -> None:
        self.count += 1
        made = small_zip(self.folder / "made", "x" * self.count).read_bytes()
        self.write(f"{stem}.{suffix}", made if suffix == "zip" else b"\xff" * self.count)

    @rule(stem=STEMS, content=st.sampled_from(sorted(CONTENTS)))
    def write_json(self, stem: str, content: str) -> None:
        self.count += 1
        self.write(f"{stem}.json", content.encode() + b" " * self.count)

    def write(self, name: str, content: bytes) -> None:
        self.files[name] = content
        (self.store.layout.inbox / name).write_bytes(content)

    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        if self.files:
            name = data.draw(st.sampled_from(sorted(self.files)))
            (self.store.layout.inbox / name).unlink()
            del self.files[name]

    # whose a request is

    def requests_of(self, name: str) -> list[str]:
        """Every JSON that fits an input by its name."""
        return [other for other in self.files if other.endswith(".json") and key(other[:-5]) == key(name[:-4])]

    def exact_request_of(self, name: str) -> list[str]:
        stem = name[:-4]
        return [other for other in self.requests_of(name) if other[:-5] == stem]

    def predicts(self, name: str) -> bool:
        return CONTENTS[self.files[name].decode().rstrip(" ")]

    # the daemon

    @rule()
    def a_long_quiet_settles_everything(self) -> None:
        for seconds in (1, SETTLE_SECONDS, 1, SETTLE_SECONDS):
            self.now += seconds
            self.inbox.scan(self.now, [])
        for arrival in self.inbox.to_check():
            arrival.quick_check = QuickCheckAnswer([], accepted=True)
        ready = {arrival.name: arrival.sidecar_name for arrival in self.inbox.ready()}
        for name, request in ready.items():
            fitting = self.requests_of(name)
            if name.endswith(".zip"):
                continue
            if request is None:
                assert self.has_default_model, "a photo is never taken without its request"
                others = [
                    other
                    for other in self.files
                    if not other.endswith(".json") and other != name and key(other[:-4]) == key(name[:-4])
                ]
                assert not fitting or others, "what lies beside it alone is its own"
            else:
                assert request in fitting
                assert self.predicts(request)
                rivals = [other for other in self.files if other[-4:] != "json" and other[:-4] == name[:-4]]
                assert rivals == [name] or request not in self.exact_request_of(name)
        self.every_file_has_an_outcome(ready)

    def every_file_has_an_outcome(self, ready: dict[str, str | None]) -> None:
        taken = {*ready, *(request for request in ready.values() if request)}
        waiting = {name for name, arrival in self.inbox.arrivals.items() if arrival.reason}
        beside = {arrival.sidecar_name for arrival in self.inbox.arrivals.values()}
        assert set(self.files) <= taken | waiting | beside | set(self.inbox.bystanders)

    @rule(data=st.data())
    def claim_one(self, data: st.DataObject) -> None:
        ready = self.inbox.ready()
        if not ready:
            return
        arrival = data.draw(st.sampled_from(ready))
        job = claim(self.store, arrival, 0, WALL)
        if job is not None:
            sidecar = self.files.pop(job.sidecar_name) if job.sidecar_name else None
            self.claimed[job.id] = (self.files.pop(job.input_name), sidecar)
            arrival.job_id = job.id
        self.inbox.forget(arrival)

    # what always holds

    @invariant()
    def every_file_is_where_it_was_put_or_with_its_job_and_unchanged(self) -> None:
        inbox = {path.name: path.read_bytes() for path in self.store.layout.inbox.iterdir()}
        assert inbox == self.files
        jobs = {}
        for manifest in self.store.layout.work.glob("*/job.json"):
            job = self.store.load(json.loads(manifest.read_bytes())["id"])
            files = self.store.files(job)
            sidecar = files.sidecar.read_bytes() if job.sidecar_name else None
            jobs[job.id] = (files.input.read_bytes(), sidecar)
        assert jobs == self.claimed


PicturesMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestPicturesMachine = PicturesMachine.TestCase
