"""The outermost rim of a command: whatever goes wrong becomes one line and an exit code.

Errors of the operating system are caught here and nowhere else in the commands, with its own words and the path: they
are the environment's (75). Where an argument itself is the mistake, the command has said so before it began.
"""

import contextlib
import errno
import io
import os
import signal
import sys
from collections.abc import Iterator
from typing import IO, NoReturn

import structlog
import typer

from segdrop import logs
from segdrop.cli import tables
from segdrop.errors import DataError, Exit, SegdropError

#: Exit code after Ctrl-C, as shells count it.
_INTERRUPTED = 128 + signal.SIGINT
#: typer brings click along, under a name that changes from version to version.
_CLICK = sys.modules[typer.BadParameter.__module__]
_UsageError: type[Exception] = _CLICK.ClickException
#: Raised where the help was shown instead; click has it since 8.2.
_HELP_WAS_SHOWN: tuple[type[Exception], ...] = tuple(filter(None, [getattr(_CLICK, "NoArgsIsHelpError", None)]))


def run(app: typer.Typer) -> NoReturn:
    """Runs the command line in this process, to its end."""
    _prepare_streams()
    sys.exit(_flushed(_status(app)))


def _prepare_streams() -> None:
    """Lets any name be shown in any locale, escaped where its encoding lacks characters. A closed stream takes all."""
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _nowhere() -> IO[str]:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123  (for as long as the process lives)


def _status(app: typer.Typer) -> int:  # noqa: PLR0911  (one return a kind of end)
    """Runs the command, says what went wrong, and returns the exit code."""
    try:
        with _interruptible():
            command = typer.main.get_command(app)  # not app(): that takes a closed pipe for a failure
            with command.make_context("segdrop", sys.argv[1:]) as context:
                command.invoke(context)
    except (SystemExit, typer.Exit) as end:
        return _returned(end)
    except _UsageError as error:
        return _misused(error)
    except (KeyboardInterrupt, typer.Abort):
        return _INTERRUPTED
    except DataError as error:
        _show(tables.issue_table(error.issues))
        return error.exit_code
    except SegdropError as error:
        _say(str(error))
        return error.exit_code
    except BrokenPipeError:
        _end_as_by_a_closed_pipe()
    except OSError as error:
        _say(_in_words(error))
        return Exit.TRY_LATER
    except MemoryError:
        _say("out of memory")
        return Exit.TRY_LATER
    except Exception as error:  # noqa: BLE001  (the process's boundary)
        _report(error)
        return Exit.INTERNAL
    return Exit.OK


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Lets Ctrl-C raise ``KeyboardInterrupt``, so that a command tidies up. Before and after, it ends the process."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _returned(end: SystemExit | typer.Exit) -> int:
    code = end.code if isinstance(end, SystemExit) else end.exit_code
    return code if isinstance(code, int) else Exit.OK


def _misused(error: Exception) -> int:
    """Tells wrong usage in one line. Without any command, typer has shown the help by then."""
    context = getattr(error, "ctx", None)
    if isinstance(error, _HELP_WAS_SHOWN):
        return Exit.USAGE
    command = context.command_path if context is not None else "segdrop"
    message = " ".join(getattr(error, "format_message", error.__str__)().split())
    _say(f"{message} (see {command} --help)", command)
    return Exit.USAGE


def _report(error: Exception) -> None:
    """Logs the traceback of a defect, as one event; people at a terminal are spared it."""
    if not structlog.is_configured():
        logs.configure()
    if not sys.stderr.isatty():
        logs.get().critical("command.crashed", exc_info=True)
    _say(f"a defect, please report it: {type(error).__name__}: {error} (`2>&1 | cat` shows where)")


def _in_words(error: OSError) -> str:
    """Puts the path before the system's words. A working directory that was removed has no path."""
    words = error.strerror or str(error)
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if name is not None]
    if not names and error.errno == errno.ENOENT and _cwd_is_gone():
        return "the working directory has been removed: change to another one"
    return ": ".join([" -> ".join(names), words]) if names else words


def _cwd_is_gone() -> bool:
    try:
        os.getcwd()  # noqa: PTH109  (Path.cwd() is the same call)
    except FileNotFoundError:
        return True
    return False


def _say(text: str, name: str = "segdrop") -> None:
    """Prints on stderr. Where that takes nothing either, the exit code has to do."""
    lines = "\n".join(tables.clean(line) for line in f"{name}: {text}".splitlines())
    _show(logs.for_journal(lines))


def _show(what: object) -> None:
    with contextlib.suppress(OSError):
        terminal = tables.terminal(stderr=True)
        if isinstance(what, str):
            terminal.print(what, style="red", highlight=False, soft_wrap=True)
        else:
            terminal.print(what)


def _flushed(status: int) -> int:
    """Returns the exit code once what was printed is where it should be: a full disk says so only now."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _end_as_by_a_closed_pipe()
    except OSError as error:
        _say(f"the output cannot be written: {error.strerror}")
        _discard(sys.stdout)
        status = status or Exit.TRY_LATER
    with contextlib.suppress(OSError):
        sys.stderr.flush()
        return status
    _discard(sys.stderr)
    return status


def _discard(stream: IO[str]) -> None:
    """Lets what cannot be written go nowhere: the interpreter would complain of it once more at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _end_as_by_a_closed_pipe() -> NoReturn:
    """Ends as ``cat`` does when ``| head -1`` has read enough: by SIGPIPE, after everything has been tidied up."""
    for stream in (sys.stdout, sys.stderr):
        _discard(stream)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)
    os._exit(128 + signal.SIGPIPE)  # where it is blocked
