"""Lists of classes in JSON and YAML: ``id2label``, Datumaro's ``dataset_meta.json``, objects with names and colours.

Everything is untrusted: what is not like a list of classes is none, and no error.
"""

from collections.abc import Mapping
from typing import Any

from segdrop.dataset.classes.lists.entries import Entry, colour_in, colour_of, is_number

#: under which key a document has its list, the surest first
_KEYS = ("id2label", "label_map", "label2id", "labels", "classes", "categories", "names", "class_names", "label_names")
#: a document with one of these holds annotations, and its own reader knows what its classes mean
_ANNOTATIONS = frozenset({"images", "annotations", "shapes", "items", "licenses", "tasks"})
_NAMES = ("name", "class_name", "label", "class", "title", "label_name", "readable")
_NUMBERS = ("id", "value", "index", "class_id", "label_id", "pixel_value", "number", "classId", "labelId")
_COLOURS = ("color", "colour", "rgb", "hex", "color_hex", "rgb_color")
_CHANNELS = 3
_MOST = 1 << 12


def parse(document: Any, *, only_by_key: bool = False) -> list[Entry] | None:  # noqa: ANN401  (whatever stands there)
    """Returns the entries of a document, or None where it is no list of classes.

    With ``only_by_key``, the document is a configuration of some kind, whose list stands below a key of its own.
    """
    if isinstance(document, list):
        return None if only_by_key else _from_list(document)
    if not isinstance(document, dict) or _ANNOTATIONS & document.keys():
        return None
    for key in _KEYS:
        if key in document and isinstance(document[key], list | dict):
            found = _from_list(document[key]) if isinstance(document[key], list) else _from_mapping(document[key])
            return _with_colours(found, document.get("segmentation_colors"))
    return None if only_by_key else _from_mapping(document)


def _from_list(items: list[Any]) -> list[Entry] | None:
    if not items or len(items) > _MOST:
        return None
    if all(isinstance(item, str) for item in items):
        return [Entry(item.strip()) for item in items]
    found = [_from_object(item) for item in items if isinstance(item, dict)]
    whole = [entry for entry in found if entry is not None]
    return whole if len(whole) == len(items) else None


def _from_object(item: Mapping[str, Any], number: int | None = None) -> Entry | None:
    """Returns the class that an object describes, or None where it has no name."""
    name = next((item[key] for key in _NAMES if isinstance(item.get(key), str)), None)
    if name is None:
        return None
    given = next((value for key in _NUMBERS if (value := _number(item.get(key))) is not None), None)
    colour = next((value for key in _COLOURS if (value := _colour(item.get(key))) is not None), None)
    return Entry(name.strip(), given if number is None else number, colour)


def _from_mapping(items: Mapping[str, Any]) -> list[Entry] | None:
    """Returns entries of {value: name}, {name: value}, {name: colour}, {colour: name} or {value: object}."""
    if not items or len(items) > _MOST:
        return None
    found: list[Entry | None] = []
    for key, value in items.items():
        number, colour = _number(key), _colour(key)
        if isinstance(value, dict):
            found.append(_from_object({"name": key, **value}) if number is None else _from_object(value, number))
        elif number is not None and isinstance(value, str):
            found.append(Entry(value.strip(), number))
        elif colour is not None and isinstance(value, str):
            found.append(Entry(value.strip(), colour=colour))
        elif (own := _number(value)) is not None:
            found.append(Entry(key.strip(), own))
        elif (own := _colour(value)) is not None:
            found.append(Entry(key.strip(), colour=own))
        else:
            return None
    whole = [entry for entry in found if entry is not None]
    return whole if len(whole) == len(items) and _is_alike(whole) else None


def _is_alike(entries: list[Entry]) -> bool:
    """Whether all entries have a value, or all a colour."""
    return all(entry.number is not None for entry in entries) or all(entry.colour is not None for entry in entries)


def _with_colours(entries: list[Entry] | None, colours: Any) -> list[Entry] | None:  # noqa: ANN401  (as above)
    """Returns entries with the colours that stand in a list of their own, in the order of the values."""
    if entries is None or not isinstance(colours, list) or len(colours) != len(entries):
        return entries
    found = [_colour(colour) for colour in colours]
    order = sorted(entries, key=lambda entry: entry.number or 0)
    return [Entry(entry.name, entry.number, colour) for entry, colour in zip(order, found, strict=True)]


def _number(value: Any) -> int | None:  # noqa: ANN401  (as above)
    if isinstance(value, str) and is_number(value.strip()):
        return int(value)
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole and -1 <= value < 1 << 16 else None


def _colour(value: Any) -> int | None:  # noqa: ANN401  (as above)
    if isinstance(value, str):
        return colour_in(value)
    if isinstance(value, dict):
        value = [value.get(key) for key in ("r", "g", "b")]
    if not isinstance(value, list) or len(value) not in (_CHANNELS, _CHANNELS + 1):
        return None
    channels = [number for number in map(_number, value) if number is not None]
    return colour_of(channels) if len(channels) == len(value) else None
