"""COCO's JSON files, for instances and panoptic alike: found by their keys, read one by one, their images looked up."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from segdrop.codes import Code
from segdrop.dataset.archive.source import MemberError
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.class_names import MAX_CLASSES
from segdrop.dataset.layouts.shared import annotation_files
from segdrop.dataset.layouts.shared.annotated import Gathering, members, split_of
from segdrop.dataset.layouts.shared.folders import SPLIT_FOLDERS
from segdrop.dataset.layouts.shared.matching import ImageIndex
from segdrop.dataset.samples import Split
from segdrop.errors import DataError, Issue

_KEYS = ("images", "annotations", "categories")
_PANOPTIC_KEY = b'"segments_info"'
#: beginnings of the names of COCO's own files that repeat the images for another task
_KEY_POINTS = "person_keypoints_"
_OTHER_TASKS = ("captions_", _KEY_POINTS, "image_info_")
_MOST_PEEKED = 12
#: folders of a side of the split that are looked at, and that file names are looked for in
_MOST_FOLDERS_SEEN, _MOST_FOLDERS = 1_000, 20


@dataclass(slots=True)
class Document:
    """One file. ``titles`` has the class name by category id; ids are kept as texts, since some tools write them so."""

    member: int
    folder: str
    stem: str
    split: Split | None
    images: list[Any]
    annotations: list[dict[str, Any]]
    titles: dict[str, str] = field(default_factory=dict)


def candidates(tree: Tree, *, is_panoptic: bool) -> list[int]:
    """Returns the JSON files that have COCO's keys, by a look at a few of them, in the order of their paths."""
    files = members(tree, "json")
    named = [entry for entry in files if re.search("coco|instances|panoptic|stuff", _name(entry[1]))]
    peeked = {*named[:_MOST_PEEKED], *files[:_MOST_PEEKED], *files[-_MOST_PEEKED:]}
    found = [entry for entry in files if entry in peeked and not _name(entry[1]).startswith(_OTHER_TASKS)]
    fitting = [member for member, _ in found if _has_keys(tree, member, is_panoptic=is_panoptic)]
    if fitting or is_panoptic:
        return fitting
    # people with key points have outlines, too
    rest = [entry for entry in files if entry in peeked and _name(entry[1]).startswith(_KEY_POINTS)]
    return [member for member, _ in rest if _has_keys(tree, member, is_panoptic=False)]


def _name(path: str) -> str:
    return path.rpartition("/")[2].casefold()


def _has_keys(tree: Tree, member: int, *, is_panoptic: bool) -> bool:
    """Whether a file has COCO's keys, and is panoptic as asked."""
    try:
        content = tree.read(member)
    except (MemberError, LookupError):
        return False
    except MemoryError:
        raise annotation_files.too_large(tree, member) from None
    return all(f'"{key}"'.encode() in content for key in _KEYS) and (_PANOPTIC_KEY in content) is is_panoptic


def read(tree: Tree, gathering: Gathering, files: list[int]) -> list[Document]:
    """Returns the files that can be read, with their categories. Raises DataError if there are none."""
    documents, issues = [], []
    for member in files:
        gathering.use(member)
        try:
            documents.append(_document(tree, gathering, member))
        except DataError as error:
            gathering.broken(error)
            issues += error.issues
    if not documents:
        raise DataError(issues or [Issue.of(Code.LAYOUT_NO_MASKS, f"no JSON file has lists of {', '.join(_KEYS)}")])
    return documents


def _document(tree: Tree, gathering: Gathering, member: int) -> Document:
    """Reads one file. Raises DataError where it is not COCO's."""
    content = annotation_files.load_json(tree, member)
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in _KEYS):
        raise annotation_files.invalid(tree, member, f"it has no lists of {', '.join(_KEYS)}")
    folder, _, name = gathering.paths[member].rpartition("/")
    stem = name.rpartition(".")[0].casefold()
    entries = [entry for entry in content["annotations"] if isinstance(entry, dict)]
    if len(entries) < len(content["annotations"]):
        gathering.invalid(member, "an annotation is no object")
    split = _split_in(stem) or split_of(f"{folder}/")
    document = Document(member, folder, stem, split, content["images"], entries)
    _read_titles(document, content["categories"], gathering)
    return document


def _split_in(stem: str) -> Split | None:
    """Returns the side that a file's name speaks of ("instances_val2017"), or None where it speaks of several."""
    words = (word.rstrip("0123456789") for word in re.split(r"[\W_]+", stem))
    found = {SPLIT_FOLDERS[word] for word in words if word in SPLIT_FOLDERS}
    return found.pop() if len(found) == 1 else None


def _read_titles(document: Document, categories: list[Any], gathering: Gathering) -> None:
    """Read class names by id, without Roboflow's category 0, which only groups the others and has no annotations."""
    known = [entry for entry in categories if isinstance(entry, dict)]
    groups = {str(entry.get("supercategory")) for entry in known}
    used = used_ids(document)
    for entry in known:
        number, title = identity(entry.get("id")), entry.get("name")
        if number is None or not isinstance(title, str) or not title.strip() or number in document.titles:
            gathering.invalid(document.member, "a category has no name, or no id of its own")
        elif number == "0" and entry.get("supercategory") == "none" and title in groups and number not in used:
            gathering.assumptions.append(f"category 0, '{title}', only groups the others and is no class")
        else:
            document.titles[number] = title.strip()


def used_ids(document: Document) -> set[str | None]:
    """Returns the ids of the categories in use."""
    segments = (info for entry in document.annotations for info in segments_of(entry))
    return {identity(entry.get("category_id")) for entry in (*document.annotations, *segments)}


def listed(documents: list[Document], gathering: Gathering) -> list[str]:
    """Returns class names in the order of the lists; only those in use where more are listed than there can be."""
    titles = [title for document in documents for title in document.titles.values()]
    if len(set(titles)) <= MAX_CLASSES:
        return titles
    gathering.assumptions.append(f"of the {len(set(titles))} categories that are listed, those in use are the classes")
    used = [(document.titles, used_ids(document)) for document in documents]
    return [title for known, numbers in used for number, title in known.items() if number in numbers]


def segments_of(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the segments of a panoptic annotation."""
    found = entry.get("segments_info")
    return [info for info in found if isinstance(info, dict)] if isinstance(found, list) else []


def identity(number: object) -> str | None:
    """Returns an id as text, or None for what cannot be one."""
    return str(number)[:100] if isinstance(number, int | str) else None


def images(
    document: Document, index: ImageIndex, gathering: Gathering
) -> Iterator[tuple[str, dict[str, Any], int | None]]:
    """Yields the id of each image that a file lists, its entry and its member, which is None if it
    is not in the ZIP.
    """
    sides = _sides(document, index)
    seen = set()
    for entry in document.images:
        number = identity(entry.get("id")) if isinstance(entry, dict) else None
        name = entry.get("file_name") if isinstance(entry, dict) else None
        if number is None or number in seen or not isinstance(name, str):
            gathering.invalid(document.member, "an image has no file name, or no id of its own")
            continue
        seen.add(number)
        bare = name.replace("\\", "/").rpartition("/")[2]
        wanted = [*(f"{side}/{name}" for side in sides), name, *(f"{side}/{bare}" for side in sides)]
        found = (index.find(reference, document.folder) for reference in wanted)
        member = next((image for image in found if image is not None and _is_meant(document, index, image)), None)
        if member is None:
            gathering.lost([name], document.member)
        yield number, entry, member


def _sides(document: Document, index: ImageIndex) -> list[str]:
    """Returns folders of the file's side of the split: those that are named so, then some that hold images."""
    if document.split is None:
        return []
    folders = sorted({path.rpartition("/")[0] for path in index.members.values()})
    own = [folder for folder in folders if split_of(f"{folder}/") is document.split][:_MOST_FOLDERS_SEEN]
    parts = [folder.split("/") for folder in own]
    named = {"/".join(part[: i + 1]) for part in parts for i in range(len(part)) if split_of(f"{part[i]}/")}
    return list(dict.fromkeys((*sorted(named)[:_MOST_FOLDERS], *own[:_MOST_FOLDERS])))


def _is_meant(document: Document, index: ImageIndex, image: int) -> bool:
    """Whether a file of one split may mean the image: not one in another split's folder."""
    side = split_of(index.members[image])
    return None in (side, document.split) or side is document.split
