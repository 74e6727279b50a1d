"""Daemons as processes of their own, on a root of their own, with stand-ins for training (see ``standin``)."""

import contextlib
import ctypes
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from builders import json_schema, standin
from segdrop.results import result
from segdrop.spool.layout import RootLayout

BUILDERS = Path(__file__).parent
#: generous, because it is only reached by what fails: machines that run tests are slow
DEADLINE_SECONDS = 90.0
#: what the tests wait for, made short; everything else is the default
QUICK = {
    "intake.scan_seconds": 0.2,
    "intake.settle_seconds": 0.3,
    "intake.incomplete_seconds": 0.8,
    "defaults.image_size": 32,
}
RESULT_SCHEMA = result.json_schema()
T = TypeVar("T")
_PR_CAPBSET_DROP = 24
_OVERRIDES_PERMISSIONS = (1, 2)  #: CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


def wait_until(predicate: Callable[[], T], what: str, deadline_seconds: float = DEADLINE_SECONDS) -> T:
    """The first true value of ``predicate``; AssertionError with ``what`` was awaited if there is none in time."""
    give_up = time.monotonic() + deadline_seconds
    while not (value := predicate()):
        if time.monotonic() > give_up:
            raise AssertionError(f"waited {deadline_seconds:.0f} s in vain: {what}")
        time.sleep(0.05)
    return value


def obey_permissions() -> None:
    """Give up root's right to read and write everything; takes effect with the next exec. Nothing for others."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in _OVERRIDES_PERMISSIONS:
            if libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
                raise OSError(ctypes.get_errno(), "prctl(PR_CAPBSET_DROP)")


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def children_of(pid: int) -> list[int]:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def commented(source: Path, comment: str) -> bytes:
    """The bytes of a ZIP that has no comment, with one (APPNOTE.TXT, 4.3.16: its length ends the end record)."""
    content = source.read_bytes()
    assert content[-2:] == b"\0\0"
    raw = comment.encode()
    return content[:-2] + len(raw).to_bytes(2, "little") + raw


class Root:
    """One root: people's side of it, and the commands on it."""

    def __init__(self, folder: Path, *, seen_at: Path | None = None, **settings: Any) -> None:
        """``settings``: dotted keys with ``__`` for the dot, over :data:`QUICK`.

        ``seen_at``: where we find what the daemon finds at ``folder/root``, if something is mounted there for it alone.
        """
        self.folder = folder
        self.code = [BUILDERS]  #: where daemons and stand-ins are imported from, before the environment; drivers first
        self.layout = RootLayout(seen_at or folder / "root")
        self.control = folder / "control"  #: the plan, and what the stand-ins note
        self.control.mkdir(parents=True)
        self.layout.inbox.mkdir(parents=True, exist_ok=True)
        self.config = folder / "segdrop.toml"
        self.configure(**settings)

    def configure(self, **settings: Any) -> None:
        values = QUICK | {key.replace("__", "."): value for key, value in settings.items()}
        sections: dict[str, dict[str, Any]] = {}
        for key, value in values.items():
            section, _, name = key.partition(".")
            sections.setdefault(section, {})[name] = value
        lines = [f"root = {json.dumps(str(self.folder / 'root'))}"]
        for section, entries in sections.items():
            lines += [f"[{section}]", *(f"{name} = {json.dumps(value)}" for name, value in entries.items())]
        self.config.write_text("\n".join(lines) + "\n")

    # what people do

    def drop(self, source: Path, name: str | None = None, request: dict[str, Any] | None = None) -> Path:
        """Copy a ZIP into the inbox as people do, its sidecar first.

        Under another name it also gets that name as its comment: other bytes, so that it is no duplicate.
        """
        target = self.layout.inbox / (name or source.name)
        if request is not None:
            target.with_suffix(".json").write_text(json.dumps(request))
        target.write_bytes(source.read_bytes() if target.name == source.name else commented(source, target.name))
        return target

    # what the stand-ins do

    def plan(self, **behaviours: dict[str, Any]) -> None:
        """Behaviours by the input's name less ``.zip``; ``others`` for all others."""
        named = {"*" if name == "others" else f"{name}.zip": value for name, value in behaviours.items()}
        temporary = self.control / "plan.tmp"
        temporary.write_text(json.dumps(named))
        temporary.replace(self.control / "plan.json")

    def flag(self, name: str) -> Path:
        (self.control / name).touch()
        return self.control / name

    def starts(self) -> list[tuple[str, int, int]]:
        """Every start of a training: input name, PID, first epoch."""
        return [tuple(record) for record in standin.records(self.control / "starts.log")]

    # what comes back

    def answers(self) -> dict[str, dict[str, Any]]:
        """The outbox's JSON files by the input's name; AssertionError if one cannot be read in full."""
        paths = [path for path in self.layout.outbox.glob("*.json") if path != self.layout.status]
        found = [json.loads(path.read_bytes()) for path in paths]
        return {answer["input"]["name"]: answer for answer in found}

    def answer(self, name: str, deadline_seconds: float = DEADLINE_SECONDS) -> dict[str, Any]:
        """The answer to an input, which conforms to the schema whatever its outcome."""
        found = wait_until(lambda: self.answers().get(name), f"an answer to {name}", deadline_seconds)
        assert json_schema.faults(found, RESULT_SCHEMA) == []
        return found

    def archived(self, answer: dict[str, Any]) -> Path:
        """The input in ``done/`` or ``failed/``, once its work folder is gone."""
        job = answer["job"]
        wait_until(lambda: not (self.layout.work / job).exists(), f"{job} archived")
        parent = self.layout.done if answer["status"] in ("succeeded", "duplicate") else self.layout.failed
        return parent / job / answer["input"]["name"]

    def states(self) -> dict[str, str]:
        """The jobs in ``work/`` by input name, from their manifests."""
        found = {}
        for manifest in self.layout.work.glob("*/job.json"):
            with contextlib.suppress(FileNotFoundError):
                job = json.loads(manifest.read_bytes())
                found[job["input_name"]] = job["state"]
        return found

    def status(self) -> dict[str, Any]:
        """The live board."""
        with contextlib.suppress(FileNotFoundError):
            value: dict[str, Any] = json.loads(self.layout.status.read_bytes())
            return value
        return {"inbox": [], "jobs": [], "ignored": [], "daemon": {}}

    def reason(self, name: str) -> str:
        """Why a ZIP waits in the inbox, by the board."""
        return next((entry["reason"] for entry in self.status()["inbox"] if entry["name"] == name), "")

    # commands

    def environment(self) -> dict[str, str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("SEGDROP_", "JOURNAL_"))}
        return inherited | {
            "STANDIN_PLAN": str(self.control / "plan.json"),
            "PYTHONPATH": os.pathsep.join(map(str, self.code)),
            "SEGDROP_CONFIG": str(self.config),
            "COLUMNS": "200",
        }

    def command(self, *arguments: str | Path, standin: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run one command to its end."""
        program = [str(self.code[0] / "driver.py")] if standin else ["-m", "segdrop"]
        return subprocess.run(
            [sys.executable, *program, *map(str, arguments)],
            env=self.environment(),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_SECONDS,
        )

    def daemon(
        self,
        *,
        command: str = "run",
        standin: bool = True,
        obeys_permissions: bool = False,
        prefix: Sequence[str] = (),
    ) -> "Daemon":
        """``prefix``: a command that becomes the daemon by exec, such as ``setpriv``."""
        return Daemon(self, command, standin=standin, obeys_permissions=obeys_permissions, prefix=prefix)


class Daemon:
    """``segdrop run`` (or ``once``) as a process; its log as events. The context's end kills it."""

    def __init__(
        self, root: Root, command: str, *, standin: bool, obeys_permissions: bool, prefix: Sequence[str] = ()
    ) -> None:
        self.root = root
        self.log_path = root.folder / "daemon.log"
        program = [str(root.code[0] / "driver.py")] if standin else ["-m", "segdrop"]
        with self.log_path.open("ab") as log:
            self._log_start = log.tell()
            self.process = subprocess.Popen(
                [*prefix, sys.executable, *program, command],
                env=root.environment(),
                cwd=root.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=obey_permissions if obeys_permissions else None,  # noqa: PLW1509  (no threads here)
            )

    def __enter__(self) -> Self:
        wait_until(lambda: self.events("daemon.started") or self.process.poll() is not None, "the daemon's start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            print(self.log_path.read_text()[-8000:])
        self.kill()

    @property
    def pid(self) -> int:
        return self.process.pid

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """This daemon's log lines, all or those of one event."""
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode().splitlines()
        found = []
        for line in lines:
            with contextlib.suppress(ValueError):  # a line that is just being written
                found.append(json.loads(line))
        return [event for event in found if name in (None, event["event"])]

    def wait_for(self, name: str, **fields: Any) -> dict[str, Any]:
        """The first event of that name and these fields."""
        found = wait_until(
            lambda: [event for event in self.events(name) if fields.items() <= event.items()], f"{name} {fields}"
        )
        return found[0]

    def children(self) -> list[int]:
        return children_of(self.pid)

    def cpu_seconds(self, *, children: bool = False) -> float:
        """User and system time so far, also of ``children`` that have ended (proc(5), stat: number 14 to 17)."""
        numbers = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, numbers[11 : 15 if children else 13])) / os.sysconf("SC_CLK_TCK")

    def rss_bytes(self) -> int:
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> int:
        """SIGTERM, and wait; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_SECONDS)

    def kill(self) -> None:
        """SIGKILL the daemon, not its children."""
        self.process.kill()
        self.process.wait(DEADLINE_SECONDS)


def verified_zip(root: Root, answer: dict[str, Any]) -> Path:
    """The result ZIP of an answer: there, with the size and SHA-256 that the JSON states."""
    path = root.layout.outbox / answer["result"]["name"]
    content = path.read_bytes()
    assert len(content) == answer["result"]["bytes"]
    assert hashlib.sha256(content).hexdigest() == answer["result"]["sha256"]
    return path
