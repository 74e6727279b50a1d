"""``python root_recorder.py TARGET``: record the root of another version with a job in each state, as TARGET (.tar.xz).

Run by hand, in a checkout of the commit to be recorded, with that version's daemon, children and stand-ins::

    git worktree add --detach /tmp/recorded COMMIT
    cd /tmp/recorded && PYTHONPATH=daemon:tests python <here>/root_recorder.py root-of-COMMIT.tar.xz

Each state is reached by a daemon of its own, which is killed at that moment (``builders.changes``), on a root of its
own at one path; then everything is put together. Beside the roots stand ``marks.json``: inode and modification time of
the files that a manifest knows by them, which no archive keeps (``builders.recorded_root`` puts them right again); and
``arriving.rest``, what is still to be copied of ``inbox/arriving.zip``.
"""

import json
import os
import shutil
import signal
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from builders import changes, encoded, forked, write_zip
from builders.crash_runs import SETTINGS
from builders.daemons import Root, commented, wait_until

#: what stands for the recorded root's path in its specs and logs
RECORDED_AT = "/srv/segdrop"
MARKS_NAME, REST_NAME = "marks.json", "arriving.rest"
_MODEL_BYTES = 200
_LEVEL_1 = {"level": 1, "seed": 7}
_REJECTED = {"level": 9}
#: of a finished training on the recording host; the stand-in measures nothing
_MEASUREMENTS = {"step deeplabv3_resnet50 cpu 2 threads": {"seconds": 1.5}}
_MARKED = ("input.zip", "checkpoint.pth")


class Recorder:
    """``merged`` is the root that is put together."""

    def __init__(self, folder: Path, merged: Path) -> None:
        self.folder = folder
        self.merged = merged
        self.source = folder / "source.zip"
        if not self.source.exists():
            write_zip(self.source, _members())
        self.root = self._fresh_root()

    def _fresh_root(self) -> Root:
        shutil.rmtree(self.folder / "run", ignore_errors=True)
        return Root(self.folder / "run", **SETTINGS)

    def put_together(self) -> None:
        """Rename every file, so that what has two names keeps them."""
        for path in sorted(self.root.layout.root.rglob("*")):
            target = self.merged / path.relative_to(self.root.layout.root)
            if path.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                path.rename(target)
        self.root = self._fresh_root()

    # people

    def drop(self, name: str, request: dict[str, Any] | None = _LEVEL_1, **behaviour: Any) -> None:
        self.root.plan(others=behaviour | {"size": _MODEL_BYTES})
        if request is not None:
            (self.root.layout.inbox / f"{name}.json").write_text(json.dumps(request))
        (self.root.layout.inbox / f"{name}.zip").write_bytes(commented(self.source, name))

    def job(self, name: str) -> str:
        """Its id, wherever it is by now."""
        layout = self.root.layout
        folders = (layout.work, layout.done, layout.failed)
        return next(path.name for folder in folders for path in folder.glob(f"{name}-*"))

    def has(self, name: str, state: str) -> bool:
        return self.root.states().get(f"{name}.zip") == state

    # daemons

    def until(self, condition: Callable[[], Any]) -> None:
        """A daemon, which is killed once the condition holds."""
        daemon = forked.start_daemon(self.root)
        wait_until(condition, "the state to be recorded")
        os.kill(daemon, signal.SIGKILL)
        os.waitpid(daemon, 0)

    def kill_at(self, change: str, moment: str, people: Callable[[], Any] = lambda: True) -> None:
        """A daemon, killed by itself ``before`` or ``after`` a change; ``people`` are asked until they are done."""
        self._killed_by(changes.killing((f"{change} #1", moment)), people)

    def _killed_by(self, act: changes.Act, people: Callable[[], Any] = lambda: True) -> None:
        daemon = forked.start_daemon(self.root, changes.Tracer(self.root.layout.root, act))
        wait_until(people, "people have done their part")
        status = os.waitstatus_to_exitcode(os.waitpid(daemon, 0)[1])
        assert status == -signal.SIGKILL, f"{status}: {(self.root.folder / 'daemon.log').read_text()[-3000:]}"

    def kill_in(self, role: str, *, child_first: bool = False) -> None:
        """As soon as a child of that role changes anything. ``child_first``: it alone, and all at its next start."""
        flag = self.root.control / "killed"

        def act(tracer: changes.Tracer, _operation: str, _name: str, _moment: str) -> None:
            if tracer.role != role:
                return
            if flag.exists() or not child_first:
                os.kill(os.getppid(), signal.SIGKILL)
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)

        self._killed_by(act)

    def archived(self, name: str) -> bool:
        return f"{name}.zip" in self.root.answers() and not list(self.root.layout.work.glob(f"*{name}-*"))


# one function for each state; the input is called as the job's state is


def _claimed(recorder: Recorder) -> None:
    recorder.drop("claimed")
    recorder.kill_in("check")
    recorder.put_together()
    recorder.drop("claimed-halfway")  # its request is still in the inbox
    recorder.kill_at("daemon move/rename work/claimed-halfway/input.zip", "after")
    recorder.put_together()
    recorder.drop("claim-begun")  # the ZIP too
    recorder.kill_at("daemon move/rename work/claim-begun/input.zip", "before")
    recorder.put_together()
    recorder.drop("check-killed")
    recorder.kill_in("check", child_first=True)
    recorder.put_together()


def _queued(recorder: Recorder) -> None:
    """And one that somebody wants to be cancelled: the control file was not seen any more."""
    for name in ("queued", "unwanted"):
        recorder.drop(name)
        (recorder.root.layout.inbox / "PAUSE").touch()
        recorder.until(lambda name=name: recorder.has(name, "queued"))  # type: ignore[misc]
        (recorder.root.layout.inbox / "PAUSE").unlink()
        if name == "unwanted":
            (recorder.root.layout.inbox / f"{recorder.job(name)}.cancel").touch()
        recorder.put_together()


def _started(recorder: Recorder) -> None:
    recorder.drop("started", epochs=3)
    recorder.kill_at("train write_json() work/started/checkpoint.pth", "before")
    recorder.put_together()
    recorder.drop("started-no-child")
    recorder.kill_at("daemon write_json() work/started-no-child/training.spec.json", "before")
    recorder.put_together()
    recorder.drop("resumable", epochs=3)
    recorder.kill_at("train write_json() work/resumable/checkpoint.pth", "after")
    recorder.put_together()
    recorder.drop("answered")  # and its daemon did not learn of it
    recorder.kill_at("train write_json() work/answered/training.json", "after")
    recorder.put_together()


def _trained(recorder: Recorder) -> None:
    recorder.drop("trained")
    recorder.kill_at("daemon write_json() work/trained/package.spec.json", "before")
    recorder.put_together()
    recorder.drop("packed")
    recorder.kill_at("package write() work/packed/result.zip", "after")
    recorder.put_together()


def _concluded(recorder: Recorder) -> None:
    recorder.drop("succeeded")
    recorder.kill_at("daemon publish() outbox/succeeded.zip", "before")
    recorder.put_together()
    recorder.drop("half-delivered")  # the ZIP alone
    recorder.kill_at("daemon publish() outbox/half-delivered.json", "before")
    recorder.put_together()
    recorder.drop("rejected", _REJECTED)
    recorder.kill_at("daemon publish() outbox/rejected.json", "before")
    recorder.put_together()
    recorder.drop("failed", ending="not_finite")
    recorder.kill_at("daemon publish() outbox/failed.json", "before")
    recorder.put_together()


def _delivered(recorder: Recorder) -> None:
    recorder.drop("delivered")
    recorder.kill_at("daemon move() done/delivered/delivered.zip", "before")
    recorder.put_together()
    recorder.drop("delivered-rejected", _REJECTED)
    recorder.kill_at("daemon move() failed/delivered-rejected/delivered-rejected.zip", "before")
    recorder.put_together()
    recorder.drop("removed", _REJECTED)
    recorder.kill_at("daemon remove_tree/rename work/.removed.removed", "after")
    recorder.put_together()


def _archived(recorder: Recorder) -> None:
    for name, behaviour in {"done": {}, "done-failed": {"ending": "not_finite"}}.items():
        recorder.drop(name, **behaviour)
        recorder.until(lambda name=name: recorder.archived(name))  # type: ignore[misc]
        recorder.put_together()


def _cancelled(recorder: Recorder) -> None:
    """The control file was taken, and the cancellation not recorded any more."""
    recorder.drop("cancelled", epochs=2, hold=1)

    def people() -> bool:
        log = recorder.root.layout.job(recorder.job("cancelled")).log if recorder.has("cancelled", "started") else None
        if log is None or not log.exists() or b"standin.waiting" not in log.read_bytes():
            return False
        (recorder.root.layout.inbox / f"{recorder.job('cancelled')}.cancel").touch()
        return True

    recorder.kill_at("daemon move/rename work/cancelled/cancel", "after", people)
    recorder.put_together()


def _retried(recorder: Recorder) -> None:
    """The new job is claimed, and the control file still there."""
    recorder.drop("retried", ending="not_finite")
    recorder.until(lambda: recorder.archived("retried"))
    recorder.root.plan(others={"size": _MODEL_BYTES})
    (recorder.root.layout.inbox / f"{recorder.job('retried')}.retry").touch()
    recorder.kill_at("daemon link/link work/retried/input.zip", "after")
    recorder.put_together()


def _inbox(recorder: Recorder) -> None:
    """Last: what the cheap check left stays in ``.inspection``."""
    recorder.drop("settled")
    recorder.kill_in("inspect")
    recorder.drop("waiting", None)
    recorder.drop("arriving")
    arriving = recorder.root.layout.inbox / "arriving.zip"
    half = arriving.stat().st_size // 2
    (recorder.merged.parent / REST_NAME).write_bytes(arriving.read_bytes()[half:])
    os.truncate(arriving, half)
    (recorder.root.layout.work / ".measurements.json").write_text(json.dumps(_MEASUREMENTS, indent=1))
    recorder.put_together()


_KILLED = (
    _claimed,
    _queued,
    _started,
    _trained,
    _concluded,
    _delivered,
    _archived,
    _cancelled,
    _retried,
    _inbox,
)


def _stopped(recorder: Recorder) -> None:
    """By SIGTERM, as a package's upgrade does: one in training, one queued, one in the inbox."""
    recorder.drop("resumable", epochs=3, hold=1)
    daemon = forked.start_daemon(recorder.root)
    wait_until(lambda: recorder.has("resumable", "started"), "resumable is in training")
    log = recorder.root.layout.job(recorder.job("resumable")).log
    wait_until(lambda: b"standin.waiting" in log.read_bytes(), "the first checkpoint")
    recorder.drop("queued", None, epochs=3, hold=1)
    wait_until(lambda: recorder.has("queued", "queued"), "the other is queued")
    os.kill(daemon, signal.SIGTERM)
    assert os.waitpid(daemon, 0)[1] == 0
    recorder.drop("waiting")
    recorder.put_together()


def marks(root: Path) -> dict[str, dict[str, Any]]:
    """By path below the root."""
    found = {}
    for path in sorted((root / "work").glob("[!.]*/*")):
        if path.name in _MARKED:
            status = path.stat()
            found[str(path.relative_to(root))] = {"inode": status.st_ino, "mtime_ns": status.st_mtime_ns}
    return found


def _relocate(root: Path, before: str) -> None:
    """No path of this machine is left: neither in specs and logs nor, which is looked at only, in what is packed."""
    for path in root.rglob("*"):
        if not path.is_file():
            continue
        content = path.read_bytes()
        if before.encode() in content:
            status = path.stat()
            with path.open("r+b") as stream:  # the same inode
                stream.truncate()
                stream.write(content.replace(before.encode(), RECORDED_AT.encode()))
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _members() -> dict[str, bytes]:
    """Two pairs of plain areas, which take a few hundred bytes in all."""
    mask = np.repeat(np.array([[0] * 12 + [1] * 12], np.uint8), 24, axis=0)
    image = np.stack([mask * 120 + 40] * 3, axis=2)
    found = {}
    for number in range(2):
        found[f"images/{number}.png"] = encoded(image + np.uint8(60 * number))
        found[f"masks/{number}.png"] = encoded(mask)
    return found


def _pack(folder: Path, target: Path) -> None:
    """Files of one name beside each other, which are alike."""
    with tarfile.open(target, "w:xz", preset=9) as archive:
        for path in sorted(folder.rglob("*"), key=lambda path: (not path.is_dir(), path.suffix, path.name, path)):
            archive.add(path, str(path.relative_to(folder)), recursive=False, filter=_anonymous)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def main() -> None:
    os.environ["TORCH_HOME"] = "/srv/torch"  # goes into specs
    forked.preload()
    with tempfile.TemporaryDirectory(prefix="root-recorder-") as temporary:
        folder, roots = Path(temporary), Path(temporary) / "roots"
        for name, scenes in {"killed": _KILLED, "stopped": (_stopped,)}.items():
            recorder = Recorder(folder, roots / name / "root")
            for scene in scenes:
                scene(recorder)
            _relocate(recorder.merged, str(recorder.root.layout.root))
            (roots / name / MARKS_NAME).write_text(json.dumps(marks(recorder.merged), indent=1))
        _pack(roots, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
