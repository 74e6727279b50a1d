"""What is written for people says what the code does, once, and within reach: README.md and the pages in docs/.

Where a table is out of date, the failed comparison shows the rows that belong there.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.main import get_command

from segdrop import codes, errors, request, settings
from segdrop.cli import documentation
from segdrop.cli.commands import app
from segdrop.dataset import layouts
from segdrop.service import prometheus
from segdrop.settings import Section, Settings
from segdrop.spool.job import JobState, Outcome
from segdrop.spool.layout import RootLayout

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "daemon" / "segdrop"
EXAMPLE = REPOSITORY / "config" / "segdrop.toml"
NAMES = ["operators", "datasets", "request", "errors", "results", "performance", "predicting", "design", "development"]
PAGES = {
    path: (REPOSITORY / path).read_text(encoding="utf-8") for path in ["README.md", *(f"docs/{n}.md" for n in NAMES)]
}
MAX_README_BYTES = 12 * 1024
_LOGGING = {"debug", "info", "warning", "error", "exception", "critical"}
_EVENT = re.compile(r"[a-z]+\.[a-z_]+")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def section(page: str, title: str) -> str:
    """The text of one section of a page, with the ones below it."""
    found = re.search(rf"^(#+) {re.escape(title)}\n", PAGES[page], re.MULTILINE)
    assert found, f"{page} has no section {title!r}"
    return re.split(rf"^#{{1,{len(found[1])}}} ", PAGES[page][found.end() :], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The rows of all tables in a text whose first cell begins with code."""
    lines = (line for line in text.splitlines() if line.startswith("| `"))
    return [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines]


def defined(text: str) -> list[str]:
    """What the tables of a text define: the code in their first column."""
    return [name for row in rows(text) for name in re.findall(r"`([^`]+)`", row[0])]


def defined_elsewhere(names: set[str], page: str) -> dict[str, set[str]]:
    """Pages other than this one that have a row for one of these names."""
    found = {other: names & set(defined(text)) for other, text in PAGES.items() if other != page}
    return {other: twice for other, twice in found.items() if twice}


def code_in(text: str) -> str:
    """Everything in a text that is marked as code."""
    return "\n".join([*_FENCE.findall(text), *re.findall(r"`[^`\n]+`", _FENCE.sub("", text))])


EVERYTHING = "\n".join(PAGES.values())


# README and the pages


def test_readme_fits_on_a_page() -> None:
    assert (REPOSITORY / "README.md").stat().st_size <= MAX_README_BYTES


def test_readme_links_to_every_page() -> None:
    linked = set(re.findall(r"\]\((docs/\w+\.md)", PAGES["README.md"]))
    assert linked == {f"docs/{path.name}" for path in (REPOSITORY / "docs").glob("*.md")} == set(PAGES) - {"README.md"}


@pytest.mark.parametrize("name", NAMES)
def test_page_opens_with_what_it_is_for(name: str) -> None:
    assert re.match(r"# [^\n]+\n\nFor (those who|operators)", PAGES[f"docs/{name}.md"])


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", _FENCE.sub("", PAGES[page])):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (REPOSITORY / page).parent / path if path else REPOSITORY / page
        assert file.resolve().exists(), target
        assert not anchor or anchor in anchors(file.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("page", PAGES)
def test_headings_of_a_page_are_unique(page: str) -> None:
    titles = re.findall(r"^#+ .+$", _FENCE.sub("", PAGES[page]), re.MULTILINE)
    assert len(titles) == len(set(titles))


@pytest.mark.parametrize("path", [str(path) for path in (*documentation.SCHEMAS, *documentation.PAGES)])
def test_generated_file_is_current(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert Path(path).read_text(encoding="utf-8") == documentation.current(Path(path)), "run `make generated`"


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


def test_settings_are_documented_in_the_example_alone() -> None:
    """Pages mention settings; none has a row, or an assignment, that would be a second definition of one."""
    keys = set(settings.keys())
    assert [name for text in PAGES.values() for name in defined(text) if name in keys] == []
    bare = {key.rpartition(".")[2] for key in keys if "." in key}
    assigned = {name for block in _FENCE.findall(EVERYTHING) for name in re.findall(r"^(\w+) = ", block, re.MULTILINE)}
    assert assigned & bare == set()


def test_environment_example_is_accepted() -> None:
    text = (REPOSITORY / "config" / "segdrop.env.example").read_text(encoding="utf-8")
    variables = dict(re.findall(r"^#([A-Z_]+)=(.*)$", text, re.MULTILINE))
    assert len(variables) > 5
    named = {name: value for name, value in variables.items() if name != settings.CONFIG_VARIABLE}
    loaded = settings.load(EXAMPLE, environ=named)
    assert loaded.root == Path(variables["SEGDROP_ROOT"])
    assert loaded.defaults


# the request


@pytest.mark.parametrize("kind", [request.TrainRequest, request.PredictRequest, request.EvaluateRequest])
def test_every_request_key_is_documented_once_for_each_task_that_has_it(kind: type[request.Request]) -> None:
    listed = defined(section("docs/request.md", f"Keys of task `{kind().task}`"))
    assert listed == list(kind.model_fields)
    assert defined_elsewhere(set(listed), "docs/request.md") == {}


def test_table_of_the_request_has_a_key_with_what_it_takes_its_default_and_its_meaning() -> None:
    properties = {
        "a": {
            "anyOf": [{"type": "integer", "minimum": 1, "exclusiveMaximum": 9}, {"const": "auto"}],
            "default": "auto",
        },
        "b": {"type": "array", "items": {"enum": ["x", 2]}, "description": "x | y"},
        "c": {"additionalProperties": {"type": "string"}, "type": "object", "default": {}, "description": "Names."},
    }
    assert rows(documentation.request_tables({"properties": properties})) == [
        ["`a`", 'integer from 1 below 9 or `"auto"`', '`"auto"`', ""],
        ["`b`", 'list of (`"x"` or `2`)', "required", "x | y"],
        ["`c`", "object of string", "`{}`", "Names."],
    ]


def test_request_that_is_a_union_has_a_table_for_each_of_its_tasks() -> None:
    def model(task: str, **properties: Any) -> dict[str, Any]:
        return {"properties": {"task": {"const": task}, **properties}}

    schema = {
        "oneOf": [{"$ref": "#/$defs/Train"}, {"$ref": "#/$defs/Predict"}],
        "$defs": {
            "Train": model("train", side={"$ref": "#/$defs/Side", "default": 256}),
            "Predict": model("predict"),
            "Side": {"type": "integer", "minimum": 32},
        },
    }
    text = documentation.request_tables(schema)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Keys of task `train`", "Keys of task `predict`"]
    assert [row[:3] for row in rows(text)] == [
        ["`task`", '`"train"`', "required"],
        ["`side`", "integer from 32", "`256`"],
        ["`task`", '`"predict"`', "required"],
    ]


def test_generated_part_replaces_all_below_the_marker_and_nothing_above() -> None:
    assert documentation.with_tables(f"by hand\n{documentation.MARKER}old", "new\n") == (
        f"by hand\n{documentation.MARKER}\nnew\n"
    )
    with pytest.raises(ValueError, match="has no line"):
        documentation.with_tables("by hand\n", "new\n")


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


def test_every_error_code_is_documented_once() -> None:
    assert [name for name in defined(PAGES["docs/errors.md"]) if "." in name] == list(codes.Code)
    # some events are called like the error code that they carry
    assert defined_elsewhere(set(codes.Code), "docs/errors.md") == {"docs/operators.md": set(codes.Code) & events()}


def test_every_code_in_the_package_is_in_the_table_of_codes() -> None:
    groups = {code.partition(".")[0] for code in codes.Code}
    used = {text for text in literals() if _EVENT.fullmatch(text) and text.partition(".")[0] in groups}
    suffixes = (".json", ".log", ".zip", ".txt", ".md", ".csv", ".yaml", ".yml", ".pth", ".safetensors", ".onnx")
    files = {text for text in used if text.endswith(suffixes)}
    assert used - files - set(codes.Code) - events() == set()


def test_every_exit_code_is_documented_once() -> None:
    of_children = {errors.Exit.CORRUPT, errors.Exit.ENVIRONMENT, errors.Exit.INSTALLATION}
    public = [str(code.value) for code in sorted(errors.Exit) if code not in of_children]
    assert defined(section("docs/errors.md", "Exit codes")) == public
    assert defined_elsewhere(set(public), "docs/errors.md") == {}


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
                elif isinstance(part, ast.Attribute) and ast.unparse(part.value) == "Code":
                    found.add(codes.Code[part.attr].value)
                elif isinstance(part, ast.Constant) and _EVENT.fullmatch(str(part.value)):
                    found.add(str(part.value))
    return found


def test_every_event_is_documented_once() -> None:
    listed = defined(section("docs/operators.md", "Logs"))
    assert sorted(listed) == sorted(events())
    assert defined_elsewhere(events() - set(codes.Code), "docs/operators.md") == {}


def test_every_state_of_a_job_is_named_where_the_status_is_explained() -> None:
    monitoring = section("docs/operators.md", "Monitoring")
    assert [state for state in JobState if f"`{state}`" not in monitoring] == []


def test_every_metric_is_documented_once() -> None:
    measured = prometheus.Gauges(
        now=0.0,
        started_at=0.0,
        scan_at=0.0,
        queued=0,
        waiting=0,
        running=0,
        oldest_wait_seconds=0.0,
        outcomes={},
        last_success_at=0.0,
        paused=False,
    )
    metrics = re.findall(r"^# TYPE (\w+) ", prometheus.render(measured), re.MULTILINE)
    listed = defined(section("docs/operators.md", "Metrics"))
    assert sorted(listed) == sorted(metrics)
    assert defined_elsewhere(set(metrics), "docs/operators.md") == {}


# commands, folders, files


def commands() -> Iterator[str]:
    top = get_command(app)
    for name, command in top.commands.items():  # type: ignore[attr-defined]
        yield f"segdrop {name}"
        yield from (f"segdrop {name} {inner}" for inner in getattr(command, "commands", {}))


def test_every_command_is_documented_once() -> None:
    listed = [re.split(r" [-A-Z\[]", name)[0] for name in defined(section("README.md", "Commands"))]
    assert sorted(listed) == sorted(commands())
    assert [name for page, text in PAGES.items() for name in defined(text) if name.startswith("segdrop ")] == (
        defined(section("README.md", "Commands"))
    )


def test_no_page_names_a_command_that_does_not_exist() -> None:
    known = {command.split()[1] for command in commands()}
    named = set(re.findall(r"(?:^|[/`]|\$ )segdrop ([a-z][a-z-]*)\b", code_in(EVERYTHING), re.MULTILINE))
    assert named - known == set()


def test_every_folder_is_explained(tmp_path: Path) -> None:
    folders = {f"{folder.name}/" for folder in RootLayout(tmp_path).folders}
    assert set(defined(section("README.md", "Folders"))) == folders


def test_datasets_say_what_to_drop_for_every_layout() -> None:
    table = section("docs/datasets.md", "What you have, what to drop").partition("\n|---")[2].partition("\n\n")[0]
    formats = set(re.findall(r"`([\w-]+)`", " ".join(line.rsplit("|", 2)[1] for line in table.splitlines()[1:])))
    assert layouts.LAYOUTS.keys() == formats == set(get_args(request.LayoutName))


def test_rooms_of_the_development_page_are_those_of_the_package() -> None:
    """Every folder and every module beside the folders has its line; of the modules in the folders some have one."""
    tree = re.search(r"```text\n(daemon/.*?)```", section("docs/development.md", "The rooms"), re.DOTALL)
    assert tree
    glossed = re.findall(r"^( +)(\w+\.py|\w+/)  ", tree[1], re.MULTILINE)
    folders = {f"{path.parent.name}/" for path in PACKAGE.glob("**/__init__.py")} - {"segdrop/"}
    assert sorted(name for _, name in glossed if name.endswith("/")) == sorted(folders)
    beside = {name for indent, name in glossed if indent == "  " and name.endswith(".py")}
    assert beside == {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py"}
    assert {name for _, name in glossed if name.endswith(".py")} <= {path.name for path in PACKAGE.rglob("*.py")}


def test_files_that_are_named_exist() -> None:
    named = set(re.findall(r"`((?:config|systemd|tests|daemon|docs|\.ci)/[\w./-]+)`", EVERYTHING))
    assert named
    assert {name for name in named if not (REPOSITORY / name).exists()} == set()


def test_tests_that_are_named_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", EVERYTHING)
    assert len(named) > 10
    assert [pair for pair in named if f"def {pair[1]}(" not in (REPOSITORY / pair[0]).read_text()] == []


def test_make_targets_that_are_named_exist() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", code_in(EVERYTHING), re.MULTILINE))
    assert named
    assert named <= targets


def test_sections_that_the_code_refers_to_exist() -> None:
    """A page and its section, as comments, settings and advice name them: ``docs/operators.md, "With a GPU"``."""
    folders = [PACKAGE, *(REPOSITORY / name for name in ("config", "systemd"))]
    files = [
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix in {".py", ".toml", ".service", ".example"}
    ]
    texts = [path.read_text(encoding="utf-8") for path in [*files, REPOSITORY / "constraints.txt"]]
    found = {pair for text in texts for pair in re.findall(r'(README\.md|docs/\w+\.md), "([^"]+)"', text)}
    assert len(found) > 2
    assert [pair for pair in found if f" {pair[1]}\n" not in PAGES[pair[0]]] == []
    assert [text for text in texts if re.search(r'README, "', text)] == []
