"""What a JSON Schema says about a value, for the keywords that our schemas use; any other keyword is an error here."""

from collections.abc import Callable, Iterator
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
#: they say nothing about validity
_ANNOTATIONS = {"$schema", "$defs", "title", "description", "default", "format", "discriminator"}
_UNIONS = ("anyOf", "oneOf")
_NESTED = ("properties", "items", "prefixItems")
_ANNOTATIONS |= {*_UNIONS, *_NESTED}


#: whether a value is as a keyword wants it; what it says nothing about is
_CHECKS: dict[str, Callable[[Any, Any, dict[str, Any]], bool]] = {
    "type": lambda wanted, value, _: (
        isinstance(value, _TYPES[wanted]) and (wanted == "boolean" or not isinstance(value, bool))
    ),
    "const": lambda wanted, value, _: value == wanted,
    "enum": lambda wanted, value, _: value in wanted,
    "required": lambda wanted, value, _: not isinstance(value, dict) or value.keys() >= set(wanted),
    "additionalProperties": lambda wanted, value, schema: (
        wanted is not False or not isinstance(value, dict) or value.keys() <= schema.get("properties", {}).keys()
    ),
    "minimum": lambda wanted, value, _: not _is_number(value) or value >= wanted,
    "maximum": lambda wanted, value, _: not _is_number(value) or value <= wanted,
    "exclusiveMinimum": lambda wanted, value, _: not _is_number(value) or value > wanted,
    "exclusiveMaximum": lambda wanted, value, _: not _is_number(value) or value < wanted,
    "minItems": lambda wanted, value, _: not isinstance(value, list) or len(value) >= wanted,
    "maxItems": lambda wanted, value, _: not isinstance(value, list) or len(value) <= wanted,
    "maxLength": lambda wanted, value, _: not isinstance(value, str) or len(value) <= wanted,
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def faults(value: Any, schema: dict[str, Any], root: dict[str, Any] | None = None, at: str = "$") -> list[str]:
    """Returns everything by which a value does not conform to a schema; empty where it does."""
    root = root or schema
    if "$ref" in schema:
        return faults(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, at)
    found = [
        f"{at}: {value!r:.80} does not conform to {keyword}: {wanted!r:.200}"
        for keyword, wanted in schema.items()
        if keyword not in _ANNOTATIONS and not _CHECKS[keyword](wanted, value, schema)
    ]
    for branches in (schema[keyword] for keyword in _UNIONS if keyword in schema):
        tried = [faults(value, branch, root, at) for branch in branches]
        found += min(tried, key=len)
    return found + [
        fault for inner in _inner(value, schema, at) for fault in faults(inner[0], inner[1], root, inner[2])
    ]


def _inner(value: Any, schema: dict[str, Any], at: str) -> Iterator[tuple[Any, dict[str, Any], str]]:
    """The values in a value, each with its schema and its place."""
    if isinstance(value, dict):
        beyond = schema.get("additionalProperties", True)
        for key, each in value.items():
            described = schema.get("properties", {}).get(key, beyond if isinstance(beyond, dict) else {})
            yield each, described, f"{at}.{key}"
    if isinstance(value, list):
        first = schema.get("prefixItems", [])
        for position, each in enumerate(value):
            described = first[position] if position < len(first) else schema.get("items", {})
            yield each, described, f"{at}[{position}]"
