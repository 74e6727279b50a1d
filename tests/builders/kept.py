"""Results of earlier trainings as they lie in a root: the model in ``outbox/``, its record in ``done/``."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

from segdrop.spool.kept_models import KeptModel, KeptModels, input_key
from segdrop.spool.layout import RootLayout

OWNER = 1000


def job_id(number: int, stem: str = "camvid") -> str:
    return f"{stem}-20261121T061500Z-{number:04x}"


def keep(
    layout: RootLayout,
    number: int = 1,
    model: bytes = b"weights",
    input_name: str = "camvid.zip",
    train: tuple[str, ...] = (),
    **changes: Any,
) -> KeptModel:
    """A succeeded training; the later its number, the later it finished."""
    job = changes.get("job", job_id(number))
    values: dict[str, Any] = {
        "job": job,
        "sha256": hashlib.sha256(model).hexdigest(),
        "bytes": len(model),
        "architecture": "deeplabv3_resnet50",
        "classes": ["background", "square"],
        "input_key": input_key(input_name),
        "owner_uid": OWNER,
        "finished_at": float(number),
    }
    record = KeptModel(**values | changes)
    path = layout.kept_model(job)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record.to_json()))
    put_result(layout.published_zip(job), model, train)
    layout.published_json(job).write_text(json.dumps({"job": job, "status": "succeeded"}))
    return record


def put_result(path: Path, model: bytes, train: tuple[str, ...] = (), compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", "a model")
        archive.writestr("split.json", json.dumps({"train": list(train), "val": [], "test": []}))
        archive.writestr("model.pth", model, compression)


def models_of(layout: RootLayout) -> KeptModels:
    return KeptModels.of(layout)
