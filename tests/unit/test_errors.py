import json
import re
from pathlib import Path

import pytest

import segdrop
from segdrop import errors
from segdrop.codes import Code, Severity
from segdrop.errors import MAX_LISTED_FILES, ConfigError, DataError, Exit, Issue, UnavailableError

PACKAGE = Path(segdrop.__file__).parent


@pytest.mark.parametrize("code", list(Code))
def test_every_code_is_a_dotted_name_with_a_cause_and_a_remedy(code: Code) -> None:
    assert re.fullmatch(r"[a-z0-9]+\.[a-z0-9_]+", code)
    for text in (code.cause, code.fix):
        assert text.endswith("."), text
        assert "\n" not in text


def test_code_that_is_looked_up_by_its_name_has_all_that_it_says() -> None:
    assert Code("pair.missing_mask") is Code.PAIR_MISSING_MASK
    assert json.dumps(Code.PAIR_MISSING_MASK) == '"pair.missing_mask"'
    with pytest.raises(ValueError, match="unheard_of"):
        Code("archive.unheard_of")


def test_an_issue_has_its_codes_severity_and_remedy_unless_given() -> None:
    issue = Issue.of(Code.PAIR_MISSING_MASK, "a.png has no mask")
    assert issue.severity is Code.PAIR_MISSING_MASK.severity
    assert issue.fix == Code.PAIR_MISSING_MASK.fix
    given = Issue.of(Code.PAIR_MISSING_MASK, "x", severity=Severity.NOTE, fix="Do this.")
    assert (given.severity, given.fix) == (Severity.NOTE, "Do this.")


def test_long_lists_of_files_are_capped_and_counted() -> None:
    names = [f"{number}.png" for number in range(MAX_LISTED_FILES + 5)]
    issue = Issue.of(Code.PAIR_MISSING_MASK, "x", files=iter(names))
    assert issue.files == tuple(names[:MAX_LISTED_FILES])
    assert issue.count == MAX_LISTED_FILES + 5
    assert Issue.of(Code.PAIR_MISSING_MASK, "x").count == 1
    assert Issue.of(Code.PAIR_MISSING_MASK, "x", files=names[:1], count=900).count == 900


def test_an_issue_survives_json() -> None:
    issue = Issue.of(Code.PAIR_MISSING_MASK, "Größe\n", files=["a\x1b.png"], count=7)
    assert Issue.from_json(json.loads(json.dumps(issue.to_json()))) == issue


def test_only_faults_stop_a_job() -> None:
    severities = {severity: Issue.of(Code.PAIR_MISSING_MASK, "x", severity=severity) for severity in Severity}
    assert not errors.has_fault([severities[Severity.WARNING], severities[Severity.NOTE]])
    assert errors.has_fault([severities[Severity.NOTE], severities[Severity.FAULT]])
    assert not errors.has_fault([])


def test_errors_say_all_they_know_and_have_their_exit_codes() -> None:
    data = DataError([Issue.of(Code.ARCHIVE_EMPTY, "one"), Issue.of(Code.ARCHIVE_LINK, "two")])
    assert str(data) == "archive.empty: one; archive.link: two"
    unavailable = UnavailableError("disk.full", "no space")
    assert (str(unavailable), unavailable.code) == ("no space", "disk.full")
    assert [error.exit_code for error in (data, ConfigError("x"), unavailable)] == [65, 78, 75]
    assert sorted(int(code) for code in Exit) == [0, 1, 2, 65, 66, 70, 72, 74, 75, 78]
