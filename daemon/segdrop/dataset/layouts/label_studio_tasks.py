"""What a Label Studio task holds: its images, the annotation that counts, and for which image a result is.

A task names its images under keys of its data (``before``, ``after``), a result names a tag of the labelling
configuration (``to_name``). The configuration joins the two and is in no export: only where tags are called like the
keys is it known which image is meant. Of a list of images (``valueList``), a result says its place (``item_index``).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from segdrop.dataset.samples import is_image

#: the mark that an upload puts in front of a file's name
_UPLOAD_MARK = re.compile(r"^[0-9a-f]{8}-")
#: keys that repeat the name of the image under another key
_NAMES_AGAIN = re.compile("file|name|path")
#: what a value has that says where something is in an image
PLACES = frozenset({"points", "vertices", "rle", "imageDataURL", "radiusX", "x"})


@dataclass(slots=True)
class TaskImage:
    """Tells what may name one image of a task, and the place in the list that it comes from."""

    references: list[str] = field(default_factory=list)
    place: int | None = None


def of_task(data: dict[str, Any]) -> dict[str, list[TaskImage]]:
    """Returns the images of a task by their keys; those that only repeat a name belong to all."""
    found: dict[str, list[TaskImage]] = {}
    again: list[str] = []
    for key, value in data.items():
        values = value if isinstance(value, list) else [value]
        named = [entry for entry in values if isinstance(entry, str) and _names_image(entry)]
        if named and isinstance(value, str) and _NAMES_AGAIN.search(key.casefold()):
            again += _references(value)
        elif named and len(named) == len(values):
            is_list = isinstance(value, list) and len(value) > 1
            found[key] = [TaskImage(_references(e), i if is_list else None) for i, e in enumerate(named)]
    if not found and again:
        return {"": [TaskImage(again)]}
    if len(found) == 1 and len(images := next(iter(found.values()))) == 1:
        images[0].references += again
    return found


def _names_image(text: str) -> bool:
    return is_image(text.partition("?d=")[2] or text.partition("?")[0])


def _references(text: str) -> list[str]:
    """Returns a path or URL, and the name of its file without the mark of an upload."""
    name = re.split(r"[/\\=]", text.partition("?d=")[2] or text.partition("?")[0])[-1]
    return [text, _UPLOAD_MARK.sub("", name)] if _UPLOAD_MARK.match(name) else [text]


def tags(results: Iterable[Any]) -> set[str]:
    """Returns the names of the tags that results with a place in an image are for."""
    return {
        name
        for result in results
        if isinstance(result, dict) and isinstance(name := result.get("to_name"), str) and has_place(result)
    }


def layers(results: Iterable[Any]) -> set[str]:
    """Returns the names of the control tags that results with a place in an image were made with."""
    return {
        name
        for result in results
        if isinstance(result, dict) and isinstance(name := result.get("from_name"), str) and has_place(result)
    }


def has_place(result: Any) -> bool:  # noqa: ANN401  (whatever stands there)
    """Whether a result says where something is, as a polygon does and a choice does not."""
    value = result.get("value") if isinstance(result, dict) else None
    return isinstance(value, dict) and not PLACES.isdisjoint(value)


def by_tag(names: Iterable[str], keys: Iterable[str]) -> dict[str, str] | None:
    """Returns the key of each tag that is called like it, exactly or as the only one; None unless all are told."""
    known = list(keys)
    found: dict[str, str] = {}
    for name in names:
        spelt = name.casefold()
        same = [key for key in known if key.casefold() == spelt]
        alike = same or [key for key in known if key.casefold() in spelt or spelt in key.casefold()]
        if len(alike) != 1 or alike[0] in found.values():
            return None
        found[name] = alike[0]
    return found


def is_task(task: dict[str, Any]) -> bool:
    """Whether an entry has the form of the JSON export, not of JSON-MIN."""
    return isinstance(task.get("data"), dict) and ("annotations" in task or "completions" in task)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The results of the annotation that counts, None if there is none; and what else the task has."""

    results: list[Any] | None
    num_further: int = 0
    is_ground_truth: bool = False


def _of_annotations(task: dict[str, Any]) -> Chosen:
    """Returns the results of the annotation marked as ground truth, else of the first; skipped ones do not count."""
    given = task.get("annotations", task.get("completions"))
    kept = [
        entry
        for entry in (given if isinstance(given, list) else [])
        if isinstance(entry, dict)
        and isinstance(entry.get("result"), list)
        and not (entry.get("was_cancelled") or entry.get("skipped"))
    ]
    if not kept:
        return Chosen(None)
    best = next((entry for entry in kept if _is_true(entry)), kept[0])
    return Chosen(best["result"], len(kept) - 1, len(kept) > 1 and _is_true(best))


def _is_true(entry: dict[str, Any]) -> bool:
    """Whether an annotation is marked as ground truth; the first versions called that an honeypot."""
    return bool(entry.get("ground_truth") or entry.get("honeypot"))


def _min_results(record: dict[str, Any]) -> list[Any]:
    """Returns the results of a JSON-MIN record, which has values without their frames, in lists under the name of the
    tag.
    """
    values = [value for entries in record.values() if isinstance(entries, list) for value in entries]
    return [
        {"value": value, **{key: value.get(key) for key in ("original_width", "original_height")}}
        for value in values
        if isinstance(value, dict)
    ]


def chosen(task: dict[str, Any]) -> Chosen:
    """Returns the results of a task or a JSON-MIN record that count."""
    return _of_annotations(task) if is_task(task) else Chosen(_min_results(task))
