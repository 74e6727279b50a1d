import io
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from segdrop import logs

NASTY = "a\nb\r\x1b[2J\x9b\u2028\u202e\x00\udce9é.zip"


@pytest.fixture(autouse=True)
def own_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test configures logging; afterwards everything is as before."""
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], level = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    logging.getLogger("watchdog").setLevel(logging.NOTSET)
    structlog.reset_defaults()


def configured(log_format: logs.LogFormat = "json", level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    logs.configure(log_format, level, stream)
    return stream


def no_constant(name: str) -> float:
    raise ValueError(name)


def parsed(stream: io.StringIO) -> list[dict[str, Any]]:
    """Every line as strict JSON."""
    return [json.loads(line, parse_constant=no_constant) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    stream = configured()
    logs.get().info("job.claimed", job="a-1", bytes=3)
    (line,) = parsed(stream)
    assert line | {"timestamp": ""} == {
        "event": "job.claimed",
        "level": "info",
        "timestamp": "",
        "job": "a-1",
        "bytes": 3,
    }
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize("value", [NASTY, [NASTY], {NASTY: NASTY}, NASTY.encode("utf-8", "surrogateescape")])
def test_no_name_of_a_file_breaks_or_forges_a_line(value: object) -> None:
    stream = configured()
    logs.get().warning("file.waiting", file=value)
    raw = stream.getvalue()
    assert raw.isascii()
    assert raw.count("\n") == 1
    (line,) = parsed(stream)
    if isinstance(value, str):
        assert line["file"] == NASTY


def test_no_name_of_a_file_moves_the_cursor_of_a_terminal() -> None:
    stream = configured("console")
    logs.get().warning("file.waiting", file=NASTY)
    raw = stream.getvalue()
    assert raw.count("\n") == 1
    assert raw.rstrip("\n").isprintable()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), [float("nan")], {1: {(2, 3): 4}}])
def test_values_that_json_has_no_word_for_are_logged_as_text(value: object) -> None:
    stream = configured()
    logs.get().info("epoch.finished", loss=value, epoch=3)
    (line,) = parsed(stream)
    assert (line["loss"], line["epoch"]) == (str(value), 3) or line["loss"] == {"1": {"(2, 3)": 4}}


@pytest.mark.parametrize(
    ("level", "priority"), [("debug", 7), ("info", 6), ("warning", 4), ("error", 3), ("critical", 2)]
)
def test_lines_for_the_journal_carry_their_priority(monkeypatch: pytest.MonkeyPatch, level: str, priority: int) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:12345")
    stream = configured(level="debug")
    getattr(logs.get(), level)("daemon.started")
    raw = stream.getvalue()
    assert raw.startswith(f"<{priority}>{{")
    assert json.loads(raw[3:])["level"] == level


def test_lines_elsewhere_carry_none() -> None:
    stream = configured()
    logs.get().error("daemon.started")
    assert stream.getvalue().startswith("{")


def test_auto_is_json_where_there_is_no_terminal_and_readable_on_one() -> None:
    stream = configured("auto")
    logs.get().info("daemon.started")
    assert parsed(stream)[0]["event"] == "daemon.started"

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    logs.configure("auto", "info", terminal)
    logs.get().info("daemon.started")
    assert not terminal.getvalue().startswith("{")
    assert "daemon.started" in terminal.getvalue()


def test_context_goes_with_every_line_until_it_ends() -> None:
    stream = configured()
    with structlog.contextvars.bound_contextvars(job="a-1", stage="check"):
        logs.get().info("one")
        logging.getLogger("PIL").warning("two")
    logs.get().info("three")
    assert [line.get("stage") for line in parsed(stream)] == ["check", "check", None]


def test_the_level_is_a_threshold_for_both_kinds_of_loggers() -> None:
    stream = configured(level="warning")
    for name in ("debug", "info", "warning", "error"):
        getattr(logs.get(), name)("ours")
        getattr(logging.getLogger("theirs"), name)("theirs")
    assert [line["level"] for line in parsed(stream)] == ["warning", "warning", "error", "error"]


def test_other_libraries_and_warnings_come_out_in_the_same_form() -> None:
    stream = configured()
    logging.getLogger("some.library").warning("read %s", NASTY, extra={"bytes": 3})
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old\nfashioned", UserWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    first, second = parsed(stream)
    assert (first["event"], first["bytes"]) == (f"read {NASTY}", 3)
    assert "old\nfashioned" in second["event"]
    assert second["level"] == "warning"


def test_a_traceback_stays_on_its_line() -> None:
    stream = configured()
    try:
        int(NASTY)
    except ValueError:
        logs.get().exception("stage.failed", job="a-1")
        logging.getLogger("theirs").exception("failed")
    for line in parsed(stream):
        assert line["exception"][0]["exc_type"] == "ValueError"


def test_lines_follow_standard_error_when_it_is_replaced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("json")
    other = io.StringIO()
    monkeypatch.setattr(sys, "stderr", other)
    logs.get().info("daemon.started")
    assert json.loads(other.getvalue())["event"] == "daemon.started"


def test_inotify_chatter_is_never_logged_not_even_when_debugging() -> None:
    stream = configured(level="debug")
    logging.getLogger("watchdog.observers.inotify_buffer").debug("in-event")
    assert stream.getvalue() == ""


# a child's lines


def test_a_childs_event_is_forwarded_as_its_own() -> None:
    stream = configured()
    logs.forward('{"event": "epoch.finished", "level": "warning", "timestamp": "old", "epoch": 3}', job="a-1")
    (line,) = parsed(stream)
    assert (line["event"], line["level"], line["epoch"], line["job"]) == ("epoch.finished", "warning", 3, "a-1")
    assert line["timestamp"] != "old"


@pytest.mark.parametrize(
    "line",
    [
        *("Segmentation fault", "", "[1, 2]", "3", "null", '"text"', '{"no": "event"}', '{"event": ', "[" * 100_000),
        *('{"event": 5}', '{"event": null}', '{"event": ["x"]}', '{"event": "x", "level": []}'),
        *('{"event": "x", "level": null}', '{"event": "x", "self": 1}', '{"event": "x", "method_name": 1}'),
        '{"event": "x", "exc_info": true}',
    ],
)
def test_what_is_not_an_event_of_ours_is_forwarded_as_text(line: str) -> None:
    stream = configured()
    logs.forward(line, job="a-1")
    (found,) = parsed(stream)
    assert (found["event"], found["level"], found["job"]) == ("child.output", "info", "a-1")
    assert found["line"] == line[:2000]


def test_an_unknown_level_counts_as_info() -> None:
    stream = configured()
    logs.forward('{"event": "x", "level": "exception"}')
    assert parsed(stream)[0]["level"] == "info"


@given(
    st.dictionaries(
        st.text(max_size=8) | st.sampled_from(["event", "level", "exc_info", "stack_info", "_record", "args", "name"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
            max_leaves=4,
        ),
        max_size=5,
    )
)
def test_whatever_a_child_writes_is_one_line(value: dict[str, Any]) -> None:
    stream = configured()
    logs.forward(json.dumps(value), job="a-1")
    assert len(parsed(stream)) == 1


def test_the_threshold_holds_for_children_too() -> None:
    stream = configured(level="warning")
    logs.forward('{"event": "epoch.finished", "level": "info"}')
    assert stream.getvalue() == ""


def test_a_last_word_is_an_error_in_the_journal_and_plain_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    assert logs.for_journal("segdrop: no root") == "segdrop: no root"
    monkeypatch.setenv("JOURNAL_STREAM", "8:12345")
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert logs.for_journal("segdrop: no root") == "<3>segdrop: no root"
