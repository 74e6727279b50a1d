"""What a stage is, and what all stages work with."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from segdrop.execution.runner import End, Handle, Runner
from segdrop.settings import Settings
from segdrop.spool.job import Job
from segdrop.spool.kept_models import KeptModels
from segdrop.spool.layout import RootLayout
from segdrop.spool.results import Results
from segdrop.spool.store import Store


@dataclass(frozen=True, slots=True)
class Modules:
    """Tells which module each child runs; tests put faster stand-ins here."""

    check: str = "segdrop.dataset"
    training: str = "segdrop.training"
    inference: str = "segdrop.inference"
    package: str = "segdrop.results"


@dataclass(frozen=True, slots=True)
class Context:
    """Tells what all stages work with. The stages hold no state of their own."""

    settings: Settings
    store: Store
    results: Results
    runner: Runner
    modules: Modules
    models_root: RootLayout | None = None  #: the root whose models a request may start from, where it is another

    @property
    def earlier(self) -> KeptModels:
        """The models of earlier jobs, which a training may start from."""
        return KeptModels.of(self.models_root or self.store.layout)


class Stage(Protocol):
    """One step of a job's way that a child takes. Every stage may be repeated."""

    @property
    def name(self) -> str:
        """The name that people know the stage by."""

    def start(self, job: Job, now: float, wall: datetime) -> Handle:
        """Starts the stage's child; ``now`` is monotonic seconds, ``wall`` the time for people."""

    def recorded(self, job: Job, wall: datetime) -> Job | None:
        """Returns the job after what a child had finished and nobody recorded; None if there is no such thing."""

    def finish(self, job: Job, end: End, wall: datetime) -> Job:
        """Reads what the child has left, and returns the job after the transition that follows from it.

        Raises DeferredError where the environment stood in the child's way, InstallationError where the child could not
        begin, and CorruptError where a file of the job is not what it should be.
        """
