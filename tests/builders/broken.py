"""Broken ZIPs, each with the one code that must answer it."""

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from builders.archives import encoded, members, write_dataset, write_zip

CENTRAL, LOCAL, END = b"PK\1\2", b"PK\3\4", b"PK\5\6"
#: offsets of fields in an entry of the directory
FLAGS, METHOD, CRC, PACKED, UNPACKED, SYSTEM, ATTRIBUTES, OFFSET = 8, 10, 16, 20, 24, 5, 38, 42


def patch(path: Path, field: int, layout: str, value: int, entry: int = 0) -> Path:
    """Change one field of one entry in the directory."""
    content = bytearray(path.read_bytes())
    position = directory_start(content)
    for _ in range(entry):
        lengths = struct.unpack_from("<3H", content, position + 28)
        position += 46 + sum(lengths)
    struct.pack_into(layout, content, position + field, value)
    path.write_bytes(content)
    return path


def directory_start(content: bytes) -> int:
    return struct.unpack_from("<L", content, content.rfind(END) + 16)[0]


def not_a_zip(path: Path) -> None:
    path.write_text("this is a text file\n" * 50)


def other_archive(path: Path) -> None:
    path.write_bytes(b"Rar!\x1a\x07\x01\x00" + bytes(200))


def truncated(path: Path) -> None:
    write_dataset(path)
    path.write_bytes(path.read_bytes()[:-400])


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def hole(path: Path) -> None:
    """The end is there, and a piece in the middle is missing."""
    write_dataset(path)
    content = path.read_bytes()
    path.write_bytes(content[:300] + content[900:])


def damaged_directory(path: Path) -> None:
    write_dataset(path)
    content = bytearray(path.read_bytes())
    content[directory_start(content)] ^= 0xFF
    path.write_bytes(content)


def encrypted(path: Path) -> None:
    patch(write_dataset(path), FLAGS, "<H", 1)


def other_method(path: Path) -> None:
    patch(write_dataset(path), METHOD, "<H", 97)


def empty(path: Path) -> None:
    write_zip(path, {})


def only_folders(path: Path) -> None:
    write_zip(path, {"images/": b"", "masks/": b"", ".DS_Store": b"x"})


def bad_crc(path: Path) -> None:
    write_zip(path, members(), zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[100] ^= 0xFF
    path.write_bytes(content)


def wrong_crc_field(path: Path) -> None:
    patch(write_dataset(path), CRC, "<L", 12345)


def bad_deflate(path: Path) -> None:
    write_dataset(path, extra={"images/zeros.txt": bytes(5000)})
    content = bytearray(path.read_bytes())
    position = content.find(b"images/zeros.txt") + len("images/zeros.txt")
    content[position : position + 6] = b"\xff" * 6
    path.write_bytes(content)


def understated_size(path: Path) -> None:
    """The header promises fewer bytes than come out."""
    write_dataset(path)
    patch(path, UNPACKED, "<L", 10)


def unsafe_paths(path: Path) -> None:
    write_dataset(path, extra={"../../etc/cron.d/x": b"x", "C:\\x.png": b"x", "/abs.png": b"x", "a\\..\\b.png": b"x"})


def link(path: Path) -> None:
    write_dataset(path, extra={"images/link.png": b"/etc/passwd"})
    with zipfile.ZipFile(path) as archive:
        entry = archive.namelist().index("images/link.png")
    patch(path, SYSTEM, "<B", 3, entry)
    patch(path, ATTRIBUTES, "<L", 0o120777 << 16, entry)


def case_twins(path: Path) -> None:
    write_dataset(path, extra={"images/SCENE_000.png": encoded(np.zeros((24, 32, 3), np.uint8))})


def bomb(path: Path) -> None:
    write_dataset(path, extra={"images/bomb.png": bytes(4 << 20)})


def overlap(path: Path) -> None:
    """Two entries of the directory share one member's bytes."""
    write_dataset(path)
    patch(path, OFFSET, "<L", 0, entry=1)


def unknown_layout(path: Path) -> None:
    write_zip(path, {"a.txt": b"x", "stuff/1.png": b"x", "notes/2.txt": b"x"})


def no_images(path: Path) -> None:
    write_zip(path, {name: data for name, data in members().items() if not name.startswith("images/")})


def no_masks(path: Path) -> None:
    write_zip(path, {name: data for name, data in members().items() if not name.startswith("masks/")})


def no_names_match(path: Path) -> None:
    write_zip(path, {name.replace("masks/scene_", "masks/scene_9"): data for name, data in members().items()})


def mostly_unpaired(path: Path) -> None:
    write_dataset(path, count=10, without=[f"masks/scene_{i:03}.png" for i in range(8)])


def one_pair(path: Path) -> None:
    write_dataset(path, count=1)


def ambiguous(path: Path) -> None:
    write_dataset(path, extra={"images/scene_000.jpg": encoded(np.zeros((24, 32, 3), np.uint8), "JPEG")})


def size_mismatch(path: Path) -> None:
    write_dataset(path, extra={"masks/scene_000.png": encoded(np.zeros((12, 20), np.uint8))})


def unreadable(path: Path) -> None:
    write_dataset(path, extra={"images/scene_001.png": b"no image at all"})


def truncated_image(path: Path) -> None:
    rng = np.random.default_rng(0)
    whole = encoded(rng.integers(0, 255, (24, 32, 3)).astype(np.uint8), "JPEG")
    write_dataset(path, without=["images/scene_001.png"], extra={"images/scene_001.jpg": whole[: len(whole) // 2]})


def colour_masks(path: Path) -> None:
    rng = np.random.default_rng(0)
    write_dataset(path, extra={"masks/scene_000.png": encoded(rng.integers(0, 255, (24, 32, 3)).astype(np.uint8))})


def jpeg_masks(path: Path) -> None:
    extra = {"masks/scene_000.jpg": encoded(np.zeros((24, 32), np.uint8), "JPEG")}
    write_dataset(path, without=["masks/scene_000.png"], extra=extra)


def too_many_values(path: Path) -> None:
    values = np.arange(24 * 32, dtype=np.uint16).reshape(24, 32)
    write_dataset(path, extra={"masks/scene_000.png": encoded(values)})


def unknown_value(path: Path) -> None:
    write_dataset(path, values=(0, 1, 2, 9))


def single_class(path: Path) -> None:
    write_dataset(path, values=(1,))


def all_ignored(path: Path) -> None:
    write_dataset(path, values=(255,))


def bad_labels(path: Path) -> None:
    write_dataset(path, extra={"labels.txt": b"cat\ncat\n"})


def only_validation(path: Path) -> None:
    content = members(layout="with_test", count=3)
    write_zip(path, {name: data for name, data in content.items() if not name.startswith("train/")})


KINDS: dict[str, tuple[Callable[[Path], None], str]] = {
    "not a ZIP": (not_a_zip, "archive.not_a_zip"),
    "other archive": (other_archive, "archive.not_a_zip"),
    "truncated": (truncated, "archive.truncated"),
    "no bytes": (nothing, "archive.truncated"),
    "hole": (hole, "archive.corrupt"),
    "damaged directory": (damaged_directory, "archive.corrupt"),
    "encrypted": (encrypted, "archive.encrypted"),
    "other method": (other_method, "archive.unsupported_compression"),
    "empty": (empty, "archive.empty"),
    "only folders": (only_folders, "archive.empty"),
    "bad CRC": (bad_crc, "archive.corrupt"),
    "wrong CRC field": (wrong_crc_field, "archive.corrupt"),
    "bad deflate": (bad_deflate, "archive.corrupt"),
    "understated size": (understated_size, "archive.corrupt"),
    "unsafe paths": (unsafe_paths, "archive.unsafe_path"),
    "link": (link, "archive.link"),
    "case twins": (case_twins, "archive.duplicate_name"),
    "bomb": (bomb, "archive.suspicious_ratio"),
    "overlap": (overlap, "archive.overlap"),
    "unknown layout": (unknown_layout, "layout.unknown"),
    "no images": (no_images, "layout.no_images"),
    "no masks": (no_masks, "layout.no_masks"),
    "no names match": (no_names_match, "pair.missing_mask"),
    "mostly unpaired": (mostly_unpaired, "pair.missing_mask"),
    "one pair": (one_pair, "pair.too_few"),
    "ambiguous": (ambiguous, "pair.ambiguous"),
    "size mismatch": (size_mismatch, "pair.size_mismatch"),
    "unreadable": (unreadable, "image.unreadable"),
    "truncated image": (truncated_image, "image.unreadable"),
    "colour masks": (colour_masks, "mask.too_many_values"),
    "JPEG masks": (jpeg_masks, "mask.lossy"),
    "too many values": (too_many_values, "mask.too_many_values"),
    "unknown value": (unknown_value, "mask.unknown_value"),
    "single class": (single_class, "mask.single_class"),
    "all ignored": (all_ignored, "mask.all_ignored"),
    "bad labels": (bad_labels, "classes.invalid"),
    "only validation": (only_validation, "split.invalid"),
}
