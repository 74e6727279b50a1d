"""Initial weights: find them, make sure of them, and put them into a model.

Nothing here uses the network, and nothing is unpickled but plain tensors (``weights_only=True``).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from segdrop import logs, weights_files
from segdrop.codes import Code
from segdrop.errors import DataError, Issue
from segdrop.modeling.architectures import SegmentationModel

#: BatchNorm's counter, which files from before torch 0.4.1 lack, and which inference does not use
COUNTER = "num_batches_tracked"


@dataclass(frozen=True, slots=True)
class Initialisation:
    """The weights that a model starts from, for the record."""

    description: str
    file_name: str | None = None
    sha256: str | None = None
    issues: tuple[Issue, ...] = ()
    job: str | None = None  #: the earlier job whose model it is, all of it
    output_stride: int | None = None  #: the one at which that model was validated

    @property
    def is_pretrained(self) -> bool:
        """Whether weights were loaded from a file."""
        return self.file_name is not None

    @property
    def is_warm(self) -> bool:
        """Whether the training goes on from the model of an earlier one, heads and all."""
        return self.job is not None

    def to_json(self) -> dict[str, Any]:
        """Returns the record as JSON values."""
        issues = [issue.to_json() for issue in self.issues]
        return {
            "description": self.description,
            "file_name": self.file_name,
            "sha256": self.sha256,
            "issues": issues,
            "job": self.job,
            "output_stride": self.output_stride,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Reads the record that :meth:`to_json` returned, perhaps in a version that knew no earlier models."""
        issues = tuple(Issue.from_json(issue) for issue in value["issues"])
        known = (value["description"], value["file_name"], value["sha256"], issues)
        return cls(*known, job=value.get("job"), output_stride=value.get("output_stride"))


def initialise(model: SegmentationModel, architecture: str, pretrained: str, dirs: list[Path]) -> Initialisation:
    """Loads the weights that a request asks for: ``none``, ``auto`` (the best that are there), or a file's name.

    Raises ``DataError`` (``request.weights_not_found``) where a file that was asked for by name cannot be used; one
    that ``auto`` finds is passed over with a warning (``weights.mismatch``).
    """
    if pretrained == "none":
        return Initialisation("random weights, as requested")
    if pretrained != "auto":
        return _initialise_from(model, pretrained, dirs)
    issues: list[Issue] = []
    for path in weights_files.candidates(pretrained, architecture, dirs):
        loaded = load(model, path)
        if isinstance(loaded, Initialisation):
            return Initialisation(loaded.description, loaded.file_name, loaded.sha256, tuple(issues))
        issues.append(Issue.of(Code.WEIGHTS_MISMATCH, f"{path.name}: {loaded}", files=[path.name]))
    issues.append(Issue.of(Code.WEIGHTS_NONE, "no pretrained weights were found"))
    return Initialisation("random weights: no pretrained weights were found", issues=tuple(issues))


def _initialise_from(model: SegmentationModel, name: str, dirs: list[Path]) -> Initialisation:
    path = weights_files.find(name, dirs)
    loaded = load(model, path) if path else "there is no such file in models/"
    if isinstance(loaded, str):
        raise DataError([Issue.of(Code.REQUEST_WEIGHTS_NOT_FOUND, f"{name}: {loaded}", files=[name])])
    return loaded


def load(model: SegmentationModel, path: Path) -> Initialisation | str:
    """Loads a file into a model; returns what was loaded, or in words why the model was left as it is."""
    with path.open("rb") as stream:  # one file, although another may get its name meanwhile
        digest = weights_files.sha256_of(stream)
        if not weights_files.matches_name(digest, path.name):
            return "its SHA-256 is not the one in its name"
        stream.seek(0)
        try:
            content = torch.load(stream, map_location="cpu", weights_only=True)
        except Exception as error:  # noqa: BLE001  (a damaged file makes torch raise anything)
            return f"it cannot be read ({type(error).__name__})"
    part = load_state(model, content)
    if part is None:
        return "its tensors do not fit the architecture"
    logs.get().info("weights.loaded", file=path.name, part=part, sha256=digest)
    return Initialisation(f"pretrained {part} ({path.name})", path.name, digest)


def load_state(model: SegmentationModel, content: object) -> str | None:
    """Copy weights into a model, all that one for other classes can share.

    ``content`` is a ``model.pth`` of ours, or any state_dict that the architecture can read. Returns which part was
    loaded; None, with the model unchanged, unless every tensor of that part is there in the right shape.
    """
    target = model.network.state_dict()
    foreign = model.read_weights(tensors_of(content))
    fitting = {
        name: tensor
        for name, tensor in foreign.tensors.items()
        if name in target and target[name].shape == tensor.shape
    }
    if any(name not in fitting for name in foreign.required if not name.endswith(COUNTER)):
        return None
    model.network.load_state_dict({**target, **fitting})
    return foreign.part


def tensors_of(content: object) -> dict[str, Tensor]:
    """Returns the tensors of a ``model.pth`` of ours, or of a state_dict, by their names; none of anything else."""
    if not isinstance(content, dict):
        return {}
    state: dict[Any, Any] = content["state_dict"] if isinstance(content.get("state_dict"), dict) else content
    return {str(key): value for key, value in state.items() if isinstance(value, Tensor)}
