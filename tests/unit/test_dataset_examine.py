import errno
import json
import os
from pathlib import Path

import pytest

from builders import check_spec, write_dataset
from segdrop import durable
from segdrop.child import StopFlag
from segdrop.dataset import examine
from segdrop.dataset.cache import CacheWriter
from segdrop.dataset.progress import Progress
from segdrop.dataset.source import Archive
from segdrop.errors import StoppedError, UnavailableError


def test_stop_ends_the_check_at_the_next_step(tmp_path: Path) -> None:
    stop = StopFlag()
    stop.set()
    with pytest.raises(StoppedError):
        examine.check(check_spec(write_dataset(tmp_path / "data.zip")), stop)


def test_progress_is_written_at_most_once_a_second(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    progress = Progress(path, 1000, StopFlag())
    progress.step()
    assert json.loads(path.read_text()) == {"stage": "check", "done": 1, "total": 1000}
    path.unlink()
    progress.step()
    assert not path.exists()


def test_input_that_changes_while_it_is_read_is_no_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_dataset(tmp_path / "data.zip")
    verify = Archive.verify

    def verify_beside_a_writer(self: Archive, *arguments: object) -> object:
        with path.open("ab") as stream:
            stream.write(b"more")
        return verify(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Archive, "verify", verify_beside_a_writer)
    report = examine.check(check_spec(path), StopFlag())
    assert report.changed_while_read
    assert report.dataset is None
    assert not (tmp_path / "cache").exists()


def test_full_disk_is_not_the_data_s_fault_and_frees_its_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(CacheWriter, "append", no_space)
    with pytest.raises(UnavailableError) as caught:
        examine.check(check_spec(write_dataset(tmp_path / "data.zip")), StopFlag())
    assert caught.value.code == "disk.full"
    assert not (tmp_path / "cache").exists()


def test_power_cut_before_the_index_leaves_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(path: Path, _: object) -> None:
        raise KeyboardInterrupt(path.name)

    monkeypatch.setattr(durable, "write_json", cut)
    with pytest.raises(KeyboardInterrupt, match=r"index\.json"):
        examine.check(check_spec(write_dataset(tmp_path / "data.zip")), StopFlag())
    assert not (tmp_path / "cache" / "index.json").exists()
