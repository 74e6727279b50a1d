"""Images with their named areas, as annotation files have them: gathered, numbered and made into samples.

Nothing raises at the first fault: whatever is wrong is gathered too.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from segdrop.codes import Code, Severity
from segdrop.dataset import class_names, shapes
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.class_names import ClassNames
from segdrop.dataset.classes import legends
from segdrop.dataset.layouts.shared import affixes
from segdrop.dataset.layouts.shared.complaints import Complaints, plain
from segdrop.dataset.layouts.shared.folders import SPLIT_FOLDERS
from segdrop.dataset.layouts.shared.matching import ImageIndex
from segdrop.dataset.samples import Drawing, LabelledSample, Reading, Split, extension, is_image, pairing_key
from segdrop.dataset.shapes import Polygon, Shape
from segdrop.errors import DataError, Issue, has_fault
from segdrop.request import EMBEDDED_NAME

if TYPE_CHECKING:
    from array import array

_LEAST_NUMBERS = 6  #: a ring has at least three points, of two coordinates each
_LARGEST_SIDE = 1 << 16
_SHOWN = 5
_ANNOTATIONS = frozenset({"json", "xml", "txt", "csv"})
#: files that no tool reads, and that are not missed
_DOCUMENTS = frozenset({"md", "rst", "html", "pdf"})
_DOCUMENT_STEMS = frozenset({"readme", "license", "licence", PurePosixPath(EMBEDDED_NAME).stem, "thumbs"})
_DRAW_OR_LEAVE = "Draw polygons or masks on these images too, or leave them out of the ZIP."
#: the class where nothing has a name
_ONLY_CLASS = "object"

#: a class name, or nothing, and a shape whose value is still open
Area = tuple[str, Shape]


def members(tree: Tree, *extensions: str) -> list[tuple[int, str]]:
    """Returns members with one of the extensions and their paths, in the order of paths; never the request."""
    fitting = [(path, member) for member, path in tree if extension(path) in extensions]
    return [(member, path) for path, member in sorted(fitting) if path.rpartition("/")[2].casefold() != EMBEDDED_NAME]


def split_of(path: str) -> Split | None:
    """Returns the side that a folder in the path stands for ("train", "val2017"), or None."""
    folders = (folder.rstrip("0123456789_- ") for folder in path.casefold().split("/")[:-1])
    return next((SPLIT_FOLDERS[folder] for folder in folders if folder in SPLIT_FOLDERS), None)


def pixel_size(width: object, height: object) -> tuple[int, int] | None:
    """Returns (width, height) where both, as numbers or as text, are sides of an image; else None."""
    sides = []
    for side in (width, height):
        try:
            number = float(side) if isinstance(side, str | int | float) else 0.0
        except (ValueError, OverflowError):
            return None
        if not 1 <= number <= _LARGEST_SIDE:
            return None
        sides.append(int(number))
    return sides[0], sides[1]


@dataclass(slots=True)
class _Entry:
    """One image as an annotation file (``member``) has it."""

    member: int
    areas: list[Area]
    size: tuple[int, int] | None
    is_relative: bool
    split: Split | None


class Gathering(Complaints):
    """Gathers images with their areas, and what is wrong with them, as they come out of annotation files."""

    def __init__(
        self,
        tree: Tree,
        is_data: Callable[[str], bool] = lambda _: True,
        skip_folders: frozenset[str] = frozenset(),
    ) -> None:
        """``is_data`` tells whether an image with this path is one of the dataset, not a by-product of the tool.

        ``skip_folders`` are lower-case names of folders whose images no annotation means.
        """
        super().__init__(tree.names)
        self.paths = dict(tree)
        self.issues: list[Issue] = []
        self.assumptions: list[str] = []
        self._tree = tree
        self._index = ImageIndex(tree, skip_folders)
        self._images = {member: path for member, path in self._index.members.items() if is_data(path)}
        self._entries: dict[int, _Entry] = {}
        self._read: set[int] = set()
        self._others: dict[str, int] | None = None  #: files that are no images, by name, once they are asked for
        self._boxes_in, self._lines_in = Counter[int](), Counter[int]()  #: what was not read, by image
        self._skipped: frozenset[int] = frozenset()  #: images that are annotated with boxes alone

    def find(self, references: Sequence[str], member: int, folder: str) -> int | None:
        """Returns the image that one of the references means, seen from a folder, or None, and puts it on record as
        missing.
        """
        if (image := self.seek(references, folder)) is not None:
            return image
        self.lost(references, member)
        return None

    def lost(self, references: Sequence[str], member: int) -> None:
        """Put on record that an image was not found: it is missing, or there several times, or of a kind not read."""
        hits = {hit for reference in references for hit in self._index.namesakes(reference)}
        if others := hits.intersection(self._images):
            self.unclear(member, references[0], sorted(others))
        elif (
            file := next((f for reference in references if (f := self._file(reference)) is not None), None)
        ) is not None:
            self.not_read(member, references[0], file)
        else:
            self.missing(member, references[0])

    def _file(self, reference: str) -> int | None:
        """Returns a file of this very name that is no image that is read (HEIC, DICOM), or None."""
        if self._others is None:
            self._others = {
                path.rpartition("/")[2].casefold(): member
                for member, path in self.paths.items()
                if not is_image(path) and extension(path) not in _ANNOTATIONS
            }
        return self._others.get(re.split(r"[/\\]", reference.partition("?")[0])[-1].casefold())

    def seek(self, references: Sequence[str], folder: str) -> int | None:
        """Returns the image that one of the references means, seen from a folder, or None."""
        side = split_of(f"{folder}/")
        for reference in references:
            image = self._index.find(reference, folder)
            # what lies with the training data never means a validation image of the same name
            if image in self._images and (side is None or split_of(self._images[image]) in (None, side)):
                return image
        return None

    def use(self, member: int) -> None:
        """Note that this file was read: it is no stray."""
        self._read.add(member)

    def outline(self, member: int, make: Callable[[], "array[float]"]) -> Polygon | None:
        """Returns the area within the ring that ``make`` returns, or None.

        It is on record if ``make`` cannot return a ring, or the ring encloses nothing.
        """
        try:
            ring = make()
        except (TypeError, ValueError, LookupError, ArithmeticError) as error:
            self.invalid(member, f"an area has no proper coordinates ({error})")
            return None
        if len(ring) < _LEAST_NUMBERS or not shapes.area(ring):
            self.no_area(member, "empty outline")
            return None
        return Polygon(0, (ring,))

    def add(
        self,
        image: int,
        member: int,
        areas: list[Area],
        *,
        size: tuple[int, int] | None = None,
        is_relative: bool = False,
        split: Split | None = None,
    ) -> None:
        """Add an image with its areas, in the order of painting. The same twice is once, another is a clash."""
        known = self._entries.setdefault(image, _Entry(member, areas, size, is_relative, split))
        if known.areas != areas:
            self.clash(known.member, member)

    def note_unread(self, image: int, before: tuple[int, int]) -> None:
        """Note that what was not read since ``before`` (an earlier ``unread``) is of this image."""
        for counter, now, then in zip((self._boxes_in, self._lines_in), self.unread, before, strict=True):
            counter[image] += now - then

    def listed_names(self) -> tuple[list[str], str]:
        """Returns the class names of a labels.txt beside the data, in its order, and where they stand; no names without
        it.
        """
        for member in legends.find(self._tree)[:1]:
            self.use(member)
            names, issues = legends.read(self._tree, member)
            self.issues += issues
            if names is not None:
                return [*names.ordered, *(name for _, name in (*names.numbered, *names.colours))], names.source
        return [], "the annotations"

    def reading(self, layout: str, declared: Iterable[str] = (), source: str = "the annotations") -> Reading:
        """Returns samples of all that was gathered.

        ``declared`` are class names in the tool's own order, from ``source``.
        """
        listed = list(dict.fromkeys(declared))
        used = {name for entry in self._entries.values() for name, _ in entry.areas if name}
        only = self._only_class([*listed, *sorted(used - set(listed))])
        others = sorted((used | {only}) - {"", *listed})
        if listed and others:
            shown = ", ".join(map(plain, others[:_SHOWN]))
            self.assumptions.append(f"classes that {source} does not list come after those that it does: {shown}")
        values = class_names.numbers([*listed, *others])
        num_annotated = len(self._entries)
        boxed = self._without_boxes()
        samples = self._samples(values, only)
        self.assumptions += [*self.rectangles(), *self._background()]
        names = self._names_of(values, source) if values else None
        issues = [*self.issues, *self.complaints(num_annotated), *boxed, *self._left_out()]
        if not samples and not has_fault(issues):
            issues.append(Issue.of(Code.LAYOUT_NO_MASKS, "no image in the ZIP is annotated"))
        return Reading(layout, samples, names, issues, self.assumptions)

    def _without_boxes(self) -> list[Issue]:
        """Take away the images with boxes alone: their objects would be learnt as background. Lines and points may be
        all that there is to say of an image that is background.
        """
        boxed = [
            image
            for image, entry in self._entries.items()
            if not entry.areas and self._boxes_in[image] and not self._lines_in[image]
        ]
        num_annotated, num_areas = len(self._entries), self._areas.total()
        for image in boxed:
            del self._entries[image]
        self._skipped = frozenset(boxed)
        if not boxed or not num_areas:  # where there is no area at all, boxes are said otherwise
            return []
        few = 2 * len(boxed) < num_annotated
        message = (
            f"{len(boxed)} of {num_annotated} annotated images have boxes alone, whose objects would be learnt as "
        )
        message += "background" + (": these images are left out" if few else "")
        files = sorted(self._tree.names[image] for image in boxed)
        severity = Severity.WARNING if few else Severity.FAULT
        return [Issue.of(Code.ANNOTATION_NO_AREA, message, files=files, severity=severity, fix=_DRAW_OR_LEAVE)]

    def _background(self) -> Iterator[str]:
        """Yields assumptions on images without any area."""
        empty = [image for image, entry in self._entries.items() if not entry.areas]
        marked = sum(bool(self._boxes_in[image] or self._lines_in[image]) for image in empty)
        if empty:
            more = f", {marked} of them in spite of boxes, lines or points that are not learnt" if marked else ""
            yield f"{len(empty)} annotated images have no area: they are background throughout{more}"

    def _only_class(self, names: list[str]) -> str:
        """Returns the class of areas without a name: the only one there is, or "" where all have
        names, or none can be.
        """
        nameless = [entry for entry in self._entries.values() if any(not name for name, _ in entry.areas)]
        if not nameless:
            return ""
        count = sum(not name for entry in nameless for name, _ in entry.areas)
        files = sorted({self._tree.names[entry.member] for entry in nameless})
        real = [name for name in names if not (class_names.is_background(name) or class_names.is_void(name))]
        if len(real) > 1:
            message = f"{count} areas have no class name, and there are {len(real)} classes"
            self.issues.append(Issue.of(Code.ANNOTATION_UNNAMED, message, files=files, severity=Severity.FAULT))
            return ""
        only = real[0] if real else _ONLY_CLASS
        message = f"{count} areas have no class name, and were taken for '{plain(only)}'"
        self.issues.append(Issue.of(Code.ANNOTATION_UNNAMED, message, files=files, count=count))
        return only

    def _names_of(self, values: dict[str, int], source: str) -> ClassNames | None:
        try:
            return class_names.drawn(values, source)
        except DataError as error:
            self.issues += error.issues
            return None

    def _samples(self, values: dict[str, int], only: str) -> list[LabelledSample]:
        """Returns samples in the order of keys, which begin below the folder that all these images are in."""
        homes = {self._images[image].rpartition("/")[0] for image in self._entries}
        num_shared = affixes.num_shared_folders(homes) if homes else 0
        samples = []
        for image, entry in self._entries.items():
            path = self._images[image]
            *inner, name = path.split("/")[num_shared:]
            key = pairing_key("/".join((*(part for part in inner if part.casefold() not in SPLIT_FOLDERS), name)))
            split = entry.split or split_of(path)
            drawn = tuple(replace(shape, value=values.get(title or only, 0)) for title, shape in entry.areas)
            truth = Drawing(entry.member, drawn, entry.size, entry.is_relative)
            samples.append(LabelledSample(f"{split}/{key}" if split else key, image, split, truth))
        return sorted(samples, key=lambda sample: (sample.key, self._images[sample.image]))

    def _left_out(self) -> Iterator[Issue]:
        """Yields issues for images without an annotation, and for files that are neither."""
        annotated = {*self._entries, *self._skipped}
        lonely = sorted(self._tree.names[image] for image in self._images if image not in annotated)
        if lonely:
            enough = len(lonely) <= len(annotated)
            message = f"{len(lonely)} of {len(self._images)} images are not annotated"
            message += " in what could be read" if self.has_unread_files else ""
            yield Issue.of(
                Code.PAIR_MISSING_MASK,
                f"{message}; they are left out" if enough else message,
                files=lonely,
                severity=Severity.WARNING if enough else Severity.FAULT,
            )
        known = self._read.union(self._index.members)
        strays = [member for member, path in self.paths.items() if member not in known and not _is_document(path)]
        if strays:
            files = sorted(self._tree.names[member] for member in strays)
            yield Issue.of(Code.LAYOUT_STRAY_FILE, f"{len(files)} files were left out", files=files)


def _is_document(path: str) -> bool:
    """Whether a file is for people, so that it is no stray."""
    stem = PurePosixPath(path).stem.casefold()
    return extension(path) in _DOCUMENTS or stem in _DOCUMENT_STEMS or stem.startswith(".")
