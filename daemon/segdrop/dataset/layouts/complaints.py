"""What is wrong in annotation files, gathered: one issue a kind, with the files and the first reason."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from segdrop.codes import Severity
from segdrop.errors import DataError, Issue

_SHOWN = 3
_MOST_CHARACTERS = 200


def plain(text: str) -> str:
    """Text out of somebody's file, fit for a message: on a line, without what would steer a terminal, not too long."""
    short = text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in short)


class Complaints:
    """Findings by annotation file (``member``)."""

    def __init__(self, names: Sequence[str]) -> None:
        """``names``: whole paths, by member."""
        self._names = names
        self._broken: list[Issue] = []
        self._invalid: list[tuple[int, str]] = []
        self._missing: dict[str, int] = {}
        self._clashes: set[int] = set()
        self._boxes, self._lines, self._kinds = Counter[int](), Counter[int](), Counter[str]()
        self._areas = Counter[str]()

    def broken(self, error: DataError) -> None:
        """A file cannot be read at all."""
        self._broken += error.issues

    def invalid(self, member: int, reason: str) -> None:
        """Part of a file is not what its tool writes; ``reason`` is a sentence ("a shape has no points")."""
        self._invalid.append((member, plain(reason)))

    def missing(self, member: int, reference: str) -> None:
        """The image that a file names is not there."""
        self._missing.setdefault(reference, member)

    def clash(self, *members: int) -> None:
        """Files say different things of one image."""
        self._clashes |= set(members)

    def no_area(self, member: int, kind: str) -> None:
        """An annotation of a kind that has no area ("line")."""
        self._lines[member] += 1
        self._kinds[kind] += 1

    def box(self, member: int) -> None:
        """An annotation that says only where an object is."""
        self._boxes[member] += 1

    def counted(self, kind: str) -> None:
        """An area of a kind ("rectangle")."""
        self._areas[kind] += 1

    def complaints(self, num_images: int) -> Iterator[Issue]:
        """``num_images``: annotated images that are there."""
        yield from _merged(self._broken)
        if self._invalid:
            member, reason = min(self._invalid)
            message = f"{len(self._invalid)} entries cannot be read; the first, in {self._names[member]}: {reason}"
            files = self._sorted(member for member, _ in self._invalid)
            yield Issue.of("annotation.invalid", message, files=files, count=len(self._invalid))
        if self._clashes:
            files = self._sorted(self._clashes)
            message = f"{len(files)} annotation files say different things of the same images"
            yield Issue.of("pair.ambiguous", message, files=files)
        if self._missing:
            yield self._missing_images(num_images)
        yield from self._without_area()

    def _missing_images(self, num_images: int) -> Issue:
        references = sorted(self._missing)
        shown = ", ".join(plain(reference) for reference in references[:_SHOWN])
        more = ", …" if len(references) > _SHOWN else ""
        return Issue.of(
            "annotation.missing_image",
            f"{len(references)} annotated images are not in the ZIP: {shown}{more}",
            files=self._sorted(self._missing.values()),
            count=len(references),
            severity=Severity.FAULT if len(references) > num_images else Severity.WARNING,
        )

    def _without_area(self) -> Iterator[Issue]:
        lines, kinds = self._lines, Counter(self._kinds)
        num_areas = self._areas.total()
        if self._boxes and not num_areas:
            count = self._boxes.total()
            message = f"{count} annotations are boxes, and none has an outline or a mask"
            yield Issue.of("annotation.boxes_only", message, files=self._sorted(self._boxes), count=count)
        elif self._boxes:
            lines, kinds["box"] = lines + self._boxes, self._boxes.total()
        if kinds:
            shown = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
            message = f"{kinds.total()} annotations have no area ({shown}) and were left out"
            yield Issue.of("annotation.no_area", message, files=self._sorted(lines), count=kinds.total())
        if num_areas and num_areas == self._areas["rectangle"]:
            message = f"all {num_areas} areas are rectangles, and are learnt up to their corners"
            yield Issue.of("annotation.boxes_only", message, count=num_areas, severity=Severity.WARNING)

    def _sorted(self, members: Iterable[int]) -> list[str]:
        return sorted({self._names[member] for member in members})


def _merged(issues: list[Issue]) -> Iterator[Issue]:
    """One issue for each code, with all files and the first message."""
    by_code: dict[str, list[Issue]] = {}
    for issue in issues:
        by_code.setdefault(issue.code, []).append(issue)
    for code, equal in by_code.items():
        files = [name for issue in equal for name in issue.files]
        more = f" (and {len(equal) - 1} more)" if len(equal) > 1 else ""
        yield Issue.of(code, equal[0].message + more, files=files)
