"""One job in the foreground: a root of its own for it, the daemon's own loop in it, until the job has ended."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from segdrop.cli.foreground_check import open_models, open_results
from segdrop.cli.serve import serve
from segdrop.errors import Exit
from segdrop.intake import names
from segdrop.settings import IntakeSettings, Settings
from segdrop.spool import root as spool_root
from segdrop.spool.job import Outcome, is_job_id
from segdrop.spool.layout import RootLayout


@dataclass(frozen=True, slots=True)
class FinishedJob:
    """What a job has left in the outbox of its root: its answer, and its result ZIP where it succeeded."""

    files: tuple[Path, ...]
    status: Exit

    @property
    def exit_code(self) -> Exit:
        """The exit code of the command: the data is at fault where the job was rejected."""
        answers = (json.loads(path.read_bytes()) for path in self.files if path.suffix == ".json")
        return Exit.DATA if any(answer["status"] == Outcome.REJECTED for answer in answers) else self.status

    @property
    def answer(self) -> Path | None:
        """The answer; ``None`` where the job was stopped before it had one."""
        return next((path for path in self.files if path.suffix == ".json"), None)

    @property
    def archive(self) -> Path | None:
        """The result ZIP; ``None`` where the job has no result."""
        return next((path for path in self.files if path.suffix == ".zip"), None)


def inbox_name(path: Path) -> str:
    """Returns the name under which an inbox takes a file that was named, whatever it is called.

    It would leave hidden names and conflict copies alone.
    """
    stem = Path(names.conflict_free(path.name)).stem.lstrip(".~") or "data"
    return f"{stem}{path.suffix.lower()}"


@contextmanager
def finished(loaded: Settings, folder: Path, drop: Callable[[RootLayout], None]) -> Iterator[FinishedJob]:
    """Yields the job that ``drop`` has put into the inbox of a root below ``folder``; the root is removed afterwards.

    The operator's models are there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".segdrop-", dir=folder) as private_folder:
        private = RootLayout(Path(private_folder).absolute())
        spool_root.create(private)
        _link(open_models(loaded), private.models)
        drop(private)
        intake = IntakeSettings(settle_seconds=0, incomplete_seconds=0, scan_seconds=0.5, watch=False)
        ours = loaded.model_copy(update={"root": private.root, "intake": intake})
        status = serve(ours, until_drained=True, models_root=open_results(loaded))
        yield FinishedJob(tuple(sorted(path for path in private.outbox.iterdir() if _is_answer(path))), status)


def _is_answer(path: Path) -> bool:
    """Whether a name in an outbox is a job's, and not that of a page or list for people."""
    return path.suffix in (".json", ".zip") and is_job_id(path.stem)


def _link(models: Path | None, target: Path) -> None:
    for path in models.iterdir() if models else ():
        (target / path.name).symlink_to(path)
