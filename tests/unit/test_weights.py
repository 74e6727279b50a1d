"""What other modules rely on in segdrop.weights_files; its downloads are in test_weights_files."""

import errno
import hashlib
import io
import subprocess
import sys
import urllib.request
from email.message import Message
from pathlib import Path
from typing import BinaryIO

import pytest

from segdrop import durable, weights_files
from segdrop.codes import Code
from segdrop.errors import UnavailableError

CONTENT = b"weights"
NAME = f"tiny-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"

_IMPORTED = """
import sys
import segdrop.weights_files
print(*sorted({"torch", "numpy", "http.client", "ssl", "urllib.request"} & set(sys.modules)))
"""


class Response(io.BytesIO):
    """A server's answer that holds CONTENT, and breaks off where a test says so."""

    def __init__(self, failure: Exception | None = None) -> None:
        super().__init__(CONTENT)
        self.headers = Message()
        self._failure = failure

    def read(self, size: int | None = -1, /) -> bytes:
        if self._failure and self.tell():
            raise self._failure
        return super().read(size)


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def answer(monkeypatch: pytest.MonkeyPatch, failure: Exception | None = None) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_arguments, **_options: Response(failure))


def fetch(models_dir: Path) -> UnavailableError:
    with pytest.raises(UnavailableError) as caught:
        weights_files.fetch(NAME, models_dir)
    return caught.value


def test_importing_it_costs_neither_torch_nor_a_http_client() -> None:
    finished = subprocess.run([sys.executable, "-c", _IMPORTED], capture_output=True, text=True, check=True)
    assert finished.stdout.split() == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("deeplabv3_resnet50_coco-cd0a2569.pth", True),
        (f"own-{'0' * 64}.pth", True),
        ("own.pth", False),
        ("own-1234567.pth", False),  # seven digits: torch.hub's names have eight at least
        ("own-CD0A2569.pth", False),
        ("cd0a2569.pth", False),
    ],
)
def test_hash_is_recognised_at_the_end_of_a_name(name: str, expected: bool) -> None:
    assert weights_files.has_hash(name) is expected


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [(NAME, CONTENT, True), (NAME, CONTENT[:-1], False), (NAME, b"", False), ("tiny.pth", CONTENT, False)],
)
def test_hash_matches_only_where_it_was_proved(tmp_path: Path, name: str, content: bytes, expected: bool) -> None:
    (tmp_path / name).write_bytes(content)
    assert weights_files.hash_matches(tmp_path / name) is expected


def test_connection_lost_midway_is_said_so_and_leaves_nothing(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, OSError(errno.ENETDOWN, "Network is down"))
    error = fetch(models_dir)
    assert error.code == "weights.unavailable"
    assert "Network is down" in str(error)
    assert list(models_dir.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "disk.full"), (errno.EDQUOT, "disk.full"), (errno.EROFS, "root.unavailable")],
)
def test_disk_at_fault_is_never_blamed_on_the_network(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    def refuse(path: Path, _writer: BinaryIO) -> None:
        path.with_name(path.name + ".tmp").write_bytes(CONTENT)
        raise OSError(number, "no")

    answer(monkeypatch)
    monkeypatch.setattr(durable, "write", refuse)
    error = fetch(models_dir)
    assert error.code == code
    assert Code(error.code) == code
    assert list(models_dir.iterdir()) == []


def test_missing_models_folder_is_the_operators_to_make(tmp_path: Path) -> None:
    assert fetch(tmp_path / "models").code == "root.unavailable"


def test_address_that_is_none_is_refused(models_dir: Path) -> None:
    with pytest.raises(UnavailableError, match="Invalid IPv6"):
        weights_files.fetch(NAME, models_dir, base_url="http://[/")


def test_answer_that_matches_is_kept(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch)
    assert weights_files.hash_matches(weights_files.fetch(NAME, models_dir))
