"""A throwaway machine inside this one: accounts and servers of its own, gone with the process that holds it.

A mount namespace in which ``/etc/passwd`` and ``/etc/group`` are other files: real servers find real users there,
and nothing of it is visible outside. Servers run in a process namespace as well, so that none outlives the test.
Needs root on Linux.
"""

import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from builders.daemons import wait_until
from builders.requirements import find_program, require, require_program, require_root

#: what a process of another user has to reach, to run the daemon
_REPOSITORY = Path(__file__).resolve().parents[2]
_OTHERS_EXECUTE = 0o001


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()


def _blocker(path: Path) -> Path | None:
    """The outermost folder on the way to ``path`` that other users may not pass."""
    for folder in reversed((path, *path.parents)):
        if not folder.stat().st_mode & _OTHERS_EXECUTE:
            return folder
    return None


class Machine:
    """Leaving the context ends everything that was started in it."""

    def __init__(self, folder: Path, accounts: Iterable[Account], groups: dict[str, int]) -> None:
        """``folder``: an empty one that everybody may pass. ``groups``: those that are no account's own."""
        require_root()
        require_program("unshare", "nsenter", "setpriv", "mount")
        self.folder = folder
        self._servers: list[subprocess.Popen[bytes]] = []
        self._write_accounts(list(accounts), groups)
        ready = folder / "ready"
        script = folder / "setup.sh"
        script.write_text("\n".join(["set -eu", *self._mounts(), f"touch {ready}", "exec sleep infinity"]) + "\n")
        # setpriv: with this process ends the namespaces' first one, and with that one everything in them
        namespaces = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL"]
        self._holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *namespaces, "sh", str(script)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_until(lambda: ready.exists() or self._holder.poll() is not None, "the namespaces")
        if self._holder.poll() is not None and self._holder.stderr is not None:
            require(condition=False, reason=f"no namespaces here: {self._holder.stderr.read().strip()}")
        (self._first,) = wait_until(self._children_of_holder, "the first process of the namespaces")

    def _children_of_holder(self) -> list[int]:
        path = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children")
        return [int(child) for child in path.read_text().split()]

    def _write_accounts(self, accounts: list[Account], groups: dict[str, int]) -> None:
        passwd = Path("/etc/passwd").read_text()
        group = Path("/etc/group").read_text()
        names = {account.gid: account.name for account in accounts} | {gid: name for name, gid in groups.items()}
        for account in accounts:
            home = self.folder / account.name
            home.mkdir()
            os.chown(home, account.uid, account.gid)
            passwd += f"{account.name}:x:{account.uid}:{account.gid}::{home}:/bin/sh\n"
        for gid, name in names.items():
            members = ",".join(account.name for account in accounts if gid in account.groups)
            group += f"{name}:x:{gid}:{members}\n"
        (self.folder / "passwd").write_text(passwd)
        (self.folder / "group").write_text(group)

    def _mounts(self) -> list[str]:
        lines = [f"mount --bind {self.folder / name} /etc/{name}" for name in ("passwd", "group")]
        lines += ["mount -t tmpfs -o mode=755 tmpfs /run", "mkdir -m 755 /run/sshd /run/samba"]
        return lines + self._openings()

    def _openings(self) -> list[str]:
        """The interpreter and this repository where everybody reaches them: they may lie in somebody's home."""
        paths = dict.fromkeys(Path(path).resolve() for path in (sys.base_prefix, sys.prefix, _REPOSITORY))
        blocked = {path: blocker for path in paths if (blocker := _blocker(path)) is not None}
        before, after = [], []
        for number, path in enumerate(blocked):
            hold = self.folder / f"hold{number}"
            before += [f"mkdir {hold}", f"mount --rbind {shlex.quote(str(path))} {hold}"]
            after += [f"mkdir -p {shlex.quote(str(path))}", f"mount --rbind {hold} {shlex.quote(str(path))}"]
        covers = [f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(path))}" for path in set(blocked.values())]
        return [*before, *covers, *after]

    def view(self, path: Path) -> Path:
        """The same path as it is here: what is mounted there is seen by it from outside."""
        return Path(f"/proc/{self._first}/root{path}")

    # commands

    def entering(self, account: Account | None = None, *, umask: str = "022") -> list[str]:
        """What stands before a command to run it here: it becomes that command by exec, under the same PID."""
        enter = ["nsenter", f"--mount=/proc/{self._first}/ns/mnt"]
        as_user = ["sh", "-c", f'umask {umask} && exec "$@"', "sh"]
        if account is None:
            return [*enter, *as_user]
        groups = f"--groups={','.join(map(str, (account.gid, *account.groups)))}"
        user = ["setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", groups, "--inh-caps=-all"]
        return [*enter, *user, *as_user]

    def run(
        self, command: Sequence[str | Path], account: Account | None = None, *, stdin: str = "", check: bool = True
    ) -> "subprocess.CompletedProcess[str]":
        """One command to its end."""
        words = [*self.entering(account), *map(str, command)]
        done = subprocess.run(words, input=stdin, capture_output=True, text=True, check=False, timeout=120)
        if check and done.returncode != 0:
            raise AssertionError(f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def start(self, command: Sequence[str | Path], account: Account | None = None) -> "subprocess.Popen[bytes]":
        """A client that takes its time."""
        return subprocess.Popen([*self.entering(account), *map(str, command)], stdin=subprocess.DEVNULL)

    def serve(self, command: Sequence[str | Path], port: int, log: Path) -> None:
        """A server, until the machine ends. Returns once it answers on that port of the loopback."""
        program = find_program(str(command[0]))
        require(program, f"{command[0]} is not installed (tests/faults/install-packages.sh)")
        enter = ["nsenter", f"--target={self._first}", "--mount", "--pid"]
        with log.open("ab") as output:
            server = subprocess.Popen(
                [*enter, str(program), *map(str, command[1:])],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

        def answers() -> bool:
            assert server.poll() is None, log.read_text()
            with socket.socket() as client:
                return client.connect_ex(("127.0.0.1", port)) == 0

        wait_until(answers, f"{command[0]} on port {port}")
        self._servers.append(server)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.kill(self._first, signal.SIGKILL)
        self._holder.wait()
        if self._holder.stderr:
            self._holder.stderr.close()
        for server in self._servers:
            server.wait()


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])
