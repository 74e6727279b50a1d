"""Where results go: names that no filesystem refuses, no two alike, and none that leads out."""

import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segdrop.dataset.unlabelled.stems import stems


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a/b.jpg", "c.png"], ["a/b", "c"]),
        (["a.jpg", "a.png", "b.png"], ["a.jpg", "a.png", "b"]),
        (["x/a.jpg", "y/a.png"], ["x/a", "y/a"]),
        (["a.jpg", "A.jpg"], ["a.jpg", "A.jpg_2"]),
        (["a.jpg", "a.jpg", "a.jpg"], ["a.jpg", "a.jpg_2", "a.jpg_3"]),
        (["a.jpg", "a.jpg", "a.jpg_2"], ["a.jpg", "a.jpg_3", "a.jpg_2"]),
        (["scan.2024", "scan.2025"], ["scan.2024", "scan.2025"]),
        (["caf\N{LATIN SMALL LETTER E WITH ACUTE}.png", "cafe\N{COMBINING ACUTE ACCENT}.jpg"], None),
        (["a.png/x.jpg", "a.jpg"], ["a.png/x", "a_2"]),
        (["CON.png", "nul.tar.png", "com1/aux.jpg", "LPT\N{SUPERSCRIPT ONE}.png"], None),
        (["a?b.png", 'c:"d".png'], ["a_b", "c__d_"]),
        (["../../etc/passwd.png", "/root.png", "..\\up.png"], ["_/_/etc/passwd", "root", "_/up"]),
        ([".hidden.png", "end. .png", "", "...", "-rf.png"], ["_hidden", "end", "_", "__2", "-rf"]),
    ],
)
def test_stems_of_names(names: list[str], expected: list[str] | None) -> None:
    found = stems(names)
    assert_safe(found)
    if expected is not None:
        assert found == expected


def assert_safe(found: list[str]) -> None:
    compared = [unicodedata.normalize("NFC", stem).casefold() for stem in found]
    assert len(set(compared)) == len(found)
    for stem in found:
        path = PurePosixPath(stem)
        assert not path.is_absolute()
        assert ".." not in path.parts
        windows = PureWindowsPath(stem)
        assert not windows.drive
        assert not windows.is_reserved()
        assert len(stem.encode()) < 1200
        for part in path.parts:
            assert len(part.encode()) <= 140
            assert not part.endswith((".", " "))
            assert not part.startswith(".")
            assert not set(part) & set('<>:"|?*\\\0')
    # a file is written beside each stem: none may have the name of a folder
    folders = {str(folder).casefold() for stem in found for folder in PurePosixPath(stem).parents}
    assert not {f"{stem}.png".casefold() for stem in found} & folders


_PARTS = st.one_of(
    st.sampled_from(["a", "A", "a.png", "a.jpg", "con", "..", ".", "", "a.png.png", "b ", "\ud800", "x" * 300]),
    st.text(max_size=12),
)


@settings(max_examples=60)
@given(st.lists(st.lists(_PARTS, min_size=1, max_size=4).map("/".join), max_size=12))
def test_stems_of_any_names_are_safe_and_unique(names: list[str]) -> None:
    found = stems(names)
    assert len(found) == len(names)
    assert_safe(found)
    assert stems(names) == found


def test_long_names_keep_their_beginning_and_stay_apart() -> None:
    names = [f"{'street' * 60}{number}.png" for number in range(3)] + ["/".join(["deep" * 20] * 40) + "/a.png"]
    found = stems(names)
    assert_safe(found)
    assert found[0].startswith("streetstreet")
    assert found[3].endswith("/a")
