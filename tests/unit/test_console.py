import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from builders.results import compose, dataset, metrics, report
from builders.spool import WALL, job_record
from segdrop.answers import CheckProgress, ClassMetrics, Progress, TrainProgress
from segdrop.cli import tables
from segdrop.cli.result_table import print_result
from segdrop.codes import Code, Severity
from segdrop.dataset.report import Argument, Confidence, Part, Understood
from segdrop.errors import Issue
from segdrop.request import ImageSize
from segdrop.results.live_status import DaemonStatus, FileStatus, JobStatus, Status
from segdrop.results.reading import PublishedResult
from segdrop.spool.job import Outcome

NASTY = "[red]a[/] \\[b] \x1b[2J\u202e\n.zip"
DATASET = dataset(
    classes=["background", NASTY],
    mask_values=[0, 7],
    class_pixels=[300, 100],
    image_size=ImageSize(64, 96),
    assumptions=["one", NASTY],
)


def shown(*renderables: object, width: int = 300) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None).print(*renderables)
    return stream.getvalue()


def is_harmless(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


@given(st.text(max_size=40))
def test_text_from_outside_is_never_markup_nor_moves_the_cursor(text: str) -> None:
    rendered = Text.from_markup(tables.clean(text), emoji=False)
    assert [span for span in rendered.spans if span.start < span.end] == []
    assert rendered.plain.isprintable()
    if text.isprintable():
        assert rendered.plain == text


def test_issues_are_shown_with_what_was_found_and_what_to_do() -> None:
    issues = [
        Issue.of(Code.PAIR_MISSING_MASK, f"{NASTY} has no mask", files=[NASTY, "b", "c", "d", "e", "f", "g"], count=40),
        Issue.of(Code.WEIGHTS_NONE, "random", severity=Severity.NOTE),
    ]
    text = shown(tables.issue_table(issues))
    assert is_harmless(text)
    for part in ("pair.missing_mask", "[red]a[/]", "(+35 more)", issues[0].fix, "note", "weights.none"):
        assert part in text


def test_a_list_of_files_that_is_shown_whole_promises_no_more() -> None:
    assert "more)" not in shown(tables.issue_table([Issue.of(Code.PAIR_MISSING_MASK, "x", files=["a", "b"])]))
    assert "(+1 more)" in shown(tables.issue_table([Issue.of(Code.PAIR_MISSING_MASK, "x", files=list("abcdef"))]))


def test_what_was_understood_is_shown_with_every_assumption() -> None:
    text = shown(tables.understood_table(DATASET), tables.class_table(DATASET))
    assert is_harmless(text)
    for part in ("pairs", "64 x 96", "assumed", "one", "75.00%", "25.00%"):
        assert part in text


def test_ignored_pixels_are_shown_with_their_share() -> None:
    text = shown(
        tables.understood_table(DATASET.model_copy(update={"ignored_pixels": 100, "class_pixels": [200, 100]}))
    )
    assert "25.00%" in text


def test_each_decision_is_shown_with_its_evidence_and_what_else_it_might_have_been_on_less_than_a_screen() -> None:
    made = [
        Argument(
            part=part,
            reading=f"read as {NASTY}",
            evidence="17 of 17 masks",
            confidence=confidence,
            runner_up="grey levels",
            why_not="no equal steps",
        )
        for part, confidence in zip(Part, [*Confidence, *Confidence], strict=False)
    ]
    text = shown(tables.argument_table(DATASET.model_copy(update={"arguments": made})))
    assert is_harmless(text)
    for words in (*Part, *Confidence, "17 of 17 masks", "grey levels: no equal steps", "read as [red]a[/]"):
        assert words in text
    assert len(text.splitlines()) < 24


def test_what_is_not_known_of_a_dataset_is_not_shown() -> None:
    understood = Understood(layout="paired", reason="", pairs=3, train=0, val=0, test=0)
    text = shown(tables.understood_table(understood))
    assert [line.split()[0] for line in text.splitlines()] == ["layout", "pairs"]
    known = understood.model_copy(update={"assumptions": ["so"]})
    text = shown(tables.understood_table(known))
    assert [line.split()[0] for line in text.splitlines()] == ["layout", "pairs", "assumed"]


def test_a_dataset_without_pixels_does_not_divide_by_zero() -> None:
    assert "0.00%" in shown(tables.class_table(DATASET.model_copy(update={"class_pixels": [0, 0]})))


def test_metrics_show_absent_classes_as_a_dash() -> None:
    measured = metrics(
        mean_iou=0.5,
        mean_accuracy=0.25,
        mean_dice=0.125,
        per_class={
            NASTY: ClassMetrics(iou=0.5, accuracy=1.0, dice=0.1, pixels=9),
            "b": ClassMetrics(iou=None, accuracy=None, dice=None, pixels=0),
        },
    )
    lines = shown(tables.metrics_table(measured)).splitlines()
    assert [line.split()[-3:] for line in lines if line.startswith(("b ", "mean"))] == [
        ["-", "-", "-"],
        ["0.5000", "0.2500", "0.1250"],
    ]


def test_result_of_a_version_with_other_codes_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Version 0.1 had ``request.not_available``."""
    content = compose(job_record(), Outcome.REJECTED, report=report()).to_json()
    content["issues"] = [{"code": "request.not_available", "severity": "fault", "message": "not yet", "fix": "Wait."}]
    print_result(PublishedResult.model_validate(content | {"content": content}))
    shown = capsys.readouterr().out
    for part in ("rejected", "paired", "request.not_available", "not yet", "Wait."):
        assert part in shown, part


def test_names_are_never_turned_into_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    tables.terminal().print(tables.job_table([("a-1", "checked", "a:x::smile:.zip", "")]))
    tables.terminal(stderr=True).print(tables.clean("a:x:"))
    captured = capsys.readouterr()
    assert "a:x::smile:.zip" in captured.out
    assert captured.err == "a:x:\n"


def test_jobs_are_shown_as_they_are_named() -> None:
    text = shown(tables.job_table([("a-1", "checked", NASTY, "waits")]))
    assert is_harmless(text)
    assert "[red]a[/]" in text


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (None, ""),
        (CheckProgress(stage="check", done=3, total=9), "checked 3 of 9 files"),
        (CheckProgress(stage="convert", done=3, total=9), "converted 3 of 9 pairs"),
        (TrainProgress(stage="train", epoch=1, epochs=5, step=0, steps=10), "epoch 1/5"),
        (
            TrainProgress(
                stage="train",
                epoch=2,
                epochs=5,
                step=3,
                steps=10,
                loss=0.1234,
                mean_iou=0.5,
                images_per_second=3.14,
                eta_seconds=61,
            ),
            "epoch 2/5, loss 0.123, mean IoU 0.500, 3.1 images/s, 1 min 01 s left",
        ),
    ],
)
def test_progress_is_one_line(progress: Progress | None, expected: str) -> None:
    assert tables.describe_progress(progress) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3599.6, "1 h 00 min"),
        (3660, "1 h 01 min"),
        (86_400, "24 h 00 min"),
    ],
)
def test_times_are_for_people(seconds: float, expected: str) -> None:
    assert tables.format_seconds(seconds) == expected


def test_bar_of_one_file_says_how_far_it_is() -> None:
    stream = io.StringIO()
    with tables.ProgressDisplay(Console(file=stream, force_terminal=True, width=200, color_system=None)) as display:
        for progress in (None, CheckProgress(stage="check", done=1, total=4)):
            display.show(NASTY, progress)
            display._progress.refresh()
    for part in ("[red]a[/]", "starting", "checked 1 of 4 files"):
        assert part in stream.getvalue(), part


@pytest.mark.parametrize("total", [None, 4_000_000])
def test_bar_of_a_download_says_how_much_is_there(total: int | None) -> None:
    stream = io.StringIO()
    terminal = Console(file=stream, force_terminal=True, width=200, color_system=None)
    with tables.download_bar(terminal, NASTY) as on_progress:
        on_progress(1_000_000, total)
    assert "[red]a[/]" in stream.getvalue()
    assert ("1.0/4.0 MB" in stream.getvalue()) == (total is not None)
    assert "\u202e" not in stream.getvalue()


def test_a_download_is_silent_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    with tables.download_bar(Console(file=stream), "weights.pth") as on_progress:
        on_progress(1, 2)
    assert stream.getvalue() == ""


def status(*jobs: JobStatus, waiting: FileStatus | None = None) -> Status:
    daemon = DaemonStatus(state="running")
    return Status(updated_at=WALL, daemon=daemon, jobs=list(jobs), inbox=[waiting] if waiting else [])


def line(state: str, progress: Progress | None = None) -> JobStatus:
    return JobStatus(job=f"job-{state}", input="a.zip", state=state, progress=progress)


def test_the_bar_follows_the_job_that_is_furthest() -> None:
    stream = io.StringIO()
    terminal = Console(file=stream, force_terminal=True, width=200, color_system=None)
    with tables.ProgressDisplay(terminal) as display:
        for current in (
            status(),
            status(waiting=FileStatus(name=NASTY, reason="arriving")),
            status(line("checked"), line("running", TrainProgress(stage="train", epoch=1, epochs=2, step=3, steps=10))),
            status(line("claimed", CheckProgress(stage="check", done=1, total=4)), line("concluded")),
        ):
            display.update(current)
            display._progress.refresh()
    text = stream.getvalue()
    for part in ("waiting for", "[red]a[/]", "job-running", "epoch 1/2", "job-claimed", "checked 1 of 4 files"):
        assert part in text, part
