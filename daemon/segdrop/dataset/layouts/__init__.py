"""The layouts of datasets, one module each, and how the one of an archive is recognised.

To add one, write a module with ``NAME``, ``signature`` and ``read``, put it into a tier of ``TIERS``, and its name
into ``request.LayoutName``.
"""

from collections import Counter
from dataclasses import replace
from typing import Protocol

from segdrop.codes import Code, Severity
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts import (
    ade20k,
    bdd100k,
    camvid,
    cityscapes,
    coco,
    coco_panoptic,
    cvat,
    darwin,
    datumaro,
    eiseg,
    foreign,
    hasty,
    huggingface,
    instances,
    isat,
    isprs,
    kitti,
    label_studio,
    label_studio_png,
    labelme,
    labelme_xml,
    mapillary_v1,
    mapillary_v2,
    nnunet,
    oxford_pet,
    paired,
    retina,
    rivals,
    rle_csv,
    roboflow_masks,
    segment_anything,
    segments_ai,
    several_masks,
    superannotate,
    supervisely,
    twins,
    via,
    voc,
    voc_xml,
    yolo,
)
from segdrop.dataset.samples import Reading, extension
from segdrop.errors import DataError, Issue, has_fault

_SHOWN = 8


class Layout(Protocol):
    """Everything that the module of a layout offers."""

    NAME: str

    def signature(self, tree: Tree) -> str:
        """Returns by what the tree, seen from its root, is known to be laid out like this ("…"), or "" if it is not.

        Names are looked at first; contents only of a few files whose names fit.
        """

    def read(self, tree: Tree) -> Reading:
        """Returns the samples in the tree, also where the signature does not match, for a request that names the
        layout.

        Raises DataError where nothing in the tree can be read as this layout.
        """


#: folders of versions, whose parts other layouts have too
_VERSIONED: tuple[Layout, ...] = (mapillary_v1, mapillary_v2)
#: the more specific first: a tier is asked only where none before it fits. Two of one tier that fit are a fault.
TIERS: tuple[tuple[Layout, ...], ...] = (
    _VERSIONED,
    # a file or folder that only this tool or dataset has
    (ade20k, bdd100k, camvid, cityscapes, coco_panoptic, kitti, label_studio_png, roboflow_masks, supervisely, voc),
    (isprs, nnunet, oxford_pet, retina),
    # annotation files whose content has to be looked at
    (coco, cvat, huggingface, label_studio, labelme, labelme_xml, via, yolo),
    # the same, of tools that are met less often
    (darwin, datumaro, eiseg, hasty, isat, segment_anything, segments_ai, superannotate, voc_xml),
    # a folder of masks for each image
    (instances,),
    # run lengths, where no masks are there as pictures
    (rle_csv,),
    # several masks for an image, by names alone
    (several_masks,),
    # pairs of image and mask, by names alone
    (paired,),
    # the last resort: two folders of the same names, which say nothing of what is in them
    (twins,),
)
#: every layout by the name that a request has for it
LAYOUTS: dict[str, Layout] = {layout.NAME: layout for tier in TIERS for layout in tier}


#: what a fault says that is said better by the name of what is not read
_LESS_SAID = frozenset({Code.LAYOUT_UNKNOWN, Code.LAYOUT_NO_MASKS, Code.LAYOUT_NO_IMAGES, Code.LAYOUT_UNSUPPORTED})


def read(tree: Tree, wanted: str = "auto") -> Reading:
    """Recognise the layout, or take the one that the request names, and read the tree.

    Raises DataError where no layout fits, or more than one; it names the tool whose export it is, where that is known.
    """
    try:
        reading = _read(tree, wanted)
    except DataError as error:
        raise DataError(_named(tree, error.issues)) from None
    if reading.samples or not has_fault(reading.issues):
        return reading
    return replace(reading, issues=_named(tree, reading.issues))


def _named(tree: Tree, issues: list[Issue]) -> list[Issue]:
    """Returns issues with the names of what is in the tree and is not read, in place of those that say less."""
    if all(issue.code is Code.LAYOUT_AMBIGUOUS for issue in issues):
        return issues
    views = list(tree.views())
    fitting = {name for name, layout in LAYOUTS.items() if any(layout.signature(view) for view in views)}
    named = foreign.issues(tree, fitting)
    return [*named, *(issue for issue in issues if issue.code not in _LESS_SAID)] if named else issues


def _read(tree: Tree, wanted: str) -> Reading:
    """Returns the reading by the only layout that fits. Raises DataError where none fits, or more than one."""
    for tier in TIERS:
        for view in tree.views():
            fitting = {
                layout: reason
                for layout in tier
                if wanted in ("auto", layout.NAME) and (reason := layout.signature(view))
            }
            if len(fitting) > 1:
                return _with_areas(view, fitting)
            for layout, reason in fitting.items():
                found = rivals.apart(view, replace(layout.read(view), reason=reason), layout.read)
                found = _settled(found, wanted)
                return rivals.settled(tree, found) if wanted == "auto" else found
        if tier is _VERSIONED and (versions := rivals.versions(tree)):
            raise DataError(versions)
    if wanted in LAYOUTS:
        return _settled(LAYOUTS[wanted].read(tree.inside(tree.wrappers)), wanted)
    raise DataError(twins.explain(tree) or paired.explain(tree) or [_unknown(tree)])


def _settled(reading: Reading, wanted: str) -> Reading:
    """Returns the reading without its doubts where the request names the layout: people have decided."""
    if wanted != reading.layout or not reading.is_guess:
        return reading
    issues = [issue for issue in reading.issues if issue.code is not Code.LAYOUT_ASSUMED]
    return replace(reading, issues=issues, is_guess=False)


def _with_areas(view: Tree, fitting: dict[Layout, str]) -> Reading:
    """Returns the reading by the only one of several layouts that has areas; the others have boxes alone.

    Raises DataError where there is not just one.
    """
    boxes: dict[Layout, list[Issue]] = {}
    readings: dict[Layout, Reading] = {}
    for layout, reason in fitting.items():
        try:
            readings[layout] = replace(layout.read(view), reason=reason)
        except DataError as error:
            raise DataError([_ambiguous(fitting)]) from error
        faults = [issue for issue in readings[layout].issues if issue.severity is Severity.FAULT]
        if any(issue.code is Code.ANNOTATION_BOXES_ONLY for issue in faults):
            boxes[layout] = faults
    others = [layout for layout in fitting if layout not in boxes]
    if len(others) > 1:
        raise DataError([_ambiguous({layout: fitting[layout] for layout in others})])
    if not others:
        raise DataError([issue for issues in boxes.values() for issue in issues])
    left = ", ".join(f"`{layout.NAME}`" for layout in boxes)
    said = f"the files of {left} hold boxes alone: the areas of `{others[0].NAME}` are the truth"
    found = readings[others[0]]
    return replace(found, assumptions=[*found.assumptions, said])


def _ambiguous(fitting: dict[Layout, str]) -> Issue:
    """Returns the issue for several layouts of one tier that fit."""
    found = "; ".join(f"`{layout.NAME}` ({reason})" for layout, reason in fitting.items())
    keys = " or ".join(f'`"format": "{layout.NAME}"`' for layout in fitting)
    fix = f"Put {keys} into the request, or pack one of them alone."
    return Issue.of(Code.LAYOUT_AMBIGUOUS, f"the files fit {len(fitting)} layouts equally: {found}", fix=fix)


_ARCHIVES = frozenset({"zip", "rar", "7z", "tar", "gz", "tgz", "bz2", "xz", "zst"})
_UNPACK = "Unpack the archives within the ZIP, and pack the folders that come out of them as one ZIP."
#: kinds of files that hold truth for other programs
_UNSUPPORTED = frozenset(
    {
        *("mat", "npy", "npz", "pkl", "h5", "hdf5", "parquet", "tfrecord", "tfrecords"),
        *("nii", "nrrd", "dcm"),
        *_ARCHIVES,
    }
)


def _unknown(tree: Tree) -> Issue:
    """Returns the issue for a tree of no known layout: it shows the top folders and kinds of files instead."""
    inner = tree.inside(tree.wrappers)
    folders = Counter(path.partition("/")[0] + "/" for _, path in inner if "/" in path)
    kinds = Counter(extension(path) or "without extension" for _, path in inner)
    if unsupported := [name for name in tree.names if extension(name) in _UNSUPPORTED]:
        found = ", ".join(sorted({f".{extension(name)}" for name in unsupported}))
        return Issue.of(
            Code.LAYOUT_UNSUPPORTED,
            f"{len(unsupported)} files are of a kind that is not read ({found})",
            files=unsupported,
            fix=_UNPACK if all(extension(name) in _ARCHIVES for name in unsupported) else None,
        )
    seen = ", ".join(sorted(folders)[:_SHOWN]) or "none"
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(_SHOWN))
    return Issue.of(
        Code.LAYOUT_UNKNOWN,
        f"no known layout; folders at the top: {seen}; files: {counts}",
        count=sum(kinds.values()),
    )
