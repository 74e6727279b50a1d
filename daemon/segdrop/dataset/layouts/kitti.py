"""KITTI's semantics: ``training/image_2/`` and ``training/semantic/``, with the ids of Cityscapes or a list of its own.

Other tools have ``train/`` and ``val/`` there. ``testing/image_2/`` has no truth; ``semantic_rgb/`` and ``instance/``
say nothing more about classes. Without ``semantic/``, classes are taken from ``instance/``, whose values are the id of
the class times 256 and the number of the object. Source: the development kit of KITTI's semantic segmentation benchmark
(2018), ``readme.txt``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.classes import legends
from segdrop.dataset.layouts.shared import street_labels
from segdrop.dataset.layouts.shared.pairing import Pattern, Scheme
from segdrop.dataset.samples import MaskFile, Reading, Truth

NAME = "kitti"

_SCHEME = Scheme(
    Pattern("(?P<split>[^/]+)/image_2", r"(?P<name>.+)\.[^./]+"),
    Pattern("(?P<split>[^/]+)/semantic", r"(?P<name>.+)\.png"),
    (Pattern("[^/]+/(?:semantic_rgb|instance|image_3)"),),
)
_INSTANCES = replace(_SCHEME, masks=Pattern("(?P<split>[^/]+)/instance", r"(?P<name>.+)\.png"))
_SAID = (
    "there is no semantic/: classes are taken from instance/, whose values are class id * 256 + number of the object"
)


class _UpperByte(Mapping[int, int]):
    """The class of each value of an instance map."""

    def __getitem__(self, number: int) -> int:
        """Returns the class."""
        return number >> 8

    def __iter__(self) -> Iterator[int]:
        """Yields all values."""
        return iter(range(len(self)))

    def __len__(self) -> int:
        """Returns the number of values."""
        return 1 << 16


_CLASSES = _UpperByte()


def signature(tree: Tree) -> str:
    """Returns by which folders the tree is known to be KITTI's, or ""."""
    if _SCHEME.fits(tree):
        return "image_2/ and semantic/"
    return "image_2/ and instance/" if _INSTANCES.fits(tree) else ""


def read(tree: Tree) -> Reading:
    """Returns the pairs of images and masks."""
    names, issues = street_labels.names(tree, street_labels.LABEL_IDS)
    by_instances = not _SCHEME.fits(tree) and _INSTANCES.fits(tree)
    pairs = (_INSTANCES if by_instances else _SCHEME).collect(tree, legends.find(tree)[:1]).pair()
    samples, said = pairs.samples, pairs.assumptions
    if by_instances:
        samples = [replace(sample, truth=_by_class(sample.truth)) for sample in samples]
        said = [_SAID, *said]
    return Reading(NAME, samples, names, [*issues, *pairs.issues], said)


def _by_class(truth: Truth) -> Truth:
    """Returns the truth of an instance map as classes."""
    return replace(truth, relabel=_CLASSES) if isinstance(truth, MaskFile) else truth
