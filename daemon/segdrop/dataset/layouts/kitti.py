"""KITTI's semantics: ``training/image_2/`` and ``training/semantic/``, with the ids of Cityscapes or a list of its own.

Other tools have ``train/`` and ``val/`` there. ``testing/image_2/`` has no truth; ``semantic_rgb/`` and ``instance/``
say nothing more about classes. Source: the development kit of KITTI's semantic segmentation benchmark (2018),
``readme.txt``.
"""

import re

from segdrop.dataset import legends
from segdrop.dataset.layouts import street_labels
from segdrop.dataset.layouts.pairing import Scheme
from segdrop.dataset.samples import Reading
from segdrop.dataset.tree import Tree

NAME = "kitti"

_SCHEME = Scheme(
    re.compile(r"(?:.*/)?(?P<split>[^/]+)/image_2/(?P<name>.+)\.[^./]+"),
    re.compile(r"(?:.*/)?(?P<split>[^/]+)/semantic/(?P<name>.+)\.png"),
    re.compile(r"(?:.*/)?[^/]+/(?:semantic_rgb|instance|image_3)/.+"),
)


def signature(tree: Tree) -> str:
    return "image_2/ and semantic/" if _SCHEME.fits(tree) else ""


def read(tree: Tree) -> Reading:
    names, issues = street_labels.names(tree, street_labels.LABEL_IDS)
    pairs = _SCHEME.sides(tree, legends.find(tree)[:1]).pair()
    return Reading(NAME, pairs.samples, names, [*issues, *pairs.issues], pairs.assumptions)
