"""Log lines: one JSON object per line, or a readable rendering on a terminal.

Event names are public (docs/operators.md, "Logs"): stable, dotted, in the past tense. ``job`` and ``stage`` come from
context variables. Under systemd each line carries the ``<N>`` priority prefix: journald does not look into
JSON, and without it every line would be "info" (``journalctl -p err`` would find nothing).
"""

import json
import logging
import os
import sys
from collections.abc import Callable
from typing import IO, Any, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LogFormat = Literal["auto", "json", "console"]

#: Priorities of syslog (sd-daemon(3)) by log level.
_PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}

#: Keys that mean something to structlog itself; no line of ours has them.
_NOT_OURS = frozenset({"self", "method_name", "exc_info", "stack_info"})


def for_journal(text: str) -> str:
    """Marks a last line on stderr, which is no event, as an error for the journal; elsewhere it stays as it is."""
    in_journal = "JOURNAL_STREAM" in os.environ and not sys.stderr.isatty()
    return f"<{_PRIORITIES['error']}>{text}" if in_journal else text


def _with_priority(renderer: Callable[[WrappedLogger, str, EventDict], str]) -> Processor:
    def render(logger: WrappedLogger, name: str, event_dict: EventDict) -> str:
        priority = _PRIORITIES.get(str(event_dict.get("level", "info")), 6)
        return f"<{priority}>{renderer(logger, name, event_dict)}"

    return render


def _to_json(_logger: WrappedLogger, _name: str, event_dict: EventDict) -> str:
    """Writes ASCII only: control and invisible characters in names stay escaped, and one event stays one line."""
    try:
        return json.dumps(event_dict, default=str, ensure_ascii=True, allow_nan=False)
    except (TypeError, ValueError):  # NaN, infinity, keys that are not text: as text, rather than not at all
        return json.dumps({str(key): _plain(value) for key, value in event_dict.items()}, ensure_ascii=True)


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, str | int) else str(value)


def _printable(_logger: WrappedLogger, _name: str, event_dict: EventDict) -> EventDict:
    """Escapes what cannot be printed on a terminal, so that a name cannot move the cursor."""

    def clean(value: object) -> object:
        if isinstance(value, str) and not value.isprintable():
            return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in value)
        return value

    return {key: clean(value) for key, value in event_dict.items()}


def _renderers(log_format: LogFormat, stream: IO[str]) -> list[Processor]:
    if log_format == "console" or (log_format == "auto" and stream.isatty()):
        return [_printable, structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=20)]
    in_journal = "JOURNAL_STREAM" in os.environ
    # without local variables: they make lines of many kilobytes, and are nobody's business in a journal
    tracebacks = structlog.processors.ExceptionRenderer(
        structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    )
    return [tracebacks, _with_priority(_to_json) if in_journal else _to_json]


class _CurrentStderr(logging.StreamHandler[IO[str]]):
    """Writes to whatever ``sys.stderr`` is at the moment: a progress bar replaces it, to stay below the lines."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> IO[str]:  # type: ignore[override]
        return sys.stderr


def configure(log_format: LogFormat = "auto", level: str = "info", stream: IO[str] | None = None) -> None:
    """Routes structlog and the standard library's loggers to ``stream`` (default: stderr)."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream) if stream else _CurrentStderr()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(log_format, stream or sys.stderr),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    logging.captureWarnings(capture=True)
    # watchdog logs every inotify event at debug level
    logging.getLogger("watchdog").setLevel(max(threshold, logging.WARNING))


def get(**initial: object) -> Any:  # noqa: ANN401  (structlog's loggers are duck-typed by design)
    """Returns a logger whose lines carry the values given."""
    return structlog.get_logger(**initial)


def forward(line: str, **context: object) -> None:
    """Logs a line that a child wrote: as its own event if it is one of ours, else as ``child.output``."""
    logger = get()
    try:
        event = json.loads(line)
        name = event.pop("event")
        level = event.pop("level", "info")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        name = level = None
    if not isinstance(name, str) or not isinstance(level, str) or event.keys() & _NOT_OURS:
        logger.info("child.output", line=line[:2000], **context)
        return
    event.pop("timestamp", None)
    getattr(logger, level if level in _PRIORITIES else "info")(name, **(context | event))
