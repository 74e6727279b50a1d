import subprocess
import sys

from segdrop.modeling import operators

_SCRIPT = """
from segdrop.modeling.operators import declare_missing, import_torchvision
network = import_torchvision("torchvision.models").resnet18(weights=None)
import torchvision, torch
assert torch.ops.torchvision.nms is not None
assert declare_missing() == [], "declared twice"
print(torchvision.__name__)
"""


def test_torchvision_imports_beside_the_torch_that_is_installed() -> None:
    finished = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=False)
    assert finished.stdout.strip() == "torchvision", finished.stderr


def test_operators_that_exist_are_never_declared_again() -> None:
    operators.import_torchvision()
    assert operators.declare_missing() == []
    assert operators.import_torchvision("torchvision.models").__name__ == "torchvision.models"
