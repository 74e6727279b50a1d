"""Samba as the example sets it up, on a throwaway machine, with the clients' end of it."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from builders.machine import Account, Machine, free_port
from builders.requirements import require_program

EXAMPLE = Path(__file__).parents[2] / "config" / "samba.conf.example"
PASSWORD = "correct horse"
#: what the example says, to be changed as its comments tell
_FORCED_GROUP = "force group = segdrop\n"
_VALID_USERS = "valid users = @segdrop-users\n"


class Samba:
    """An smbd for one root; its shares are those of the example, moved to that root."""

    def __init__(self, machine: Machine, root: Path, users: Iterable[Account], *, people: str | None = None) -> None:
        """``people``: the group that shares the root; by default as the example has it, where those who come through
        Samba are in a group that has no other rights.
        """
        require_program("smbd", "smbclient", "smbpasswd", "testparm")
        self._machine = machine
        self.port = free_port()
        self._folder = machine.folder / f"samba-{self.port}"
        self._folder.mkdir()
        self._config = self._write_config(root, people)
        for user in users:
            words = ["smbpasswd", "-c", self._config, "-s", "-a", user.name]
            machine.run(words, stdin=f"{PASSWORD}\n{PASSWORD}\n")
        command = ["smbd", "--foreground", "--no-process-group", f"--configfile={self._config}"]
        machine.serve(command, self.port, self._folder / "smbd.log")

    def _write_config(self, root: Path, people: str | None) -> Path:
        """What there is beside the shares keeps out of the machine's way."""
        directories = ("private dir", "state directory", "lock directory", "cache directory", "pid directory")
        lines = ["[global]", "server role = standalone server", "map to guest = never", "disable netbios = yes"]
        lines += ["interfaces = 127.0.0.1/8", "bind interfaces only = yes", f"smb ports = {self.port}"]
        lines += ["load printers = no", "disable spoolss = yes", "printcap name = /dev/null"]
        lines += ["usershare max shares = 0"]
        lines += [f"{key} = {self._folder}" for key in (*directories, "ncalrpc dir", "binddns dir")]
        lines += [f"passdb backend = tdbsam:{self._folder}/passdb.tdb", f"log file = {self._folder}/log"]
        shares = EXAMPLE.read_text().replace("/srv/segdrop", str(root))
        assert shares.count(_FORCED_GROUP) == shares.count(_VALID_USERS) == 2
        if people is not None:
            shares = shares.replace(_FORCED_GROUP, f"force group = {people}\n")
            shares = shares.replace(_VALID_USERS, f"valid users = @{people}\n")
        path = self._folder / "smb.conf"
        path.write_text("\n".join([*lines, "log level = 1"]) + "\n\n" + shares)
        return path

    def client(self, user: Account, command: str, *, share: str = "segdrop-inbox") -> list[str]:
        words = ["smbclient", f"//127.0.0.1/{share}", f"--port={self.port}", f"--configfile={self._config}"]
        return [*words, f"--user={user.name}%{PASSWORD}", f"--command={command}"]

    def attempt(
        self, user: Account, command: str, *, share: str = "segdrop-inbox"
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.client(user, command, share=share),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            text=True,
            timeout=120,
        )

    def succeed(self, user: Account, command: str, *, share: str = "segdrop-inbox") -> None:
        done = self.attempt(user, command, share=share)
        assert done.returncode == 0, done.stdout
        assert "NT_STATUS" not in done.stdout, done.stdout
