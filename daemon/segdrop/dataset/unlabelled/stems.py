"""Where the results about an image go: relative paths that are safe on any filesystem, and unique in their input. Pure.

Sources: Microsoft, "Naming Files, Paths, and Namespaces"; eCryptfs, whose names have 143 bytes at most.
"""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from segdrop import input_kinds
from segdrop.input_kinds import InputKind

#: bytes of a part of a path in UTF-8; what is written adds a suffix, such as ``.confidence.png``
_MAX_PART_BYTES = 120
_MAX_PATH_BYTES = 1024
_DIGEST_CHARACTERS = 8
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069]')
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])\s*(?:\.|\Z)", re.IGNORECASE)


def readable(name: str) -> str:
    """Returns a name as it can be written as UTF-8: half of a surrogate pair becomes a question mark."""
    return name.encode("utf-8", "replace").decode()


def stems(names: Sequence[str]) -> list[str]:
    """Returns a stem for each name, in their order: relative paths less the suffix, no two alike on any filesystem.

    Names keep their folders. ``a.jpg`` and ``a.png`` would share a stem: both keep their suffix, and where that does
    not tell them apart either, the later ones get a number. No stem leads out of the folder that it is put into, and
    none is the name of a folder with a suffix.
    """
    short = [safe_path(without_suffix(name)) for name in names]
    counts = Counter(map(_key, short))
    wanted = [stem if counts[_key(stem)] == 1 else safe_path(name) for stem, name in zip(short, names, strict=True)]
    return list(_numbered(wanted))


def _numbered(wanted: Sequence[str]) -> Iterator[str]:
    """Yields the stems, with numbers at those that are taken by an earlier one, by a folder, or wanted only once."""
    folders = set(_folders_less_suffixes(wanted))
    lone = {key for key, count in Counter(map(_key, wanted)).items() if count == 1}
    taken: set[str] = set()
    for stem in wanted:
        key, found, number = _key(stem), stem, 1
        while key in taken or key in folders or (number > 1 and key in lone):
            number += 1
            found = f"{stem}_{number}"
            key = _key(found)
        taken.add(key)
        yield found


def _folders_less_suffixes(paths: Iterable[str]) -> Iterator[str]:
    """Yields the keys of stems whose files could have the name of a folder: of ``a.png/b`` that is ``a``."""
    innermost = {path.rpartition("/")[0] for path in paths}
    for folder in {str(folder) for path in innermost for folder in (path, *PurePosixPath(path).parents)}:
        parent, slash, last = _key(folder).rpartition("/")
        parts = last.split(".")
        yield from (parent + slash + ".".join(parts[:count]) for count in range(1, len(parts)))


def free_names(paths: Sequence[str]) -> list[str]:
    """Returns relative paths of files, in their order, of which no two are alike on any filesystem.

    The later of two gets a number (``a_2.jpg``), and so does one that is called like a folder of another.
    """
    wanted = set(map(_key, paths))
    taken = {_key(str(folder)) for path in paths for folder in PurePosixPath(path).parents}
    found = []
    for path in paths:
        stem, free, number = without_suffix(path), path, 1
        while _key(free) in taken or (number > 1 and _key(free) in wanted):
            number += 1
            free = f"{stem}_{number}{path[len(stem) :]}"
        taken.add(_key(free))
        found.append(free)
    return found


def without_suffix(name: str) -> str:
    """Returns a path without its extension, where that is one of an image: ``scan.2024`` keeps its end."""
    return name.rpartition(".")[0] if input_kinds.by_name(name) is InputKind.IMAGE else name


def safe_path(name: str) -> str:
    """Returns a relative path that any filesystem takes, of safe parts and with ordinary slashes."""
    parts = [safe_part(part) for part in re.split(r"[/\\]", name) if part not in ("", ".")]
    path = "/".join(parts) or "_"
    if len(path.encode()) <= _MAX_PATH_BYTES:
        return path
    return f"_long_{_digest(name)}/{parts[-1]}"


def safe_part(text: str) -> str:
    """Returns one part of a path: without what Windows refuses, neither hidden nor reserved, and not too long."""
    part = _FORBIDDEN.sub("_", text).rstrip(". ")
    part = "_" + part[1:] if part.startswith(".") else part
    part = f"_{part}" if _RESERVED.match(part) or not part else part
    if len(part.encode()) <= _MAX_PART_BYTES:
        return part
    kept = part.encode()[: _MAX_PART_BYTES - _DIGEST_CHARACTERS - 1].decode("utf-8", "ignore").rstrip(". ")
    return f"{kept}~{_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:_DIGEST_CHARACTERS]


def _key(stem: str) -> str:
    """Returns the form in which filesystems compare names that know neither case nor ways to compose accents."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", stem).casefold())
