"""Specs: the files that tell a child process everything. It answers through the files that its spec names.

What a spec names below the root is named relative to the spec's own folder, so that the same file tells the same on
another machine that sees the share elsewhere; what lies outside the root has its absolute path.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    PlainSerializer,
    SerializationInfo,
    ValidationInfo,
)

from segdrop.input_kinds import InputKind
from segdrop.request import EvaluateRequest, PredictRequest, TrainRequest


def _from_folder(path: Path, info: ValidationInfo) -> Path:
    """Without regard to links: ``..`` is the folder above by name."""
    return Path(os.path.normpath(info.context / path)) if info.context else path


def _toward_folder(path: Path, info: SerializationInfo) -> str:
    if not info.context:
        return str(path)
    folder, root = info.context
    return os.path.relpath(path, folder) if path.is_relative_to(root) else str(path)


SpecPath = Annotated[Path, AfterValidator(_from_folder), PlainSerializer(_toward_folder, when_used="json")]


class Spec(BaseModel):
    """A child's spec: frozen, because nobody changes an order in flight."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Returns the spec in a file, with absolute paths."""
        return cls.model_validate_json(path.read_bytes(), context=path.absolute().parent)

    def dump(self, folder: Path, root: Path) -> dict[str, Any]:
        """Returns the spec as it stands in a file of ``folder``, with relative paths to all that is below ``root``."""
        return self.model_dump(mode="json", context=(folder.absolute(), root.absolute()))


class Limits(Spec):
    """Caps on what an input may hold and on the process that reads it. Caps on bytes count what is really read."""

    max_archive_bytes: int
    max_extracted_bytes: int
    max_member_bytes: int
    max_entries: int
    max_ratio: int
    max_image_pixels: int
    check_memory_bytes: int
    check_cpu_seconds: int
    max_json_bytes: int
    max_json_images: int
    max_video_frames: int
    max_video_pixels: int
    max_output_bytes: int  #: of all files of a result together


class QuickCheckItem(Spec):
    """One input for the cheap check. ``key`` names it in the answer."""

    key: str
    kind: InputKind = InputKind.ARCHIVE
    archive: SpecPath  #: the input, of whatever kind
    name: str  #: the name people know it by
    sidecar: SpecPath | None = None
    sidecar_name: str | None = None


class QuickCheckSpec(Spec):
    """Cheap checks, one after the other: end record, directory, request, layout, names. No pixels.

    ``default_model`` is the operator's, for inputs other than ZIPs that come without a request; empty: none.

    Answer: ``answer_path``, one line of JSON per item in order (``segdrop.dataset.report.QuickReport``).
    """

    items: list[QuickCheckItem]
    defaults: dict[str, Any]
    models_dir: SpecPath
    limits: Limits
    outbox_dir: SpecPath | None = None  #: with ``done_dir``: where models of earlier jobs are; None: there are none
    done_dir: SpecPath | None = None
    answer_path: SpecPath
    error_path: SpecPath
    default_model: str = ""


class CheckSpec(Spec):
    """The full check of one input: every byte read, every pixel decoded, the cache built.

    The answers are ``report_path`` (``segdrop.dataset.report.CheckReport``), ``cache_dir`` where there is no fault, and
    in ``samples_dir``, which exists, overlays to look at where truth can be read.
    """

    job: str | None
    kind: InputKind = InputKind.ARCHIVE
    archive: SpecPath  #: the input, of whatever kind
    name: str
    sidecar: SpecPath | None
    sidecar_name: str | None
    defaults: dict[str, Any]
    models_dir: SpecPath
    limits: Limits
    cache_dir: SpecPath | None  #: None: check only
    report_path: SpecPath
    progress_path: SpecPath | None
    error_path: SpecPath
    lock_path: SpecPath | None
    samples_dir: SpecPath | None = None
    weights_dirs: list[SpecPath] = []  #: searched for what the request starts from; without any, no fingerprint
    outbox_dir: SpecPath | None = None  #: with ``done_dir``: where models of earlier jobs are; None: there are none
    done_dir: SpecPath | None = None
    pairs_path: SpecPath | None = None  #: where an evaluation's pairs are left, in the canonical layout
    default_model: str = ""  #: the operator's, for an input other than a ZIP without a request; empty: none


class ConvertSpec(CheckSpec):
    """The full check of one ZIP, then its conversion to the canonical layout, if there is no fault.

    The answers are ``report_path`` with the check's report, and the ZIP at ``output_path``, which the caller renames.
    """

    output_path: SpecPath
    skip_bad: bool  #: leave out pairs that cannot be used, if they are not more than half


class DecodeOrder(Spec):
    """An input whose images are wanted, from the one with the index ``start`` on."""

    job: str | None
    input_path: SpecPath
    name: str  #: the name people know the input by
    kind: InputKind
    limits: Limits
    start: int = 0
    deep_range: tuple[float, float] | None = None  #: values of more than 8 bits that are black and white to the model


class DecodeSpec(DecodeOrder):
    """The decoding of one input, image by image, in the order of the input.

    The child writes the pixels of each image into one of the files in ``memory_paths``, and tells about it in a line of
    JSON on its standard output (``segdrop.dataset.unlabelled.messages``). Once the parent has taken the pixels, it
    writes the number of that file in a line to the child's standard input, and the file is free again.
    """

    memory_paths: list[SpecPath]  #: of files that both processes can read and write; in memory, at best
    error_path: SpecPath


class ModelMetadata(Spec):
    """Tells what model.pth says about the data that it was trained on."""

    job: str
    input_name: str
    input_sha256: str
    mask_values: list[int | str]  #: of each class; a colour as ``#rrggbb``
    mask_encoding: str
    ignore_index: int | None


class TrainingSpec(Spec):
    """One training run on a checked dataset.

    The answers are ``model_path``, ``history_path`` and, last, ``result_path`` (``segdrop.answers.TrainingResult``), or
    ``error_path``; meanwhile
    ``progress_path`` at most once a second and ``checkpoint_path`` after every epoch. If the request keeps
    checkpoints, also a model of every epoch in ``checkpoints_dir``.
    """

    job: str
    request: TrainRequest  #: resolved; as it is done
    cache_dir: SpecPath
    classes: list[str]
    weights_dirs: list[SpecPath]  #: searched in this order
    outbox_dir: SpecPath | None = None  #: with ``done_dir``: where models of earlier jobs are; None: there are none
    done_dir: SpecPath | None = None
    owner: int | None = None  #: user id of who dropped the input, where it is known; for ``pretrained: previous``
    threads: int  #: 0: as many as the affinity and the cgroup quota allow
    checkpoint_path: SpecPath
    model_path: SpecPath
    checkpoints_dir: SpecPath  #: of every epoch's model, if the request keeps them
    history_path: SpecPath
    result_path: SpecPath
    progress_path: SpecPath
    measurements_path: SpecPath  #: what earlier runs on this host measured; written too, and may be lost
    error_path: SpecPath
    lock_path: SpecPath
    metadata: ModelMetadata
    asked: TrainRequest | None = None  #: resolved; as it was asked for, where that is something else
    is_halved: bool = False  #: the batch, because memory did not suffice for what was asked
    answered: dict[str, str] = {}  #: the jobs with results on the same input, by their fingerprints

    @property
    def question(self) -> TrainRequest:
        """Request as it was asked for, which a later one is compared with."""
        return self.asked or self.request


class InferenceSpec(Spec):
    """A prediction, or an evaluation, of one input with a trained model.

    The answers are the files in ``outputs_dir``, a line of ``journal_path`` for each image whose files are there, and
    last ``result_path`` (``segdrop.answers.InferenceResult``), or ``error_path``; meanwhile ``progress_path`` at most
    once a second.
    """

    job: str
    request: PredictRequest | EvaluateRequest  #: resolved
    input_path: SpecPath  #: of an evaluation, the pairs that its check has left
    input_name: str
    kind: InputKind
    input_sha256: str
    owner: int | None  #: user id of who dropped the input, where it is known; for the model ``previous``
    classes: list[str]  #: of the dataset that is evaluated on
    limits: Limits
    models_dir: SpecPath
    outbox_dir: SpecPath
    done_dir: SpecPath
    threads: int  #: 0: as many as the affinity and the cgroup quota allow
    outputs_dir: SpecPath
    journal_path: SpecPath
    log_path: SpecPath
    result_path: SpecPath
    progress_path: SpecPath
    measurements_path: SpecPath  #: what earlier runs on this host measured; written too, and may be lost
    error_path: SpecPath
    lock_path: SpecPath


class PackageSpec(Spec):
    """Pack the result ZIP from finished files. Answer: ``package_path`` with size and SHA-256, last."""

    job: str
    artifacts: dict[str, SpecPath]  #: what goes into the ZIP as it is, by the name that it has there
    artifacts_dir: SpecPath | None = None  #: all files below it go into the ZIP, by their names from there
    summary_path: SpecPath
    index_path: SpecPath | None  #: the cache's index: which image was on which side of the split
    result_zip_path: SpecPath
    package_path: SpecPath
    error_path: SpecPath
    lock_path: SpecPath
