"""The references that are written by hand: a first implementation, and torchvision's recipe."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from bench.dataset import BATCH, Pairs
from segdrop.dataset.classes.assignment import IGNORE
from segdrop.modeling.metrics import confusion_matrix, summarize
from segdrop.modeling.operators import import_torchvision


def build_network(num_classes: int) -> nn.Module:
    segmentation = import_torchvision("torchvision.models.segmentation")
    network: nn.Module = segmentation.deeplabv3_resnet50(
        weights=None, weights_backbone=None, num_classes=num_classes, aux_loss=True
    )
    return network


@dataclass(slots=True)
class Loop:
    """fp32, NCHW, eager; decodes and resizes in each epoch, in the training process."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    auxiliary_weight: float
    train: DataLoader[tuple[Tensor, Tensor]]
    val: Pairs

    def step(self, images: Tensor, masks: Tensor) -> None:
        output = self.network(images)
        loss = functional.cross_entropy(output["out"], masks, ignore_index=IGNORE)
        loss = loss + self.auxiliary_weight * functional.cross_entropy(output["aux"], masks, ignore_index=IGNORE)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    def steps(self) -> Iterator[None]:
        """Endless; each ``next`` loads a batch and takes a step."""
        self.network.train()
        while True:
            for images, masks in self.train:
                self.step(images, masks)
                yield

    def epoch(self) -> None:
        self.network.train()
        for images, masks in self.train:
            self.step(images, masks)

    def validate(self, classes: list[str], limit: int | None = None) -> float:
        """Mean IoU, image by image; of the first ``limit``."""
        self.network.eval()
        matrix = np.zeros((len(classes), len(classes)), np.int64)
        with torch.no_grad():
            for index in range(len(self.val) if limit is None else limit):
                image, mask = self.val[index]
                prediction = self.network(image.unsqueeze(0))["out"].argmax(dim=1)
                matrix += confusion_matrix(mask.numpy()[None].astype(np.uint8), prediction.numpy(), len(classes))
        return float(summarize(matrix, classes)["mean_iou"])


def first_implementation(train: Pairs, val: Pairs, num_classes: int, seed: int = 0) -> Loop:
    """Adam at 1e-4, auxiliary loss 0.4, ``DataLoader(num_workers=0)``, nothing random but the order."""
    torch.manual_seed(seed)
    network = build_network(num_classes)
    adam = torch.optim.Adam(network.parameters(), lr=1e-4)
    return Loop(network, adam, 0.4, DataLoader(train, BATCH, shuffle=True, drop_last=True), val)


def torchvision_recipe(train: Pairs, val: Pairs, num_classes: int) -> Loop:
    """Of torchvision's references/segmentation/train.py: SGD at 0.02, auxiliary loss 0.5, workers that load ahead.

    Its mixed precision is CUDA's, so on a CPU it computes in fp32.
    """
    network = build_network(num_classes)
    heads = [*network.get_submodule("backbone").parameters(), *network.get_submodule("classifier").parameters()]
    auxiliary = {"params": list(network.get_submodule("aux_classifier").parameters()), "lr": 0.2}
    sgd = torch.optim.SGD([{"params": heads}, auxiliary], lr=0.02, momentum=0.9, weight_decay=1e-4)
    return Loop(network, sgd, 0.5, DataLoader(train, BATCH, shuffle=True, drop_last=True, num_workers=1), val)
