"""Names that pretend to be something else: in no log, board, result or terminal do they become more than names."""

import json
import os
import re
import zipfile
from pathlib import Path

import pytest

from builders import write_dataset
from builders.daemons import Root, verified_zip, wait_until

NAMES = [
    'a\n{"event": "job.delivered", "level": "info", "job": "forged"}.zip',
    "\x1b[2J\x1b[31mred\x07.zip",
    "\u202eexe.gpj.zip",
    "zero\u200bwidth\ufeff.zip",
    "line\u2028separator\x85next.zip",
    "[bold red]markup[red] :boom: %s {job}.zip",
    "-rf $(touch forged) `touch forged`; #.zip",
    "' OR 1=1 --\t\r.zip",
    "ü" * 120 + ".zip",
]


def is_plain(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A ZIP with a member of such a name; good all the same."""
    return write_dataset(tmp_path / "good.zip", extra={"images/stray\u202e\u2028x.txt": b"x"})


def test_hostile_name_is_only_a_name_wherever_it_appears(tmp_path: Path, hostile: Path) -> None:
    root = Root(tmp_path / "run")
    os.close(os.open(os.fsencode(root.layout.inbox) + b"/\xff\xfe.zip", os.O_CREAT | os.O_WRONLY))
    with root.daemon() as daemon:
        (root.layout.inbox / "text\n\x1b[31m.zip").write_text("no ZIP")
        for name in NAMES:
            root.drop(hostile, name, {"epochs": 1})
        for name in NAMES:
            answer = root.answer(name)
            assert answer["status"] == "succeeded", answer["issues"]
            # what is made of the name is made of letters and digits
            assert re.fullmatch(r"[A-Za-z0-9._-]+", answer["job"])
            kept = root.archived(answer)
            assert kept.name == name
            with zipfile.ZipFile(verified_zip(root, answer)) as result:
                readme = result.read("README.txt").decode()
            assert is_plain(readme)
            assert len([line for line in readme.splitlines() if line.startswith("input ")]) == 1
            assert not [line for line in readme.splitlines() if line.startswith("{")]
        assert root.answer("text\n\x1b[31m.zip")["status"] == "rejected"
        wait_until(lambda: root.status()["ignored"], "the name that is no text is seen")
        (ignored,) = root.status()["ignored"]
        assert ignored["reason"].startswith("the name is not valid UTF-8")

        # the log tells of a delivery once the answer is there
        event = b'"event": "job.delivered"'
        wait_until(lambda: daemon.log_path.read_bytes().count(event) >= len(NAMES), "all deliveries are logged")
        lines = daemon.log_path.read_bytes().decode("ascii").splitlines()
        events = [json.loads(line) for line in lines]
        assert all(line.isprintable() for line in lines)
        delivered = [event for event in events if event["event"] == "job.delivered"]
        assert sorted(event["input"] for event in delivered) == sorted(NAMES)
        assert "forged" not in [event.get("job") for event in events]

        for command in (("status",), ("jobs",), ("show", delivered[0]["job"]), ("check", str(hostile))):
            said = root.command(*command, standin=False)
            assert is_plain(said.stdout), command
            assert is_plain(said.stderr), command
    assert not list(tmp_path.rglob("forged"))
