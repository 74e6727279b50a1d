"""Real users on a shared root, with one group and with two: what people may do works, and the kernel refuses the rest.

``segdrop init --people`` makes the root, as root, in a throwaway machine; the daemon runs as a user of its own, and
people work with what everybody has (cp, rm, cat) and through a real Samba.
"""

import os
import shlex
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from builders import write_dataset
from builders.daemons import Daemon, Root, wait_until
from builders.machine import Account, Machine
from builders.samba import Samba

if TYPE_CHECKING:
    import subprocess

pytestmark = pytest.mark.faults

SEGDROP_GID, PEOPLE_GID = 61000, 61010
SEGDROP = Account("segdrop", 61000, SEGDROP_GID, groups=(PEOPLE_GID,))
OUTSIDER = Account("mallory", 61009, 61009)
GROUPS = {"one group": SEGDROP_GID, "two groups": PEOPLE_GID}
GROUP_NAMES = {SEGDROP_GID: "segdrop", PEOPLE_GID: "segdrop-users"}
PEOPLE = {
    gid: (
        Account(f"alice{gid}", gid + 1, gid + 1, groups=(gid,)),
        Account(f"bob{gid}", gid + 2, gid + 2, groups=(gid,)),
    )
    for gid in GROUPS.values()
}
#: what the kernel says, and nobody else
REFUSED = ("Permission denied", "Operation not permitted")
SECRET = b"for the daemon alone: 4711"


@dataclass
class Place:
    """A shared root with a daemon on it, a job in each state, and two people who drop files."""

    machine: Machine
    root: Root
    daemon: Daemon
    sources: Path
    people_gid: int
    alice: Account
    bob: Account

    @property
    def folder(self) -> Path:
        return self.root.layout.root

    def attempt(self, account: Account, command: str) -> "subprocess.CompletedProcess[str]":
        """A shell command in the root's folder."""
        script = f"cd {shlex.quote(str(self.folder))} && {{ {command}; }}"
        return self.machine.run(["sh", "-c", script], account, check=False)

    def does(self, account: Account, command: str) -> str:
        done = self.attempt(account, command)
        assert done.returncode == 0, f"{account.name}: {command}: {done.stderr}"
        return done.stdout

    def is_refused(self, account: Account, command: str) -> None:
        done = self.attempt(account, command)
        assert done.returncode != 0, f"{account.name} could: {command}\n{done.stdout}"
        assert any(refusal in done.stderr for refusal in REFUSED), f"{command}: {done.stderr}"

    def dataset(self, name: str) -> Path:
        path = self.sources / name
        if not path.exists():
            write_dataset(path, extra={"notes.txt": name.encode()})
        return path

    def drop(self, account: Account, name: str, request: str | None = None) -> None:
        if request is not None:
            self.does(account, f"printf %s {shlex.quote(request)} > inbox/{Path(name).stem}.json")
        self.does(account, f"cp {shlex.quote(str(self.dataset(name)))} inbox/{name}")

    def job(self, name: str) -> str:
        """The id of an answered job."""
        return str(self.root.answer(name)["job"])

    def snapshot(self) -> dict[str, tuple[int, int, int, int]]:
        """Everything that lies in the root, by what a change of it changes, less what the daemon writes each second.
        First waits until no job is on its way any more but the one that is held.
        """
        wait_until(lambda: self.root.states().keys() <= {"held.zip"}, "no other job at work")
        changing = {"outbox/status.json", "metrics.prom"}
        found = {}
        for folder in sorted(path for path in self.folder.iterdir() if path.name != "work"):
            for path in (folder, *folder.rglob("*")):
                name = str(path.relative_to(self.folder))
                if name not in changing and not path.is_dir():
                    status = path.lstat()
                    found[name] = (status.st_ino, status.st_mode, status.st_uid, status.st_mtime_ns)
        return found


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    folder = Path(tempfile.mkdtemp(prefix="segdrop-access-"))
    folder.chmod(0o755)
    accounts = [SEGDROP, OUTSIDER, *(person for people in PEOPLE.values() for person in people)]
    try:
        with Machine(folder, accounts, {"segdrop-users": PEOPLE_GID}) as made:
            yield made
    finally:
        shutil.rmtree(folder)


def init(machine: Machine, root: Root, *options: str, by: Account | None = None) -> str:
    """By root, unless somebody is named."""
    command = [sys.executable, "-m", "segdrop", "init", str(root.layout.root), *options]
    done = machine.run(["env", f"SEGDROP_CONFIG={root.config}", *command], by)
    return done.stdout + done.stderr


@pytest.fixture(scope="module", params=GROUPS)
def place(machine: Machine, request: pytest.FixtureRequest) -> Iterator[Place]:
    gid = GROUPS[request.param]
    folder = machine.folder / f"run-{gid}"
    root = Root(folder, intake__settle_seconds=0.5)
    for path in (folder, root.control):
        os.chown(path, SEGDROP.uid, SEGDROP.gid)
    init(machine, root, "--owner", SEGDROP.name, "--people", GROUP_NAMES[gid])
    (root.layout.models / "own.pth").write_text("weights of ours")
    (root.layout.models / "own.pth").chmod(0o640)
    os.chown(root.layout.models / "own.pth", 0, SEGDROP.gid)
    sources = machine.folder / f"sources-{gid}"
    sources.mkdir()
    root.plan(held={"hold": 0})
    alice, bob = PEOPLE[gid]
    # with a umask that leaves nothing to anybody: what is for people does not depend on it
    with root.daemon(prefix=machine.entering(SEGDROP, umask="077")) as daemon:
        made = Place(machine, root, daemon, sources, gid, alice, bob)
        made.drop(alice, "answered.zip", '{"epochs": 2}')
        made.does(alice, "echo 'this is no ZIP' > inbox/rejected.zip")
        made.job("answered.zip")
        root.archived(root.answer("rejected.zip"))
        made.drop(alice, "held.zip")
        wait_until(lambda: root.states().get("held.zip") == "running", "a job at work")
        made.does(bob, "cp /dev/null inbox/bob.json && echo x > inbox/bob.zip && chmod 600 inbox/bob.zip")
        yield made
        root.flag("release")


# what people may do


def test_people_drop_a_dataset_and_its_request_and_read_the_result(place: Place) -> None:
    answer = place.root.answer("answered.zip")
    assert (answer["status"], answer["request"]["epochs"]) == ("succeeded", 2)
    for person in (place.alice, place.bob):
        place.does(person, f"cat outbox/{answer['job']}.json")
        said = place.does(person, f"sha256sum outbox/{answer['result']['name']}")
        assert said.split()[0] == answer["result"]["sha256"]
        assert "held.zip" in place.does(person, "cat outbox/status.json")


def test_people_read_why_a_job_failed_and_its_input_as_it_came(place: Place) -> None:
    job = place.job("rejected.zip")
    for person in (place.alice, place.bob):
        assert "code" in place.does(person, f"cat failed/{job}/error.json")
        assert place.does(person, f"cat failed/{job}/rejected.zip") == "this is no ZIP\n"
        place.does(person, f"cat failed/{job}/log.txt")


def test_results_are_not_open_to_be_written_and_not_to_others(place: Place) -> None:
    for path in place.root.layout.outbox.iterdir():
        status = path.stat()
        assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o640, SEGDROP.uid, place.people_gid)


def test_people_withdraw_what_they_dropped(place: Place) -> None:
    place.does(place.alice, "touch inbox/mine.zip && rm inbox/mine.zip")
    place.does(place.alice, "echo '{}' > inbox/mine.json && mv inbox/mine.json inbox/other.json && rm inbox/other.json")


def test_people_pause_cancel_and_retry(place: Place) -> None:
    place.does(place.alice, "touch inbox/PAUSE")
    wait_until(lambda: place.root.status()["daemon"].get("reason") == "inbox/PAUSE", "the pause")
    place.drop(place.alice, "unwanted.zip")
    wait_until(lambda: place.root.states().get("unwanted.zip") == "checked", "it is checked")
    (job,) = [path.parent.name for path in place.root.layout.work.glob("unwanted-*/job.json")]
    place.does(place.bob, f"touch inbox/{job}.cancel")
    assert place.root.answer("unwanted.zip")["status"] == "cancelled"
    kept = place.root.archived(place.root.answer("unwanted.zip"))
    for person in (place.alice, place.bob):
        place.does(person, f"cmp failed/{job}/{kept.name} {place.dataset('unwanted.zip')}")
    place.does(place.alice, "rm inbox/PAUSE")
    place.does(place.bob, f"touch inbox/{place.job('rejected.zip')}.retry")
    wait_until(lambda: len(list(place.root.layout.failed.glob("rejected-*"))) == 2, "the second answer")


@pytest.mark.parametrize("command", ["status", "jobs", "show JOB", "cancel HELD", "retry FAILED", "models", "doctor"])
def test_people_use_the_commands(place: Place, command: str) -> None:
    names = {"JOB": place.job("answered.zip"), "FAILED": place.job("rejected.zip")}
    if command == "cancel HELD":
        (names["HELD"],) = [path.parent.name for path in place.root.layout.work.glob("held-*/job.json")]
    words = [names.get(word, word) for word in command.split()]
    program = ["env", f"SEGDROP_CONFIG={place.root.config}", sys.executable, "-m", "segdrop"]
    done = place.machine.run([*program, *words], place.alice, check=False)
    assert "Traceback" not in done.stderr
    # what this person may not look into cannot be called ready
    assert done.returncode == (75 if command == "doctor" else 0), done.stdout + done.stderr
    if command == "cancel HELD":
        assert place.root.answer("held.zip")["status"] == "cancelled"


# what they may not


FOR_THE_DAEMON = {
    "list work": "ls work",
    "read a job's state": "cat work/{held}/job.json",
    "read a job's spec": "cat work/{held}/train.spec.json",
    "write a job's spec": "echo x > work/{held}/train.spec.json",
    "make a job": "mkdir work/x-20261121T061500Z-0001",
    "write the daemon's lock": "echo 1 > work/.daemon.lock",
    "list done": "ls done",
    "read an input in done": "cat done/{answered}/answered.zip",
    "write into done": "touch done/x",
    "write into outbox": "touch outbox/x.json",
    "change an answer": "echo '{{}}' > outbox/{answered}.json",
    "change a result": "echo >> outbox/{answered}.zip",
    "remove an answer": "rm -f outbox/{answered}.json",
    "rename an answer": "mv outbox/{answered}.json outbox/x.json",
    "change the board": "echo '{{}}' > outbox/status.json",
    "write into failed": "touch failed/x",
    "change an explanation": "echo '{{}}' > failed/{rejected}/error.json",
    "remove an explanation": "rm -f failed/{rejected}/error.json",
    "remove an input in failed": "rm -f failed/{rejected}/rejected.zip",
    "write beside an explanation": "touch failed/{rejected}/x",
    "list models": "ls models",
    "read a model": "cat models/own.pth",
    "write into models": "touch models/x.pth",
    "change a model": "echo x > models/own.pth",
    "write into the root": "touch x",
    "remove the sentinel": "rm -f .segdrop-root",
    "change the sentinel": "echo x > .segdrop-root",
    "change the metrics": "echo x > metrics.prom",
    "replace the inbox": "mv inbox inbox2",
    "replace work": "mv work work2",
    "open the inbox to all": "chmod 777 inbox",
    "open work": "chmod 755 work",
}
FOR_BOB = {
    "remove": "rm -f inbox/bob.zip",
    "remove a request": "rm -f inbox/bob.json",
    "rename": "mv inbox/bob.zip inbox/alice.zip",
    "rename a request": "mv inbox/bob.json inbox/alice.json",
    "replace": "touch inbox/x.part && mv -f inbox/x.part inbox/bob.zip",
    "change a request": "echo '{{}}' > inbox/bob.json",
    "change": "echo x >> inbox/bob.zip",
    "read what only its owner may": "cat inbox/bob.zip",
    "lend it": "chmod 666 inbox/bob.zip",
}


def names_in(place: Place) -> dict[str, str]:
    held = next((path.parent.name for path in place.root.layout.work.glob("held-*/job.json")), "held")
    return {"held": held, "answered": place.job("answered.zip"), "rejected": place.job("rejected.zip")}


@pytest.mark.parametrize("what", FOR_THE_DAEMON)
def test_people_and_outsiders_are_refused_what_is_the_daemons(place: Place, what: str) -> None:
    before = place.snapshot()
    command = FOR_THE_DAEMON[what].format(**names_in(place))
    place.is_refused(place.alice, command)
    place.is_refused(OUTSIDER, command)
    assert place.snapshot() == before


@pytest.mark.parametrize("what", FOR_BOB)
def test_people_are_refused_what_another_dropped(place: Place, what: str) -> None:
    before = place.snapshot()
    place.is_refused(place.alice, FOR_BOB[what].format())
    place.does(place.alice, "rm -f inbox/x.part")
    assert place.snapshot() == before


@pytest.mark.parametrize(
    "command",
    ["ls inbox", "touch inbox/x.zip", "ls outbox", "cat outbox/status.json", "ls failed", "touch inbox/PAUSE"],
)
def test_outsiders_are_refused_everything(place: Place, command: str) -> None:
    place.is_refused(OUTSIDER, command)


def test_a_monitor_reads_the_metrics_and_is_none_of_the_people(place: Place) -> None:
    assert "segdrop_" in place.does(OUTSIDER, "cat metrics.prom")


def test_a_link_does_not_lend_the_daemons_right_to_read(place: Place) -> None:
    """As an input, as a request, and as an order, to a file that only the daemon may read."""
    secret = place.machine.folder / f"secret-{place.people_gid}"
    secret.write_bytes(SECRET)
    os.chown(secret, SEGDROP.uid, SEGDROP.gid)
    secret.chmod(0o600)
    os.utime(secret, ns=(1, secret.stat().st_mtime_ns))  # a reader would set the time of access
    place.is_refused(place.alice, f"cat {secret}")
    place.does(
        place.alice, f"ln -s {secret} inbox/link.zip; ln -s {secret} inbox/pair.json; ln -s {secret} inbox/lone.json"
    )
    place.does(place.alice, f"ln -s {place.folder}/done inbox/folder.zip; ln -s {secret} inbox/.segdrop-probe")
    place.drop(place.alice, "pair.zip")
    wait_until(lambda: "link.zip" in [entry["name"] for entry in place.root.status()["ignored"]], "the link seen")
    wait_until(lambda: "pair.zip" in place.root.states() or place.root.reason("pair.zip"), "the pair looked at")
    updates = set[str]()
    wait_until(lambda: updates.add(place.root.status()["updated_at"]) or len(updates) > 3, "some more scans")
    assert secret.stat().st_atime_ns == 1, "it was read"
    for path in (*place.root.layout.outbox.rglob("*"), *place.root.layout.failed.rglob("*")):
        assert path.is_dir() or SECRET not in path.read_bytes(), path
    assert SECRET not in place.daemon.log_path.read_bytes()
    names = "link.zip pair.json lone.json folder.zip .segdrop-probe pair.zip"
    place.does(place.alice, f"cd inbox && rm -f {names}")


# through Samba


@pytest.fixture(scope="module")
def samba(place: Place) -> Samba:
    people = (place.alice, place.bob)
    return Samba(place.machine, place.folder, people, people=GROUP_NAMES[place.people_gid])


def test_people_of_the_share_do_what_they_may(place: Place, samba: Samba, tmp_path: Path) -> None:
    request = place.sources / "request.json"
    request.write_text('{"epochs": 1, "force": true}')
    samba.succeed(place.alice, f"put {request} shared.json; put {place.dataset('shared.zip')} shared.zip")
    wait_until(lambda: place.root.states().get("shared.zip") or place.root.answers().get("shared.zip"), "it is taken")
    # their own can be taken back, although the folder is sticky
    samba.succeed(place.alice, f"put {request} own.json; rename own.json mine.json; del mine.json")
    name = f"{place.job('answered.zip')}.json"
    samba.succeed(place.bob, f"get {name} {tmp_path / name}", share="segdrop-results")
    assert (tmp_path / name).read_bytes() == (place.root.layout.outbox / name).read_bytes()


@pytest.mark.parametrize(
    "command", ["del bob.json", "rename bob.json x.json", "put SOURCE bob.json", "get bob.zip COPY"]
)
def test_people_of_the_share_are_refused_what_another_dropped(
    place: Place, samba: Samba, tmp_path: Path, command: str
) -> None:
    before = place.snapshot()
    words = command.replace("SOURCE", str(place.dataset("shared.zip"))).replace("COPY", str(tmp_path / "copy"))
    said = samba.attempt(place.alice, words).stdout
    assert "NT_STATUS_ACCESS_DENIED" in said, said
    assert place.snapshot() == before


def test_people_of_the_share_do_not_change_what_another_put_there(place: Place, samba: Samba) -> None:
    source = place.sources / "request.json"
    source.write_text("{}")
    samba.succeed(place.bob, f"put {source} by-bob.json")
    before = place.snapshot()
    for command in (f"put {place.dataset('shared.zip')} by-bob.json", "del by-bob.json"):
        assert "NT_STATUS_ACCESS_DENIED" in samba.attempt(place.alice, command).stdout
    assert place.snapshot() == before
    samba.succeed(place.bob, "del by-bob.json")


@pytest.mark.parametrize("path", ["../work", "..\\work", "../done", "../models", ".."])
def test_people_of_the_share_do_not_get_out_of_it(place: Place, samba: Samba, path: str) -> None:
    said = samba.attempt(place.alice, f"cd {path}; ls").stdout
    assert "job.json" not in said
    assert "own.pth" not in said
    assert ".segdrop-root" not in said


# roots that are there already, and roots of people's own


def test_a_member_of_a_group_shares_a_root_of_their_own_with_it(machine: Machine) -> None:
    root = Root(machine.folder / "own")
    alice, bob = PEOPLE[PEOPLE_GID]
    for path in (root.folder, root.control, root.layout.root, root.layout.inbox):
        os.chown(path, alice.uid, alice.gid)
    options = ("--people", "segdrop-users")
    assert "mended " in init(machine, root, *options, by=alice)
    assert "mended " not in init(machine, root, *options, by=alice)
    with root.daemon(prefix=machine.entering(alice)) as daemon:
        place = Place(machine, root, daemon, machine.folder, PEOPLE_GID, alice, bob)
        place.drop(bob, "shared-own.zip")
        place.does(bob, f"cat outbox/{place.job('shared-own.zip')}.json")
        for command in ("ls work", "ls models", "ls done", "touch outbox/x", "touch x"):
            place.is_refused(bob, command)
        assert daemon.events("root.mended") + daemon.events("root.not_mended") == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--people", "nobody-knows"), "groupadd nobody-knows"),
        (("--people", "segdrop-users", "--owner", "nobody-knows"), "there is no user nobody-knows"),
        (("--owner", "segdrop"), "--people"),
    ],
)
def test_owners_that_do_not_exist_are_refused_and_nothing_is_made(
    machine: Machine, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    command = [sys.executable, "-m", "segdrop", "init", str(tmp_path / "root"), *options]
    done = machine.run(command, check=False)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert not (tmp_path / "root").exists()


def test_who_may_not_give_a_root_away_is_told_in_one_line(machine: Machine) -> None:
    alice, _ = PEOPLE[PEOPLE_GID]
    home = machine.folder / alice.name
    command = [sys.executable, "-m", "segdrop", "init", str(home / "root"), "--people", "segdrop"]
    done = machine.run(command, alice, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (75, 1), done.stderr
    assert "Operation not permitted" in done.stderr


def test_a_root_of_version_01_is_closed_by_its_daemon_and_works_on(machine: Machine) -> None:
    """Without root's help: by the user that owns it, at its start."""
    root = Root(machine.folder / "old")
    for folder in root.layout.folders:
        folder.mkdir(exist_ok=True)
        folder.chmod(0o2770)
    root.layout.root.chmod(0o2770)
    for path in (root.folder, *root.folder.rglob("*")):
        os.chown(path, SEGDROP.uid, SEGDROP.gid)
        path.chmod(0o2770 if path.is_dir() else 0o660)
    root.folder.chmod(0o755)
    alice, bob = PEOPLE[SEGDROP_GID]
    with root.daemon(prefix=machine.entering(SEGDROP, umask="007")) as daemon:
        place = Place(machine, root, daemon, machine.folder, SEGDROP_GID, alice, bob)
        mended = {Path(event["path"]).name for event in daemon.events("root.mended")}
        assert mended == {"root", "inbox", "work", "outbox", "failed", "done", "models"}
        assert daemon.events("root.not_mended") == []
        place.does(alice, "touch inbox/alice.json")
        for command in ("ls work", "touch outbox/x", "ls models", "ls done", "touch x", "touch failed/x"):
            place.is_refused(bob, command)
        place.is_refused(bob, "rm -f inbox/alice.json")
        place.drop(alice, "old.zip")
        place.does(bob, f"cat outbox/{place.job('old.zip')}.json")


def test_people_get_a_group_of_their_own_later_and_read_what_was_there(machine: Machine) -> None:
    root = Root(machine.folder / "later")
    for path in (root.folder, root.control):
        os.chown(path, SEGDROP.uid, SEGDROP.gid)
    init(machine, root, "--owner", SEGDROP.name, "--people", "segdrop")
    (carol, dave), (alice, _) = PEOPLE[SEGDROP_GID], PEOPLE[PEOPLE_GID]
    with root.daemon(prefix=machine.entering(SEGDROP)) as daemon:
        place = Place(machine, root, daemon, machine.folder, SEGDROP_GID, carol, dave)
        place.drop(carol, "before.zip")
        job = place.job("before.zip")
        place.is_refused(alice, f"cat outbox/{job}.json")
    assert "mended " in init(machine, root, "--people", "segdrop-users")
    assert "mended " not in init(machine, root, "--people", "segdrop-users")
    with root.daemon(prefix=machine.entering(SEGDROP)) as daemon:
        place = Place(machine, root, daemon, machine.folder, PEOPLE_GID, alice, alice)
        place.does(alice, f"cat outbox/{job}.json")
        place.drop(alice, "after.zip")
        place.does(alice, f"cat outbox/{place.job('after.zip')}.json")
        for command in ("ls work", f"cat outbox/{job}.json", "touch inbox/x.zip"):
            place.is_refused(carol, command)
        assert daemon.events("root.mended") + daemon.events("root.not_mended") == []
