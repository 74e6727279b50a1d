"""Five hundred tiny jobs, while daemon and children get SIGKILL at random moments: nothing is lost, nothing is
delivered twice, and the attempts are those that were made. What is wrong with one of them is nobody else's business: a
ZIP and a request that cannot be renamed, folders of another user in ``work/``, job folders that are damaged.

The killer is ``builders.random_kills``. What is true about attempts is judged by what the stand-in for training noted
of its own starts, and by what the killer did; the daemon's records are what is judged. The seed is in the tests' names.
"""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from builders.daemons import BUILDERS, obey_permissions
from builders.mishaps import FOREIGN
from builders.random_kills import BOXED_SEED, BOXED_ZIP, BUSY_ZIP, MAX_ATTEMPTS, kind_of
from builders.requirements import IN_NAMESPACE, require_mounts
from segdrop.execution.outcome import MAX_READER_KILLS

pytestmark = pytest.mark.faults

JOBS, KILLS = 500, 240
#: with files that nobody can rename for a while
BUSY = {BUSY_ZIP, BOXED_ZIP}
#: as RANDOM_KILLS_SEED it repeats a run, as far as time can be repeated
SEED = int(os.environ.get("RANDOM_KILLS_SEED") or random.randrange(2**32))
#: how often the stand-in ends by itself, by the kind of input (``KINDS``)
OWN_ENDS = {"slip": 1, "step": 3, "dead": MAX_ATTEMPTS}
#: it is reached only by what hangs
DEADLINE_SECONDS = 1200


class Books:
    """What the worker told: the answers, the stand-in's starts, the killer's kills."""

    def __init__(self, told: dict[str, Any], root: Path) -> None:
        self.told = told
        self.root = root
        self.answers: dict[str, dict[str, Any]] = {answer["job"]: answer for answer in told["answers"]}
        self.first_epochs: dict[str, list[int]] = {name_of(answer): [] for answer in self.answers.values()}
        for name, _, first_epoch in told["starts"]:
            self.first_epochs[name].append(first_epoch)

    def starts(self, answer: dict[str, Any]) -> list[int]:
        """The epochs that its starts began with, as the stand-in noted them."""
        return self.first_epochs[name_of(answer)]

    def unstarted(self, answer: dict[str, Any]) -> int:
        """Attempts on record that were cut off before the stand-in could note its start."""
        return answer["attempts"] - len(self.starts(answer))

    def hits(self, answer: dict[str, Any]) -> int:
        """Kills of the daemon or of the job's child while the job was in training or packing."""
        return int(self.told["hits"].get(answer["job"], 0))

    def hopeless(self, answer: dict[str, Any]) -> bool:
        """Whether as many attempts as are allowed made no new checkpoint: they began, if at all, with one epoch; or,
        once trained, whether it was hit so often.
        """
        if answer["metrics"] is not None:
            return self.hits(answer) >= MAX_ATTEMPTS
        starts = self.starts(answer)
        return starts.count(max(starts, default=0)) + self.unstarted(answer) >= MAX_ATTEMPTS

    def describe(self, answer: dict[str, Any]) -> str:
        codes = [issue["code"] for issue in answer["issues"]]
        attempts = f"{answer['attempts']} attempts, starts with epochs {self.starts(answer)}, {self.hits(answer)} kills"
        return f"{name_of(answer)} is {answer['status']} {codes}: {attempts}"


def name_of(answer: dict[str, Any]) -> str:
    return str(answer["input"]["name"])


def told_by(folder: Path, seed: int) -> dict[str, Any]:
    """As root, whom permissions bind (``work/`` has another user's folders in it)."""
    require_mounts()
    order = folder / "order.json"
    order.write_text(json.dumps({"folder": str(folder), "seed": seed, "jobs": JOBS, "kills": KILLS}))
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SEGDROP_", "JOURNAL_"))}
    worker = subprocess.run(
        [*IN_NAMESPACE, sys.executable, "-m", "builders.random_kills", str(order)],
        cwd=BUILDERS.parent,
        env=environment | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
        preexec_fn=obey_permissions,
    )
    assert worker.returncode == 0, worker.stderr[-4000:]
    return dict(json.loads(worker.stdout))


@pytest.fixture(scope="module", params=[SEED], ids=[f"seed-{SEED}"])
def books(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Books:
    folder = tmp_path_factory.mktemp("random-kills")
    books = Books(told_by(folder, request.param), folder / "run" / "root")
    outcomes = Counter(f"{kind_of(name_of(answer))} {answer['status']}" for answer in books.answers.values())
    print(f"kills {books.told['kills']}, looks at the outbox {books.told['looks']}, outcomes {dict(outcomes)}")
    return books


def test_nothing_is_lost_and_nothing_is_delivered_twice(books: Books) -> None:
    """One answer for each input, final from the first look on, and the input whole in one place (``OutboxReader``)."""
    assert books.told["wrong"] == []
    assert len(books.answers) == books.told["jobs"] == JOBS + len(BUSY)
    kills = books.told["kills"]
    assert sum(kills.values()) >= KILLS
    assert set(kills) == {"daemon", "inspect", "check", "train", "package"}, "some child was never killed"


def test_file_that_cannot_be_renamed_for_a_while_is_taken_once_when_it_can_be(books: Books) -> None:
    """And with its request, where that is the file."""
    found = {name_of(answer): answer for answer in books.answers.values() if name_of(answer) in BUSY}
    assert found.keys() == BUSY
    boxed = found[BOXED_ZIP]
    assert boxed["status"] == "rejected" or boxed["request"]["seed"] == BOXED_SEED  # its check may be killed each time


def test_folders_of_another_user_are_left_alone(books: Books) -> None:
    """Seen with root's eyes; that they were not renamed meanwhile is among what is ``wrong``."""
    for name in FOREIGN:
        assert [path.name for path in (books.root / "work" / name).iterdir()] == ["theirs"]


def test_attempts_on_record_are_those_that_were_made(books: Books) -> None:
    """Each start was on record before it was made. An attempt without a start was cut off by a kill, and a further
    attempt follows only on a kill or on an end that the stand-in made by itself. Epochs that were trained stay so.
    """
    for answer in books.answers.values():
        described, kills = books.describe(answer), books.hits(answer)
        assert 0 <= books.unstarted(answer) <= kills, described
        ends = OWN_ENDS.get(kind_of(name_of(answer)), 0)
        assert answer["attempts"] <= 1 + kills + ends, described
        assert books.starts(answer) == sorted(books.starts(answer)), described
        assert books.starts(answer) or answer["status"] != "succeeded", described


def test_only_a_job_that_came_no_further_in_all_its_attempts_fails(books: Books) -> None:
    failed = [answer for answer in books.answers.values() if answer["status"] == "failed"]
    for answer in failed:
        assert books.hopeless(answer), books.describe(answer)
    dead = [answer for answer in books.answers.values() if kind_of(name_of(answer)) == "dead"]
    for answer in dead:
        assert (answer["status"], answer["attempts"]) in {("failed", MAX_ATTEMPTS), ("rejected", 0)}


def test_only_what_is_no_zip_or_whose_check_was_killed_every_time_is_rejected(books: Books) -> None:
    most_inspect_hits = max(books.told["inspect_hits"])
    for answer in books.answers.values():
        kills = max(books.told["check_hits"].get(answer["job"], 0), most_inspect_hits)
        if kind_of(name_of(answer)) == "text":
            assert (answer["status"], answer["attempts"]) == ("rejected", 0), books.describe(answer)
        elif answer["status"] == "rejected":
            assert "archive.reader_died" in {issue["code"] for issue in answer["issues"]}
            assert kills >= MAX_READER_KILLS, books.describe(answer)


def test_same_input_is_trained_on_once(books: Books) -> None:
    """The second of two points to the first, whichever that was, unless the first came to no result."""
    twins: dict[str, list[dict[str, Any]]] = {}
    for answer in books.answers.values():
        if kind_of(name_of(answer)) in ("twin", "long"):
            twins.setdefault(name_of(answer).replace("twin", "long"), []).append(answer)
    for pair in twins.values():
        assert [answer["status"] for answer in pair].count("succeeded") <= 1
        for answer in pair:
            if answer["status"] == "duplicate":
                earlier = books.answers[answer["duplicate_of"]]
                assert earlier in pair
                assert (earlier["status"], answer["attempts"]) == ("succeeded", 0)
