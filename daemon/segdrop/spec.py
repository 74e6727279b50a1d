"""Specs: the files that tell a child process everything. It answers through the files named here.

pydantic, because a spec is bytes that enter a process; frozen, because nobody changes an order in flight.
"""

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from segdrop.request import Request


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def load(cls, path: Path) -> Self:
        return cls.model_validate_json(path.read_bytes())

    def dump(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


class Limits(_Spec):
    """Caps on what a ZIP may hold and on the process that reads it. Caps on bytes count what is really read."""

    max_archive_bytes: int
    max_extracted_bytes: int
    max_member_bytes: int
    max_entries: int
    max_ratio: int
    max_image_pixels: int
    check_memory_bytes: int
    check_cpu_seconds: int


class InspectItem(_Spec):
    """One ZIP for the cheap check. ``key`` names it in the answer."""

    key: str
    archive: Path
    name: str  #: the name people know it by
    sidecar: Path | None = None
    sidecar_name: str | None = None


class InspectSpec(_Spec):
    """Cheap checks, one after the other: end record, directory, request, layout, names. No pixels.

    Answer: ``answer_path``, one JSON line per item in order: ``{"key", "issues": [...], "request": {...}|null,
    "cache_bytes", "error": string|null}``.
    """

    items: list[InspectItem]
    defaults: dict[str, Any]
    models_dir: Path
    limits: Limits
    answer_path: Path
    error_path: Path


class CheckSpec(_Spec):
    """The full check of one ZIP: every byte read, every pixel decoded, the cache built.

    Answers: ``report_path`` (``segdrop.dataset.report.CheckReport``), where there is no fault ``cache_dir``, and as
    far as truth can be read, overlays to look at in ``samples_dir`` (which exists).
    """

    job: str | None
    archive: Path
    name: str
    sidecar: Path | None
    sidecar_name: str | None
    defaults: dict[str, Any]
    models_dir: Path
    limits: Limits
    cache_dir: Path | None  #: None: check only
    report_path: Path
    progress_path: Path | None
    error_path: Path
    lock_path: Path | None
    samples_dir: Path | None = None


class ConvertSpec(CheckSpec):
    """The full check of one ZIP, then the canonical layout of it, if there is no fault.

    Answers: ``report_path`` with the check's report, and the ZIP at ``output_path``: somebody else gives it its name.
    """

    output_path: Path
    skip_bad: bool  #: leave out pairs that cannot be used, if they are not more than half


class TrainingSpec(_Spec):
    """One training run on a checked dataset.

    Answers: ``model_path``, ``history_path``, ``result_path`` (last), or ``error_path``; meanwhile
    ``progress_path`` at most once a second and ``checkpoint_path`` after every epoch. If the request keeps
    checkpoints, also a model of every epoch in ``checkpoints_dir``.
    """

    job: str
    request: Request  #: resolved
    cache_dir: Path
    classes: list[str]
    weights_dirs: list[Path]  #: searched in this order
    threads: int  #: 0: as many as the affinity and the cgroup quota allow
    checkpoint_path: Path
    model_path: Path
    history_path: Path
    result_path: Path
    progress_path: Path
    measurements_path: Path  #: what earlier runs on this host measured; written too, and may be lost
    error_path: Path
    lock_path: Path
    metadata: dict[str, Any] = {}  #: goes into model.pth as it is

    @property
    def checkpoints_dir(self) -> Path:
        return _checkpoints_beside(self.model_path)


class PackageSpec(_Spec):
    """Pack the result ZIP from finished files. Answer: ``package_path`` with size and SHA-256, last."""

    job: str
    model_path: Path
    history_path: Path
    summary_path: Path
    index_path: Path  #: the cache's index: which image was on which side of the split
    result_zip_path: Path
    package_path: Path
    error_path: Path
    lock_path: Path

    @property
    def checkpoints_dir(self) -> Path:
        """Every epoch's model; there only if the request kept them."""
        return _checkpoints_beside(self.model_path)


def _checkpoints_beside(model_path: Path) -> Path:
    return model_path.with_name("checkpoints")
