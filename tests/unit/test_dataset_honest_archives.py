"""Safety limits spare honest data, whoever packed it; what is refused is answered with the real cause."""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders import broken, check, encoded, limits, members, write_dataset, write_zip
from builders.archives import write_stored
from segdrop.dataset import quick_check
from segdrop.dataset.archive import image_headers, name_encoding
from segdrop.dataset.archive.source import Archive
from segdrop.dataset.quick_check import QUICK_READ_BYTES, QuickCheck, RequestSources

HEIGHT, WIDTH = 1500, 2000


def issues(path: Path, **caps: int) -> dict[str, str]:
    """Messages by code, from the directory alone."""
    with Archive(path, limits(**caps)) as archive:
        return {issue.code: issue.message for issue in archive.issues}


def fixes(path: Path) -> str:
    return " ".join(issue.fix for issue in quickly_checked(path).issues)


def quickly_checked(path: Path, most_read_bytes: int | None = QUICK_READ_BYTES, **caps: int) -> QuickCheck:
    with Archive(path, limits(**caps)) as archive:
        return quick_check.check(archive, RequestSources(None, None, {}, path.parent), most_read_bytes)


def names_in(path: Path) -> list[str]:
    with Archive(path, limits()) as archive:
        assert archive.issues == []
        return archive.names


# what packs more than 200 times smaller


def flat(number: int = 0) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[100 + number : 300 + number, 100:350] = 1
    return mask


def plain_text_pgm(mask: np.ndarray) -> bytes:
    rows = b"\n".join(b" ".join(b"%d" % value for value in row) for row in mask)
    return b"P2\n# made by hand\n%d %d\n255\n" % mask.shape[::-1] + rows


def tiff_with_directory_at_end(mask: np.ndarray) -> bytes:
    """As libtiff writes it: the pixels first, and behind them what they are."""
    content = encoded(mask, "TIFF")
    start = struct.unpack_from("<L", content, 4)[0]
    count = struct.unpack_from("<H", content, start)[0]
    entries = bytearray(content[start : start + 2 + 12 * count + 4])
    for place in range(2, 2 + 12 * count, 12):
        if struct.unpack_from("<H", entries, place)[0] == 273:  # where the strips are
            struct.pack_into("<L", entries, place + 8, 8)
    pixels = mask.tobytes()
    return b"II*\0" + struct.pack("<L", 8 + len(pixels)) + pixels + bytes(entries)


def stack(pages: int) -> bytes:
    images = [Image.fromarray(flat(number)) for number in range(pages)]
    stream = io.BytesIO()
    images[0].save(stream, "TIFF", save_all=True, append_images=images[1:])
    return stream.getvalue()


FLAT = {
    "BMP": ("bmp", lambda: encoded(flat(), "BMP")),
    "BMP of 24 bits": ("bmp", lambda: encoded(np.dstack([flat()] * 3), "BMP")),
    "TIFF": ("tif", lambda: encoded(flat(), "TIFF")),
    "TIFF of 16 bits": ("tif", lambda: encoded(flat().astype(np.uint16), "TIFF")),
    "TIFF of 32 bits": ("tif", lambda: encoded(Image.fromarray(flat().astype(np.int32)), "TIFF")),
    "TIFF in colours": ("tif", lambda: encoded(np.dstack([flat()] * 3), "TIFF")),
    "TIFF with its directory at the end": ("tiff", lambda: tiff_with_directory_at_end(flat())),
    "TIFF of ten pages": ("tif", lambda: stack(10)),
    "PGM": ("pgm", lambda: encoded(flat(), "PPM")),
    "PGM in text": ("pgm", lambda: plain_text_pgm(flat())),
    "PPM": ("ppm", lambda: encoded(np.dstack([flat()] * 3), "PPM")),
    "PNG without compression": ("png", lambda: encoded(flat(), "PNG", compress_level=0)),
    "PNG of 16 bits without compression": ("png", lambda: encoded(flat().astype(np.uint16), compress_level=0)),
    "TIFF named PNG": ("png", lambda: encoded(flat(), "TIFF")),
}


@pytest.mark.parametrize("kind", FLAT)
def test_flat_mask_without_compression_is_no_bomb(kind: str, tmp_path: Path) -> None:
    extension, make = FLAT[kind]
    content = make()
    path = write_zip(tmp_path / "x.zip", {f"masks/a.{extension}": content})
    with zipfile.ZipFile(path) as archive:
        (info,) = archive.infolist()
    assert info.file_size > 200 * info.compress_size, "it would have passed before"
    assert issues(path) == {}


def test_dataset_of_flat_masks_is_read(tmp_path: Path) -> None:
    content = {f"images/{number}.jpg": encoded(np.dstack([flat(number) * 90] * 3), "JPEG") for number in range(4)}
    content |= {f"masks/{number}.bmp": encoded(flat(number), "BMP") for number in range(4)}
    report = check(write_zip(tmp_path / "x.zip", content))
    assert report.dataset is not None
    assert (report.dataset.pairs, report.dataset.num_classes) == (4, 2)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("weights.pth", bytes(40 << 20)),
        ("notes/train.log", b"epoch 1\n" * (4 << 20)),
        ("masks/a.npy", bytes(40 << 20)),
        ("train_rle.csv", b"a.jpg,\n" * (2 << 20)),
        ("notes.json", b"[" + b"0, " * (4 << 20) + b"0]"),
    ],
)
def test_what_is_no_image_may_pack_as_well_as_it_does(name: str, content: bytes, tmp_path: Path) -> None:
    assert issues(write_zip(tmp_path / "x.zip", {"images/a.png": b"x", name: content})) == {}


def test_size_of_one_member_is_limited_only_where_it_is_read_into_memory(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", {"video.mp4": bytes(3 << 20), "images/a.png": b"x"})
    assert issues(path, max_member_bytes=1 << 20) == {}
    assert set(issues(path, max_extracted_bytes=1 << 20)) == {"archive.too_large"}


def png_header(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">2L5B", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">L", 13) + header + struct.pack(">L", zlib.crc32(header))


BOMBS = {
    "zeros": ("images/a.png", bytes(4 << 20)),
    "zeros behind a small image": ("masks/a.png", encoded(np.zeros((9, 9), np.uint8)) + bytes(4 << 20)),
    "zeros behind a small bitmap": ("masks/a.bmp", encoded(np.zeros((9, 9), np.uint8), "BMP") + bytes(4 << 20)),
    "zeros behind a small TIFF": ("masks/a.tif", encoded(np.zeros((9, 9), np.uint8), "TIFF") + bytes(4 << 20)),
    "header that says too little": ("masks/a.png", png_header(1000, 1000) + bytes(30 << 20)),
    "TIFF whose pages go round in a circle": (
        "masks/a.tif",
        b"II*\0\x08\0\0\0" + struct.pack("<HHHLLHHLLL", 2, 256, 4, 1, 100, 257, 4, 1, 100, 8) + bytes(4 << 20),
    ),
    "TIFF that points behind itself": ("masks/a.tif", b"II*\0\xff\xff\xff\x7f" + bytes(4 << 20)),
    "text": ("labels.txt", b"a" * (20 << 20)),
    "JSON": ("annotations.json", b"[" + b" " * (20 << 20) + b"]"),
    "XML": ("annotations.xml", b"<a>" + b" " * (20 << 20) + b"</a>"),
    "image of text": ("images/a.jpg", b"GIF? " * (1 << 20)),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_bomb_is_refused_as_one(kind: str, tmp_path: Path) -> None:
    name, content = BOMBS[kind]
    assert set(issues(write_dataset(tmp_path / "x.zip", extra={name: content}))) == {"archive.suspicious_ratio"}


def test_image_that_says_it_has_too_many_pixels_is_told_so(tmp_path: Path) -> None:
    path = write_dataset(tmp_path / "x.zip", extra={"images/a.png": png_header(60_000, 60_000) + bytes(4 << 20)})
    assert set(issues(path)) == {"image.too_large"}


def test_hundred_gigabytes_with_a_small_header_are_not_unpacked(tmp_path: Path) -> None:
    """What the directory says counts; what is read never goes beyond it."""
    path = write_zip(tmp_path / "x.zip", {"images/a.png": png_header(10, 10) + bytes(4 << 20)})
    broken.patch(path, broken.UNPACKED, "<L", 0xFFFFFFF0)
    assert {"archive.too_large", "archive.suspicious_ratio"} & set(issues(path))


def test_headers_of_many_suspects_are_looked_for_within_an_allowance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where they lie deep in their files: beyond the allowance a file may be as large as any image, and no larger."""
    monkeypatch.setattr("segdrop.dataset.archive.source._MOST_HEADER_BYTES", 5 << 20)
    masks = {f"masks/{number}.tif": tiff_with_directory_at_end(flat(number)) for number in range(6)}
    path = write_zip(tmp_path / "x.zip", masks)
    assert issues(path) == {}
    assert set(issues(path, max_image_pixels=200_000)) == {"image.too_large", "archive.suspicious_ratio"}


@pytest.mark.parametrize("image_format", ["PNG", "BMP", "TIFF", "PPM", "GIF", "JPEG", "WEBP"])
@pytest.mark.parametrize("mode", ["L", "RGB", "1"])
def test_header_bounds_the_file_and_knows_its_pixels(image_format: str, mode: str) -> None:
    image = Image.fromarray(np.random.default_rng(1).integers(0, 255, (60, 47, 3)).astype(np.uint8)).convert(mode)
    content = encoded(image, image_format)
    found = image_headers.extent(iter([content[:7], content[7:30], content[30:]]))
    assert found is not None
    assert found.num_pixels == 60 * 47
    assert found.num_bytes + 2000 > len(content)


@pytest.mark.parametrize("cut", range(0, 130, 3))
@pytest.mark.parametrize("image_format", ["PNG", "BMP", "TIFF", "PPM", "GIF", "JPEG", "WEBP"])
def test_header_that_ends_early_is_none(image_format: str, cut: int) -> None:
    content = encoded(Image.fromarray(np.zeros((60, 47), np.uint8)), image_format)
    found = image_headers.extent(iter([content[:cut]]))
    assert found is None or found.num_pixels > 0


# names


@pytest.mark.parametrize(
    "name", ["Icon\r", "images/Icon\r", "__MACOSX/._Icon\r", "__MACOSX/images/._a.png", ".DS_Store"]
)
def test_litter_of_macos_is_left_out_whatever_its_name_holds(name: str, tmp_path: Path) -> None:
    content = [*members().items(), (name, b""), (name, b"twice")]
    assert len(names_in(write_stored(tmp_path / "x.zip", content))) == len(members())


@pytest.mark.parametrize("name", ["Icon\n.png", "images/Icon\rx.png", "Icon\r/../../x"])
def test_other_control_characters_are_refused(name: str, tmp_path: Path) -> None:
    assert set(issues(write_stored(tmp_path / "x.zip", [(name, b"x")]))) == {"archive.unsafe_path"}


def test_litter_may_be_as_large_and_as_odd_as_it_likes(tmp_path: Path) -> None:
    path = write_dataset(tmp_path / "x.zip", extra={".cache/a.png": bytes(4 << 20), "__MACOSX/x.json": bytes(30 << 20)})
    assert issues(path, max_extracted_bytes=1 << 20) == {}


def test_documents_whose_names_differ_in_case_are_two_files(tmp_path: Path) -> None:
    extra = {"README.md": b"a", "readme.md": b"b", "License": b"c", "LICENSE": b"d"}
    report = check(write_dataset(tmp_path / "x.zip", extra=extra))
    assert report.dataset is not None
    assert "archive.duplicate_name" not in {issue.code for issue in report.issues}


def test_images_whose_names_differ_in_case_are_two_images_where_each_has_its_mask(tmp_path: Path) -> None:
    content = members(count=4)
    twins = {name.replace("scene_", "SCENE_"): data for name, data in members(count=6).items() if "scene_00" in name}
    path = write_zip(tmp_path / "x.zip", content | twins)
    found = quickly_checked(path)
    assert [issue.code for issue in found.issues] == []
    assert found.reading is not None
    with Archive(path, limits()) as archive:
        for sample in found.samples:
            image, mask = archive.names[sample.image], archive.names[sample.truth.member]
            assert image.replace("images/", "") == mask.replace("masks/", "")
    assert len({sample.key for sample in found.samples}) == len(found.samples) == 10


@pytest.mark.parametrize("without", ["masks/scene_000.png", "masks/SCENE_000.png"])
def test_images_whose_names_differ_in_case_are_refused_where_one_mask_is_for_either(
    without: str, tmp_path: Path
) -> None:
    content = members()
    twins = {f"{side}/SCENE_000.png": content[f"{side}/scene_000.png"] for side in ("images", "masks")}
    path = write_zip(tmp_path / "x.zip", {n: d for n, d in (content | twins).items() if n != without})
    found = [issue for issue in quickly_checked(path).issues if issue.code == "archive.duplicate_name"]
    assert len(found) == 1
    assert {name.casefold() for name in found[0].files} == {"images/scene_000.png"}


def test_annotated_images_whose_names_differ_in_case_are_two_images(tmp_path: Path) -> None:
    content = {}
    for name in ("A", "a", "b"):
        shape = {"label": name, "points": [[0, 0], [3, 0], [3, 3]]}
        content[f"{name}.json"] = json.dumps({"shapes": [shape], "imagePath": f"{name}.jpg"}).encode()
        content[f"{name}.jpg"] = name.encode()
    path = write_zip(tmp_path / "x.zip", content)
    found = quickly_checked(path)
    assert [issue.code for issue in found.issues] == []
    assert found.reading is not None
    with Archive(path, limits()) as archive:
        pairs = {(archive.names[s.image], archive.names[s.truth.member]) for s in found.samples}
    assert pairs == {(f"{name}.jpg", f"{name}.json") for name in ("A", "a", "b")}


def test_image_that_is_twice_in_the_archive_is_refused(tmp_path: Path) -> None:
    content = [*members().items(), ("images/scene_000.png", members()["images/scene_001.png"])]
    found = {issue.code for issue in quickly_checked(write_stored(tmp_path / "x.zip", content)).issues}
    assert "archive.duplicate_name" in found


WRITTEN = {
    "cp437": ["Größe/Mühle_1", "Straße/café", "año/naïve"],
    "cp850": ["coração/São_1", "À propos/Übung"],
    "cp1252": ["Größe/Mühle_1", "Straße/café", "coração/São_1", "Île/été"],
    "cp932": ["画像/ひび割れ_1", "学習用データ/表", "ソース/能力"],
    "gbk": ["图像/裂缝_1", "训练/建筑物"],
    "cp949": ["이미지/도로_1", "학습/한국"],
    "cp950": ["圖像/裂縫_1", "訓練/貓"],
    "cp866": ["изображения/Снимок_1", "обучение/дорога"],
    "cp1251": ["изображения/Снимок_1", "обучение/дорога"],
    "cp1250": ["zdjęcia/żółw_1", "ścieżka/Łódź", "obraz/święto"],
    "utf-8": ["Größe/画像", "café/año"],
}


@pytest.mark.parametrize("encoding", WRITTEN)
def test_names_are_read_in_the_encoding_of_whoever_packed_them(encoding: str, tmp_path: Path) -> None:
    names = [f"{side}/{name}.png" for side in ("images", "masks") for name in WRITTEN[encoding]]
    path = write_stored(tmp_path / "x.zip", ((name.encode(encoding), b"x") for name in names))
    assert names_in(path) == names
    found = quickly_checked(path).reading
    assert found is not None
    assert len(found.samples) == len(WRITTEN[encoding])


def test_one_encoding_is_for_all_names_of_an_archive(tmp_path: Path) -> None:
    """A few names of code page 932 could be UTF-8 as well: they would not meet the others' folders."""
    both = "ﾂｿ".encode("cp932")
    assert both.decode("utf-8")
    raw = [f"画像/{n}.png".encode("cp932") for n in ("猫", "犬", "森", "表")] + [
        "画像/".encode("cp932") + both + b".png",
        both,
    ]
    names = names_in(write_stored(tmp_path / "x.zip", ((name, b"x") for name in raw)))
    assert names == [name.decode("cp932") for name in raw]


def test_names_of_macos_stay_utf8_beside_one_that_is_broken(tmp_path: Path) -> None:
    raw = [f"images/caf\N{LATIN SMALL LETTER E WITH ACUTE}_{n}.png".encode() for n in range(20)] + [
        b"notes/\xe9t\xe9.txt"
    ]
    names = names_in(write_stored(tmp_path / "x.zip", ((name, b"x") for name in raw)))
    assert names == [*(name.decode() for name in raw[:-1]), "notes/été.txt"]


def test_name_that_is_said_to_be_utf8_and_is_not_keeps_its_letters_apart(tmp_path: Path) -> None:
    path = write_stored(tmp_path / "x.zip", [("images/ab.png", b"x"), ("images/cd.png", b"y")])
    path.write_bytes(path.read_bytes().replace(b"ab.png", b"\xe9b.png").replace(b"cd.png", b"\xe8b.png"))
    assert len(set(names_in(path))) == 2


def test_any_bytes_are_some_name() -> None:
    for number in range(256):
        raw = bytes([number, 255 - number, number])
        raw.decode(name_encoding.plausible([raw]))


# before and behind the archive


@pytest.mark.parametrize("is_zip64", [False, True])
@pytest.mark.parametrize(
    "behind", [b"\0" * 511, b"\0" * 10_240, b"\0" * 300_000, b"\0" * (9 << 20), b"signature" * 20_000]
)
@pytest.mark.parametrize("before", [b"", b"#!/bin/sh\nexit\n" * 100])
def test_archive_is_found_between_what_others_put_around_it(
    before: bytes, behind: bytes, is_zip64: bool, tmp_path: Path
) -> None:
    path = tmp_path / "x.zip"
    content = [*members().items()]
    write_stored(path, content) if is_zip64 else write_zip(path, dict(content), zipfile.ZIP_STORED)
    path.write_bytes(before + path.read_bytes() + behind)
    assert names_in(path) == list(members())


def test_archive_whose_end_record_ends_with_zeros_is_found_before_zeros(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", {"a.png": b"x"})
    path.write_bytes(path.read_bytes() + bytes(5000))
    assert names_in(path) == ["a.png"]


def test_zeros_alone_are_a_file_that_was_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(bytes(3 << 20))
    assert set(issues(path)) == {"archive.truncated"}


# what cannot be read, with its real cause


@pytest.mark.parametrize(
    ("method", "said"),
    [(9, "Windows Explorer"), (12, "bzip2"), (14, "LZMA"), (93, "Zstandard"), (95, "XZ"), (98, "PPMd"), (77, "77")],
)
def test_method_that_is_not_read_is_named(method: int, said: str, tmp_path: Path) -> None:
    path = broken.patch(write_dataset(tmp_path / "x.zip"), broken.METHOD, "<H", method)
    assert said in issues(path)["archive.unsupported_compression"]
    assert "Deflate" in fixes(path)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"Rar!\x1a\x07\x01\x00", "RAR"),
        (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
        (b"\x28\xb5\x2f\xfd", "Zstandard"),
        (b"data/".ljust(257, b"\0") + b"ustar", "tar"),
        (b"<!DOCTYPE html><html>", "web page"),
    ],
)
def test_other_file_is_called_what_it_is(head: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(head.ljust(2000, b"x"))
    assert said in issues(path)["archive.not_a_zip"]


def test_parts_of_an_archive_are_to_be_joined(tmp_path: Path) -> None:
    path = write_dataset(tmp_path / "x.zip")
    content = bytearray(path.read_bytes())
    path.write_bytes(b"PK\x07\x08" + content[:1000])
    assert "several parts" in issues(path)["archive.truncated"]
    assert "Join the parts" in fixes(path)
    struct.pack_into("<2H", content, content.rfind(broken.END) + 4, 3, 3)
    path.write_bytes(content)
    assert "several parts" in issues(path)["archive.corrupt"]
    assert "Join the parts" in fixes(path)


def test_archives_within_the_archive_are_to_be_unpacked(tmp_path: Path) -> None:
    inner = write_dataset(tmp_path / "inner.zip").read_bytes()
    path = write_zip(tmp_path / "x.zip", {"images.zip": inner, "masks.zip": inner})
    assert [issue.code for issue in quickly_checked(path).issues] == ["layout.unsupported"]
    assert "Unpack" in fixes(path)


# large annotation files


def coco(count: int) -> Mapping[str, bytes]:
    content = {
        "images": [{"id": number, "file_name": f"{number}.jpg"} for number in range(count)],
        "annotations": [
            {"image_id": number, "category_id": 1, "segmentation": [[0, 0, 3, 0, 3, 3]]} for number in range(count)
        ],
        "categories": [{"id": 1, "name": "crack"}],
    }
    images = {f"images/{number}.jpg": b"x" for number in range(count)}
    return {"instances.json": json.dumps(content).encode(), **images}


def test_annotations_too_large_for_the_quick_check_are_left_to_the_full_one(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", coco(50))
    quick, full = quickly_checked(path, most_read_bytes=1000), quickly_checked(path, most_read_bytes=None)
    assert (quick.reading, quick.issues) == (None, [])
    assert full.reading is not None
    assert quick.cache_bytes >= full.cache_bytes > 0


def test_quick_and_full_check_say_the_same_of_ordinary_annotations(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", coco(200))
    assert quickly_checked(path) == quickly_checked(path, most_read_bytes=None)


def test_list_of_names_that_is_none_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_dataset(tmp_path / "x.zip", extra={"labels.txt": b"cat\n" * (1 << 19)})
    read: list[str] = []
    monkeypatch.setattr(Archive, "read", lambda self, member: read.append(self.names[member]) or b"")
    assert "classes.invalid" in [issue.code for issue in quickly_checked(path, most_read_bytes=None).issues]
    assert read == []
