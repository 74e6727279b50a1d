"""A model that a request names, found on disk and not yet opened."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from segdrop.spool.kept_models import KeptModel, KeptModels


class ModelKind(StrEnum):
    """What a model that predicts was made with."""

    SEGDROP = "segdrop"
    HUGGINGFACE = "huggingface"
    ONNX = "onnx"
    TORCHVISION = "torchvision"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model that a request named: where it is and what it is; see :mod:`segdrop.model_files.resolving`."""

    name: str  #: that people know it by: a job, or a name in ``models/``
    kind: ModelKind
    path: Path  #: a file, or a folder
    origin: str  #: where it comes from, for people
    member: str | None = None  #: of a folder or ZIP: the file that is the model, or the folder in a ZIP
    kept: KeptModel | None = None  #: of a job: what is on record of its model
    earlier: KeptModels | None = None  #: of a job: the models that it is one of
