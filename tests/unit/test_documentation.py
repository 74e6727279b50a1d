"""What is written for people says what the code does: settings, request, errors, events, commands.

Where a table of the README is out of date, the failed comparison shows the rows that belong there.
"""

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from segdrop import cli, codes, errors, request, settings
from segdrop.dataset import layouts
from segdrop.settings import Section, Settings
from segdrop.spool.job import Outcome
from segdrop.spool.layout import RootLayout

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "daemon" / "segdrop"
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
EXAMPLE = REPOSITORY / "config" / "segdrop.toml"
_LOGGING = {"debug", "info", "warning", "error", "exception", "critical"}
_EVENT = re.compile(r"[a-z]+\.[a-z_]+")


def section(title: str) -> str:
    """The text of one section of the README, with the ones below it."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^\1 |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found, f"README has no section {title!r}"
    return found[2]


def rows(title: str) -> dict[str, list[str]]:
    """The rows of a section's first table, by the text in the first column."""
    table = {}
    for line in section(title).partition("\n|---")[2].partition("\n\n")[0].splitlines():
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if line.startswith("| `"):
            assert cells[0].strip("`") not in table, f"{cells[0]} is listed twice"
            table[cells[0].strip("`")] = cells[1:]
    return table


def code_in_readme() -> str:
    """Everything in the README that is marked as code."""
    return "\n".join([*re.findall(r"```.*?```", README, re.DOTALL), *re.findall(r"`[^`\n]+`", README)])


# settings


def descriptions() -> Iterator[tuple[str, str]]:
    for name, field in Settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from ((f"{name}.{key}", str(inner.description)) for key, inner in kind.model_fields.items())
        else:
            yield name, str(field.description)


def test_example_settings_are_the_defaults() -> None:
    assert settings.load(EXAMPLE, environ={}) == Settings()


def test_example_settings_list_every_key_and_no_other() -> None:
    values = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    listed = [
        f"{name}.{key}" if isinstance(value, dict) and value else name
        for name, value in values.items()
        for key in (value if isinstance(value, dict) and value else [""])
    ]
    assert sorted(listed) == sorted(settings.keys())


def test_example_settings_describe_every_key_in_the_codes_words() -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    found, table = {}, ""
    for above, line in zip(["", *lines], lines, strict=False):
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            table = f"{heading[1]}."
            found[heading[1]] = above
        elif assignment := re.match(r"(\w+) = ", line):
            found[table + assignment[1]] = above
    for key, description in descriptions():
        assert found[key].startswith(f"# {description}"), key


def test_commented_defaults_of_the_example_are_a_valid_request(tmp_path: Path) -> None:
    head, _, examples = EXAMPLE.read_text(encoding="utf-8").partition("[defaults]\n")
    uncommented = re.sub(r"^# (\w+ = )", r"\1", examples, flags=re.MULTILINE)
    path = tmp_path / "segdrop.toml"
    path.write_text(f"{head}[defaults]\n{uncommented}", encoding="utf-8")
    assert settings.load(path, environ={}).defaults


def test_readme_shows_the_whole_example_settings() -> None:
    shown = re.search(r"```toml\n(.*?)```", section("Settings"), re.DOTALL)
    assert shown
    assert tomllib.loads(shown[1]) == tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))


def test_environment_example_is_accepted() -> None:
    text = (REPOSITORY / "config" / "segdrop.env.example").read_text(encoding="utf-8")
    variables = dict(re.findall(r"^#([A-Z_]+)=(.*)$", text, re.MULTILINE))
    assert len(variables) > 5
    named = {name: value for name, value in variables.items() if name != settings.CONFIG_VARIABLE}
    loaded = settings.load(EXAMPLE, environ=named)
    assert loaded.root == Path(variables["SEGDROP_ROOT"])
    assert loaded.defaults


# the request


def test_schema_is_current() -> None:
    stored = (REPOSITORY / "config" / "request.schema.json").read_text(encoding="utf-8")
    assert stored == json.dumps(request.json_schema(), indent=2, ensure_ascii=False) + "\n"


def accepted(key: str, schema: dict[str, Any]) -> str:
    """What a key takes: of the values that this version can do, else of the schema."""
    if key in request.AVAILABLE:
        return " or ".join(f"`{json.dumps(value)}`" for value in request.AVAILABLE[key])
    branches = schema.get("anyOf", [schema])
    return " or ".join(_branch(branch) for branch in branches)


def _branch(schema: dict[str, Any]) -> str:
    if "const" in schema or "enum" in schema:
        return " or ".join(f"`{json.dumps(value)}`" for value in schema.get("enum", [schema.get("const")]))
    match schema["type"]:
        case "integer" | "number" as kind:
            return ("integer" if kind == "integer" else "number") + _range(schema)
        case "array" if "prefixItems" in schema:
            return "[" + ", ".join(_branch(item) for item in schema["prefixItems"]) + "]"
        case "array":
            return "list of " + _branch(schema["items"]) + "s"
        case "object":
            return "object of " + " or ".join(_branch(s) for s in _values(schema)) + "s"
        case kind:
            return f"`{kind}`" if kind == "null" else str(kind)


def _values(schema: dict[str, Any]) -> list[dict[str, Any]]:
    values = schema["additionalProperties"]
    return list(values.get("anyOf", [values]))


def _range(schema: dict[str, Any]) -> str:
    signs = {"exclusiveMinimum": "over", "minimum": "from", "maximum": "to", "exclusiveMaximum": "below"}
    return "".join(f" {word} {schema[name]:.10g}" for name, word in signs.items() if name in schema)


def test_readme_table_of_the_request_is_the_model() -> None:
    schema = request.json_schema()["properties"]
    expected = {
        key: [accepted(key, schema[key]), f"`{json.dumps(field.default)}`", str(field.description)]
        for key, field in request.Request.model_fields.items()
    }
    assert rows("Request") == expected


# errors


def literals() -> list[str]:
    """Every piece of text in the package, f-strings with an ellipsis for what is filled in."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(re.sub(r"\{\w+\}", "…", node.value))
    return found


def test_readme_table_of_errors_is_complete_and_says_what_the_code_says() -> None:
    table = rows("Error codes")
    assert list(table) == list(codes.CODES)
    assert {code: [cells[0], *cells[2:]] for code, cells in table.items()} == {
        code: [known.severity.value, known.cause, known.fix] for code, known in codes.CODES.items()
    }


def test_messages_in_the_readme_are_the_codes_own() -> None:
    texts = literals()
    quoted = {code: cells[1] for code, cells in rows("Error codes").items() if cells[1] != "(varies)"}
    assert len(quoted) > 40
    unknown = {code: text for code, text in quoted.items() if not any(text in known for known in texts)}
    assert unknown == {}


def test_every_code_in_the_package_is_in_the_table_of_codes() -> None:
    groups = {code.partition(".")[0] for code in codes.CODES}
    used = {text for text in literals() if _EVENT.fullmatch(text) and text.partition(".")[0] in groups}
    files = {text for text in used if text.endswith((".json", ".log", ".zip", ".txt"))}
    assert used - files - set(codes.CODES) - events() == set()


def test_readme_lists_every_exit_code() -> None:
    table = rows("Exit codes")
    public = {str(code.value) for code in errors.Exit if code is not errors.Exit.ENVIRONMENT}
    assert set(table) == public


# events


def events() -> set[str]:
    """Names of the events that the package logs."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called not in {*_LOGGING, "log"}:
                continue
            for part in ast.walk(node.args[0]):
                if isinstance(part, ast.JoinedStr):
                    assert ast.unparse(part).startswith("f'job."), "only outcomes are filled into names of events"
                    found |= {f"job.{outcome}" for outcome in Outcome if outcome is not Outcome.SUCCEEDED}
                elif isinstance(part, ast.Constant) and _EVENT.fullmatch(str(part.value)):
                    found.add(str(part.value))
    return found


def test_readme_lists_every_event_and_no_other() -> None:
    assert len(events()) > 20
    assert set(rows("Logs")) == events()


# commands, folders, files


def commands() -> Iterator[str]:
    top = get_command(cli.app)
    for name, command in top.commands.items():  # type: ignore[attr-defined]
        yield f"segdrop {name}"
        yield from (f"segdrop {name} {inner}" for inner in getattr(command, "commands", {}))


@pytest.mark.parametrize("command", sorted(commands()))
def test_readme_explains_every_command(command: str) -> None:
    assert re.search(rf"^\| `{command}\b", section("Commands"), re.MULTILINE)


def test_readme_names_no_command_that_does_not_exist() -> None:
    known = {command.split()[1] for command in commands()}
    named = set(re.findall(r"(?:^|[/`]|\$ )segdrop ([a-z]+)\b", code_in_readme(), re.MULTILINE))
    assert named - known == set()


def test_readme_explains_every_folder(tmp_path: Path) -> None:
    table = rows("Folders")
    assert set(table) == {f"{folder.name}/" for folder in RootLayout(tmp_path).folders}


def test_readme_says_what_to_drop_for_every_layout() -> None:
    table = section("What you have, what to drop").partition("\n|---")[2].partition("\n\n")[0]
    formats = set(re.findall(r"`([\w-]+)`", " ".join(line.rsplit("|", 2)[1] for line in table.splitlines()[1:])))
    assert {layout.NAME for layout in layouts.LAYOUTS} == formats == set(request.AVAILABLE["format"]) - {"auto"}


def test_readme_glosses_every_module() -> None:
    tree = re.search(r"```text\n(daemon/.*?)```", section("Development"), re.DOTALL)
    assert tree
    glossed = set(re.findall(r"^ +(\w+\.py|\w+/)", tree[1], re.MULTILINE))
    modules = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py"}
    folders = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
    paths = [path for path in PACKAGE.rglob("*/*.py") if path.parent.name != "layouts"]
    inner = {path.name for path in paths} - {"__init__.py", "__main__.py"}
    assert glossed == modules | folders | inner | {"architectures/", "layouts/"}


def test_files_named_in_the_readme_exist() -> None:
    named = set(re.findall(r"`((?:config|systemd|tests|daemon|\.ci)/[\w./-]+)`", README))
    assert named
    assert {name for name in named if not (REPOSITORY / name).exists()} == set()


def test_tests_named_in_the_readme_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", README)
    assert len(named) > 10
    assert [pair for pair in named if f"def {pair[1]}(" not in (REPOSITORY / pair[0]).read_text()] == []


def test_make_targets_named_in_the_readme_exist() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", code_in_readme(), re.MULTILINE))
    assert named
    assert named <= targets
