"""Annotation files as text, JSON, YAML, XML and rows: read within limits; ``DataError`` for what cannot be read.

What is inside was written by strangers: every value's type has to be looked at before it is used.
"""

import csv
import io
import json
from typing import Any
from xml.etree import ElementTree as ET

from segdrop.dataset.source import MemberError
from segdrop.dataset.tree import Tree
from segdrop.errors import DataError, Issue

#: a thousand classes have some 30 000; PyYAML reads about 100 000 in a second
_MOST_YAML_CHARACTERS = 1 << 18


def invalid(tree: Tree, member: int, reason: str) -> DataError:
    """The error for an annotation file that is not what its layout says. ``reason`` goes on: "it …"."""
    name = tree.names[member]
    return DataError([Issue.of("annotation.invalid", f"{name}: {reason}", files=[name])])


def text(tree: Tree, member: int) -> str:
    """The file as text: UTF-8, UTF-16 with its mark, else Windows-1252, in which every byte is a letter or refused."""
    try:
        content = tree.read(member)
    except MemberError as error:
        raise DataError(
            [Issue.of("archive.corrupt", f"{tree.names[member]}: {error}", files=[tree.names[member]])]
        ) from None
    codecs = ("utf-16",) if content.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "cp1252")
    for codec in codecs:
        try:
            return content.decode(codec)
        except UnicodeDecodeError:
            continue
    raise invalid(tree, member, "it is no text")


def load_json(tree: Tree, member: int) -> Any:  # noqa: ANN401  (whatever stands there)
    try:
        return json.loads(text(tree, member))
    except ValueError as error:
        raise invalid(tree, member, f"it is no valid JSON ({error})") from None
    except (RecursionError, MemoryError):
        raise invalid(tree, member, "it is too large or too deeply nested") from None


def load_yaml(tree: Tree, member: int) -> Any:  # noqa: ANN401  (whatever stands there)
    """The file as lists, mappings and texts: nothing in it is taken for a number or a date ("no" is a class)."""
    import yaml  # noqa: PLC0415  (few datasets have any)

    content = text(tree, member)
    if len(content) > _MOST_YAML_CHARACTERS:
        raise invalid(tree, member, f"it has {len(content)} characters, more than any list of classes")
    try:
        return yaml.load(content, Loader=yaml.BaseLoader)  # noqa: S506  (this loader makes no objects)
    except (yaml.YAMLError, ValueError) as error:
        raise invalid(tree, member, f"it is no valid YAML ({' '.join(str(error).split())[:200]})") from None
    except (RecursionError, MemoryError):
        raise invalid(tree, member, "it is too deeply nested") from None


def load_xml(tree: Tree, member: int) -> ET.Element:
    """The root element. Entities of the file's own are refused: annotation tools write none, bombs do."""
    content = text(tree, member)
    if "<!DOCTYPE" in content or "<!ENTITY" in content:
        raise invalid(tree, member, "it declares entities or a document type")
    try:
        # entities, the only danger, are refused above; the declared encoding no longer holds for text
        return ET.fromstring(content.partition("?>")[2] if content.startswith("<?xml") else content)  # noqa: S314
    except (ET.ParseError, ValueError) as error:
        raise invalid(tree, member, f"it is no valid XML ({error})") from None
    except MemoryError:
        raise invalid(tree, member, "it is too large") from None


def rows(tree: Tree, member: int) -> list[list[str]]:
    """The cells of a CSV file, stripped; empty rows left out."""
    try:
        found = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text(tree, member)))]
    except csv.Error as error:
        raise invalid(tree, member, f"it is no valid CSV ({error})") from None
    return [row for row in found if any(row)]
