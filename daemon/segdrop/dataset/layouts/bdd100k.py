"""BDD100K: ``images/10k/<split>/`` and ``labels/sem_seg/masks/<split>/``, or ``seg/images`` and ``seg/labels`` of 2018.

Masks hold train ids. Source: bdd100k/bdd100k ``doc/format.md`` (semantic segmentation).
"""

import re

from segdrop.dataset.layouts import street_labels
from segdrop.dataset.layouts.pairing import Scheme
from segdrop.dataset.samples import Reading
from segdrop.dataset.tree import Tree

NAME = "bdd100k"

_SCHEME = Scheme(
    re.compile(r"(?:.*/)?(?:images/10k|seg/images)/(?:(?P<split>[^/]+)/)?(?P<name>.+)\.[^./]+"),
    re.compile(r"(?:.*/)?(?:labels/sem_seg/masks|seg/labels)/(?:(?P<split>[^/]+)/)?(?P<name>.+?)(?:_train_id)?\.png"),
    re.compile(r"(?:.*/)?(?:images/100k|seg/color_labels|labels/\w+/(?:bitmasks|colormaps|polygons|rles))/.+"),
)


def signature(tree: Tree) -> str:
    return "images/10k/ and labels/sem_seg/masks/" if _SCHEME.fits(tree) else ""


def read(tree: Tree) -> Reading:
    pairs = _SCHEME.sides(tree).pair()
    return Reading(NAME, pairs.samples, street_labels.TRAIN_IDS, pairs.issues, pairs.assumptions)
