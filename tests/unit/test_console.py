import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from segdrop import console
from segdrop.codes import Severity
from segdrop.dataset.report import Understood
from segdrop.delivery.board import Board, JobLine
from segdrop.errors import Issue

NASTY = "[red]a[/] \\[b] \x1b[2J\u202e\n.zip"
CLASSES = {"classes": ["background", NASTY], "mask_values": [0, 7], "class_pixels": [300, 100]}
DATASET = {
    "layout": "paired",
    "pairs": 3,
    "train": 2,
    "val": 1,
    "test": 0,
    "split": "made",
    "mask_encoding": "ids",
    "ignore_index": None,
    "image_size": [64, 96],
    "assumptions": ["one", NASTY],
}


def shown(*renderables: object, width: int = 300) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None).print(*renderables)
    return stream.getvalue()


def is_harmless(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


@given(st.text(max_size=40))
def test_text_from_outside_is_never_markup_nor_moves_the_cursor(text: str) -> None:
    rendered = Text.from_markup(console.clean(text), emoji=False)
    assert [span for span in rendered.spans if span.start < span.end] == []
    assert rendered.plain.isprintable()
    if text.isprintable():
        assert rendered.plain == text


def test_issues_are_shown_with_what_was_found_and_what_to_do() -> None:
    issues = [
        Issue.of("pair.missing_mask", f"{NASTY} has no mask", files=[NASTY, "b", "c", "d", "e", "f", "g"], count=40),
        Issue.of("weights.none", "random", severity=Severity.NOTE),
    ]
    text = shown(console.issue_table(issues))
    assert is_harmless(text)
    for part in ("pair.missing_mask", "[red]a[/]", "(+35 more)", issues[0].fix, "note", "weights.none"):
        assert part in text


def test_a_list_of_files_that_is_shown_whole_promises_no_more() -> None:
    assert "more)" not in shown(console.issue_table([Issue.of("pair.missing_mask", "x", files=["a", "b"])]))
    assert "(+1 more)" in shown(console.issue_table([Issue.of("pair.missing_mask", "x", files=list("abcdef"))]))


def test_what_was_understood_is_shown_with_every_assumption() -> None:
    text = shown(console.understood_table(DATASET), console.class_table(CLASSES))
    assert is_harmless(text)
    for part in ("paired", "2 train, 1 val, 0 test (made)", "64 x 96", "none", "assumed", "one", "75.00%", "25.00%"):
        assert part in text
    assert "255" in shown(console.understood_table(DATASET | {"ignore_index": 255}))


def test_layout_is_shown_with_its_reason_and_ignored_pixels_with_their_share() -> None:
    more = {"reason": f"files in {NASTY}", "ignored_pixels": 100, "class_pixels": [200, 100]}
    text = shown(console.understood_table(DATASET | more))
    assert is_harmless(text)
    assert "paired: files in [red]a[/]" in text
    assert "25.00%" in text


def test_what_is_not_known_of_a_dataset_is_not_shown() -> None:
    understood = Understood(layout="paired", reason="", pairs=3, train=0, val=0, test=0)
    text = shown(console.understood_table(understood.model_dump()))
    assert [line.split()[0] for line in text.splitlines()] == ["layout", "pairs"]
    known = understood.model_copy(update={"train": 2, "mask_encoding": "index", "assumptions": ["so"]})
    text = shown(console.understood_table(known.model_dump()))
    assert [line.split()[0] for line in text.splitlines()] == [
        "layout", "pairs", "split", "masks", "ignored", "assumed",
    ]  # fmt: skip
    assert "2 train, 0 val, 0 test (in the ZIP)" in text


def test_a_dataset_without_pixels_does_not_divide_by_zero() -> None:
    assert "0.00%" in shown(console.class_table(CLASSES | {"class_pixels": [0, 0]}))


def test_metrics_show_absent_classes_as_a_dash() -> None:
    metrics = {
        "mean_iou": 0.5,
        "mean_accuracy": 0.25,
        "mean_dice": None,
        "per_class": {
            NASTY: {"iou": 0.5, "accuracy": 1.0, "dice": 0.1},
            "b": dict.fromkeys(("iou", "accuracy", "dice")),
        },
    }
    lines = shown(console.metrics_table(metrics)).splitlines()
    assert [line.split()[-3:] for line in lines if line.startswith(("b ", "mean"))] == [
        ["-", "-", "-"],
        ["0.5000", "0.2500", "-"],
    ]


def test_names_are_never_turned_into_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    console.terminal().print(console.job_table([("a-1", "queued", "a:x::smile:.zip", "")]))
    console.terminal(stderr=True).print(console.clean("a:x:"))
    captured = capsys.readouterr()
    assert "a:x::smile:.zip" in captured.out
    assert captured.err == "a:x:\n"


def test_jobs_are_shown_as_they_are_named() -> None:
    text = shown(console.job_table([("a-1", "queued", NASTY, "waits")]))
    assert is_harmless(text)
    assert "[red]a[/]" in text


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (None, ""),
        ({}, ""),
        ({"stage": "check", "done": 3, "total": 9}, "checked 3 of 9 files"),
        ({"stage": "convert", "done": 3, "total": 9}, "converted 3 of 9 pairs"),
        ({"epoch": 1, "epochs": 5}, "epoch 1/5"),
        (
            {"epoch": 2, "epochs": 5, "loss": 0.1234, "mean_iou": 0.5, "images_per_second": 3.14, "eta_seconds": 61},
            "epoch 2/5, loss 0.123, mean IoU 0.500, 3.1 images/s, 1 min 01 s left",
        ),
    ],
)
def test_progress_is_one_line(progress: dict[str, object] | None, expected: str) -> None:
    assert console.describe_progress(progress) == expected


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
    assert console.format_seconds(seconds) == expected


def test_bar_of_one_file_says_how_far_it_is() -> None:
    stream = io.StringIO()
    with console.ProgressDisplay(Console(file=stream, force_terminal=True, width=200, color_system=None)) as display:
        for progress in (None, {"stage": "check", "done": 1, "total": 4}):
            display.show(NASTY, progress)
            display._progress.refresh()
    for part in ("[red]a[/]", "starting", "checked 1 of 4 files"):
        assert part in stream.getvalue(), part


def board(*lines: JobLine, waiting: list[tuple[str, str]] | None = None) -> Board:
    return Board("running", "", list(lines), waiting or [], [], 0, {})


def line(state: str, progress: dict[str, object] | None = None) -> JobLine:
    return JobLine(f"job-{state}", "a.zip", state, 0, 1, progress)


def test_the_bar_follows_the_job_that_is_furthest() -> None:
    stream = io.StringIO()
    terminal = Console(file=stream, force_terminal=True, width=200, color_system=None)
    with console.ProgressDisplay(terminal) as display:
        for state in (
            board(),
            board(waiting=[(NASTY, "arriving")]),
            board(line("queued"), line("started", {"epoch": 1, "epochs": 2, "step": 3, "steps": 10})),
            board(line("claimed", {"stage": "check", "done": 1, "total": 4}), line("concluded")),
        ):
            display.update(state)
            display._progress.refresh()
    text = stream.getvalue()
    for part in ("waiting for", "[red]a[/]", "job-started", "epoch 1/2", "job-claimed", "checked 1 of 4 files"):
        assert part in text, part
