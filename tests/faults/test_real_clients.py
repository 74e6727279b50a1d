"""What people copy with, for real: whatever the client, the ZIP arrives whole and is trained exactly once.

All clients of a group copy at the same time into one inbox, as on a busy day; each test then looks at one of them.
Servers listen on the loopback, as processes of a throwaway machine (``builders.machine``).
"""

import hashlib
import json
import os
import random
import re
import shutil
import stat
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builders import write_dataset
from builders.daemons import Daemon, Root, verified_zip, wait_until
from builders.machine import Account, Machine, free_port
from builders.requirements import find_program, require_program
from builders.samba import EXAMPLE, Samba

pytestmark = pytest.mark.faults

SETTLE_SECONDS = 1.0
#: what a stalling client makes the daemon wait: longer than it takes for a file to settle
STALL_SECONDS = 2.5
SETTINGS = {"intake__settle_seconds": SETTLE_SECONDS, "intake__incomplete_seconds": 60.0, "queue__capacity": 50}


def big_zip(path: Path) -> Path:
    """A dataset with something in it that takes a moment to copy; other bytes for each name."""
    return write_dataset(path, extra={"notes.bin": random.Random(path.name).randbytes(2 << 20)})


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass
class Office:
    """A daemon, and people who copy into its inbox."""

    root: Root
    daemon: Daemon
    sources: Path
    machine: Machine | None = None

    def source(self, name: str) -> Path:
        return self.sources / name

    def target(self, name: str) -> Path:
        return self.root.layout.inbox / name

    def answers_to(self, name: str) -> list[dict[str, Any]]:
        paths = [path for path in self.root.layout.outbox.glob("*.json") if path != self.root.layout.status]
        answers = [json.loads(path.read_bytes()) for path in paths]
        return [answer for answer in answers if answer["input"]["name"] == name]

    def expect_whole_and_once(self, name: str) -> dict[str, Any]:
        """The promise: what was sent is what was trained on, once, and what is kept."""
        wait_until(lambda: self.answers_to(name), f"an answer to {name}")
        (answer,) = self.answers_to(name)
        assert answer["status"] == "succeeded", answer["issues"]
        assert answer["input"]["sha256"] == sha256(self.source(name))
        verified_zip(self.root, answer)
        assert sha256(self.root.archived(answer)) == sha256(self.source(name))
        assert [start[0] for start in self.root.starts()].count(name) == 1
        assert not self.target(name).exists()
        return answer

    def expect_no_second_answers(self, but: str = "") -> None:
        """After all is done: nobody was answered twice, and nothing went wrong that no answer tells about."""
        paths = [path for path in self.root.layout.outbox.glob("*.json") if path != self.root.layout.status]
        names = Counter(json.loads(path.read_bytes())["input"]["name"] for path in paths)
        assert [name for name, count in names.items() if count > 1 and name != but] == []
        unexpected = ("stage.failed", "queue.paused", "spool.corrupt", "child.crashed", "disk.low")
        assert [event for event in self.daemon.events() if event["event"] in unexpected] == []


def all_at_once(office: Office, clients: dict[str, Callable[[Office, str], None]]) -> dict[str, "Future[None]"]:
    """Every client in a thread of its own; a result is there when the client has ended."""
    for name in clients:
        big_zip(office.source(name))
    with ThreadPoolExecutor(len(clients)) as pool:
        return {name: pool.submit(client, office, name) for name, client in clients.items()}


# clients without a server


def cp(office: Office, name: str) -> None:
    subprocess.run(["cp", office.source(name), office.target(name)], check=True)


def cp_preserving(office: Office, name: str) -> None:
    """An old modification time says nothing about when the copy ended."""
    os.utime(office.source(name), (1_000_000_000, 1_000_000_000))
    subprocess.run(["cp", "--preserve=timestamps", office.source(name), office.target(name)], check=True)


def mv_from_elsewhere(office: Office, name: str) -> None:
    """Across filesystems where there are two, where it is a copy too."""
    shared_memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared_memory if shared_memory.is_dir() else None) as folder:
        shutil.copyfile(office.source(name), Path(folder) / name)
        subprocess.run(["mv", Path(folder) / name, office.target(name)], check=True)


def throttled(office: Office, name: str) -> None:
    """Small pieces with short pauses, in one open file."""
    content = office.source(name).read_bytes()
    size = len(content) // 20 + 1
    with office.target(name).open("wb", buffering=0) as stream:
        for start in range(0, len(content), size):
            stream.write(content[start : start + size])
            time.sleep(0.2)


def stalling(office: Office, name: str) -> None:
    """A connection that hangs for longer than it takes to settle, twice."""
    content = office.source(name).read_bytes()
    half = len(content) // 2
    with office.target(name).open("wb", buffering=0) as stream:
        stream.write(content[:half])
        time.sleep(STALL_SECONDS)
        stream.write(content[half:-10])  # all but a part of the end record
        time.sleep(STALL_SECONDS)
        stream.write(content[-10:])


def preallocating(office: Office, name: str) -> None:
    """The full size first, then the data: a size that does not change says nothing."""
    content = office.source(name).read_bytes()
    half = len(content) // 2
    with office.target(name).open("wb", buffering=0) as stream:
        stream.truncate(len(content))
        time.sleep(STALL_SECONDS)
        stream.write(content[:half])
        time.sleep(STALL_SECONDS)
        stream.write(content[half:])


def end_first(office: Office, name: str) -> None:
    """Several parts at a time, as download tools do: the end is there long before the middle."""
    content = office.source(name).read_bytes()
    size = len(content) // 10 + 1
    with office.target(name).open("wb", buffering=0) as stream:
        for start in reversed(range(0, len(content), size)):
            stream.seek(start)
            stream.write(content[start : start + size])
            time.sleep(SETTLE_SECONDS / 10)


def reopening(office: Office, name: str) -> None:
    """Closed and opened again: a closed file is not a finished one."""
    content = office.source(name).read_bytes()
    size = len(content) // 4 + 1
    for start in range(0, len(content), size):
        with office.target(name).open("ab") as stream:
            stream.write(content[start : start + size])
        time.sleep(SETTLE_SECONDS * 1.3)


def renaming(office: Office, name: str) -> None:
    """A temporary name first; it is left alone however long it lies there."""
    temporary = office.target(f"{name}.part")
    shutil.copyfile(office.source(name), temporary)
    wait_until(lambda: temporary.name in [entry["name"] for entry in office.root.status()["ignored"]], "it is seen")
    time.sleep(STALL_SECONDS)
    temporary.rename(office.target(name))


def changing_its_mind(office: Office, name: str) -> None:
    """Another file first, replaced before it has settled: what counts is what was there last."""
    first = office.sources / f"first-{name}"
    office.target(name).write_bytes(big_zip(first).read_bytes()[: 1 << 20])
    time.sleep(STALL_SECONDS)
    shutil.copyfile(office.source(name), office.target(name))


def rsync(*options: str) -> Callable[[Office, str], None]:
    def copy(office: Office, name: str) -> None:
        require_program("rsync")
        subprocess.run(["rsync", *options, office.source(name), office.root.layout.inbox], check=True)

    return copy


def rsync_interrupted(office: Office, name: str) -> None:
    """What --partial leaves has the final name, and is not whole; the next run completes it."""
    require_program("rsync")
    inbox = office.root.layout.inbox
    slowly = subprocess.Popen(["rsync", "--partial", "--bwlimit=400", office.source(name), inbox])
    try:
        enough = 300_000
        wait_until(lambda: any(p.stat().st_size > enough for p in inbox.glob(f".{name}.*")), "a part of it")
    finally:
        slowly.terminate()
    assert slowly.wait(60) != 0
    assert 0 < office.target(name).stat().st_size < office.source(name).stat().st_size
    wait_until(lambda: office.root.reason(name).startswith("looks incomplete"), "it waits")
    subprocess.run(["rsync", "--partial", "--bwlimit=2000", office.source(name), inbox], check=True)


LOCAL: dict[str, Callable[[Office, str], None]] = {
    "cp.zip": cp,
    "cp-preserving.zip": cp_preserving,
    "mv.zip": mv_from_elsewhere,
    "throttled.zip": throttled,
    "stalling.zip": stalling,
    "preallocating.zip": preallocating,
    "end-first.zip": end_first,
    "reopening.zip": reopening,
    "renaming.zip": renaming,
    "changing-its-mind.zip": changing_its_mind,
    "rsync.zip": rsync("--bwlimit=800"),
    "rsync-times.zip": rsync("--archive", "--bwlimit=800"),
    "rsync-inplace.zip": rsync("--inplace", "--bwlimit=800"),
    "rsync-preallocate.zip": rsync("--inplace", "--preallocate", "--bwlimit=800"),
    "rsync-delayed.zip": rsync("--delay-updates", "--bwlimit=2000"),
    "rsync-interrupted.zip": rsync_interrupted,
}


@pytest.fixture(scope="module")
def local_office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Office, dict[str, "Future[None]"]]]:
    folder = tmp_path_factory.mktemp("local")
    (folder / "sources").mkdir()
    root = Root(folder / "run", **SETTINGS)
    with root.daemon() as daemon:
        office = Office(root, daemon, folder / "sources")
        yield office, all_at_once(office, LOCAL)
        office.expect_no_second_answers()


@pytest.mark.parametrize("name", LOCAL)
def test_local_client_is_answered_once_with_what_it_sent(
    name: str, local_office: tuple[Office, dict[str, "Future[None]"]]
) -> None:
    office, clients = local_office
    clients[name].result()
    office.expect_whole_and_once(name)


def test_second_upload_over_a_waiting_file_is_the_one_that_is_trained(tmp_path: Path) -> None:
    root = Root(tmp_path / "run", **SETTINGS | {"queue__capacity": 1})
    root.plan(long={"hold": 0})
    sources = tmp_path / "sources"
    sources.mkdir()
    with root.daemon() as daemon:
        office = Office(root, daemon, sources)
        for name in ("long.zip", "queued.zip"):
            cp(office, big_zip(office.source(name)).name)
            wait_until(lambda name=name: name in root.states(), f"{name} claimed")
        first = big_zip(sources / "first.zip")
        shutil.copyfile(first, office.target("again.zip"))
        wait_until(lambda: root.reason("again.zip") == "waits for a slot in the queue", "the first one waits")
        throttled(office, big_zip(office.source("again.zip")).name)
        root.flag("release")
        office.expect_whole_and_once("again.zip")
        assert sha256(first) != sha256(office.source("again.zip"))
        office.expect_no_second_answers()


def test_upload_of_a_file_that_is_at_work_already_is_answered_as_a_duplicate(tmp_path: Path) -> None:
    """A repeated rsync finds nothing in the inbox, and sends everything again."""
    require_program("rsync")
    root = Root(tmp_path / "run", **SETTINGS)
    root.plan(again={"hold": 0})
    sources = tmp_path / "sources"
    sources.mkdir()
    with root.daemon() as daemon:
        office = Office(root, daemon, sources)
        big_zip(office.source("again.zip"))
        rsync("--archive")(office, "again.zip")
        wait_until(lambda: root.states().get("again.zip") == "running", "the training")
        rsync("--archive")(office, "again.zip")
        wait_until(lambda: len(list(root.layout.work.glob("*/job.json"))) == 2, "the second one claimed")
        root.flag("release")
        answers = wait_until(lambda: len(found := office.answers_to("again.zip")) == 2 and found, "both answers")
        assert sorted(answer["status"] for answer in answers) == ["duplicate", "succeeded"]
        by_status = {answer["status"]: answer for answer in answers}
        assert by_status["duplicate"]["duplicate_of"] == by_status["succeeded"]["job"]
        assert len(root.starts()) == 1


# clients of servers, and other users

SEGDROP = Account("segdrop", 61000, 61000)
#: may write into the inbox by their group, as over SSH
ALICE = Account("alice", 61001, 61001, groups=(61000, 61010))
BOB = Account("bob", 61002, 61002, groups=(61000, 61010))
#: has no rights but those that Samba gives
CAROL = Account("carol", 61003, 61003, groups=(61010,))


class Servers:
    """smbd and sshd of the machine, with the clients' ends of them."""

    def __init__(self, machine: Machine, root: Root) -> None:
        self.machine = machine
        self.root = root
        self.ssh_port = free_port()
        self.folder = machine.folder / "servers"
        self.folder.mkdir()
        self.samba = Samba(machine, root.layout.root, (ALICE, CAROL))
        self._serve_ssh()

    def smbclient(self, user: Account, command: str) -> list[str]:
        return self.samba.client(user, command)

    def try_smb(
        self, user: Account, command: str, *, share: str = "segdrop-inbox"
    ) -> "subprocess.CompletedProcess[str]":
        return self.samba.attempt(user, command, share=share)

    def smb(self, user: Account, command: str, *, share: str = "segdrop-inbox") -> None:
        self.samba.succeed(user, command, share=share)

    def _serve_ssh(self) -> None:
        require_program("sshd", "ssh-keygen", "scp", "sftp")
        for name in ("host", "client"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name], check=True)
        shutil.copyfile(self.folder / "client.pub", self.folder / "authorized")
        lines = [f"Port {self.ssh_port}", "ListenAddress 127.0.0.1", f"HostKey {self.folder / 'host'}", "PidFile none"]
        lines += ["UsePAM no", "PasswordAuthentication no", "StrictModes no", "Subsystem sftp internal-sftp"]
        lines += [f"AuthorizedKeysFile {self.folder / 'authorized'}", "MaxStartups 100"]
        config = self.folder / "sshd_config"
        config.write_text("\n".join(lines) + "\n")
        self.machine.serve(["sshd", "-D", "-e", "-f", config], self.ssh_port, self.folder / "sshd.log")

    def ssh_options(self, port_option: str) -> list[str]:
        """For ssh, scp and sftp, which call the port differently."""
        settings = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "IdentitiesOnly=yes")
        options = [word for setting in settings for word in ("-o", setting)]
        return [port_option, str(self.ssh_port), "-i", str(self.folder / "client"), "-F", "none", *options]


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    # not below pytest's folders, which nobody else may pass
    folder = Path(tempfile.mkdtemp(prefix="segdrop-machine-"))
    folder.chmod(0o755)
    try:
        with Machine(folder, [SEGDROP, ALICE, BOB, CAROL], {"segdrop-users": 61010}) as made:
            yield made
    finally:
        shutil.rmtree(folder)


def owned_root(folder: Path, **settings: Any) -> Root:
    """A root of the daemon's user, with an inbox for its group: files in it get that group, whoever writes them."""
    root = Root(folder, **settings)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, SEGDROP.uid, SEGDROP.gid)
    root.layout.inbox.chmod(0o2770)
    return root


@pytest.fixture(scope="module")
def office(machine: Machine) -> Iterator[Office]:
    root = owned_root(machine.folder / "run", **SETTINGS)
    sources = machine.folder / "sources"
    sources.mkdir()
    with root.daemon(prefix=machine.entering(SEGDROP, umask="007")) as daemon:
        assert Path(f"/proc/{daemon.pid}").stat().st_uid == SEGDROP.uid
        yield Office(root, daemon, sources, machine)


@pytest.fixture(scope="module")
def servers(office: Office) -> Servers:
    assert office.machine
    return Servers(office.machine, office.root)


RemoteClient = Callable[[Office, Servers, str], None]


def smb_put(office: Office, servers: Servers, name: str) -> None:
    servers.smb(CAROL, f"put {office.source(name)} {name}")


def smb_put_with_request(office: Office, servers: Servers, name: str) -> None:
    request = office.sources / "request.json"
    request.write_text('{"epochs": 2}')
    servers.smb(ALICE, f"put {request} {Path(name).stem}.json; put {office.source(name)} {name}")


def smb_put_slowly(office: Office, servers: Servers, name: str) -> None:
    """smbclient reads from a pipe that stalls, with the file open all the while."""
    content = office.source(name).read_bytes()
    half = len(content) // 2
    with subprocess.Popen(servers.smbclient(CAROL, f"put - {name}"), stdin=subprocess.PIPE, bufsize=0) as client:
        assert client.stdin
        for part in (content[:half], content[half:-15], content[-15:]):
            client.stdin.write(part)
            time.sleep(STALL_SECONDS)
        client.stdin.close()
    assert client.returncode == 0


def smb_put_and_rename(office: Office, servers: Servers, name: str) -> None:
    servers.smb(CAROL, f"put {office.source(name)} {name}.tmp; rename {name}.tmp {name}")


def smb_put_twice(office: Office, servers: Servers, name: str) -> None:
    """Cut off first, then whole, over it."""
    part = office.sources / f"part-{name}"
    part.write_bytes(office.source(name).read_bytes()[:-1000])
    servers.smb(CAROL, f"put {part} {name}")
    wait_until(lambda: office.root.reason(name).startswith("looks incomplete"), "the first one waits")
    servers.smb(CAROL, f"put {office.source(name)} {name}")


def scp(*options: str) -> RemoteClient:
    def copy(office: Office, servers: Servers, name: str) -> None:
        target = f"{ALICE.name}@127.0.0.1:{office.target(name)}"
        subprocess.run(["scp", *servers.ssh_options("-P"), *options, office.source(name), target], check=True)

    return copy


def sftp(command: str) -> RemoteClient:
    def copy(office: Office, servers: Servers, name: str) -> None:
        source, target = office.source(name), office.target(name)
        batch = command.format(source=source, target=target, temporary=target.with_name(f"{name}.filepart"))
        words = ["sftp", *servers.ssh_options("-P"), "-b", "-", "-l", "8000", f"{BOB.name}@127.0.0.1"]
        subprocess.run(words, input=batch, text=True, check=True, stdout=subprocess.DEVNULL)

    return copy


def rsync_over_ssh(*options: str) -> RemoteClient:
    def copy(office: Office, servers: Servers, name: str) -> None:
        require_program("rsync")
        shell = " ".join(["ssh", *servers.ssh_options("-p")])
        target = f"{BOB.name}@127.0.0.1:{office.root.layout.inbox}/"
        subprocess.run(["rsync", *options, "-e", shell, office.source(name), target], check=True)

    return copy


REMOTE: dict[str, RemoteClient] = {
    "smb.zip": smb_put,
    "smb-request.zip": smb_put_with_request,
    "smb-slow.zip": smb_put_slowly,
    "smb-rename.zip": smb_put_and_rename,
    "smb-twice.zip": smb_put_twice,
    "scp.zip": scp("-l", "8000"),
    "scp-times.zip": scp("-p"),
    "scp-protocol.zip": scp("-O", "-l", "8000"),
    "sftp.zip": sftp("put {source} {target}\n"),
    "sftp-rename.zip": sftp("put {source} {temporary}\nrename {temporary} {target}\n"),
    "rsync-ssh.zip": rsync_over_ssh("--bwlimit=800"),
    "rsync-ssh-archive.zip": rsync_over_ssh("--archive", "--compress"),
    "rsync-ssh-inplace.zip": rsync_over_ssh("--inplace", "--bwlimit=800"),
}


@pytest.fixture(scope="module")
def remote_clients(office: Office, servers: Servers) -> Iterator[dict[str, "Future[None]"]]:
    def bound(client: RemoteClient) -> Callable[[Office, str], None]:
        return lambda where, name: client(where, servers, name)

    yield all_at_once(office, {name: bound(client) for name, client in REMOTE.items()})
    office.expect_no_second_answers(but="controlled.zip")  # which is retried on request


@pytest.mark.parametrize("name", REMOTE)
def test_client_of_a_server_is_answered_once_with_what_it_sent(
    name: str, office: Office, remote_clients: dict[str, "Future[None]"]
) -> None:
    remote_clients[name].result()
    answer = office.expect_whole_and_once(name)
    kept = office.root.archived(answer).stat()
    # written by other users than the daemon's, and its by their group
    assert kept.st_uid in (ALICE.uid, BOB.uid, CAROL.uid)
    assert kept.st_gid == (SEGDROP.gid if "archive" not in name else kept.st_gid)
    if name == "smb-request.zip":
        assert answer["request"]["epochs"] == 2


def test_people_read_their_result_from_the_share_and_cannot_change_it(
    office: Office, servers: Servers, remote_clients: dict[str, "Future[None]"], tmp_path: Path
) -> None:
    remote_clients["smb.zip"].result()
    answer = office.expect_whole_and_once("smb.zip")
    for name in (f"{answer['job']}.json", answer["result"]["name"]):
        servers.smb(CAROL, f"get {name} {tmp_path / name}", share="segdrop-results")
        assert (tmp_path / name).read_bytes() == (office.root.layout.outbox / name).read_bytes()
    before = {path: path.stat().st_mtime_ns for path in office.root.layout.outbox.glob("smb-*")}
    published = f"{answer['job']}.json"
    for command in (f"del {published}", f"put {office.source('smb.zip')} smb-x.zip", f"rename {published} smb-x.json"):
        said = servers.try_smb(CAROL, command, share="segdrop-results").stdout
        assert re.search("NT_STATUS_(MEDIA_WRITE_PROTECTED|ACCESS_DENIED)", said), said
    assert {path: path.stat().st_mtime_ns for path in office.root.layout.outbox.glob("smb-*")} == before


def test_people_of_the_share_pause_withdraw_cancel_and_retry_by_files(office: Office, servers: Servers) -> None:
    """Everything that can be said to the daemon, said over Samba by somebody who has nothing but the share."""
    empty = office.sources / "empty"
    empty.touch()
    servers.smb(CAROL, f"put {empty} PAUSE")
    try:
        wait_until(lambda: office.root.status()["daemon"].get("reason") == "inbox/PAUSE", "the pause")
        request = office.sources / "force.json"
        request.write_text('{"force": true}')
        for name in ("controlled.zip", "unwanted.zip"):
            big_zip(office.source(name))
            servers.smb(CAROL, f"put {request} {Path(name).stem}.json; put {office.source(name)} {name}")
            wait_until(lambda name=name: office.root.states().get(name) == "checked", f"{name} checked")
        (unwanted,) = [path.parent.name for path in office.root.layout.work.glob("unwanted-*/job.json")]
        servers.smb(CAROL, f"put {empty} {unwanted}.cancel")
        (cancelled,) = wait_until(lambda: office.answers_to("unwanted.zip"), "the cancellation")
        assert cancelled["status"] == "cancelled"
        assert office.answers_to("controlled.zip") == []
    finally:
        servers.smb(CAROL, "del PAUSE")
    answer = office.expect_whole_and_once("controlled.zip")
    # the daemon does not own the input, and may not make a second name for what others own: it copies
    servers.smb(CAROL, f"put {empty} {answer['job']}.retry")
    wait_until(lambda: len(office.answers_to("controlled.zip")) == 2, "the retry's answer")
    for found in office.answers_to("controlled.zip"):
        assert found["status"] == "succeeded"
        assert sha256(office.root.archived(found)) == sha256(office.source("controlled.zip"))


@pytest.mark.parametrize("private", ["zip", "json"])
def test_file_that_only_its_owner_may_read_waits_with_a_reason_until_it_is_readable(
    private: str, office: Office
) -> None:
    assert office.machine
    wait_until(lambda: not office.daemon.children(), "quiet")
    name = f"private-{private}.zip"
    big_zip(office.source(name))
    request = office.sources / f"private-{private}.json"
    request.write_text('{"epochs": 3}')
    for source, target in (
        (request, office.target(name).with_suffix(".json")),
        (office.source(name), office.target(name)),
    ):
        mode = "0600" if target.suffix == f".{private}" else "0640"
        office.machine.run(["install", "-m", mode, source, target], ALICE)
    status = office.target(name).with_suffix(f".{private}").stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (ALICE.uid, 0o600)
    wait_until(lambda: office.root.reason(name).startswith("unreadable"), "the reason")
    children, updates = set[int](), set[str]()

    def some_scans_later() -> bool:
        children.update(office.daemon.children())
        updates.add(office.root.status()["updated_at"])
        return len(updates) > 4

    wait_until(some_scans_later, "some more scans")
    assert office.root.reason(name).startswith("unreadable")
    assert children == set()  # nobody is started again and again to find it unreadable
    assert len([event for event in office.daemon.events("file.waiting") if event["file"] == name]) == 1
    office.machine.run(["chmod", "0640", office.target(name).with_suffix(f".{private}")], ALICE)
    answer = office.expect_whole_and_once(name)
    assert answer["request"]["epochs"] == 3


def test_example_for_samba_is_understood_in_full(machine: Machine, tmp_path: Path) -> None:
    """testparm warns about what it does not know, and leaves out what is the default."""
    testparm = find_program("testparm")
    require_program("testparm")
    config = tmp_path / "smb.conf"
    config.write_text(f"[global]\nserver role = standalone server\nlock directory = {tmp_path}\n{EXAMPLE.read_text()}")
    done = machine.run([str(testparm), "--suppress-prompt", "--verbose", config])
    assert not re.search(r"unknown|ignoring|invalid|deprecated", done.stderr, re.IGNORECASE), done.stderr
    said = [line.strip() for line in EXAMPLE.read_text().splitlines() if "=" in line and not line.startswith("#")]
    shown = {re.sub(r"\s+", "", line).lower() for line in done.stdout.splitlines()}
    missing = [line for line in said if not line.startswith("#") and re.sub(r"\s+", "", line).lower() not in shown]
    assert [line for line in missing if not line.startswith(("comment", "read only"))] == []
