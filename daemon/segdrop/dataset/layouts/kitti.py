"""KITTI's semantics: ``training/image_2/`` and ``training/semantic/``, with the ids of Cityscapes.

``testing/image_2/`` has no truth; ``semantic_rgb/`` and ``instance/`` say nothing more about classes. Source: the
development kit of KITTI's semantic segmentation benchmark (2018), ``readme.txt``.
"""

import re

from segdrop.dataset.layouts import street_labels
from segdrop.dataset.layouts.pairing import Scheme
from segdrop.dataset.samples import Reading
from segdrop.dataset.tree import Tree

NAME = "kitti"

_SCHEME = Scheme(
    re.compile(r"(?:.*/)?(?P<split>training|testing)/image_2/(?P<name>.+)\.[^./]+"),
    re.compile(r"(?:.*/)?(?P<split>training|testing)/semantic/(?P<name>.+)\.png"),
    re.compile(r"(?:.*/)?(?:training|testing)/(?:semantic_rgb|instance|image_3)/.+"),
)


def signature(tree: Tree) -> str:
    return "training/image_2/ and training/semantic/" if _SCHEME.fits(tree) else ""


def read(tree: Tree) -> Reading:
    pairs = _SCHEME.sides(tree).pair()
    return Reading(NAME, pairs.samples, street_labels.LABEL_IDS, pairs.issues, pairs.assumptions)
