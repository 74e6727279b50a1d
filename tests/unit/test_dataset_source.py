import hashlib
import os
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import broken, limits, write_dataset, write_zip
from segdrop.dataset import quick_check
from segdrop.dataset.archive import central_directory, safety
from segdrop.dataset.archive.source import Archive, MemberError
from segdrop.dataset.quick_check import RequestSources
from segdrop.regular_files import NotRegularError

_PARTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("C",), exclude_characters="/\\.~:"), min_size=1, max_size=8
)
_MEMBERS = st.dictionaries(
    st.tuples(_PARTS, _PARTS).map("/".join), st.binary(max_size=2000), min_size=1, max_size=6
).filter(lambda members: len({name.casefold() for name in members}) == len(members))


def codes(archive: Archive) -> list[str]:
    return [issue.code for issue in archive.issues]


@given(_MEMBERS, st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]), st.binary(max_size=50))
@settings(max_examples=60, deadline=None)
def test_members_read_as_the_standard_library_reads_them(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, bytes], compression: int, prefix: bytes
) -> None:
    path = write_zip(tmp_path_factory.mktemp("zip") / "x.zip", content, compression)
    path.write_bytes(prefix + path.read_bytes())  # as a self-extractor stands before its archive
    with Archive(path, limits()) as archive, zipfile.ZipFile(path) as reference:
        junk = {name for name in content if safety.is_junk(name)}
        if not codes(archive):
            assert set(archive.names) == set(reference.namelist()) - junk
        for member, name in enumerate(archive.names):
            assert archive.read(member) == reference.read(name)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_flipped_bytes_never_escape_as_other_errors_nor_as_wrong_data(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = {"images/a.png": b"a" * 300, "masks/a.png": bytes(range(200))}
    path = write_zip(tmp_path_factory.mktemp("zip") / "x.zip", content)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))] if data.draw(st.booleans()) else raw)
    with Archive(path, limits()) as archive:
        for member, name in enumerate(archive.names):
            try:
                read = archive.read(member)
            except MemberError:
                continue
            assert read == content.get(name, read)
        assert len(archive.verify().sha256) == 64


def test_many_members_are_refused_at_the_first_one_too_many(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", {f"{i}.png": b"" for i in range(50)})
    with Archive(path, limits(max_entries=49)) as archive:
        assert codes(archive) == ["archive.too_large"]
    with Archive(path, limits(max_entries=50)) as archive:
        assert codes(archive) == []


def test_zip64_directory_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive, archive.open("images/a.png", "w", force_zip64=True) as member:
        member.write(b"hello")
    path.write_bytes(_as_zip64(path.read_bytes()))
    with Archive(path, limits()) as archive:
        assert archive.names == ["images/a.png"]
        assert archive.read(0) == b"hello"


def _as_zip64(content: bytes) -> bytes:
    """The same archive with a ZIP64 end record, the ordinary one saying "see there"."""
    position = content.rfind(broken.END)
    _, _, _, _, count, size, offset, _ = struct.unpack_from("<4s4H2LH", content, position)
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, position, 1)
    end = struct.pack("<4s4H2LH", broken.END, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return content[:position] + end64 + locator + end


def test_comment_that_looks_like_an_end_record_does_not_mislead(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", {"a.png": b"x"})
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"PK\5\6" + b"\xff" * 30
    with Archive(path, limits()) as archive:
        assert archive.names == ["a.png"]


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/../../x",
        "..",
        "/x",
        "\\x",
        "C:x",
        "c:\\x",
        "a\\..\\x",
        "a/b\x00c",
        "a\nb",
        "a\x7f",
        "a\x85b",
        "x" * 300,
        "/".join(["part"] * 300),
        "",
    ],
)
def test_unsafe_name_is_never_admitted(name: str) -> None:
    assert safety.is_unsafe(name)


@pytest.mark.parametrize(
    "name", ["images/a.png", "./images/a.png", "a..b/c.png", "images\\a.png", "été/ü.png", "CON.png"]
)
def test_ordinary_name_is_not_refused(name: str) -> None:
    assert not safety.is_unsafe(name)


@pytest.mark.parametrize(
    "name",
    ["__MACOSX/images/._a.png", "images/._a.png", ".DS_Store", "x/Thumbs.db", "DESKTOP.INI", "~$a.doc", ".git/config"],
)
def test_litter_of_operating_systems_is_dropped(name: str, tmp_path: Path) -> None:
    with Archive(write_zip(tmp_path / "x.zip", {"a.png": b"x", name: b"y"}), limits()) as archive:
        assert archive.names == ["a.png"]
        assert archive.issues == []


def test_windows_separators_and_dots_make_the_same_paths(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    write_zip(path, {"images|a.png": b"x", "./masks/a.png": b"y"})
    path.write_bytes(path.read_bytes().replace(b"images|a", b"images\\a"))
    with Archive(path, limits()) as archive:
        assert archive.names == ["images/a.png", "masks/a.png"]


def test_all_hazards_are_named_together(tmp_path: Path) -> None:
    path = write_dataset(tmp_path / "x.zip", extra={"../x": b"x", "bomb.png": bytes(3 << 20)})
    broken.patch(path, broken.FLAGS, "<H", 1, entry=0)
    broken.patch(path, broken.METHOD, "<H", 14, entry=1)
    with Archive(path, limits()) as archive:
        assert set(codes(archive)) == {
            "archive.unsafe_path",
            "archive.suspicious_ratio",
            "archive.encrypted",
            "archive.unsupported_compression",
        }
        assert not archive.is_safe


def test_small_flat_files_may_compress_well(tmp_path: Path) -> None:
    with Archive(write_zip(tmp_path / "x.zip", {"a.png": bytes(1 << 20)}), limits()) as archive:
        assert archive.issues == []


def test_member_that_unpacks_to_more_than_it_says_stops_at_once(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", {"a.png": bytes(50 << 20)})
    broken.patch(path, broken.UNPACKED, "<L", 1000)
    with Archive(path, limits()) as archive:
        produced = 0
        with pytest.raises(MemberError, match="more bytes"):  # noqa: PT012  (what came before the error counts)
            for chunk in archive.chunks(0):
                produced += len(chunk)
        assert produced <= 1000


def test_verification_hashes_the_file_and_sees_a_writer(tmp_path: Path) -> None:
    path = write_dataset(tmp_path / "x.zip")
    with Archive(path, limits()) as archive:
        verification = archive.verify()
        assert verification.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert (verification.issues, verification.changed) == ([], False)
        with path.open("ab") as stream:
            stream.write(b"more")
        assert archive.verify().changed


def test_every_damaged_member_is_named(tmp_path: Path) -> None:
    path = write_dataset(tmp_path / "x.zip")
    for entry in (0, 3):
        broken.patch(path, broken.CRC, "<L", 1, entry)
    with Archive(path, limits()) as archive:
        (issue,) = archive.verify().issues
        assert set(issue.files) == {archive.names[0], archive.names[3]}


def test_directory_with_fewer_entries_than_its_end_says_is_damaged(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", {"a.png": b"x"})
    content = bytearray(path.read_bytes())
    struct.pack_into("<2H", content, content.rfind(broken.END) + 8, 2, 2)
    path.write_bytes(content)
    with path.open("rb") as stream, pytest.raises(central_directory.BadDirectoryError, match="1 entries"):
        list(central_directory.entries(stream.fileno(), central_directory.find_end(stream.fileno(), len(content))))


@pytest.mark.parametrize("is_zip64", [True, False])
def test_more_members_than_sixteen_bits_count_are_all_there(is_zip64: bool, tmp_path: Path) -> None:
    """With a ZIP64 end record, as today's tools write, and with a count that has wrapped, as old ones did."""
    count = 65_536 + 10
    path = write_zip(tmp_path / "x.zip", {f"images/{i}.png": b"" for i in range(count)}, zipfile.ZIP_STORED)
    if not is_zip64:
        content = path.read_bytes()
        start, end64 = struct.unpack_from("<Q", content, content.rfind(b"PK\6\6") + 48)[0], content.rfind(b"PK\6\6")
        end = struct.pack("<4s4H2LH", broken.END, 0, 0, 10, 10, end64 - start, start, 0)
        path.write_bytes(content[:end64] + end)
    with Archive(path, limits()) as archive:
        assert codes(archive) == []
        assert len(archive.names) == count
        assert archive.names[-1] == f"images/{count - 1}.png"
    with Archive(path, limits(max_entries=65_536)) as archive:
        assert codes(archive) == ["archive.too_large"]


def test_bomb_of_entries_that_share_their_bytes_is_refused(tmp_path: Path) -> None:
    """Fifield's zip bomb: every entry of the directory points at the one kernel."""
    path = write_zip(tmp_path / "x.zip", {f"images/{i}.png": bytes(1000) for i in range(50)})
    for entry in range(50):
        broken.patch(path, broken.OFFSET, "<L", 0, entry)
    with Archive(path, limits()) as archive:
        (issue,) = archive.issues
        assert (issue.code, issue.count) == ("archive.overlap", 49)


def test_member_that_runs_into_the_directory_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", {"images/a.png": b"x" * 100}, zipfile.ZIP_STORED)
    broken.patch(path, broken.PACKED, "<L", 101)
    broken.patch(path, broken.UNPACKED, "<L", 101)
    with Archive(path, limits()) as archive:
        assert codes(archive) == ["archive.overlap"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_special_file_is_never_admitted(kind: int, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", {"images/a.png": b"x"})
    broken.patch(path, broken.SYSTEM, "<B", 3)
    broken.patch(path, broken.ATTRIBUTES, "<L", (kind | 0o666) << 16)
    with Archive(path, limits()) as archive:
        assert codes(archive) == ["archive.link"]
        assert archive.names == []


def test_names_that_differ_in_what_is_invisible_are_two_names_and_neither_is_changed(tmp_path: Path) -> None:
    """Hidden characters are legitimate in many scripts: nothing is guessed, and what shows names escapes them."""
    content = {
        "images/a.png": b"1",
        "images/a\u200b.png": b"2",
        "images/\u202egnp.a.png": b"3",
        "images/\ufeff.png": b"4",
    }
    with Archive(write_zip(tmp_path / "x.zip", content), limits()) as archive:
        assert codes(archive) == []
        assert {name: archive.read(member) for member, name in enumerate(archive.names)} == content


def test_names_are_decoded_as_their_writers_meant(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", {"caf\N{LATIN SMALL LETTER E WITH ACUTE}.png": b"x"})
    plain = bytearray(path.read_bytes())
    start = broken.directory_start(plain)
    struct.pack_into("<H", plain, start + broken.FLAGS, 0)  # macOS: UTF-8 without saying so
    path.write_bytes(plain)
    with Archive(path, limits()) as archive:
        assert archive.names == ["café.png"]
    path.write_bytes(plain.replace("é".encode(), b"\x82x"))  # DOS: code page 437
    with Archive(path, limits()) as archive:
        assert archive.names == ["caféx.png"]


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_an_archive_that_is_no_regular_file_is_neither_followed_nor_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.zip"
    if kind == "link":
        path.symlink_to(write_dataset(tmp_path / "elsewhere.zip"))
    else:
        os.mkfifo(path)
    with pytest.raises(NotRegularError):
        Archive(path, limits())


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_request_that_is_no_regular_file_is_neither_followed_nor_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.json"
    if kind == "link":
        (tmp_path / "secret").write_text('{"epochs": 1}')
        path.symlink_to(tmp_path / "secret")
    else:
        os.mkfifo(path)
    sources = RequestSources(sidecar=path, sidecar_name="x.json", defaults={}, models_dir=tmp_path)
    with Archive(write_dataset(tmp_path / "x.zip"), limits()) as archive, pytest.raises(NotRegularError):
        quick_check.check(archive, sources)
