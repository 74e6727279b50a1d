"""Files of others are opened only if they are regular, without following links and without waiting."""

import os
import socket
from pathlib import Path

import pytest

from segdrop import regular_files


def test_regular_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with regular_files.open_binary(tmp_path / "file") as stream:
        assert stream.read() == b"content"


@pytest.mark.parametrize("kind", ["link", "dangling", "fifo", "folder", "socket", "device"])
def test_anything_else_is_refused_at_once_and_called_by_its_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "name"
    expected = {"dangling": "link", "fifo": "FIFO"}.get(kind, kind)
    if kind == "link":
        (tmp_path / "target").touch()
        path.symlink_to(tmp_path / "target")
    elif kind == "dangling":
        path.symlink_to(tmp_path / "nowhere")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    else:
        path = Path("/dev/null")
    with pytest.raises(regular_files.NotRegularError, match=expected):
        regular_files.open_descriptor(path)


def test_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        regular_files.open_descriptor(tmp_path / "nowhere")
