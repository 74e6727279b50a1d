"""What layouts with annotation files share: images with their named areas, gathered, numbered and made into samples.

Nothing raises at the first fault: whatever is wrong is gathered too.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from segdrop.codes import Severity
from segdrop.dataset import legends, shapes
from segdrop.dataset import names as class_names
from segdrop.dataset.layouts.complaints import Complaints, plain
from segdrop.dataset.layouts.paired import SPLIT_FOLDERS
from segdrop.dataset.matching import ImageIndex
from segdrop.dataset.names import Names
from segdrop.dataset.samples import Drawing, Reading, Sample, Split, extension, pairing_key
from segdrop.dataset.shapes import Polygon, Shape
from segdrop.dataset.tree import Tree
from segdrop.errors import DataError, Issue, has_fault

if TYPE_CHECKING:
    from array import array

_LEAST_NUMBERS = 6  #: of a ring: three points
_LARGEST_SIDE = 1 << 16
_SHOWN = 5
_REQUEST = "segdrop.json"
#: files that no tool reads, and nobody misses
_DOCUMENTS = frozenset({"md", "rst", "html", "pdf"})
_DOCUMENT_STEMS = frozenset({"readme", "license", "licence", "segdrop", "thumbs"})
#: the class where nothing has a name
_ONLY_CLASS = "object"

#: a class name, or nothing, and a shape whose value is still open
Area = tuple[str, Shape]


def members(tree: Tree, *extensions: str) -> list[tuple[int, str]]:
    """Members with one of the extensions and their paths, in the order of paths; never the request."""
    fitting = [(path, member) for member, path in tree if extension(path) in extensions]
    return [(member, path) for path, member in sorted(fitting) if path.rpartition("/")[2].casefold() != _REQUEST]


def split_of(path: str) -> Split | None:
    """The side that a folder in the path stands for ("train", "val2017")."""
    folders = (folder.rstrip("0123456789_- ") for folder in path.casefold().split("/")[:-1])
    return next((SPLIT_FOLDERS[folder] for folder in folders if folder in SPLIT_FOLDERS), None)


def pixel_size(width: object, height: object) -> tuple[int, int] | None:
    """(width, height) where both, as numbers or as text, are sides of an image."""
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
    """Images with their areas, and what is wrong with them, as they come out of annotation files."""

    def __init__(self, tree: Tree, is_data: Callable[[str], bool] = lambda _: True) -> None:
        """``is_data``: whether an image with this path is one of the dataset, not a by-product of the tool."""
        super().__init__(tree.names)
        self.paths = dict(tree)
        self.issues: list[Issue] = []
        self.assumptions: list[str] = []
        self._tree = tree
        self._index = ImageIndex(tree)
        self._images = {member: path for member, path in self._index.members.items() if is_data(path)}
        self._entries: dict[int, _Entry] = {}
        self._read: set[int] = set()

    def find(self, references: Sequence[str], member: int, folder: str) -> int | None:
        """The image that one of the references means, seen from a folder; on record as missing if none does."""
        side = split_of(f"{folder}/")
        for reference in references:
            image = self._index.find(reference, folder)
            # what lies with the training data never means a validation image of the same name
            if image in self._images and (side is None or split_of(self._images[image]) in (None, side)):
                return image
        self.missing(member, references[0])
        return None

    def use(self, member: int) -> None:
        """This file was read: it is no stray."""
        self._read.add(member)

    def outline(self, member: int, make: Callable[[], "array[float]"]) -> Polygon | None:
        """The area within the ring that ``make`` returns; on record if it cannot, or the ring encloses nothing."""
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
        """An image with its areas, in the order of painting. The same twice is once, another is a clash."""
        known = self._entries.setdefault(image, _Entry(member, areas, size, is_relative, split))
        if known.areas != areas:
            self.clash(known.member, member)

    def listed_names(self) -> tuple[list[str], str]:
        """The class names of a labels.txt beside the data, in its order, and its name; none if there is no such."""
        for member in legends.find(self._tree)[:1]:
            self.use(member)
            names, issues = legends.read(self._tree, member)
            self.issues += issues
            if names is not None:
                return [*names.ordered, *(name for _, name in (*names.numbered, *names.colours))], names.source
        return [], "the annotations"

    def reading(self, layout: str, declared: Iterable[str] = (), source: str = "the annotations") -> Reading:
        """Samples of all that was gathered. ``declared``: class names in the tool's own order, from ``source``."""
        listed = list(dict.fromkeys(declared))
        used = {name for entry in self._entries.values() for name, _ in entry.areas if name}
        only = self._only_class([*listed, *sorted(used - set(listed))])
        others = sorted((used | {only}) - {"", *listed})
        if listed and others:
            shown = ", ".join(map(plain, others[:_SHOWN]))
            self.assumptions.append(f"classes that {source} does not list come after those that it does: {shown}")
        values = class_names.numbers([*listed, *others])
        samples = self._samples(values, only)
        empty = sum(not entry.areas for entry in self._entries.values())
        if empty:
            self.assumptions.append(f"{empty} annotated images have no area: they are background throughout")
        names = self._names_of(values, source) if values else None
        issues = [*self.issues, *self.complaints(len(self._entries)), *self._left_out()]
        if not samples and not has_fault(issues):
            issues.append(Issue.of("layout.no_masks", "no image in the ZIP is annotated"))
        return Reading(layout, samples, names, issues, self.assumptions)

    def _only_class(self, names: list[str]) -> str:
        """The class of areas without a name: the only one there is; nothing where all have names, or none can be."""
        nameless = [entry for entry in self._entries.values() if any(not name for name, _ in entry.areas)]
        if not nameless:
            return ""
        count = sum(not name for entry in nameless for name, _ in entry.areas)
        files = sorted({self._tree.names[entry.member] for entry in nameless})
        real = [name for name in names if not (class_names.is_background(name) or class_names.is_void(name))]
        if len(real) > 1:
            message = f"{count} areas have no class name, and there are {len(real)} classes"
            self.issues.append(Issue.of("annotation.unnamed", message, files=files, severity=Severity.FAULT))
            return ""
        only = real[0] if real else _ONLY_CLASS
        message = f"{count} areas have no class name, and were taken for '{plain(only)}'"
        self.issues.append(Issue.of("annotation.unnamed", message, files=files, count=count))
        return only

    def _names_of(self, values: dict[str, int], source: str) -> Names | None:
        try:
            return class_names.drawn(values, source)
        except DataError as error:
            self.issues += error.issues
            return None

    def _samples(self, values: dict[str, int], only: str) -> list[Sample]:
        """In the order of keys, which begin below the folder that all these images are in."""
        folders = [PurePosixPath(self._images[image]).parent.parts for image in self._entries]
        shared = 0
        while folders and all(len(parts) > shared and parts[shared] == folders[0][shared] for parts in folders):
            shared += 1
        samples = []
        for image, entry in self._entries.items():
            path = self._images[image]
            *inner, name = PurePosixPath(path).parts[shared:]
            key = pairing_key("/".join((*(part for part in inner if part.casefold() not in SPLIT_FOLDERS), name)))
            split = entry.split or split_of(path)
            drawn = tuple(replace(shape, value=values.get(title or only, 0)) for title, shape in entry.areas)
            truth = Drawing(entry.member, drawn, entry.size, entry.is_relative)
            samples.append(Sample(f"{split}/{key}" if split else key, image, truth, split))
        return sorted(samples, key=lambda sample: (sample.key, self._images[sample.image]))

    def _left_out(self) -> Iterator[Issue]:
        """Images that no annotation knows, and files that are neither."""
        lonely = sorted(self._tree.names[image] for image in self._images if image not in self._entries)
        if lonely:
            enough = len(lonely) <= len(self._entries)
            message = f"{len(lonely)} of {len(self._images)} images are not annotated"
            yield Issue.of(
                "pair.missing_mask",
                f"{message}; they are left out" if enough else message,
                files=lonely,
                severity=Severity.WARNING if enough else Severity.FAULT,
            )
        known = self._read.union(self._index.members)
        strays = [member for member, path in self.paths.items() if member not in known and not _is_document(path)]
        if strays:
            files = sorted(self._tree.names[member] for member in strays)
            yield Issue.of("layout.stray_file", f"{len(files)} files were left out", files=files)


def _is_document(path: str) -> bool:
    stem = PurePosixPath(path).stem.casefold()
    return extension(path) in _DOCUMENTS or stem in _DOCUMENT_STEMS or stem.startswith(".")
