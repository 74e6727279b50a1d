"""segmentation_models_pytorch's DeepLabV3 (ResNet-50, output stride 8) in a Lightning Trainer, bf16-mixed."""

import importlib.util
import threading
import warnings
from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader

from bench.dataset import BATCH, Pairs
from segdrop.dataset.classes.assignment import IGNORE
from segdrop.modeling.operators import import_torchvision


def is_installed() -> bool:
    return all(importlib.util.find_spec(name) for name in ("segmentation_models_pytorch", "lightning"))


def steps(train: Pairs, num_classes: int) -> Iterator[None]:
    """Endless; each ``next`` lets the Trainer load a batch and take a step. It runs in a thread and waits between."""
    import_torchvision("torchvision.ops")
    warnings.simplefilter("ignore")
    import lightning  # noqa: PLC0415
    import segmentation_models_pytorch as smp  # noqa: PLC0415
    import torch  # noqa: PLC0415

    go, done = threading.Semaphore(0), threading.Semaphore(0)

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = smp.DeepLabV3("resnet50", encoder_weights=None, encoder_output_stride=8, classes=num_classes)

        def training_step(self, batch: Any, _index: int) -> Any:
            images, masks = batch
            return torch.nn.functional.cross_entropy(self.model(images), masks, ignore_index=IGNORE)

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), lr=1e-4)

    class Pacer(lightning.Callback):
        def on_train_start(self, *_: Any) -> None:
            go.acquire()

        def on_train_batch_end(self, *_: Any) -> None:
            done.release()
            go.acquire()

    def fit() -> None:
        trainer = lightning.Trainer(
            accelerator="cpu",
            precision="bf16-mixed",
            max_epochs=-1,
            logger=False,
            callbacks=[Pacer()],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(Module(), DataLoader(train, BATCH, shuffle=True, drop_last=True))

    threading.Thread(target=fit, daemon=True).start()
    while True:
        go.release()
        done.acquire()
        yield
