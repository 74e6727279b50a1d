import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from builders.spool import WALL, fresh_root, listing, small_zip
from segdrop import durable
from segdrop.errors import DataError
from segdrop.execution.local import LocalRunner
from segdrop.input_kinds import InputKind
from segdrop.intake.claim import claim, fetch_sidecar, identity_of, retry
from segdrop.intake.inbox import Arrival, Inbox
from segdrop.results.archive import archive
from segdrop.settings import IntakeSettings, Settings
from segdrop.spool import recovery
from segdrop.spool.job import Job, JobState, Outcome
from segdrop.spool.results import Results
from segdrop.spool.store import Store
from segdrop.stages import inputs
from segdrop.stages.check import Check
from segdrop.stages.stage import Context, Modules


class CrashError(BaseException):
    """The end of the process: nothing after it runs."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(fresh_root(tmp_path))


def arrive(store: Store, *names: str) -> Arrival:
    """Drop files into the inbox, and see the ZIP among them."""
    for name in names:
        path = store.layout.inbox / name
        if path.suffix.lower() == ".zip":
            small_zip(path)
        else:
            path.write_text('{"level": 1}')
    inbox = Inbox(store.layout.inbox, IntakeSettings(settle_seconds=0))
    inbox.scan(0)
    (arrival,) = inbox.arrivals.values()
    return arrival


def fail_at(monkeypatch: pytest.MonkeyPatch, suffix: str, error: BaseException, *, after: bool = False) -> None:
    """Let the move of a name fail, before or after the rename itself."""
    move = durable.move

    def failing(source: Path, target: Path) -> None:
        if source.suffix == suffix:
            if after:
                source.rename(target)
            raise error
        move(source, target)

    monkeypatch.setattr(durable, "move", failing)


def test_a_claim_moves_the_zip_and_its_sidecar_unchanged(store: Store) -> None:
    arrival = arrive(store, "My Data.ZIP", "My Data.json")
    content = (store.layout.inbox / "My Data.ZIP").read_bytes()
    job = claim(store, arrival, 3, WALL)
    assert job is not None
    files = store.files(job)
    assert files.input.read_bytes() == content
    assert files.sidecar.read_text() == '{"level": 1}'
    assert listing(store.layout.inbox) == []
    assert store.load(job.id) == job
    assert (job.state, job.priority, job.input_name, job.sidecar_name) == (
        *(JobState.CLAIMED, 3),
        *("My Data.ZIP", "My Data.json"),
    )
    assert job.id.startswith("my-data-20261121T061500Z-")
    assert job.arrival_ns == arrival.observation.archive.ctime_ns
    assert job.claimed_at == WALL.timestamp()
    assert job.owner_uid == arrival.observation.archive.uid == os.geteuid()


def test_the_identity_on_record_is_still_that_of_the_input_after_the_rename(store: Store) -> None:
    job = claim(store, arrive(store, "a.zip"), 0, WALL)
    assert job is not None
    assert identity_of(store.files(job).input) == job.identity
    with store.files(job).input.open("ab") as stream:
        stream.write(b"a writer still has it open")
    assert identity_of(store.files(job).input) != job.identity


def test_a_withdrawn_zip_makes_no_job_and_keeps_its_sidecar_in_place(store: Store) -> None:
    arrival = arrive(store, "a.zip", "a.json")
    (store.layout.inbox / "a.zip").unlink()
    assert claim(store, arrival, 0, WALL) is None
    assert listing(store.layout.work) == []
    assert listing(store.layout.inbox) == ["a.json"]


def test_of_two_claims_one_gets_the_file(store: Store) -> None:
    arrival = arrive(store, "a.zip")
    claims = [claim(store, arrival, 0, WALL) for _ in range(2)]
    assert [job is None for job in claims] == [False, True]
    assert len(listing(store.layout.work)) == 1


def test_a_sidecar_withdrawn_between_the_two_renames_does_not_stop_the_claim(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrival = arrive(store, "a.zip", "a.json")
    move = durable.move

    def withdrawing(source: Path, target: Path) -> None:
        move(source, target)
        (store.layout.inbox / "a.json").unlink(missing_ok=True)

    with monkeypatch.context() as patch:
        patch.setattr(durable, "move", withdrawing)
        job = claim(store, arrival, 0, WALL)
    assert job is not None
    assert store.load(job.id) == job
    (store.layout.inbox / "a.json").write_text("for another ZIP")
    fetch_sidecar(store, store.load(job.id))
    assert not store.files(job).sidecar.exists(), "what comes later belongs to somebody else"


def write(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" ")


def exchange(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)


def link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("change", [write, exchange, link, pipe, Path.unlink])
@pytest.mark.parametrize("name", ["a.zip", "a.json"])
def test_a_verdict_on_what_has_changed_since_is_void(store: Store, name: str, change: Callable[[Path], None]) -> None:
    """Nothing is claimed: what is there now settles, and is looked at, again."""
    arrival = arrive(store, "a.zip", "a.json")
    change(store.layout.inbox / name)
    before = listing(store.layout.inbox)
    assert claim(store, arrival, 0, WALL) is None
    assert listing(store.layout.work) == []
    assert listing(store.layout.inbox) == before


def swap_at_the_rename(monkeypatch: pytest.MonkeyPatch, name: str, change: Callable[[Path], None]) -> None:
    """The last moment that there is: after the last look."""
    move = durable.move

    def swapping(source: Path, target: Path) -> None:
        if source.name == name:
            change(source)
        move(source, target)

    monkeypatch.setattr(durable, "move", swapping)


@pytest.mark.parametrize("change", [link, pipe])
@pytest.mark.parametrize("name", ["a.zip", "a.json"])
def test_a_link_that_takes_the_place_of_a_file_at_the_rename_is_never_followed(
    store: Store, monkeypatch: pytest.MonkeyPatch, name: str, change: Callable[[Path], None]
) -> None:
    arrival = arrive(store, "a.zip", "a.json")
    with monkeypatch.context() as patch:
        swap_at_the_rename(patch, name, change)
        job = claim(store, arrival, 0, WALL)
    assert job is not None
    assert inputs.has_changed(store, job)
    with pytest.raises(DataError) as error:
        inputs.accept_change(store, job)
    (issue,) = error.value.issues
    assert (issue.code, issue.files) == ("input.not_regular", (name,))


@pytest.mark.parametrize("name", ["a.zip", "a.json"])
def test_what_is_written_after_the_claim_is_noticed_for_the_request_as_for_the_zip(store: Store, name: str) -> None:
    job = claim(store, arrive(store, "a.zip", "a.json"), 0, WALL)
    assert job is not None
    assert not inputs.has_changed(store, job)
    files = store.files(job)
    write(files.input if name == "a.zip" else files.sidecar)
    assert inputs.has_changed(store, job)
    assert not inputs.has_changed(store, inputs.accept_change(store, job))


def test_a_job_of_an_older_version_has_no_identity_of_its_request_and_goes_on(store: Store) -> None:
    job = claim(store, arrive(store, "a.zip", "a.json"), 0, WALL)
    assert job is not None
    record = json.loads(store.files(job).manifest.read_text())
    del record["sidecar_identity"], record["issues"]
    store.files(job).manifest.write_text(json.dumps(record))
    assert not inputs.has_changed(store, store.load(job.id))


def test_what_was_noticed_about_an_arrival_goes_with_its_job(store: Store) -> None:
    (store.layout.inbox / "a.zip.json").write_text("{}")
    job = claim(store, arrive(store, "a.zip"), 0, WALL)
    assert job is not None
    assert [issue.code for issue in job.issues] == ["request.near_miss"]
    assert store.load(job.id) == job


@pytest.mark.parametrize("name", ["a.zip", "a.json"])
def test_a_link_in_failed_is_not_followed_by_a_retry(store: Store, name: str) -> None:
    folder = store.layout.failed / "a-20261121T061500Z-0001"
    folder.mkdir()
    small_zip(folder / "a.zip")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to("/etc/hostname")
    assert retry(store, folder.name, WALL) is None
    assert listing(store.layout.work) == []


def test_a_crash_before_the_rename_leaves_the_zip_in_the_inbox_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrival = arrive(store, "a.zip", "a.json")
    fail_at(monkeypatch, ".zip", CrashError())
    with pytest.raises(CrashError):
        claim(store, arrival, 0, WALL)
    assert recovery.recover(store).jobs == []
    assert listing(store.layout.inbox) == ["a.json", "a.zip"]
    assert listing(store.layout.work) == []


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_between_the_two_renames_does_not_lose_the_request(
    store: Store, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    arrival = arrive(store, "a.zip", "a.json")
    with monkeypatch.context() as patch:
        fail_at(patch, ".json", CrashError(), after=after)
        with pytest.raises(CrashError):
            claim(store, arrival, 0, WALL)
    (job,) = recovery.recover(store).jobs
    fetch_sidecar(store, job)
    assert store.files(job).sidecar.read_text() == '{"level": 1}'
    assert listing(store.layout.inbox) == []


def test_the_check_of_a_recovered_job_is_given_its_sidecar(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    arrival = arrive(store, "a.zip", "a.json")
    with monkeypatch.context() as patch:
        fail_at(patch, ".json", CrashError())
        with pytest.raises(CrashError):
            claim(store, arrival, 0, WALL)
    (job,) = recovery.recover(store).jobs
    context = Context(Settings(root=store.layout.root), store, Results(store.layout), LocalRunner(), Modules())
    child = Check(context).start(job, 0, WALL)
    child.kill()
    spec = json.loads(store.files(job).spec("check").read_text())
    assert spec["sidecar"] == store.files(job).sidecar.name, "paths are relative to the job"


def claims_against_the_environment(store: Store, arrival: Arrival) -> list[Job]:
    with pytest.raises(OSError, match="no"):
        claim(store, arrival, 0, WALL)
    return recovery.load(store).jobs


def test_a_rename_that_is_refused_leaves_no_job_behind(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    arrival = arrive(store, "a.zip", "a.json")
    fail_at(monkeypatch, ".zip", PermissionError(errno.EACCES, "no"))
    assert claims_against_the_environment(store, arrival) == []
    assert listing(store.layout.work) == []
    assert listing(store.layout.inbox) == ["a.json", "a.zip"]


def test_a_rename_that_happened_although_it_raised_is_a_claim(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    arrival = arrive(store, "a.zip")
    content = (store.layout.inbox / "a.zip").read_bytes()
    fail_at(monkeypatch, ".zip", OSError(errno.EIO, "no"), after=True)
    (job,) = claims_against_the_environment(store, arrival)
    assert store.files(job).input.read_bytes() == content


def test_what_is_not_a_regular_file_has_no_identity(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(small_zip(tmp_path / "a.zip"))
    assert identity_of(tmp_path / "link") is None
    assert identity_of(tmp_path) is None


# other kinds of input

PREDICT = '{"task": "predict", "model": "street"}'


def arrive_with(store: Store, name: str, request_name: str) -> Arrival:
    (store.layout.inbox / name).write_bytes(b"content of " + name.encode())
    if name.endswith("json"):
        (store.layout.inbox / name).write_text('{"images": ["QUJD"]}')
    (store.layout.inbox / request_name).write_text(PREDICT)
    inbox = Inbox(store.layout.inbox, IntakeSettings(settle_seconds=0, incomplete_seconds=0))
    inbox.scan(0)
    (arrival,) = inbox.arrivals.values()
    return arrival


OTHERS = [
    ("My Street.JPG", "My Street.json", InputKind.IMAGE, "input.jpg"),
    ("street.mp4", "street.json", InputKind.VIDEO, "input.mp4"),
    ("street.json", "street.request.json", InputKind.JSON, "input.json"),
]


@pytest.mark.parametrize(("name", "request_name", "kind", "claimed_name"), OTHERS)
def test_an_input_keeps_its_suffix_in_its_jobs_folder_and_the_job_knows_its_kind(
    store: Store, name: str, request_name: str, kind: InputKind, claimed_name: str
) -> None:
    arrival = arrive_with(store, name, request_name)
    content = (store.layout.inbox / name).read_bytes()
    job = claim(store, arrival, 0, WALL)
    assert job is not None
    assert (job.kind, job.input_name, job.sidecar_name) == (kind, name, request_name)
    assert job.id.startswith(("my-street-", "street-"))
    assert store.files(job).input == store.files(job).folder / claimed_name
    assert store.files(job).input.read_bytes() == content
    assert store.files(job).sidecar.read_text() == PREDICT
    assert listing(store.layout.inbox) == []
    assert not inputs.has_changed(store, job)
    assert [found.id for found in recovery.recover(store).jobs] == [job.id]
    link(store.files(job).input)
    assert inputs.irregular(store, job) == name


def test_a_claim_of_a_photo_that_was_cut_off_is_undone_or_finished(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrival = arrive_with(store, "street.jpg", "street.json")
    with monkeypatch.context() as patch:
        fail_at(patch, ".jpg", CrashError())
        with pytest.raises(CrashError):
            claim(store, arrival, 0, WALL)
    assert recovery.recover(store).jobs == []
    assert listing(store.layout.inbox) == ["street.jpg", "street.json"]
    with monkeypatch.context() as patch:
        fail_at(patch, ".json", CrashError())
        with pytest.raises(CrashError):
            claim(store, arrival, 0, WALL)
    (job,) = recovery.recover(store).jobs
    fetch_sidecar(store, job)
    assert store.files(job).sidecar.read_text() == PREDICT
    assert listing(store.layout.inbox) == []


def test_a_job_of_an_older_version_has_a_zip(store: Store) -> None:
    job = claim(store, arrive(store, "a.zip"), 0, WALL)
    assert job is not None
    record = json.loads(store.files(job).manifest.read_text())
    del record["kind"]
    store.files(job).manifest.write_text(json.dumps(record))
    assert store.load(job.id) == job
    assert store.files(job).input.name == "input.zip"


def ended(store: Store, name: str, request_name: str, outcome: Outcome) -> Job:
    """A job whose files have been put away."""
    job = claim(store, arrive_with(store, name, request_name), 0, WALL)
    assert job is not None
    job = store.transition(job, JobState.CONCLUDED, outcome=outcome)
    archive(store.layout, job, {"job": job.id}, "")
    store.remove(job)
    return job


@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.SUCCEEDED])
@pytest.mark.parametrize(("name", "request_name", "kind", "claimed_name"), OTHERS)
def test_an_input_of_any_kind_is_kept_as_it_was_and_can_be_tried_again(
    store: Store, name: str, request_name: str, kind: InputKind, claimed_name: str, outcome: Outcome
) -> None:
    job = ended(store, name, request_name, outcome)
    folder = (store.layout.failed if outcome is Outcome.REJECTED else store.layout.done) / job.id
    before = listing(folder)
    assert {name, request_name} <= set(before)
    again = retry(store, job.id, WALL)
    assert again is not None
    assert (again.kind, again.input_name, again.sidecar_name, again.retry_of) == (kind, name, request_name, job.id)
    files = store.files(again)
    assert files.input.name == claimed_name
    assert files.input.read_bytes() == (folder / name).read_bytes()
    assert files.sidecar.read_text() == PREDICT
    assert listing(folder) == before


@pytest.mark.parametrize("name", ["error.json", "Model.json"])
def test_an_input_with_a_name_that_we_need_ourselves_is_kept_under_another(store: Store, name: str) -> None:
    job = ended(store, name, f"{name[:-5]}.request.json", Outcome.REJECTED)
    folder = store.layout.failed / job.id
    assert json.loads((folder / "error.json").read_text()) == {"job": job.id}
    assert (folder / "input.json").read_text() == '{"images": ["QUJD"]}'
    again = retry(store, job.id, WALL)
    assert again is not None
    assert (again.kind, again.sidecar_name) == (InputKind.JSON, "input.request.json")


def test_a_photo_alone_can_be_tried_again(store: Store) -> None:
    folder = store.layout.failed / "a-20261121T061500Z-0001"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"photo")
    (folder / "error.json").write_text("{}")
    (folder / "log.txt").write_text("")
    again = retry(store, folder.name, WALL)
    assert again is not None
    assert (again.kind, again.sidecar_name) == (InputKind.IMAGE, None)
