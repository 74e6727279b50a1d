"""What the directory of a ZIP gives away: every reason to refuse an archive before unpacking any of it."""

import re
from array import array
from collections.abc import Iterator

from segdrop.dataset.directory import Entry
from segdrop.dataset.findings import Findings
from segdrop.errors import DataError, Issue
from segdrop.spec import Limits

_READABLE_METHODS = {0, 8}
_AES_METHOD = 99
#: below this, a high ratio cannot do harm, and flat masks reach it honestly
_RATIO_MATTERS_BYTES = 1 << 20
_MAX_PATH_CHARACTERS = 1024
_MAX_PART_CHARACTERS = 255
_DRIVE = re.compile(r"^[A-Za-z]:")
_JUNK_NAMES = {"__macosx", "@eadir", "thumbs.db", "ehthumbs.db", "desktop.ini"}


_MESSAGES = {
    "archive.encrypted": "{count} encrypted",
    "archive.unsupported_compression": "{count} packed with another method than deflate ({first})",
    "archive.unsafe_path": "{count} with a name that is absolute, too long, leads out or has control characters",
    "archive.link": "{count} that are links or special files",
    "archive.duplicate_name": "{count} with the name of another, or one that differs in case only",
    "archive.too_large": "{count} unpacked larger than allowed ({first})",
    "archive.suspicious_ratio": "{count} unpacking to suspiciously many times the packed size ({first})",
    "archive.overlap": "{count} sharing bytes of the archive with another file or with the directory",
}


class Judge:
    """Looks at one entry after the other, admits the safe files, and says at the end what was wrong."""

    def __init__(self, limits: Limits, directory_start: int) -> None:
        self._limits = limits
        self._directory_start = directory_start
        self._findings = Findings(_MESSAGES)
        self._names: list[str] = []
        self._starts, self._ends = array("Q"), array("Q")
        self._folded: set[str] = set()
        self._total_bytes = 0
        self._num_files = 0

    def admit(self, entry: Entry) -> str | None:
        """The path of a file that is data, slashes forward; ``None`` for folders, junk and what is at fault.

        ``DataError`` when there are more entries than allowed: going on would cost what the limit saves.
        """
        self._starts.append(entry.header_offset)
        if len(self._starts) > self._limits.max_entries:
            message = f"the ZIP holds more than {self._limits.max_entries} members"
            raise DataError([Issue.of("archive.too_large", message)])
        self._ends.append(entry.least_end)
        self._names.append(entry.name)
        self._total_bytes += entry.unpacked_bytes
        faults = dict(self._faults(entry))
        path = _shared("/".join(part for part in re.split(r"[/\\]+", entry.name) if part not in ("", ".")), entry.name)
        if not faults and (entry.is_folder or is_junk(path)):
            return None
        self._num_files += 1
        folded = _shared(path.casefold(), path)
        if folded in self._folded:
            faults["archive.duplicate_name"] = ""
        self._folded.add(folded)
        for code, detail in faults.items():
            self._findings.add(code, entry.name, detail)
        return None if faults else path

    def _faults(self, entry: Entry) -> Iterator[tuple[str, str]]:
        """Codes with details."""
        if is_unsafe(entry.name):
            yield "archive.unsafe_path", ""
        if entry.is_special:
            yield "archive.link", ""
        if entry.is_encrypted or entry.method == _AES_METHOD:
            yield "archive.encrypted", ""
        elif entry.method not in _READABLE_METHODS:
            yield "archive.unsupported_compression", f"method {entry.method}"
        if entry.unpacked_bytes > self._limits.max_member_bytes:
            yield (
                "archive.too_large",
                f"{entry.unpacked_bytes} bytes; the limit is {self._limits.max_member_bytes}",
            )
        if entry.unpacked_bytes > max(_RATIO_MATTERS_BYTES, entry.packed_bytes * self._limits.max_ratio):
            ratio = entry.unpacked_bytes // max(1, entry.packed_bytes)
            yield "archive.suspicious_ratio", f"{ratio} times; the limit is {self._limits.max_ratio}"

    def verdict(self) -> list[Issue]:
        """Everything found, once all entries were seen."""
        self._find_overlaps()
        issues = self._findings.issues()
        if self._total_bytes > self._limits.max_extracted_bytes:
            message = f"it unpacks to {self._total_bytes} bytes; the limit is {self._limits.max_extracted_bytes}"
            issues.append(Issue.of("archive.too_large", message))
        if not self._num_files and not issues:
            issues.append(Issue.of("archive.empty", "there is no file in it"))
        return issues

    def _find_overlaps(self) -> None:
        """Each member's data must end before the next header begins (overlapping bombs: Fifield, 2019)."""
        free_from = 0
        for index in sorted(range(len(self._starts)), key=self._starts.__getitem__):
            if self._starts[index] < free_from or self._ends[index] > self._directory_start:
                self._findings.add("archive.overlap", self._names[index])
            free_from = max(free_from, self._ends[index])


def _shared(text: str, original: str) -> str:
    """The original where it is the same text: ten thousand names need not be kept three times."""
    return original if text == original else text


def is_unsafe(name: str) -> bool:
    """Whether a name as stored leads out of the folder it is unpacked into, or is no line of text."""
    parts = re.split(r"[/\\]", name)
    return (
        not name
        or len(name) > _MAX_PATH_CHARACTERS
        or any(len(part) > _MAX_PART_CHARACTERS for part in parts)
        or name[0] in "/\\"
        or _DRIVE.match(name) is not None
        or ".." in parts
        or any(ord(character) < 32 or 127 <= ord(character) < 160 for character in name)  # noqa: PLR2004  (the control characters)
    )


def is_junk(path: str) -> bool:
    """What operating systems and file managers leave behind: hidden files, thumbnails, resource forks."""
    return any(part.startswith((".", "~")) or part.casefold() in _JUNK_NAMES for part in path.split("/"))
