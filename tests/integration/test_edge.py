"""Whatever a person can meet at the command line: one line and an exit code of the contract, and never a traceback.

The commands are taken from the app, so that a new one is met with every circumstance as well: it has to be given its
arguments in ``ARGUMENTS``.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import typer

from builders import write_dataset
from builders.commands import Commands, Finished
from builders.daemons import wait_until
from segdrop.cli import commands as command_list
from segdrop.cli import edge
from segdrop.errors import Exit
from segdrop.spool import root as spool_root
from segdrop.spool.layout import RootLayout

JOB = "demo-20261122T060645Z-e97f"
OTHER = "more-20261122T070000Z-0001"
CONTRACT = {int(code) for code in (Exit.OK, Exit.FAILED, Exit.USAGE, Exit.DATA, Exit.INTERNAL, Exit.TRY_LATER)} | {78}


@dataclass(frozen=True)
class Place:
    """A root with a result in its outbox, a good ZIP, a folder to write to; all of it somebody's."""

    folder: Path
    layout: RootLayout
    zip_path: Path
    output: Path

    def close(self, *paths: Path, mode: int = 0) -> None:
        """Closed even for its owner: there is nobody else here where we are not root."""
        for path in paths:
            path.chmod(mode)


def answer(job: str) -> dict[str, Any]:
    return {
        "job": job,
        "task": "train",
        "status": "failed",
        "request": {},
        "input": {"name": "demo.zip", "bytes": 1, "sha256": "0"},
        "result": None,
        "dataset": None,
        "metrics": None,
        "issues": [],
        "timing": {},
        "attempts": 1,
    }


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    with Commands(tmp_path_factory.mktemp("commands")) as started:
        yield started


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    layout = RootLayout(folder / "root")
    spool_root.create(layout)
    layout.published_json(JOB).write_text(json.dumps(answer(JOB)))
    (layout.failed / JOB).mkdir()
    (layout.failed / JOB / "demo.zip").write_bytes(b"x")
    (layout.models / "toy.onnx").write_bytes(b"a model for stand-ins")
    write_dataset(folder / "good.zip")
    (folder / "output").mkdir()
    (folder / "images.json").write_text(json.dumps({"image_names": ["a.png"], "images": ["iVBORw0KGgo="]}))
    (folder / "settings.toml").write_text("[intake]\nsettle_seconds = 0\nincomplete_seconds = 0\nscan_seconds = 0.1\n")
    return folder


@pytest.fixture
def place(template: Path, tmp_path: Path) -> Iterator[Place]:
    folder = tmp_path / "place"
    shutil.copytree(template, folder)
    yield Place(folder, RootLayout(folder / "root"), folder / "good.zip", folder / "output")
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)


# the commands, from the app


def _walk(command: Any, name: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if hasattr(command, "commands"):
        if name and command.invoke_without_command:
            yield name, command
        for sub, found in command.commands.items():
            yield from _walk(found, (*name, sub))
    else:
        yield name, command


COMMANDS = dict(_walk(typer.main.get_command(command_list.app)))
NAMES = [" ".join(name) for name in COMMANDS]
#: how each parameter that must be given is given
ARGUMENTS: dict[str, Callable[[Place], str]] = {
    "zip_path": lambda place: str(place.zip_path),
    "model": lambda place: "toy",
    "job": lambda place: JOB,
    "name": lambda place: "deeplabv3_resnet50",
    "output": lambda place: str(place.output / "made.zip"),
    "paths": lambda place: str(place.zip_path),
    "json_path": lambda place: str(place.folder / "images.json"),
    "folder": lambda place: str(place.output / "made"),
}
#: options without which a command would do something else than what is tried
OPTIONS: dict[str, Callable[[Place], list[str]]] = {
    "models fetch": lambda place: ["--url", "http://127.0.0.1:9"],
    "train": lambda place: ["-o", str(place.output)],
    "demo": lambda place: ["--count", "4", "--size", "32", str(place.output / "made.zip")],
    "init": lambda place: [str(place.layout.root)],
}


def _parameters(name: str) -> list[Any]:
    return [found for found in COMMANDS[tuple(name.split())].params if found.name != "help"]


def _is_path(name: str, parameter: Any) -> bool:
    hints = get_type_hints(COMMANDS[tuple(name.split())].callback)
    return "Path" in repr(hints[parameter.name])


def _is_argument(parameter: Any) -> bool:
    return parameter.param_type_name == "argument"


def words(name: str, place: Place, **given: str) -> list[str]:
    """A command line that works, with these parameters (by name) given instead."""
    line = name.split()
    arguments, options = [], list(OPTIONS.get(name, lambda place: [])(place))
    for parameter in _parameters(name):
        if parameter.name in given:
            value = given[parameter.name]
            if _is_argument(parameter):
                options = [word for word in options if not word.endswith(("made.zip", "root"))]
                arguments.append(value)
            else:
                options += [parameter.opts[-1], value]
        elif parameter.required:
            value = ARGUMENTS[parameter.name](place)
            if _is_argument(parameter):
                arguments.append(value)
            else:
                options += [parameter.opts[-1], value]
        elif parameter.name == "root" and not _is_argument(parameter):
            options += ["--root", str(place.layout.root)]
        elif parameter.name == "config":
            options += ["--config", str(place.folder / "settings.toml")]
    return [*line, *options, *arguments]


def run(commands: Commands, place: Place, name: str, line: list[str] | None = None, **how: Any) -> Finished:
    given = {"cwd": place.output, "powerless": True, "ends_on": "daemon.started" if name == "run" else None} | how
    return commands.run(*(words(name, place) if line is None else line), **given)


def said(finished: Finished) -> list[str]:
    """The lines on stderr that are no events of the log."""
    return [line for line in finished.stderr.splitlines() if not line.startswith("{")]


def is_table(lines: list[str]) -> bool:
    return bool(lines) and re.match(r"severity +code +what was found", lines[0]) is not None


def check(finished: Finished) -> None:
    output = finished.stdout + finished.stderr
    assert "Traceback" not in output, output
    assert "Exception ignored" not in output, output
    assert finished.returncode in CONTRACT, (finished.returncode, output)
    lines = said(finished)
    assert len(lines) <= 1 or is_table(lines), finished.stderr
    if finished.returncode not in (Exit.OK, Exit.DATA):
        assert output.strip(), "it must be said why"
    if finished.returncode in (Exit.USAGE, Exit.CONFIG):
        assert lines, "it must be said why"
    assert finished.returncode != Exit.INTERNAL, output


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_wrong_to_begin_with(commands: Commands, place: Place, name: str) -> None:
    finished = run(commands, place, name)
    check(finished)
    ended, no_daemon, no_server = ("cancel", Exit.USAGE), ("health", Exit.TRY_LATER), ("models fetch", Exit.TRY_LATER)
    assert finished.returncode == dict((ended, no_daemon, no_server)).get(name, Exit.OK), finished


#: commands that no setting means anything to
WITHOUT_SETTINGS = ("demo", "json-to-images")


# circumstances


def _no_root(place: Place) -> None:
    shutil.rmtree(place.layout.root)


def _root_is_a_file(place: Place) -> None:
    _no_root(place)
    place.layout.root.write_text("x")


def _root_is_a_fifo(place: Place) -> None:
    _no_root(place)
    os.mkfifo(place.layout.root)


def _root_is_a_link_loop(place: Place) -> None:
    _no_root(place)
    place.layout.root.symlink_to(place.layout.root)


def _root_is_closed(place: Place) -> None:
    place.close(place.layout.root)


def _nothing_can_be_written(place: Place) -> None:
    place.close(*place.layout.folders, place.layout.root, place.output, mode=0o500)


def _closed(name: str) -> Callable[[Place], None]:
    return lambda place: place.close(place.layout.root / name)


def _outbox_alone(place: Place) -> None:
    place.close(*(folder for folder in place.layout.folders if folder != place.layout.outbox))
    place.close(place.layout.root, mode=0o100)


def _outbox_files_are_closed(place: Place) -> None:
    place.layout.status.write_text("{}")
    place.close(place.layout.status, place.layout.published_json(JOB))


def _foreign_files_in_outbox(place: Place) -> None:
    outbox = place.layout.outbox
    for number, content in enumerate(
        (
            b'{"job": 1}', b"[1]", b"null", b"", b"{", b"\xff\xfe{\0}\0", b'"\xff"', b"[" * 200_000, b'{"a":' * 50_000,
            b'{"job": "x", "status": 3, "input": [], "issues": {}}', b'{"job": {}}',
            b'{"issues": null, "job": "foreign-7"}',
            json.dumps(answer("foreign-10") | {"issues": [{"code": 1}]}).encode(),
            json.dumps(answer("foreign-11") | {"metrics": {"mean_iou": "high"}}).encode(),
            json.dumps(answer("foreign-12") | {"dataset": {"layout": 1}}).encode(),
            b'{"n": ' + b"9" * 5000 + b"}", b'{"job": NaN}',
        )
    ):  # fmt: skip
        (outbox / f"foreign-{number}.json").write_bytes(content)
    (outbox / "folder.json").mkdir()
    os.mkfifo(outbox / "fifo.json")
    (outbox / "loop.json").symlink_to("loop.json")
    (outbox / "dangling.json").symlink_to("nowhere.json")
    (outbox / "endless.json").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        before = Path.cwd()
        os.chdir(outbox)  # a socket's address is short
        server.bind("socket.json")
        os.chdir(before)
    with (outbox / "huge.json").open("wb") as stream:
        stream.truncate(3 << 30)
    (outbox / os.fsdecode(b"bytes-\xff.json")).write_text("{}")


def _answer_is(content: bytes) -> Callable[[Place], None]:
    return lambda place: [place.layout.published_json(JOB).write_bytes(content)][0] and None


def _answer_is_a_fifo(place: Place) -> None:
    place.layout.published_json(JOB).unlink()
    os.mkfifo(place.layout.published_json(JOB))


def _status_is(content: bytes) -> Callable[[Place], None]:
    return lambda place: place.layout.status.write_bytes(content) and None


def _status_is_a_fifo(place: Place) -> None:
    os.mkfifo(place.layout.status)


def _status_is_a_folder(place: Place) -> None:
    place.layout.status.mkdir()


def _order_is_there_as_a_link(place: Place) -> None:
    for order in ("cancel", "retry"):
        (place.layout.inbox / f"{JOB}.{order}").symlink_to(place.folder / "made-through-a-link")


def _orders_are_folders(place: Place) -> None:
    for order in ("cancel", "retry"):
        (place.layout.inbox / f"{JOB}.{order}").mkdir()


CIRCUMSTANCES: dict[str, Callable[[Place], None]] = {
    "no root": _no_root,
    "the root is a file": _root_is_a_file,
    "the root is a FIFO": _root_is_a_fifo,
    "the root is a link loop": _root_is_a_link_loop,
    "the root is closed": _root_is_closed,
    "nothing can be written": _nothing_can_be_written,
    **{f"{name}/ is closed": _closed(name) for name in ("inbox", "work", "outbox", "failed", "done", "models")},
    "outbox/ alone is open": _outbox_alone,
    "the files in outbox/ are closed": _outbox_files_are_closed,
    "foreign files in outbox/": _foreign_files_in_outbox,
    "the answer is a list": _answer_is(b"[]"),
    "the answer is an empty object": _answer_is(b"{}"),
    "the answer is not UTF-8": _answer_is(b'{"\xff": 1}'),
    "the answer is cut off": _answer_is(b'{"job": "demo'),
    "the answer is a FIFO": _answer_is_a_fifo,
    "status.json is an empty object": _status_is(b"{}"),
    "status.json is a list": _status_is(b"[]"),
    "status.json has other types": _status_is(b'{"updated_at": 5, "daemon": [], "jobs": 3, "inbox": null}'),
    "status.json is nested too deeply": _status_is(b"[" * 100_000),
    "status.json is a FIFO": _status_is_a_fifo,
    "status.json is a folder": _status_is_a_folder,
    "the order is a link": _order_is_there_as_a_link,
    "the order is a folder": _orders_are_folders,
}


#: commands that take some seconds, and never look at what is in the outbox and the inbox
FAR_FROM_THE_SHARE = ("check", "train", "convert", "predict", "evaluate")
#: commands that never look at the root
FAR_FROM_THE_ROOT = ("images-to-json", "json-to-images")
OF_THE_SHARE = re.compile("the answer|status.json|the order|foreign|the files in")


@pytest.mark.parametrize(
    ("name", "circumstance"),
    [
        (name, circumstance)
        for name in NAMES
        for circumstance in CIRCUMSTANCES
        if (name not in FAR_FROM_THE_SHARE or not OF_THE_SHARE.search(circumstance))
        and (name not in FAR_FROM_THE_ROOT or circumstance == "nothing can be written")
    ],
)
def test_every_command_in_every_circumstance(commands: Commands, place: Place, name: str, circumstance: str) -> None:
    CIRCUMSTANCES[circumstance](place)
    check(run(commands, place, name))
    assert not (place.folder / "made-through-a-link").exists()


# paths given as arguments


def _fifo(place: Place, path: Path) -> None:
    os.mkfifo(path)


def _closed_file(place: Place, path: Path) -> None:
    path.write_bytes(b"{}")
    path.chmod(0)


def _in_a_closed_folder(place: Place, path: Path) -> None:
    path.parent.chmod(0)


KINDS: dict[str, Callable[[Place, Path], object]] = {
    "a FIFO": _fifo,
    "a link to a FIFO": lambda place, path: (os.mkfifo(place.folder / "far"), path.symlink_to(place.folder / "far")),
    "an endless device": lambda place, path: path.symlink_to("/dev/zero"),
    "a full device": lambda place, path: path.symlink_to("/dev/full"),
    "a folder": lambda place, path: path.mkdir(),
    "a link to nothing": lambda place, path: path.symlink_to("nowhere"),
    "a link to itself": lambda place, path: path.symlink_to(path.name),
    "not there": lambda place, path: None,
    "a closed file": _closed_file,
    "in a closed folder": _in_a_closed_folder,
    "a text file": lambda place, path: path.write_text("x\n"),
    "an empty file": lambda place, path: path.write_bytes(b""),
}
PATHS = [
    (name, parameter.name)
    for name in NAMES
    for parameter in _parameters(name)
    if _is_path(name, parameter) and parameter.name not in ("config", "root")
]
MUST_BE_READ = ("zip_path", "request", "config", "paths", "json_path")
ONCE_IS_ENOUGH = [("status", "config"), ("config", "config"), ("status", "root"), ("init", "root"), ("health", "root")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "parameter"), [*PATHS, *ONCE_IS_ENOUGH])
def test_every_path_given_may_be_anything(
    commands: Commands, place: Place, name: str, parameter: str, kind: str
) -> None:
    path = place.folder / "odd" / "given.zip"
    path.parent.mkdir()
    KINDS[kind](place, path)
    before = path.lstat().st_mode if os.path.lexists(path) and kind != "in a closed folder" else None
    finished = run(commands, place, name, words(name, place, **{parameter: str(path)}))
    check(finished)
    if before is not None and "file" not in kind:
        assert path.lstat().st_mode == before, "never replaced"
    if kind == "in a closed folder" or (kind == "a closed file" and parameter in MUST_BE_READ):
        assert "Permission denied" in finished.stdout + finished.stderr, "closed is not the same as absent"


def test_commands_take_paths_that_are_tried_above() -> None:
    tried = {"zip_path", "request", "samples", "output", "paths", "json_path", "folder"}
    assert {parameter for _, parameter in PATHS} == tried


# streams


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_that_has_gone_is_no_error_message(commands: Commands, place: Place, name: str) -> None:
    finished = run(commands, place, name, stdout_closed=True)
    assert "Traceback" not in finished.stderr
    assert "Exception ignored" not in finished.stderr
    assert finished.returncode in CONTRACT | {-signal.SIGPIPE}
    if finished.returncode == -signal.SIGPIPE:
        assert said(finished) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_full_output_is_said_in_one_line(commands: Commands, place: Place, name: str) -> None:
    ordinary = run(commands, place, name)
    for made in place.output.iterdir():
        shutil.rmtree(made) if made.is_dir() else made.unlink()
    finished = run(commands, place, name, stdout=Path("/dev/full"))
    check(Finished(finished.returncode, "(full)", finished.stderr))
    if ordinary.stdout:
        assert "No space left on device" in finished.stderr
        assert finished.returncode == (ordinary.returncode or Exit.TRY_LATER)


@pytest.mark.parametrize("size", [100, 300_000])
def test_a_json_on_a_standard_output_that_takes_no_more_ends_like_any_other_output(
    commands: Commands, place: Place, size: int
) -> None:
    image = place.folder / "image.png"
    image.write_bytes(bytes(size))
    line = ["images-to-json", str(image), "-o", "-"]
    whole = run(commands, place, "images-to-json", line)
    assert (whole.returncode, whole.stderr) == (Exit.OK, "")
    assert json.loads(whole.stdout)["image_names"] == ["image.png"]
    full = run(commands, place, "images-to-json", line, stdout=Path("/dev/full"))
    check(Finished(full.returncode, "(full)", full.stderr))
    assert "No space left on device" in full.stderr
    assert full.returncode == Exit.TRY_LATER
    closed = run(commands, place, "images-to-json", line, stdout_closed=True)
    assert (closed.returncode, closed.stderr) == (-signal.SIGPIPE, "")


def test_of_two_commands_in_a_pipe_the_second_says_that_it_reads_files_only(place: Place) -> None:
    packed = f"images-to-json {place.zip_path} -o -"
    finished = segdrop(packed, shell=f"| {sys.executable} -m segdrop json-to-images /dev/stdin -o {place.output}/x")
    assert "it is a named pipe (FIFO), not a regular file" in finished.stderr
    assert "Traceback" not in finished.stderr


def segdrop(*arguments: str | Path, shell: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    program = f"{sys.executable} -m segdrop {' '.join(map(str, arguments))} {shell}"
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("SEGDROP_")}
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {program}"],
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("shell", ["| head -n 1", "> /dev/full", ">&-", "2>&-", "2>/dev/full", "<&-", ">&- 2>&-"])
def test_a_real_process_ends_without_a_complaint_of_the_interpreter(place: Place, shell: str) -> None:
    finished = segdrop("config", "--root", place.layout.root, shell=shell)
    assert "Traceback" not in finished.stderr
    assert "Exception ignored" not in finished.stderr
    expected = {"> /dev/full": {Exit.TRY_LATER}, "| head -n 1": {Exit.OK, 128 + signal.SIGPIPE}}
    assert finished.returncode in expected.get(shell, {Exit.OK})


def test_no_command_at_all_shows_the_help_once(commands: Commands, place: Place) -> None:
    finished = commands.run(cwd=place.output)
    assert (finished.stdout + finished.stderr).count("Usage:") == 1
    assert finished.returncode == Exit.USAGE


def test_names_are_shown_in_any_locale(place: Place) -> None:
    name = place.folder / "größe-\N{SNOWMAN}.zip"
    place.zip_path.rename(name)
    for arguments in (("check", name), ("check", "--json", name), ("check", f"{name}x")):
        finished = segdrop(*arguments, "--root", place.layout.root, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
        assert "Traceback" not in finished.stderr
        assert finished.returncode in (Exit.OK, Exit.USAGE)


# the environment


@pytest.mark.parametrize("name", NAMES)
def test_a_working_directory_that_was_removed_is_named(commands: Commands, place: Place, name: str) -> None:
    line = [
        word.replace(f"{place.folder}/", "") if word.endswith(("root", ".zip")) else word for word in words(name, place)
    ]
    gone = place.folder / "gone"
    gone.mkdir()
    finished = run(commands, place, name, line, cwd=gone, removes_cwd=True)
    check(finished)
    if finished.returncode != Exit.OK and name != "models fetch":
        assert "working directory has been removed" in finished.stderr or "No such file" in finished.stderr


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_root_is_refused_and_never_the_working_directory(commands: Commands, place: Place, name: str) -> None:
    line, root = words(name, place), str(place.layout.root)
    by_variable = [word for word in line if word not in ("--root", root)]
    finished = run(commands, place, name, by_variable, environment={"SEGDROP_ROOT": ""})
    check(finished)
    if name not in WITHOUT_SETTINGS:
        assert finished.returncode == Exit.CONFIG
        assert "`root`" in finished.stderr
        finished = run(commands, place, name, ["" if word == root else word for word in line])
        check(finished)
        assert finished.returncode == Exit.USAGE
    assert not (place.output / "inbox").exists()


@pytest.mark.parametrize("name", NAMES)
def test_settings_that_cannot_be_read_are_told_by_every_command(commands: Commands, place: Place, name: str) -> None:
    (place.folder / "settings.toml").write_bytes(b"\xff\xfe[\0q\0]\0")
    finished = run(commands, place, name)
    check(finished)
    assert finished.returncode == (Exit.OK if name in WITHOUT_SETTINGS else Exit.CONFIG)
    assert name in WITHOUT_SETTINGS or "it is UTF-16: save it as UTF-8" in finished.stderr


def test_ctrl_c_is_quiet_and_leaves_nothing(place: Place, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "segdrop", "check", str(place.zip_path), "--root", str(place.layout.root)],
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: list(temporary.iterdir()), "the check's folder")
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr) in ((128 + signal.SIGINT, "", ""), (0, stdout, ""))
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("start", [["-m", "segdrop"], ["-c", "from segdrop.cli import main; main()"]])
def test_ctrl_c_is_quiet_while_modules_are_still_imported(tmp_path: Path, start: list[str]) -> None:
    (tmp_path / "typer.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    process = subprocess.Popen(
        [sys.executable, *start, "status"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  (tests may run without it)
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (-signal.SIGINT, "")


def test_what_ignores_ctrl_c_from_the_start_goes_on_doing_so(tmp_path: Path) -> None:
    """As a shell starts what it puts into the background."""
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); from segdrop.cli import main; main()"
    (tmp_path / "typer.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nraise SystemExit(3)\n")
    finished = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(tmp_path)}, check=False, timeout=60
    )
    assert finished.returncode == 3


# what an answer says


def test_a_defect_of_ours_is_one_line_and_70(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app = typer.Typer()

    @app.command()
    def broken() -> None:
        raise KeyError("nothing")

    monkeypatch.setattr(sys, "argv", ["segdrop"])
    with pytest.raises(SystemExit) as end:
        edge.run(app)
    assert end.value.code == Exit.INTERNAL
    event, line = capsys.readouterr().err.splitlines()
    assert json.loads(event)["exception"][0]["exc_type"] == "KeyError", "where it is stands in the log"
    assert line.startswith("segdrop: a defect")


@pytest.mark.parametrize("name", ["status", "jobs", "show"])
def test_whoever_sees_the_outbox_alone_sees_the_jobs_at_work_and_the_finished_ones(
    commands: Commands, place: Place, name: str
) -> None:
    write_board(place, [OTHER])
    _outbox_alone(place)
    line = words(name, place, **({"job": OTHER} if name == "show" else {}))
    finished = run(commands, place, name, line)
    assert finished.returncode == Exit.OK, finished.stderr
    assert OTHER in finished.stdout
    assert "epoch 2/5" in finished.stdout
    if name == "jobs":
        assert JOB in finished.stdout
    if name == "status":
        assert "work/ cannot be looked into: Permission denied" in finished.stdout
        assert "by status.json the daemon was alive" in finished.stdout


def write_board(place: Place, jobs: list[str]) -> None:
    progress = {"stage": "train", "epoch": 2, "epochs": 5, "step": 14, "steps": 35}
    lines = [{"job": job, "input": "x.zip", "state": "running", "attempts": 1, "progress": progress} for job in jobs]
    board = {
        "updated_at": datetime.now(UTC).isoformat(),
        "daemon": {"pid": 7, "state": "running", "reason": ""},
        "jobs": lines,
        "inbox": [],
        "ignored": [],
    }
    place.layout.status.write_text(json.dumps(board))


@pytest.mark.parametrize(("name", "job"), [("cancel", OTHER), ("retry", JOB)])
def test_orders_need_the_inbox_to_write_and_the_outbox_to_read(
    commands: Commands, place: Place, name: str, job: str
) -> None:
    write_board(place, [OTHER])
    _outbox_alone(place)
    place.layout.inbox.chmod(0o300)
    finished = run(commands, place, name, words(name, place, job=job))
    assert finished.returncode == Exit.OK, finished.stderr
    place.layout.inbox.chmod(0o700)
    assert [path.name for path in place.layout.inbox.iterdir()] == [f"{job}.{name}"]


@pytest.mark.parametrize("seen", ["everything", "outbox/ alone"])
@pytest.mark.parametrize(
    "job", [f"{JOB[:-1]}x", f"{JOB}.json", "x", "../../etc/passwd", "..", "", ".", "--", "*", "a/b"]
)
@pytest.mark.parametrize("name", ["show", "cancel", "retry"])
def test_an_unknown_job_is_wrong_usage_and_the_nearest_one_is_named(
    commands: Commands, place: Place, name: str, job: str, seen: str
) -> None:
    write_board(place, [f"{JOB[:-1]}y"])
    if seen != "everything":
        _outbox_alone(place)
        place.layout.inbox.chmod(0o300)
    finished = run(commands, place, name, [*words(name, place)[:-1], "--", job])
    check(finished)
    assert finished.returncode == Exit.USAGE
    assert (
        f"did you mean {JOB[:-1]}" in finished.stderr
        or not job.startswith(JOB[:-1])
        or (name, seen) == ("cancel", "everything")
    )
    place.layout.inbox.chmod(0o700)
    assert list(place.layout.inbox.iterdir()) == []


def test_an_order_that_another_user_left_is_there_already(commands: Commands, place: Place) -> None:
    order = place.layout.inbox / f"{JOB}.retry"
    order.touch(0)
    place.layout.inbox.chmod(0o1777)  # sticky: where it is another user's, the kernel may refuse to open it for writing
    finished = run(commands, place, "retry")
    check(finished)
    assert (finished.returncode, finished.stdout) == (Exit.OK, f"{order}: is there already\n")


def test_who_cannot_know_whether_there_is_such_a_job_may_ask_and_is_told(commands: Commands, place: Place) -> None:
    place.close(place.layout.outbox, place.layout.work, place.layout.failed, place.layout.done)
    for name in ("cancel", "retry"):
        finished = run(commands, place, name)
        assert finished.returncode == Exit.OK, finished.stderr
        assert "cannot be seen from here" in finished.stdout
        assert (place.layout.inbox / f"{JOB}.{name}").exists()


def test_ended_and_running_jobs_are_told_from_unknown_ones(commands: Commands, place: Place) -> None:
    assert "has ended (failed)" in run(commands, place, "cancel").stderr
    place.layout.published_json(OTHER).write_text(json.dumps(answer(OTHER)))
    assert "its input is not kept" in run(commands, place, "retry", words("retry", place, job=OTHER)).stderr


def test_the_results_that_are_closed_are_named_beside_the_others(commands: Commands, place: Place) -> None:
    place.layout.published_json(OTHER).write_text(json.dumps(answer(OTHER)))
    place.close(place.layout.published_json(OTHER))
    finished = run(commands, place, "jobs")
    assert finished.returncode == Exit.OK
    assert JOB in finished.stdout
    assert finished.stderr == f"outbox/{OTHER}.json: Permission denied\n"


@pytest.mark.parametrize("content", [json.dumps({"levl": 1}).encode("utf-16"), b"{'a': 1}", "{“a”: 1}".encode(), b""])
def test_a_request_that_cannot_be_read_is_told_in_words_by_check_and_train(
    commands: Commands, place: Place, content: bytes
) -> None:
    place.zip_path.with_suffix(".json").write_bytes(content)
    for name in ("check", "train", "convert"):
        finished = run(commands, place, name)
        check(finished)
        assert finished.returncode == Exit.DATA
        shown = " ".join((finished.stdout + finished.stderr).split())
        assert any(word in shown for word in ("UTF-16", "double ones", "typographic", "is empty"))
        assert "codec" not in shown
