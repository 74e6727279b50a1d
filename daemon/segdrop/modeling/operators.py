"""Makes ``import torchvision`` work beside a CPU-only torch.

torchvision's x86-64 wheel from PyPI is linked against a CUDA torch. Beside a CPU-only torch its C++ library does
not load, and the import stops with ``operator torchvision::nms does not exist``, because Python code registers
implementations for operators that nobody declared. Declaring the two schemas first is enough: they are detection
operators, which segmentation never calls. Where torchvision's library loads, nothing is declared here.

Import torchvision through :func:`import_torchvision` only.
"""

import importlib
from types import ModuleType

import torch

_SCHEMAS = {
    "torchvision::nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "torchvision::qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def import_torchvision(name: str = "torchvision") -> ModuleType:
    """Imports torchvision, or a module of it, and returns it."""
    try:
        return importlib.import_module(name)
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    declare_missing()
    return importlib.import_module(name)


def declare_missing() -> list[str]:
    """Declares the schemas of operators that are missing; returns their names."""
    declared = []
    for name, schema in _SCHEMAS.items():
        if not _exists(name):
            torch.library.define(name, schema)
            declared.append(name)
    return declared


def _exists(name: str) -> bool:
    namespace, _, operator = name.partition("::")
    return hasattr(getattr(torch.ops, namespace), operator)
