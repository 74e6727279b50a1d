"""What is wrong in annotation files, gathered: one issue a kind, with the files and the first reason."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from segdrop.codes import Code, Severity
from segdrop.errors import MAX_LISTED_FILES, DataError, Issue

_SHOWN = 3
_MOST_CHARACTERS = 200
_MOST_KIND_CHARACTERS = 40
_BOX = "box"
#: kinds of areas that are counted apart
RECTANGLE, QUADRILATERAL, UPRIGHT = "rectangle", "quadrilateral", "upright outline"
_DRAW = "Draw polygons or masks for these objects, or delete their annotations; then export again."
_CONVERT = "Convert the images to JPEG or PNG under the same names, and pack these."
_NAME_ONE = "Give every image a name of its own, or let the annotations name it with its folder."


def plain(text: str) -> str:
    """Returns untrusted text, fit for a message: on a line, without what would steer a terminal, not too long."""
    short = text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in short)


@dataclass(slots=True)
class _Broken:
    """Files that cannot be read at all, for one reason: no more names than are listed."""

    message: str
    files: list[str] = field(default_factory=list)
    times: int = 0
    count: int = 0


class Complaints:
    """Gathers findings by annotation file (``member``)."""

    def __init__(self, names: Sequence[str]) -> None:
        """``names`` are whole paths, by member."""
        self.names = names
        self._broken: dict[Code, _Broken] = {}
        self._num_invalid = 0
        self._first_invalid: tuple[int, str] | None = None
        self._invalid: set[int] = set()
        self._missing: dict[str, int] = {}
        self._unclear: dict[str, tuple[int, str]] = {}
        self._not_read: dict[str, tuple[int, int]] = {}
        self._unknown: dict[str, list[int]] = {}
        self._clashes: set[int] = set()
        self._boxes, self._lines, self._kinds = Counter[int](), Counter[int](), Counter[str]()
        self._box_kinds, self._areas = Counter[str](), Counter[str]()
        self._num_boxes = self._num_lines = 0

    @property
    def unread(self) -> tuple[int, int]:
        """The numbers of annotations so far that are not learnt as an area: boxes, and others without an area."""
        return self._num_boxes, self._num_lines

    def broken(self, error: DataError) -> None:
        """Note that a file cannot be read at all."""
        for issue in error.issues:
            known = self._broken.setdefault(issue.code, _Broken(issue.message))
            known.count += issue.count
            known.times += 1
            known.files += issue.files[: MAX_LISTED_FILES - len(known.files)]

    def invalid(self, member: int, reason: str) -> None:
        """Note that part of a file is not what its tool writes; ``reason`` is a sentence ("a shape has no points")."""
        entry = member, plain(reason)
        self._num_invalid += 1
        self._first_invalid = min(self._first_invalid or entry, entry)
        self._invalid.add(member)

    def missing(self, member: int, reference: str) -> None:
        """Note that the image that a file names is not there."""
        self._missing.setdefault(reference, member)

    def unclear(self, member: int, reference: str, others: Sequence[int]) -> None:
        """Note that the image that a file names is there, but not which of several files it is, or on another side."""
        shown = ", ".join(plain(self.names[other]) for other in sorted(others, key=self.names.__getitem__)[:_SHOWN])
        self._unclear.setdefault(reference, (member, shown))

    def not_read(self, member: int, reference: str, file: int) -> None:
        """Note that the image that a file names is there, as a file of a kind that is not read."""
        self._not_read.setdefault(reference, (member, file))

    def unknown(self, member: int, kind: str) -> None:
        """Note an annotation of a kind that is not known here: it may well have an area."""
        self._unknown.setdefault(plain(kind)[:_MOST_KIND_CHARACTERS], []).append(member)

    def clash(self, *members: int) -> None:
        """Note that files say different things of one image."""
        self._clashes |= set(members)

    def no_area(self, member: int, kind: str) -> None:
        """Note an annotation of a kind that has no area ("line")."""
        self._lines[member] += 1
        self._num_lines += 1
        self._kinds[kind] += 1

    def box(self, member: int, kind: str = _BOX) -> None:
        """Note an annotation that says only where an object is; ``kind`` is "box", or names what else it has."""
        self._boxes[member] += 1
        self._num_boxes += 1
        self._box_kinds[kind] += 1

    def counted(self, kind: str) -> None:
        """Note an area of a kind ("rectangle")."""
        self._areas[kind] += 1

    @property
    def has_unread_files(self) -> bool:
        """Whether there are annotations whose images are not known, for want of a file or of a name."""
        return bool(self._broken or self._invalid or self._unclear)

    def rectangles(self) -> Iterator[str]:
        """Yields assumptions on areas that may be boxes."""
        num_areas = self._areas.total()
        if 0 < self._areas[RECTANGLE] < num_areas:
            yield f"{self._areas[RECTANGLE]} of {num_areas} areas are rectangles, and are learnt to their corners"
        if num_areas and num_areas == self._areas[UPRIGHT]:
            yield f"all {num_areas} outlines are upright rectangles, as boxes are, and are learnt to their corners"

    def complaints(self, num_images: int) -> Iterator[Issue]:
        """Yields one issue for each kind of complaint.

        ``num_images`` is the number of annotated images that are there.
        """
        for code, broken in self._broken.items():
            more = f" (and {broken.times - 1} more)" if broken.times > 1 else ""
            yield Issue.of(code, broken.message + more, files=broken.files, count=broken.count)
        if self._first_invalid is not None:
            member, reason = self._first_invalid
            message = f"{self._num_invalid} entries cannot be read; the first, in {self.names[member]}: {reason}"
            yield Issue.of(Code.ANNOTATION_INVALID, message, files=self._sorted(self._invalid), count=self._num_invalid)
        if self._clashes:
            files = self._sorted(self._clashes)
            message = f"{len(files)} annotation files say different things of the same images"
            yield Issue.of(Code.PAIR_AMBIGUOUS, message, files=files)
        if self._missing:
            yield self._missing_images(num_images)
        if self._unclear:
            yield self._unclear_images(num_images)
        if self._not_read:
            yield self._images_not_read(num_images)
        if self._unknown:
            yield self._unknown_kinds()
        yield from self._without_area()

    def _missing_images(self, num_images: int) -> Issue:
        references = sorted(self._missing)
        shown = ", ".join(plain(reference) for reference in references[:_SHOWN])
        more = ", …" if len(references) > _SHOWN else ""
        return Issue.of(
            Code.ANNOTATION_MISSING_IMAGE,
            f"{len(references)} annotated images are not in the ZIP: {shown}{more}",
            files=self._sorted(self._missing.values()),
            count=len(references),
            severity=Severity.FAULT if len(references) > num_images else Severity.WARNING,
        )

    def _unclear_images(self, num_images: int) -> Issue:
        reference, (_, shown) = min(self._unclear.items())
        members = {member for member, _ in self._unclear.values()}
        return Issue.of(
            Code.ANNOTATION_MISSING_IMAGE,
            f"for {len(self._unclear)} annotated images it is not clear which file in the ZIP is meant: "
            f"'{plain(reference)}' may be {shown}",
            files=self._sorted(members),
            count=len(self._unclear),
            severity=Severity.FAULT if len(self._unclear) > num_images else Severity.WARNING,
            fix=_NAME_ONE,
        )

    def _images_not_read(self, num_images: int) -> Issue:
        files = self._sorted(file for _, file in self._not_read.values())
        count = len(self._not_read)
        return Issue.of(
            Code.LAYOUT_UNSUPPORTED,
            f"{count} annotated images are files of a kind that is not read: {plain(files[0])}",
            files=files,
            count=count,
            severity=Severity.FAULT if count > num_images else Severity.WARNING,
            fix=_CONVERT,
        )

    def _unknown_kinds(self) -> Issue:
        counts = {kind: len(members) for kind, members in sorted(self._unknown.items())}
        shown = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        message = f"{sum(counts.values())} annotations are of kinds that are not read ({shown})"
        files = self._sorted(member for members in self._unknown.values() for member in members)
        return Issue.of(Code.ANNOTATION_INVALID, message, files=files, count=sum(counts.values()), fix=_DRAW)

    def _without_area(self) -> Iterator[Issue]:
        lines, kinds = self._lines, Counter(self._kinds)
        num_areas = self._areas.total()
        if self._boxes and not num_areas:
            count = self._boxes.total()
            others = "".join(f" or {kind}" for kind in sorted(self._box_kinds) if kind != _BOX)
            message = f"{count} annotations are boxes{others}, and none has an outline or a mask"
            yield Issue.of(Code.ANNOTATION_BOXES_ONLY, message, files=self._sorted(self._boxes), count=count)
        elif self._boxes:
            lines, kinds = lines + self._boxes, kinds + self._box_kinds
        if kinds:
            shown = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
            message = f"{kinds.total()} annotations have no area ({shown}) and were left out: "
            message += "what only they show is learnt as background"
            yield Issue.of(Code.ANNOTATION_NO_AREA, message, files=self._sorted(lines), count=kinds.total())
        if num_areas and num_areas == self._areas[RECTANGLE]:
            message = f"all {num_areas} areas are rectangles, and are learnt up to their corners"
            yield Issue.of(Code.ANNOTATION_BOXES_ONLY, message, count=num_areas, severity=Severity.WARNING)
        if num_areas and num_areas == self._areas[QUADRILATERAL]:
            message = f"all {num_areas} outlines have exactly four corners, as boxes (also oriented ones, OBB) have: "
            message += "whatever lies within the corners is learnt as the object"
            yield Issue.of(Code.ANNOTATION_BOXES_ONLY, message, count=num_areas, severity=Severity.WARNING)

    def _sorted(self, members: Iterable[int]) -> list[str]:
        return sorted({self.names[member] for member in members})
