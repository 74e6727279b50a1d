import ast
import json
import re
from pathlib import Path

import pytest

import segdrop
from segdrop import errors
from segdrop.codes import CODES, Severity
from segdrop.errors import MAX_LISTED_FILES, ConfigError, DataError, Exit, Issue, UnavailableError

PACKAGE = Path(segdrop.__file__).parent


def codes_in_source() -> set[tuple[str, str]]:
    """``Issue.of("code", ...)`` and ``UnavailableError("code", ...)``: (code, file)."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                continue
            is_issue = isinstance(node.func, ast.Attribute) and ast.unparse(node.func).endswith("Issue.of")
            is_ours = ast.unparse(node.func).rpartition(".")[2] == "UnavailableError"
            if is_issue or is_ours:
                found.add((str(node.args[0].value), path.name))
    return found


@pytest.mark.parametrize("code", list(CODES))
def test_every_code_is_a_dotted_name_with_a_cause_and_a_remedy(code: str) -> None:
    assert re.fullmatch(r"[a-z0-9]+\.[a-z0-9_]+", code)
    for text in (CODES[code].cause, CODES[code].fix):
        assert text.endswith("."), text
        assert "\n" not in text


def test_every_code_that_is_raised_is_in_the_table() -> None:
    found = codes_in_source()
    assert len(found) > 20, "the search finds them"
    assert {(code, file) for code, file in found if code not in CODES} == set()


def test_an_unknown_code_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        Issue.of("archive.unheard_of", "x")


def test_an_issue_has_its_codes_severity_and_remedy_unless_given() -> None:
    issue = Issue.of("pair.missing_mask", "a.png has no mask")
    assert issue.severity is CODES["pair.missing_mask"].severity
    assert issue.fix == CODES["pair.missing_mask"].fix
    given = Issue.of("pair.missing_mask", "x", severity=Severity.NOTE, fix="Do this.")
    assert (given.severity, given.fix) == (Severity.NOTE, "Do this.")


def test_long_lists_of_files_are_capped_and_counted() -> None:
    names = [f"{number}.png" for number in range(MAX_LISTED_FILES + 5)]
    issue = Issue.of("pair.missing_mask", "x", files=iter(names))
    assert issue.files == tuple(names[:MAX_LISTED_FILES])
    assert issue.count == MAX_LISTED_FILES + 5
    assert Issue.of("pair.missing_mask", "x").count == 1
    assert Issue.of("pair.missing_mask", "x", files=names[:1], count=900).count == 900


def test_an_issue_survives_json() -> None:
    issue = Issue.of("pair.missing_mask", "Größe\n", files=["a\x1b.png"], count=7)
    assert Issue.from_json(json.loads(json.dumps(issue.to_json()))) == issue


def test_only_faults_stop_a_job() -> None:
    severities = {severity: Issue.of("pair.missing_mask", "x", severity=severity) for severity in Severity}
    assert not errors.has_fault([severities[Severity.WARNING], severities[Severity.NOTE]])
    assert errors.has_fault([severities[Severity.NOTE], severities[Severity.FAULT]])
    assert not errors.has_fault([])


def test_errors_say_all_they_know_and_have_their_exit_codes() -> None:
    data = DataError([Issue.of("archive.empty", "one"), Issue.of("archive.link", "two")])
    assert str(data) == "archive.empty: one; archive.link: two"
    unavailable = UnavailableError("disk.full", "no space")
    assert (str(unavailable), unavailable.code) == ("no space", "disk.full")
    assert [error.exit_code for error in (data, ConfigError("x"), unavailable)] == [65, 78, 75]
    assert [int(code) for code in Exit] == [0, 1, 2, 65, 70, 74, 75, 78]
