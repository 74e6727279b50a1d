"""HEIC photographs: read with the optional package, and refused in words without it."""

import io
from pathlib import Path

import pytest
from PIL import Image

from builders import check, write_zip
from builders.exports.reading import tree_of
from builders.exports.scenes import areas, grey, photo
from segdrop.dataset import layouts
from segdrop.dataset.masks import decode, heic

HEAD = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


def dataset(ending: str, content: bytes | None = None) -> dict[str, bytes]:
    made = {}
    for number in range(4):
        made[f"images/IMG_{number}.{ending}"] = content or real(number)
        made[f"masks/IMG_{number}.png"] = grey(areas(number, (0, 1)))
    return made


def real(number: int) -> bytes:
    """A HEIC photograph."""
    pillow_heif = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    picture = Image.open(io.BytesIO(photo(number)))
    pillow_heif.from_pillow(picture).save(stream, quality=90)
    return stream.getvalue()


@pytest.mark.parametrize("ending", ["heic", "HEIF", "jpg"])
def test_without_the_package_it_is_refused_with_what_to_install(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heic, "is_installed", lambda: False)
    report = check(write_zip(tmp_path / "data.zip", dataset(ending, HEAD)))
    (issue,) = (issue for issue in report.issues if issue.code == "image.unreadable")
    assert issue.count == 4
    assert "HEIC" in issue.message
    assert "pip install segdrop[heic]" in issue.message


@pytest.mark.parametrize("ending", ["heic", "jpg"])
def test_with_the_package_it_is_read(ending: str, tmp_path: Path) -> None:
    report = check(write_zip(tmp_path / "data.zip", dataset(ending)))
    assert report.dataset is not None
    assert report.dataset.pairs == 4


def test_formats_are_asked_by_the_first_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heic, "is_installed", lambda: True)
    assert decode.formats(HEAD) == (heic.FORMAT,)
    assert decode.formats(photo(0)) == decode.FORMATS


@pytest.mark.parametrize("turn", [1, -1])
def test_photograph_that_is_there_as_jpeg_too_is_taken_from_the_jpeg(turn: int) -> None:
    content = dict.fromkeys(dataset("heic", HEAD), b"") | {f"images/IMG_{n}.jpg": b"" for n in range(4)}
    names = [*content][::turn]
    reading = layouts.read(tree_of({name: content[name] for name in names}))
    assert {names[sample.image] for sample in reading.samples} == {f"images/IMG_{n}.jpg" for n in range(4)}
    assert not reading.issues
