"""Initial weights: find them, make sure of them, and put them into a model.

Nothing here uses the network, and nothing is unpickled but plain tensors (``weights_only=True``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from segdrop import catalog, logs, weights
from segdrop.errors import DataError, Issue

_BACKBONE = "backbone."
_AUXILIARY = "aux_classifier."
#: one output a class: these are what a model for other classes cannot share
_LAST_CONVOLUTIONS = ("classifier.4.", "aux_classifier.4.")
#: BatchNorm's counter, which files from before torch 0.4.1 lack, and which inference does not use
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True, slots=True)
class Initialisation:
    """What the model starts from, for the record."""

    description: str
    file_name: str | None = None
    sha256: str | None = None
    issues: tuple[Issue, ...] = ()

    @property
    def is_pretrained(self) -> bool:
        return self.file_name is not None

    def to_json(self) -> dict[str, Any]:
        issues = [issue.to_json() for issue in self.issues]
        return {
            "description": self.description,
            "file_name": self.file_name,
            "sha256": self.sha256,
            "issues": issues,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        issues = tuple(Issue.from_json(issue) for issue in value["issues"])
        return cls(value["description"], value["file_name"], value["sha256"], issues)


def initialise(network: nn.Module, architecture: str, pretrained: str, dirs: list[Path]) -> Initialisation:
    """Load what the request asks for: ``none``, ``auto`` (the best that is there), or a file's name.

    A file asked for by name that cannot be used is an error (``request.weights_not_found``); one that ``auto``
    finds is passed over with a warning (``weights.mismatch``).
    """
    if pretrained == "none":
        return Initialisation("random weights, as requested")
    if pretrained != "auto":
        return _initialise_from(network, pretrained, dirs)
    issues: list[Issue] = []
    for file in catalog.ARCHITECTURES[architecture].weights:
        for path in weights.find_all(file.file_name, dirs):
            loaded = load(network, path)
            if isinstance(loaded, Initialisation):
                return Initialisation(loaded.description, loaded.file_name, loaded.sha256, tuple(issues))
            issues.append(Issue.of("weights.mismatch", f"{path.name}: {loaded}", files=[path.name]))
    issues.append(Issue.of("weights.none", "no pretrained weights were found"))
    return Initialisation("random weights: no pretrained weights were found", issues=tuple(issues))


def _initialise_from(network: nn.Module, name: str, dirs: list[Path]) -> Initialisation:
    path = weights.find(name, dirs)
    loaded = load(network, path) if path else "there is no such file in models/"
    if isinstance(loaded, str):
        raise DataError([Issue.of("request.weights_not_found", f"{name}: {loaded}", files=[name])])
    return loaded


def load(network: nn.Module, path: Path) -> Initialisation | str:
    """Load a file into the network; what was loaded, or why the network was left as it is."""
    digest = weights.sha256(path)
    if not weights.matches_name(digest, path.name):
        return "its SHA-256 is not the one in its name"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001  (a damaged file makes torch raise anything)
        return f"it cannot be read ({type(error).__name__})"
    part = load_state(network, content)
    if part is None:
        return "its tensors do not fit the architecture"
    logs.get().info("weights.loaded", file=path.name, part=part, sha256=digest)
    return Initialisation(f"pretrained {part} ({path.name})", path.name, digest)


def load_state(network: nn.Module, content: object) -> str | None:
    """Copy weights into the network, all that a model for other classes can share.

    ``content`` is a state_dict of a whole model, one of a backbone alone (torchvision's classification models),
    or a ``model.pth`` of ours. Returns which part was loaded; None, and the network unchanged, unless every
    tensor of that part is there in the right shape.
    """
    given = _tensors(content)
    target: Mapping[str, Tensor] = network.state_dict()
    part = "model"
    if not any(key.startswith(_BACKBONE) for key in given):
        given = {_BACKBONE + key: value for key, value in given.items()}
        part = "backbone"
    fitting = {key: value for key, value in given.items() if key in target and target[key].shape == value.shape}
    if any(key not in fitting for key in _required(target, given, part)):
        return None
    network.load_state_dict({**target, **fitting})
    return part


def _tensors(content: object) -> dict[str, Tensor]:
    if not isinstance(content, dict):
        return {}
    state: dict[Any, Any] = content["state_dict"] if isinstance(content.get("state_dict"), dict) else content
    return {str(key): value for key, value in state.items() if isinstance(value, Tensor)}


def _required(target: Mapping[str, Tensor], given: Mapping[str, Tensor], part: str) -> list[str]:
    """The tensors without which a file is another architecture's. An auxiliary head may be missing as a whole."""
    keys = [key for key in target if not key.endswith(_COUNTER)]
    if part == "backbone":
        return [key for key in keys if key.startswith(_BACKBONE)]
    has_auxiliary = any(key.startswith(_AUXILIARY) for key in given)
    return [
        key
        for key in keys
        if not key.startswith(_LAST_CONVOLUTIONS) and (has_auxiliary or not key.startswith(_AUXILIARY))
    ]
