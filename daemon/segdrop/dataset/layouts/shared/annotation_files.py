"""Annotation files as text, JSON, YAML, XML and rows, read within limits.

Everything raises DataError for what cannot be read. What is inside is untrusted: every value's type has to be looked at
before it is used.
"""

import csv
import io
import json
from typing import Any
from xml.etree import ElementTree as ET

from segdrop.codes import Code
from segdrop.dataset.archive.source import MemberError
from segdrop.dataset.archive.tree import Tree
from segdrop.errors import DataError, Issue

#: a thousand classes have some 30 000; PyYAML reads about 100 000 in a second
_MOST_YAML_BYTES = 1 << 18
#: a cell may hold the run lengths of a whole mask
_MOST_CELL_CHARACTERS = 1 << 24


def invalid(tree: Tree, member: int, reason: str) -> DataError:
    """Returns the error for an annotation file that is not what its layout says. ``reason`` goes on with "it …"."""
    name = tree.names[member]
    return DataError([Issue.of(Code.ANNOTATION_INVALID, f"{name}: {reason}", files=[name])])


def too_large(tree: Tree, member: int) -> DataError:
    """Returns the error for a file that does not fit into the memory of the check, with all that is made of it."""
    name = tree.names[member]
    message = f"{name}: its {tree.size_bytes(member)} bytes are more than can be read in the memory of the check"
    fix = "Pack the dataset in parts, or ask the operator to raise `limits.check_memory_bytes`."
    return DataError([Issue.of(Code.ANNOTATION_INVALID, message, files=[name], fix=fix)])


def text(tree: Tree, member: int) -> str:
    """Returns the file as text.

    It is UTF-8, UTF-16 with its byte order mark, else Windows-1252, in which every byte is a letter or refused.
    """
    try:
        content = tree.read(member)
    except MemberError as error:
        raise DataError(
            [Issue.of(Code.ARCHIVE_CORRUPT, f"{tree.names[member]}: {error}", files=[tree.names[member]])]
        ) from None
    except MemoryError:
        raise too_large(tree, member) from None
    codecs = ("utf-16",) if content.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "cp1252")
    for codec in codecs:
        try:
            return content.decode(codec)
        except UnicodeDecodeError:
            continue
        except MemoryError:
            raise too_large(tree, member) from None
    raise invalid(tree, member, "it is no text")


def load_json(tree: Tree, member: int) -> Any:  # noqa: ANN401  (whatever stands there)
    """Returns whatever value the JSON file holds."""
    try:
        return json.loads(text(tree, member))
    except ValueError as error:
        raise invalid(tree, member, f"it is no valid JSON ({error})") from None
    except RecursionError:
        raise invalid(tree, member, "it is too deeply nested") from None
    except MemoryError:
        raise too_large(tree, member) from None


def load_yaml(tree: Tree, member: int) -> Any:  # noqa: ANN401  (whatever stands there)
    """Returns the file as lists, mappings and texts: nothing in it is taken for a number or a date
    ("no" is a class).
    """
    import yaml  # noqa: PLC0415  (few datasets have any)

    if (size := tree.size_bytes(member)) > _MOST_YAML_BYTES:
        raise invalid(tree, member, f"it has {size} bytes, more than any list of classes")
    content = text(tree, member)
    try:
        return yaml.load(content, Loader=yaml.BaseLoader)  # noqa: S506  (this loader makes no objects)
    except (yaml.YAMLError, ValueError) as error:
        raise invalid(tree, member, f"it is no valid YAML ({' '.join(str(error).split())[:200]})") from None
    except (RecursionError, MemoryError):
        raise invalid(tree, member, "it is too deeply nested") from None


def load_xml(tree: Tree, member: int) -> ET.Element:
    """Returns the root element. Entities of the file's own are refused: annotation tools write none, bombs do."""
    content = text(tree, member)
    if "<!DOCTYPE" in content or "<!ENTITY" in content:
        raise invalid(tree, member, "it declares entities or a document type")
    try:
        # entities, the only danger, are refused above; the declared encoding no longer holds for text
        return ET.fromstring(content.partition("?>")[2] if content.startswith("<?xml") else content)  # noqa: S314
    except (ET.ParseError, ValueError) as error:
        raise invalid(tree, member, f"it is no valid XML ({error})") from None
    except MemoryError:
        raise too_large(tree, member) from None


def rows(tree: Tree, member: int) -> list[list[str]]:
    """Returns the cells of a CSV file, stripped; empty rows are left out."""
    csv.field_size_limit(_MOST_CELL_CHARACTERS)
    try:
        found = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text(tree, member)))]
    except csv.Error as error:
        raise invalid(tree, member, f"it is no valid CSV ({error})") from None
    return [row for row in found if any(row)]
