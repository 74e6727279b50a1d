"""segdrop installed as a service in a throwaway systemd (``tests/faults/systemd-sandbox``), by ``make install``."""

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from builders.daemons import wait_until
from segdrop.spool.layout import RootLayout

REPOSITORY = Path(__file__).parents[2]
SCRIPT = REPOSITORY / "tests" / "faults" / "systemd-sandbox"
#: where the unit, the settings and the root are, inside
APP, ROOT = "/opt/segdrop", "/srv/segdrop"
ENVIRONMENT_FILE = "/etc/segdrop/segdrop.env"
_SOURCE, _PYTHON, _PACKAGES, _STORAGE = "/opt/source", "/opt/python", "/opt/packages", "/mnt/storage"
_DROP_IN = "/run/systemd/system/segdrop.service.d/test.conf"
#: what the tests wait for, made short
_QUICK = {
    "SEGDROP_INTAKE__SCAN_SECONDS": "0.2",
    "SEGDROP_INTAKE__SETTLE_SECONDS": "0.5",
    "SEGDROP_INTAKE__INCOMPLETE_SECONDS": "0.5",
    "SEGDROP_QUEUE__RESERVE_BYTES": "100000000",
}
#: without network: the packages are those of the environment that runs the tests
_PIP_ARGS = "--quiet --no-index --no-deps --no-build-isolation"


class Sandbox:
    """A booted systemd. ``storage`` is a folder of the machine's disk that holds the root, at first not mounted."""

    def __init__(self, storage: Path, pid: int) -> None:
        self.pid = pid
        self.layout = RootLayout(storage)

    @classmethod
    @contextlib.contextmanager
    def booted(cls, storage: Path, *, people: str = "") -> Iterator[Self]:
        """With segdrop installed (``people``: with a group of their own), and not started."""
        storage.mkdir()
        mounts = [f"{REPOSITORY}:{_SOURCE}", f"{sysconfig.get_path('purelib')}:{_PACKAGES}"]
        if not Path(sys.base_prefix).is_relative_to("/usr"):  # where the service may not look: a home directory
            mounts.append(f"{sys.base_prefix}:{_PYTHON}")
        started = subprocess.run(
            [SCRIPT, "start", *mounts, f"{storage}:{_STORAGE}:shared"], capture_output=True, text=True, check=False
        )
        if started.returncode != 0:
            raise AssertionError(started.stderr)
        sandbox = cls(storage, int(started.stdout))
        try:
            sandbox._install(people)
            yield sandbox
        finally:
            subprocess.run([SCRIPT, "stop", str(sandbox.pid)], check=True)

    def _install(self, people: str) -> None:
        self._make_environment()
        print(self.install(*([f"PEOPLE={people}"] if people else [])))

    def install(self, *variables: str) -> str:
        """``make install``, which also upgrades."""
        return self.make("install", f"PIP_ARGS={_PIP_ARGS}", *variables)

    def _make_environment(self) -> None:
        """A virtual environment with the tests' packages, on a Python that the service may read."""
        own = Path(sys.base_prefix).is_relative_to("/usr")
        prefix = sys.base_prefix if own else _PYTHON
        program = Path(os.path.realpath(sys.executable)).relative_to(os.path.realpath(sys.base_prefix))
        self.write(f"{APP}/pyvenv.cfg", f"home = {prefix}/bin\nversion = {sys.version.split()[0]}\n")
        own_packages = Path(sysconfig.get_path("purelib")).relative_to(sys.prefix)
        self.write(f"{APP}/{own_packages}/packages.pth", f"{_PACKAGES}\n")
        self.run("mkdir", "-p", f"{APP}/bin")
        self.run("ln", "-s", f"{prefix}/{program}", f"{APP}/bin/python")
        if not own:  # its libpython is found by an absolute path that only root may follow
            self.write("/etc/ld.so.conf.d/python.conf", f"{prefix}/lib\n")
            self.run("ldconfig")

    def make(self, *arguments: str) -> str:
        return self.run("make", "--no-print-directory", "-C", _SOURCE, *arguments)

    # inside

    def run(self, *command: str, check: bool = True, text_in: str | None = None) -> str:
        done = self.complete(*command, text_in=text_in)
        if check and done.returncode != 0:
            raise AssertionError(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def complete(self, *command: str, text_in: str | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [SCRIPT, "run", str(self.pid), *command], input=text_in, capture_output=True, text=True, check=False
        )

    def write(self, path: str, text: str) -> None:
        self.run("mkdir", "-p", str(Path(path).parent))
        self.run("tee", path, text_in=text)

    def exists(self, path: str) -> bool:
        return self.complete("test", "-e", path).returncode == 0

    # the root

    def mount_root(self) -> None:
        self.run("mkdir", "-p", ROOT)
        self.run("mount", "--bind", _STORAGE, ROOT)

    def unmount_root(self) -> None:
        self.run("umount", ROOT, check=False)

    def as_service(self, *command: str) -> str:
        return self.run(*self._becoming("segdrop"), *command)

    def attempt_as(self, user: str, command: str) -> "subprocess.CompletedProcess[str]":
        """A shell command of one of the people, in the root."""
        return self.complete(*self._becoming(user), "sh", "-c", f"cd {ROOT} && {{ {command}; }}")

    def _becoming(self, user: str) -> list[str]:
        return ["setpriv", "--reuid", user, "--regid", user, "--init-groups"]

    def fresh_root(self) -> None:
        """An empty root, made as README says, with nothing of an earlier test."""
        self.unmount_root()
        for path in self.layout.root.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.run("sh", "-c", f"rm -rf {ROOT}/* {ROOT}/.segdrop-root")  # what `make install` made
        self.mount_root()
        self.run("segdrop", "init", "--owner", "segdrop", "--people", "segdrop", ROOT)

    def drop(self, archive: Path, request: dict[str, Any]) -> None:
        """Copy a ZIP into the inbox, as a user that is not the service's; its sidecar first."""
        target = self.layout.inbox / archive.name
        target.with_suffix(".json").write_text(json.dumps(request))
        shutil.copyfile(archive, target)

    def answer(self, archive: Path) -> dict[str, Any] | None:
        for path in self.layout.outbox.glob("*.json"):
            if path != self.layout.status:
                found: dict[str, Any] = json.loads(path.read_bytes())
                if found["input"]["name"] == archive.name:
                    return found
        return None

    def job(self) -> dict[str, Any]:
        """The manifest of the one job in work/; empty if there is none."""
        for path in self.layout.work.glob("*/job.json"):
            with contextlib.suppress(FileNotFoundError):
                manifest: dict[str, Any] = json.loads(path.read_bytes())
                return manifest
        return {}


class Unit:
    """The service: what ``systemctl`` and ``journalctl`` are for, from one moment on."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        shown = sandbox.run("journalctl", "--lines=0", "--show-cursor", "--quiet")
        self._cursor = shown.partition("-- cursor: ")[2].strip()
        self.configure({})

    def configure(self, variables: dict[str, str], drop_in: str = "") -> None:
        """Settings over the quick ones, and lines that change the unit."""
        values = _QUICK | variables
        self.sandbox.write(ENVIRONMENT_FILE, "".join(f"{key}={value}\n" for key, value in values.items()))
        self.sandbox.write(_DROP_IN, drop_in)
        self.systemctl("daemon-reload")

    def systemctl(self, *arguments: str, check: bool = True) -> str:
        return self.sandbox.run("systemctl", *arguments, check=check)

    def start(self) -> None:
        self.systemctl("start", "segdrop")

    def stop(self) -> None:
        self.systemctl("stop", "segdrop")

    def discard(self) -> None:
        """Stop it whatever state it is in."""
        self.systemctl("kill", "--signal=KILL", "segdrop", check=False)
        self.systemctl("stop", "segdrop", check=False)
        self.systemctl("reset-failed", "segdrop", check=False)

    def show(self, name: str) -> str:
        return self.systemctl("show", "--value", f"--property={name}", "segdrop").strip()

    @property
    def pid(self) -> int:
        """As the sandbox numbers its processes."""
        return int(self.show("MainPID"))

    def journal(self, *options: str) -> str:
        # systemd 252 leaves out the first line that is found after a cursor where the cursor's own does not match
        start = f"--cursor={self._cursor}" if options else f"--after-cursor={self._cursor}"
        return self.sandbox.run("journalctl", "--unit=segdrop", "--output=cat", start, *options)

    def events(self, name: str, *options: str) -> list[dict[str, Any]]:
        found = []
        for line in self.journal(*options).splitlines():
            with contextlib.suppress(ValueError):
                value = json.loads(line)
                if isinstance(value, dict) and value.get("event") == name:
                    found.append(value)
        return found

    def wait_for(self, name: str, count: int = 1) -> dict[str, Any]:
        """The ``count``-th event of that name."""
        return wait_until(lambda: self.events(name)[count - 1 : count], f"{name}, {count}")[0]

    def wait_for_restart(self, old_pid: int) -> None:
        """Until the service is active again, as another process."""
        wait_until(lambda: self.pid not in (0, old_pid) and self.show("ActiveState") == "active", "another start")

    def process(self, pid: int) -> dict[str, str]:
        """``/proc/<pid>/status``."""
        lines = self.sandbox.run("cat", f"/proc/{pid}/status").splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
