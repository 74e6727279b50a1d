"""The pages and files of the documentation that the code itself can write: ``make generated``.

A page is written by hand down to a marker; what follows the marker is rendered from the code. Every function but
:func:`main` is pure.
"""

import json
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

from segdrop import request
from segdrop.codes import Code
from segdrop.results import live_status, result

MARKER = "<!-- What follows is written by `make generated`, from the code. -->\n"
#: Words for the limits of a number in a JSON schema, in the order in which they are read.
_LIMITS = {"exclusiveMinimum": "over", "minimum": "from", "maximum": "to", "exclusiveMaximum": "below"}


def main() -> None:
    """Writes everything that is generated into the repository, which is the current folder."""
    for path in (*SCHEMAS, *PAGES):
        path.write_text(current(path), encoding="utf-8")


def current(path: Path) -> str:
    """Returns the text that a generated file should have. The hand-written part of a page is read from the file."""
    if path in SCHEMAS:
        return schema_text(SCHEMAS[path]())
    return with_tables(path.read_text(encoding="utf-8"), PAGES[path]())


def with_tables(page: str, tables: str) -> str:
    """Returns the page with everything below its marker replaced. Raises ValueError where it has no marker."""
    above, marker, _ = page.partition(MARKER)
    if not marker:
        raise ValueError(f"the page has no line {MARKER.strip()!r}")
    return f"{above}{marker}\n{tables}"


def schema_text(schema: dict[str, Any]) -> str:
    """Returns a JSON schema as it stands in ``config/``."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def error_tables(codes: Iterable[Code]) -> str:
    """Returns one table for each group of codes: those with the same word before the dot."""
    tables = []
    for group, members in groupby(codes, lambda code: code.partition(".")[0]):
        rows = [(f"`{code}`", code.severity, code.cause, code.fix) for code in members]
        tables.append(f"## {group}\n\n{_table(('code', 'severity', 'cause', 'what to do'), rows)}")
    return "\n".join(tables)


def request_tables(schema: dict[str, Any]) -> str:
    """Returns the keys of a request: one table for a schema of one model, one for each member of a union."""
    models = [_resolved(branch, schema) for branch in schema.get("oneOf", [schema])]
    tables = []
    for model in models:
        keys = model["properties"]
        title = "Keys" if len(models) == 1 else f"Keys of task `{keys['task']['const']}`"
        rows = [_key_row(key, _resolved(value, schema)) for key, value in keys.items()]
        tables.append(f"## {title}\n\n{_table(('key', 'takes', 'default', 'meaning'), rows)}")
    return "\n".join(tables)


def _key_row(key: str, schema: dict[str, Any]) -> tuple[str, ...]:
    default = f"`{json.dumps(schema['default'])}`" if "default" in schema else "required"
    return f"`{key}`", _takes(schema), default, schema.get("description", "")


def _takes(schema: dict[str, Any]) -> str:
    """Returns the values of a schema in words: its choices, or each branch of a union by its type."""
    if "enum" in schema or "const" in schema:
        return " or ".join(f"`{json.dumps(value)}`" for value in schema.get("enum", [schema.get("const")]))
    branches = schema.get("anyOf", schema.get("oneOf"))
    return " or ".join(_takes(branch) for branch in branches) if branches else _of_type(schema)


def _of_type(schema: dict[str, Any]) -> str:
    kind: str = schema["type"]
    match kind:
        case "integer" | "number":
            return kind + "".join(f" {word} {schema[name]:.10g}" for name, word in _LIMITS.items() if name in schema)
        case "array" if "prefixItems" in schema:
            return "[" + ", ".join(_takes(item) for item in schema["prefixItems"]) + "]"
        case "array":
            return f"list of {_grouped(_takes(schema['items']))}"
        case "object":
            return f"object of {_grouped(_takes(schema['additionalProperties']))}"
        case _:
            return "`null`" if kind == "null" else kind


def _grouped(choices: str) -> str:
    return f"({choices})" if " or " in choices else choices


def _resolved(value: Any, schema: dict[str, Any]) -> Any:  # noqa: ANN401  (a JSON schema is any JSON)
    """Returns the value with every reference into the schema's definitions replaced by what it refers to."""
    if isinstance(value, list):
        return [_resolved(item, schema) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        target = schema["$defs"][value["$ref"].rpartition("/")[2]]
        return _resolved(target | {key: item for key, item in value.items() if key != "$ref"}, schema)
    return {key: _resolved(item, schema) for key, item in value.items()}


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(head)
    lines = [names, ["---"] * len(names), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


#: what the code writes, by the file that it stands in
SCHEMAS: dict[Path, Callable[[], dict[str, Any]]] = {
    Path("config/request.schema.json"): request.json_schema,
    Path("config/result.schema.json"): result.json_schema,
    Path("config/status.schema.json"): live_status.json_schema,
}
PAGES: dict[Path, Callable[[], str]] = {
    Path("docs/request.md"): lambda: request_tables(request.json_schema()),
    Path("docs/errors.md"): lambda: error_tables(Code),
}


if __name__ == "__main__":
    main()
