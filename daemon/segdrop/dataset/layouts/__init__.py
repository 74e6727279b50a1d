"""Layouts: one module each. ``signature`` says why a tree is laid out like this, ``read`` makes samples of it.

To add one: write the module, put it into a tier of ``TIERS``, and its name into ``request.AVAILABLE["format"]``.
"""

from collections import Counter
from dataclasses import replace
from typing import Protocol

from segdrop.dataset.layouts import (
    ade20k,
    bdd100k,
    camvid,
    cityscapes,
    coco,
    coco_panoptic,
    cvat,
    instances,
    kitti,
    label_studio,
    label_studio_png,
    labelme,
    labelme_xml,
    paired,
    roboflow_masks,
    supervisely,
    via,
    voc,
    yolo,
)
from segdrop.dataset.samples import Reading, extension
from segdrop.dataset.tree import Tree
from segdrop.errors import DataError, Issue

_SHOWN = 8


class Layout(Protocol):
    """What a layout's module offers."""

    NAME: str

    def signature(self, tree: Tree) -> str:
        """By what the tree, seen from its root, is known to be laid out like this ("…"); empty if it is not.

        Names are looked at first; contents only of a few files whose names fit.
        """

    def read(self, tree: Tree) -> Reading:
        """The samples in it; also where the signature does not match, for a request that names the layout."""


#: the more specific first: a tier is asked only where none before it fits. Two of one tier that fit are a fault.
TIERS: tuple[tuple[Layout, ...], ...] = (
    # a file or folder that only this tool or dataset has
    (ade20k, bdd100k, camvid, cityscapes, coco_panoptic, kitti, label_studio_png, roboflow_masks, supervisely, voc),
    # annotation files whose content has to be looked at
    (coco, cvat, label_studio, labelme, labelme_xml, via, yolo),
    # a folder of masks for each image
    (instances,),
    # pairs of image and mask, by names alone
    (paired,),
)
LAYOUTS: tuple[Layout, ...] = tuple(layout for tier in TIERS for layout in tier)


def read(tree: Tree, wanted: str = "auto") -> Reading:
    """Recognise the layout, or take the one the request names; ``DataError`` if there is none, or more than one."""
    for tier in TIERS:
        for view in tree.views():
            fitting = {
                layout: reason
                for layout in tier
                if wanted in ("auto", layout.NAME) and (reason := layout.signature(view))
            }
            if len(fitting) > 1:
                raise DataError([_ambiguous(fitting)])
            for layout, reason in fitting.items():
                return replace(layout.read(view), reason=reason)
    for layout in LAYOUTS:
        if wanted == layout.NAME:
            *_, inner = tree.views()
            return layout.read(inner)
    raise DataError(paired.explain(tree) or [_unknown(tree)])


def _ambiguous(fitting: dict[Layout, str]) -> Issue:
    found = "; ".join(f"`{layout.NAME}` ({reason})" for layout, reason in fitting.items())
    return Issue.of("layout.ambiguous", f"the files fit {len(fitting)} layouts equally: {found}")


#: kinds of files that hold truth for other programs
_UNSUPPORTED = frozenset(
    {
        *("mat", "npy", "npz", "pkl", "h5", "hdf5", "parquet", "tfrecord", "tfrecords"),
        *("nii", "nrrd", "dcm"),
        *("zip", "rar", "7z", "tar", "gz", "tgz"),
    }
)


def _unknown(tree: Tree) -> Issue:
    """What was seen instead: top folders and kinds of files."""
    *_, inner = tree.views()
    folders = Counter(path.partition("/")[0] + "/" for _, path in inner if "/" in path)
    kinds = Counter(extension(path) or "without extension" for _, path in inner)
    if unsupported := [name for name in tree.names if extension(name) in _UNSUPPORTED]:
        found = ", ".join(sorted({f".{extension(name)}" for name in unsupported}))
        return Issue.of(
            "layout.unsupported",
            f"{len(unsupported)} files are of a kind that is not read ({found})",
            files=unsupported,
        )
    seen = ", ".join(sorted(folders)[:_SHOWN]) or "none"
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(_SHOWN))
    return Issue.of(
        "layout.unknown",
        f"no known layout; folders at the top: {seen}; files: {counts}",
        count=sum(kinds.values()),
    )
