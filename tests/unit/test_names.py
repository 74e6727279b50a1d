import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdrop.intake import names
from segdrop.intake.names import FileType, NameKind, Verb

TABLE = {
    NameKind.ARCHIVE: [
        "merge_conflict.zip",
        "copy.zip",
        "a (1).zip",
        "pause.zip",
        "a-HOST.zip",
        "a.zip",
        "a.ZIP",
        "a.b.Zip",
        "two words.zip",
        "名前.zip",
        "a\nb.zip",
        "-rf.zip",
        "a.json.zip",
    ],
    NameKind.MEDIA: [
        *("a.jpg", "IMG_0001.JPG", "a.b.jpeg", "a.png", "a.tiff", "a.heic", "a.webp", "a.jp2", "a.ppm", "a.zip.jpg"),
        *("a.mp4", "a.MOV", "a.avi", "a.mkv", "two words.webm"),
    ],
    NameKind.SIDECAR: ["a.json", "A.JSON", "a.zip.json", "segdrop.json"],
    NameKind.CONTROL: [
        *("PAUSE", "pause", "Pause", "camvid-20261121T061500Z-3f2a.cancel", "camvid-20261121T061500Z-3f2a.CANCEL"),
        *("CAMVID-20261121T061500Z-3F2A.Retry", "x.retry"),
    ],
    NameKind.ADDRESSED: [
        *("a.zip.txt", "a.zip.1", "a.ZIP (1)", "a.zip.", "a.zip - Copy", "a.zip.001", "a.z01", "a.zipx"),
        *("PAUSE.txt", "pause.TXT", "PAUSE.", " PAUSE", "PAUSE (1)", "PAUSE - Copy.txt", "x.cancel.txt", "x.Retry.rtf"),
        *("x.sync-conflict-20260101-120000-ABCDEFG.zip", "x.sync-conflict-20260101-120000.json"),
        *("x (conflicted copy 2026-01-01).zip", "x (conflicted copy 2026-01-01 120000).zip"),
        *("x (Anna's conflicted copy 2026-01-01).zip", "x (Anna's Conflicted Copy 2026-01-01) (1).json"),
        *("x_conflict-20260101-120000.zip", "x (Case Conflict).zip", "x (Case Conflict 1).zip"),
        *("x (In Konflikt stehende Kopie von Anna 2026-01-01).zip", "x (SFConflict a@b.c 2026-01-01-12-00-00).zip"),
        *("x_nas_Jan-01-120000-2026_Conflict.zip", "x.conflict1.zip", "x [conflicted].zip"),
    ],
    NameKind.IGNORED: [
        *(".a.zip.Xy12Ab", ".hidden", ".zip", "._a.zip", ".DS_Store", ".nfs0001", ".smbdelete12", ".~lock.a.zip#"),
        *(".syncthing.a.zip.tmp", "~syncthing~a.zip.tmp", "~$a.zip", "a.zip~"),
        *("a.zip.part", "a.zip.filepart", "a.zip.partial", "a.zip.crdownload", "a.zip.download", "a.zip.tmp"),
        *("a.zip.TEMP", "a.swp", "a.zip.!ut", "a.opdownload"),
        *("a.zip.aria2", "a.zip.lftp-pget-status", "a.zip.st", "a.zip.aria2__temp", "a.zip.xltd", "a.zip.td.cfg"),
        *("a.jpg.part", "a.mp4.crdownload", "a.mp4.st", "._a.jpg", ".a.jpg.Xy12Ab", "~$a.jpg"),
        *("Thumbs.db", "desktop.ini", "ehthumbs.db", "@eaDir", "__MACOSX", "$RECYCLE.BIN"),
    ],
    NameKind.OTHER: ["a.txt", "zip", "a.zip.md5", "a.rar", "a.7z", "a.tar.gz", "pauses", "json", "a.", " "],
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, listed in TABLE.items() for name in listed])
def test_each_name_is_what_its_maker_means_by_it(kind: NameKind, name: str) -> None:
    reading = names.read(name)
    assert reading.kind is kind
    is_left_alone = kind in (NameKind.IGNORED, NameKind.ADDRESSED, NameKind.OTHER)
    assert bool(reading.reason) == is_left_alone, "what is left alone has a reason"


SPECIAL = [file_type for file_type in FileType if file_type]


@pytest.mark.parametrize("file_type", SPECIAL)
@pytest.mark.parametrize("name", ["a.zip", "a.jpg", "a.mp4", "PAUSE", "a", "x.cancel", "x.retry"])
def test_what_is_no_regular_file_is_never_taken_and_the_reason_says_what_it_is(name: str, file_type: FileType) -> None:
    reading = names.read(name, file_type)
    assert reading.kind in (NameKind.OTHER, NameKind.ADDRESSED)
    assert file_type in reading.reason


def test_a_link_is_not_told_to_become_a_zip() -> None:
    assert names.read("a.zip", FileType.LINK).reason == "it is a symbolic link: copy the file itself"
    assert "ZIP" in names.read("a.zip", FileType.FOLDER).reason
    assert names.read("a.zip", FileType.PIPE).reason == "it is a named pipe (FIFO): copy an ordinary file"


@pytest.mark.parametrize("file_type", SPECIAL)
def test_a_request_that_is_no_regular_file_is_a_request_all_the_same(file_type: FileType) -> None:
    """Else its ZIP would go without it."""
    assert names.read("a.json", file_type).kind is NameKind.SIDECAR


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("PAUSE.txt", "not obeyed: call it PAUSE, without .txt"),
        ("pause.json", "not obeyed: call it PAUSE, without .json"),
        ("Pause (1).txt", "not obeyed: call it PAUSE, without (1).txt"),
        (
            "demo-20261121T061500Z-3f2a.cancel.txt",
            "not obeyed: call it demo-20261121T061500Z-3f2a.cancel, without .txt",
        ),
        ("x.retry - Copy", "not obeyed: call it x.retry, without - Copy"),
        (" PAUSE ", "not obeyed: call it PAUSE, without spaces"),
    ],
)
def test_an_order_that_misses_its_name_is_told_the_right_one(name: str, advice: str) -> None:
    assert names.order_advice(name) == advice


@pytest.mark.parametrize("name", ["a.txt", "README", "PAUSE", "x.cancel", "a.b.c", "", ".", " (1)", "pauses.txt"])
def test_other_names_are_not_advised_about_orders(name: str) -> None:
    assert names.order_advice(name) == ""


@pytest.mark.parametrize("suffix", [".cancel", ".CANCEL", ".Cancel"])
@pytest.mark.parametrize(
    "job", ["demo-20261121T061500Z-3f2a", "DEMO-20261121T061500Z-3F2A", "demo-20261121t061500z-3f2a"]
)
def test_an_order_in_any_case_means_the_job_as_it_is_called(job: str, suffix: str) -> None:
    order = names.order(job + suffix)
    assert order is not None
    assert (order.verb, order.target) == (Verb.CANCEL, "demo-20261121T061500Z-3f2a")
    assert order.canonical_name == "demo-20261121T061500Z-3f2a.cancel"


def test_other_archives_are_told_to_become_zips() -> None:
    assert "ZIP" in names.read("a.tar.xz").reason
    assert "ZIP" in names.read("folder", FileType.FOLDER).reason


@pytest.mark.parametrize("name", ["caf\udce9.zip", "caf\udce9.json"])
def test_a_name_that_no_json_can_carry_is_left_alone_with_a_reason(name: str) -> None:
    reading = names.read(name)
    assert reading.kind is NameKind.OTHER
    assert "UTF-8" in reading.reason


def test_composed_and_decomposed_letters_are_one_stem() -> None:
    composed, decomposed = (unicodedata.normalize(form, "Zürich é.zip") for form in ("NFC", "NFD"))
    assert composed != decomposed
    assert names.stem(composed) == names.stem(decomposed)


def test_a_stem_loses_one_suffix_and_keeps_its_case() -> None:
    assert names.stem("a.b.ZIP") == names.stem("a.b.json") == "a.b"
    assert names.stem("A.zip") != names.stem("a.zip")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Demo.zip", "demo.json"),
        ("DEMO.ZIP", "Demo.Json"),
        ("Straße.zip", "STRASSE.json"),
        ("ΣΊΣΥΦΟΣ.zip", "σίσυφος.json"),
        (unicodedata.normalize("NFD", "ZÜRICH.zip"), unicodedata.normalize("NFC", "zürich.json")),
        ("ǰ.zip", "ǰ.json"),  # folds to two characters, in either form
    ],
)
def test_names_are_compared_without_case_in_one_unicode_form(one: str, other: str) -> None:
    assert names.key(one) == names.key(other)


@pytest.mark.parametrize(
    ("input_name", "request_name"),
    [
        ("street.zip", "street.json"),
        ("street.JPG", "street.json"),
        ("a.b.mp4", "a.b.json"),
        ("street.json", "street.request.json"),
        ("Street.JSON", "Street.request.json"),
    ],
)
def test_the_request_of_an_input_has_its_stem_and_that_of_a_json_file_has_request_in_it(
    input_name: str, request_name: str
) -> None:
    assert names.request_name(input_name) == request_name
    assert names.input_key(input_name) == names.key(request_name.upper())


def test_letters_that_only_look_alike_are_no_match() -> None:
    assert names.key("Demo.zip") != names.key("\uff24emo.json"), "full width: a near miss"
    assert names.key("a.zip") != names.key("\u0430.json"), "Cyrillic"


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("a.zip.aria2", "a.zip"),
        ("a.ZIP.part", "a.ZIP"),
        ("a.json.filepart", "a.json"),
        ("a.zip.td.cfg", "a.zip"),
        ("a.jpg.part", "a.jpg"),
        ("a.MOV.crdownload", "a.MOV"),
        ("a.part", None),
        (".a.zip.part", None),
        ("a.zip.md5", None),
        ("a.zip~", None),
    ],
)
def test_a_file_in_progress_says_what_it_is_about(name: str, whole: str | None) -> None:
    assert names.whole_of(name) == whole


@given(
    st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=30)
    | st.text("PAUSEpause.cnltryzipjson (1)-", min_size=1, max_size=30),
    st.sampled_from(FileType),
)
def test_every_name_is_taken_or_has_a_reason(name: str, file_type: FileType) -> None:
    reading = names.read(name, file_type)
    is_taken = reading.kind in (NameKind.ARCHIVE, NameKind.MEDIA, NameKind.SIDECAR, NameKind.CONTROL)
    assert is_taken != bool(reading.reason)
    if is_taken:
        name.encode()
    if reading.kind is NameKind.ARCHIVE:
        assert file_type is FileType.REGULAR
        assert name.lower().endswith(".zip")
    if reading.kind is NameKind.MEDIA:
        assert file_type is FileType.REGULAR
    if reading.kind is NameKind.SIDECAR:
        assert name.lower().endswith(".json")
    if reading.kind is NameKind.CONTROL:
        assert names.order(name) is not None
