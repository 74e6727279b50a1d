"""A reading is an argument: every decision of a check is told with evidence, rival and confidence."""

from pathlib import Path

import pytest

from builders import check, write_dataset
from segdrop.codes import Severity
from segdrop.dataset import arguments
from segdrop.dataset.report import Argument, CheckReport, Confidence, Part


def told(report: CheckReport) -> dict[Part, Argument]:
    understood = report.dataset or report.understood
    assert understood is not None, report.issues
    return {argument.part: argument for argument in understood.arguments}


def test_every_part_of_a_dataset_that_can_be_used_is_argued_for_once(tmp_path: Path) -> None:
    report = check(write_dataset(tmp_path / "data.zip", labels=["cat", "dog"]))
    assert report.dataset is not None
    assert [argument.part for argument in report.dataset.arguments] == list(Part)
    found = told(report)
    assert found[Part.LAYOUT].reading == "paired"
    assert "6 pairs" in found[Part.LAYOUT].evidence
    assert "3 values in 6 masks: 0, 1, 2" in found[Part.ENCODING].evidence
    assert "labels.txt" in found[Part.CLASSES].reading
    assert "0.00%" in found[Part.IGNORE].evidence
    assert "5 train, 1 val, 0 test" in found[Part.SPLIT].evidence


def test_what_the_files_say_is_certain(tmp_path: Path) -> None:
    report = check(write_dataset(tmp_path / "data.zip", labels=["background", "cat", "dog"]))
    assert {argument.confidence for argument in told(report).values()} == {Confidence.CERTAIN}


def test_a_dataset_at_fault_is_argued_for_as_far_as_it_was_read(tmp_path: Path) -> None:
    report = check(write_dataset(tmp_path / "data.zip", labels=["cat"], values=(0, 1, 7)))
    assert report.dataset is None
    assert {Part.LAYOUT, Part.ENCODING, Part.CLASSES, Part.SPLIT} <= told(report).keys()


def test_what_the_request_says_has_no_rival(tmp_path: Path) -> None:
    path = write_dataset(tmp_path / "data.zip", values=(0, 1, 255))
    unasked, asked = (told(check(path, request))[Part.IGNORE] for request in ({}, {"ignore_index": 255}))
    assert (unasked.confidence, asked.confidence) == (Confidence.ASSUMED, Confidence.CERTAIN)
    assert unasked.runner_up
    assert not asked.runner_up


def test_a_doubt_is_in_the_issues_too_and_an_issue_in_the_arguments(tmp_path: Path) -> None:
    report = check(write_dataset(tmp_path / "data.zip", labels=["cat", "Cats"]))
    doubts = {arguments.DOUBTS[issue.code] for issue in report.issues if issue.code in arguments.DOUBTS}
    assert doubts == {part for part, argument in told(report).items() if argument.confidence is Confidence.DOUBTFUL}
    assert doubts


@pytest.mark.parametrize("code", arguments.DOUBTS)
def test_a_doubt_is_a_warning_at_least(code: str) -> None:
    (found,) = [known for known in arguments.DOUBTS if known == code]
    assert found.severity is not Severity.NOTE
