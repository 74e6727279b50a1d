import errno
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders import check_spec, encoded, limits, members, write_dataset, write_zip
from segdrop import durable
from segdrop.child import StopFlag
from segdrop.dataset import examine, validate
from segdrop.dataset.cache import CacheWriter
from segdrop.dataset.inspection import Order, inspect
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


# how far a faulty dataset was understood


def test_classes_are_known_where_single_pairs_are_at_fault(tmp_path: Path) -> None:
    unknown = np.full((24, 32), 77, np.uint8)
    extra = {"train/images/scene_000.png": b"broken", "train/masks/scene_001.png": encoded(unknown)}
    path = write_dataset(tmp_path / "data.zip", count=12, layout="outside", extra=extra)
    understood = examine.check(check_spec(path), StopFlag()).understood
    assert understood is not None
    assert (understood.layout, understood.pairs) == ("paired", 12)
    assert (understood.train, understood.val, understood.test) == (8, 4, 0)
    assert (understood.classes, understood.mask_encoding) == (["background", "cat", "dog"], "index")
    assert understood.class_pixels is not None
    assert all(understood.class_pixels)
    assert understood.reason
    assert understood.assumptions


def test_pairs_are_known_where_classes_are_not(tmp_path: Path) -> None:
    extra = {"labels.txt": b"cat\ncat\n"}
    understood = examine.check(check_spec(write_dataset(tmp_path / "data.zip", extra=extra)), StopFlag()).understood
    assert understood is not None
    assert (understood.layout, understood.pairs) == ("paired", 6)


def test_nothing_is_said_to_be_understood_of_a_zip_that_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Archive, "changed", lambda _: True)
    report = examine.check(check_spec(write_dataset(tmp_path / "data.zip")), StopFlag())
    assert (report.dataset, report.understood, report.changed_while_read) == (None, None, True)


def test_steps_of_a_second_look_are_expected(tmp_path: Path) -> None:
    """Blurred masks are looked at twice: the bar does not run over its end."""
    content = members(count=12, size=(64, 96), labels=["thing"], values=(0, 1))
    for name in [name for name in content if name.startswith("masks/")]:
        with Image.open(io.BytesIO(content.pop(name))) as mask:
            content[name.replace(".png", ".jpg")] = encoded(np.asarray(mask) * 255, "JPEG", quality=90)
    progress = Progress(None, 12, StopFlag())
    with Archive(write_zip(tmp_path / "data.zip", content), limits()) as archive:
        spec = check_spec(tmp_path / "data.zip")
        found = inspect(archive, Order(None, None, spec.defaults, spec.models_dir))
        assert found.reading is not None
        understanding = validate.checked_pixels(archive, found, found.reading.samples, spec, progress)
    assert understanding.labeller.has_snapped
    assert progress._done == progress._total == 24
