"""Every reason to refuse an archive that its directory gives away, before any of it is unpacked.

Limits of size are for what is read into memory: images, and the text files of labelling tools. All else is never looked
at, but for its checksum, piece by piece; only the total of what is unpacked counts there.
"""

import re
from array import array
from collections.abc import Iterator

from segdrop.codes import Code
from segdrop.dataset.archive.central_directory import DirectoryEntry
from segdrop.dataset.archive.image_headers import Extent
from segdrop.dataset.findings import Findings
from segdrop.dataset.samples import extension, is_image
from segdrop.errors import DataError, Issue
from segdrop.spec import Limits

_READABLE_METHODS = {0, 8}
_AES_METHOD = 99
#: APPNOTE 4.4.5, and who packs so
_METHODS = {
    **dict.fromkeys(range(1, 7), "a method of the 1980s"),
    9: "Deflate64, as Windows Explorer packs what is larger than 2 GB",
    12: "bzip2",
    14: "LZMA",
    20: "Zstandard",
    93: "Zstandard",
    95: "XZ",
    96: "a packer for JPEG",
    97: "WavPack",
    98: "PPMd",
}
#: kinds of text that labelling tools write, and that are read whole
_TEXT_KINDS = frozenset({"json", "xml", "txt", "csv", "yaml", "yml", "names", "labels"})
#: below these, a high ratio cannot do harm: flat images reach it honestly, and text that repeats itself
_RATIO_MATTERS_BYTES, _RATIO_MATTERS_IN_TEXT_BYTES = 1 << 20, 1 << 24
#: beside its pixels, a file has metadata, tiles that go beyond the picture, and smaller copies of it
_MOST_TIMES_PIXELS = 2
#: the bytes of a pixel of any image that is not too large
_MOST_PIXEL_BYTES = 8
_MAX_PATH_CHARACTERS = 1024
_MAX_PART_CHARACTERS = 255
#: absolute, with a drive, or with a step up
_LEADS_OUT = re.compile(r"^$|^[/\\]|^[A-Za-z]:|(?:^|[/\\])\.\.(?:[/\\]|$)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_UNCLEAN = re.compile(r"\\|//|(?:^|/)\.(?:/|$)|^/|/$")
_SEPARATORS = re.compile(r"[/\\]+")
_JUNK_NAMES = (
    *("__macosx", "icon\r", "@eadir", "#recycle", "@recycle", "lost+found"),
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),
)
_JUNK = re.compile(rf"(?:^|/)(?:[.~]|(?:{'|'.join(map(re.escape, _JUNK_NAMES))})(?:/|\Z))", re.IGNORECASE)

_MESSAGES = {
    Code.ARCHIVE_ENCRYPTED: "{count} encrypted",
    Code.ARCHIVE_UNSUPPORTED_COMPRESSION: "{count} packed with another method than deflate ({first})",
    Code.ARCHIVE_UNSAFE_PATH: "{count} with a name that is absolute, too long, leads out or has control characters",
    Code.ARCHIVE_LINK: "{count} that are links or special files",
    Code.ARCHIVE_TOO_LARGE: "{count} unpacked larger than allowed ({first})",
    Code.ARCHIVE_SUSPICIOUS_RATIO: "{count} unpacking to suspiciously many times the packed size ({first})",
    Code.IMAGE_TOO_LARGE: "{count} with more pixels than allowed; {first}",
    Code.ARCHIVE_OVERLAP: "{count} sharing bytes of the archive with another file or with the directory",
}


class Judge:
    """Looks at one entry after the other, admits the safe files, and says at the end what was wrong."""

    def __init__(self, limits: Limits, directory_start: int) -> None:
        """``directory_start`` is where the directory begins, in bytes from the beginning of the file."""
        self._limits = limits
        self._directory_start = directory_start
        self._findings = Findings(_MESSAGES)
        self._names: list[str] = []
        self._starts, self._ends = array("Q"), array("Q")
        self._folded: set[str] = set()
        self._total_bytes = 0
        self._num_files = self._num_admitted = 0
        self.namesakes: set[str] = set()  #: paths, case folded, that more than one file has
        self.suspects: list[int] = []  #: images, by number of admission, whose headers have to say how large they are

    def admit(self, entry: DirectoryEntry) -> str | None:
        """Returns the path of a file that is data, slashes forward, or None for folders, junk and what is at fault.

        Raises DataError when there are more entries than allowed: going on would cost what the limit saves.
        """
        self._starts.append(entry.header_offset)
        if len(self._starts) > self._limits.max_entries:
            message = f"the ZIP holds more than {self._limits.max_entries} members"
            raise DataError([Issue.of(Code.ARCHIVE_TOO_LARGE, message)])
        self._ends.append(entry.least_end)
        self._names.append(entry.name)
        path = _path(entry.name)
        is_litter = is_junk(path) and not leads_out(entry.name)
        faults = {} if is_litter else dict(self._faults(entry, path))
        if not faults and (is_litter or entry.is_folder):
            return None
        self._num_files += 1
        self._total_bytes += entry.unpacked_bytes
        for code, detail in faults.items():
            self._findings.add(code, entry.name, detail)
        if faults:
            return None
        self._note(entry, path)
        return path

    def _note(self, entry: DirectoryEntry, path: str) -> None:
        """Note what cannot be told by the entry alone."""
        folded = _shared(path.casefold(), path)
        if folded in self._folded:
            self.namesakes.add(folded)
        self._folded.add(folded)
        if is_image(path) and self._is_suspicious(entry, _RATIO_MATTERS_BYTES):
            self.suspects.append(self._num_admitted)
        self._num_admitted += 1

    def weigh(self, name: str, unpacked_bytes: int, packed_bytes: int, extent: Extent | None) -> None:
        """Judge a suspect by what its header says; ``extent`` is None where it has no header that is known."""
        if extent is not None and extent.num_pixels > self._limits.max_image_pixels:
            detail = f"{name} has {extent.num_pixels}; the limit is {self._limits.max_image_pixels}"
            self._findings.add(Code.IMAGE_TOO_LARGE, name, detail)
        elif extent is None or unpacked_bytes > _MOST_TIMES_PIXELS * extent.num_bytes + _RATIO_MATTERS_BYTES:
            self._findings.add(Code.ARCHIVE_SUSPICIOUS_RATIO, name, self._ratio(unpacked_bytes, packed_bytes))

    def weigh_unseen(self, name: str, unpacked_bytes: int, packed_bytes: int) -> None:
        """Judge a suspect whose header lies too deep in it to be looked for here: it may be as large as any image."""
        if unpacked_bytes > _MOST_PIXEL_BYTES * self._limits.max_image_pixels + _RATIO_MATTERS_BYTES:
            self._findings.add(Code.ARCHIVE_SUSPICIOUS_RATIO, name, self._ratio(unpacked_bytes, packed_bytes))

    def _is_suspicious(self, entry: DirectoryEntry, free_bytes: int) -> bool:
        return entry.unpacked_bytes > max(free_bytes, entry.packed_bytes * self._limits.max_ratio)

    def _ratio(self, unpacked_bytes: int, packed_bytes: int) -> str:
        return f"{unpacked_bytes // max(1, packed_bytes)} times; the limit is {self._limits.max_ratio}"

    def _faults(self, entry: DirectoryEntry, path: str) -> Iterator[tuple[Code, str]]:
        """Yields the codes of what is wrong with an entry, with details."""
        if is_unsafe(entry.name):
            yield Code.ARCHIVE_UNSAFE_PATH, ""
        if entry.is_special:
            yield Code.ARCHIVE_LINK, ""
        if entry.is_encrypted or entry.method == _AES_METHOD:
            yield Code.ARCHIVE_ENCRYPTED, ""
        elif entry.method not in _READABLE_METHODS:
            yield Code.ARCHIVE_UNSUPPORTED_COMPRESSION, _METHODS.get(entry.method, f"method {entry.method}")
        is_text = extension(path) in _TEXT_KINDS
        if (is_text or is_image(path)) and entry.unpacked_bytes > self._limits.max_member_bytes:
            yield (
                Code.ARCHIVE_TOO_LARGE,
                f"{entry.unpacked_bytes} bytes; the limit is {self._limits.max_member_bytes}",
            )
        if is_text and self._is_suspicious(entry, _RATIO_MATTERS_IN_TEXT_BYTES):
            yield Code.ARCHIVE_SUSPICIOUS_RATIO, self._ratio(entry.unpacked_bytes, entry.packed_bytes)

    def verdict(self) -> list[Issue]:
        """Returns everything that was found, once all entries were seen."""
        self._find_overlaps()
        issues = self._findings.issues()
        if self._total_bytes > self._limits.max_extracted_bytes:
            message = f"it unpacks to {self._total_bytes} bytes; the limit is {self._limits.max_extracted_bytes}"
            issues.append(Issue.of(Code.ARCHIVE_TOO_LARGE, message))
        if not self._num_files and not issues:
            issues.append(Issue.of(Code.ARCHIVE_EMPTY, "there is no file in it"))
        return issues

    def _find_overlaps(self) -> None:
        """Find members that share bytes: each one's data must end before the next header begins (Fifield, 2019)."""
        free_from = 0
        for index in sorted(range(len(self._starts)), key=self._starts.__getitem__):
            if self._starts[index] < free_from or self._ends[index] > self._directory_start:
                self._findings.add(Code.ARCHIVE_OVERLAP, self._names[index])
            free_from = max(free_from, self._ends[index])


def _path(name: str) -> str:
    """Returns the name as a path: slashes forward, nothing doubled. Most names are one as they stand."""
    if not _UNCLEAN.search(name):
        return name
    return "/".join(part for part in _SEPARATORS.split(name) if part not in ("", "."))


def _shared(text: str, original: str) -> str:
    """Returns the original where it is the same text: ten thousand names need not be kept three times."""
    return original if text == original else text


def leads_out(name: str) -> bool:
    """Whether a name as stored leads out of the folder it is unpacked into."""
    return _LEADS_OUT.search(name) is not None


def is_unsafe(name: str) -> bool:
    """Whether a name as stored leads out of the folder it is unpacked into, is too long, or is no line of text."""
    return (
        len(name) > _MAX_PATH_CHARACTERS
        or leads_out(name)
        or (len(name) > _MAX_PART_CHARACTERS and any(len(p) > _MAX_PART_CHARACTERS for p in _SEPARATORS.split(name)))
        or _CONTROL.search(name) is not None
    )


def is_junk(path: str) -> bool:
    """Whether operating systems and file managers leave such a file behind: hidden files,
    thumbnails, resource forks.
    """
    return _JUNK.search(path) is not None
