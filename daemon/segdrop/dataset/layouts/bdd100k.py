"""BDD100K: ``images/10k/<split>/`` and ``labels/sem_seg/masks/<split>/``, or ``seg/images`` and ``seg/labels`` of 2018.

Masks hold train ids. Source: bdd100k/bdd100k ``doc/format.md`` (semantic segmentation).
"""

from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import street_labels
from segdrop.dataset.layouts.shared.pairing import Pattern, Scheme
from segdrop.dataset.samples import Reading

NAME = "bdd100k"

_SCHEME = Scheme(
    Pattern("(?:images/10k|seg/images)", r"(?:(?P<split>[^/]+)/)?(?P<name>.+)\.[^./]+"),
    Pattern("(?:labels/sem_seg/masks|seg/labels)", r"(?:(?P<split>[^/]+)/)?(?P<name>.+?)(?:_train_id)?\.png"),
    (Pattern(r"(?:images/100k|seg/color_labels|labels/\w+/(?:bitmasks|colormaps|polygons|rles))"),),
)


def signature(tree: Tree) -> str:
    """Returns by which folders the tree is known to be BDD100K, or ""."""
    return "images/10k/ and labels/sem_seg/masks/" if _SCHEME.fits(tree) else ""


def read(tree: Tree) -> Reading:
    """Returns the pairs of images and masks of train ids."""
    pairs = _SCHEME.collect(tree).pair()
    return Reading(NAME, pairs.samples, street_labels.TRAIN_IDS, pairs.issues, pairs.assumptions)
