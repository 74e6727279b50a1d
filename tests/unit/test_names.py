import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdrop.intake import names
from segdrop.intake.names import Kind

TABLE = {
    Kind.ARCHIVE: ["a.zip", "a.ZIP", "a.b.Zip", "two words.zip", "名前.zip", "a\nb.zip", "-rf.zip", "a.json.zip"],
    Kind.SIDECAR: ["a.json", "A.JSON", "a.zip.json", "segdrop.json"],
    Kind.CONTROL: ["PAUSE", "camvid-20261121T061500Z-3f2a.cancel"],
    Kind.IGNORED: [
        *(".a.zip.Xy12Ab", ".hidden", ".zip", "._a.zip", ".DS_Store", ".nfs0001", ".smbdelete12", ".~lock.a.zip#"),
        *(".syncthing.a.zip.tmp", "~syncthing~a.zip.tmp", "~$a.zip", "a.zip~"),
        *("a.zip.part", "a.zip.filepart", "a.zip.partial", "a.zip.crdownload", "a.zip.download", "a.zip.tmp"),
        *("a.zip.TEMP", "a.swp", "a.zip.!ut", "a.opdownload"),
        *("Thumbs.db", "desktop.ini", "ehthumbs.db", "@eaDir", "__MACOSX", "$RECYCLE.BIN"),
    ],
    Kind.OTHER: ["a.txt", "zip", "a.zip.md5", "a.rar", "a.7z", "a.tar.gz", "a.zipx", "pause", "json", "a.", " "],
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, listed in TABLE.items() for name in listed])
def test_each_name_is_what_its_maker_means_by_it(kind: Kind, name: str) -> None:
    reading = names.read(name, is_file=True)
    assert reading.kind is kind
    assert bool(reading.reason) == (kind in (Kind.IGNORED, Kind.OTHER)), "what is left alone has a reason"


@pytest.mark.parametrize("name", ["a.zip", "a.json", "PAUSE", "a", "x.cancel"])
def test_folders_links_and_devices_are_never_taken(name: str) -> None:
    assert names.read(name, is_file=False).kind is Kind.OTHER


def test_other_archives_are_told_to_become_zips() -> None:
    assert "ZIP" in names.read("a.tar.xz", is_file=True).reason
    assert "ZIP" in names.read("folder", is_file=False).reason


@pytest.mark.parametrize("name", ["caf\udce9.zip", "caf\udce9.json"])
def test_a_name_that_no_json_can_carry_is_left_alone_with_a_reason(name: str) -> None:
    reading = names.read(name, is_file=True)
    assert reading.kind is Kind.OTHER
    assert "UTF-8" in reading.reason


def test_composed_and_decomposed_letters_are_one_stem() -> None:
    composed, decomposed = (unicodedata.normalize(form, "Zürich é.zip") for form in ("NFC", "NFD"))
    assert composed != decomposed
    assert names.stem(composed) == names.stem(decomposed)


def test_a_stem_loses_one_suffix_and_keeps_its_case() -> None:
    assert names.stem("a.b.ZIP") == names.stem("a.b.json") == "a.b"
    assert names.stem("A.zip") != names.stem("a.zip")


@given(st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=30), st.booleans())
def test_every_name_has_exactly_one_reading(name: str, is_file: bool) -> None:
    reading = names.read(name, is_file=is_file)
    if reading.kind is Kind.ARCHIVE:
        assert is_file
        assert name.lower().endswith(".zip")
        name.encode()
    if reading.kind is Kind.SIDECAR:
        assert name.lower().endswith(".json")
