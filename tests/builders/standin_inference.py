"""``python -m standin_inference SPEC``: takes the place of ``segdrop.inference``, and opens no model.

The contract is the real one's: the same spec, answer, exit codes, signals and lock. It writes one mask, whatever the
input, and no numpy or pydantic is imported.
"""

import sys
from pathlib import Path
from typing import Any

from standin import located_spec

from segdrop import child_runtime, durable

_EACH = {"iou": 0.5, "accuracy": 0.75, "dice": 0.67, "pixels": 100}


def answer(spec: dict[str, Any]) -> None:
    folder = Path(spec["outputs_dir"])
    durable.ensure_dir(folder / "masks")
    durable.write_bytes(folder / "masks" / "one.png", b"no image")
    classes = spec["classes"] or ["background", "other"]
    metrics = {
        "mean_iou": 0.5,
        "mean_accuracy": 0.75,
        "pixel_accuracy": 0.75,
        "mean_dice": 0.67,
        "per_class": dict.fromkeys(classes, _EACH),
        "baseline": {"mean_iou": 0.25, "pixel_accuracy": 0.5},
        "images": 1,
    }
    found = {"images": 1, "skipped": 0, "classes": classes, "outputs": ["masks"], "output_bytes": 8, "assumptions": []}
    durable.write_json(
        Path(spec["result_path"]),
        {
            "request": spec["request"],
            "model": {"id": spec["request"]["model"], "kind": "onnx", "sha256": "ab" * 32, "classes": classes},
            "predictions": found,
            **({"metrics": metrics} if spec["request"]["task"] == "evaluate" else {}),
            "timing": {"predict_seconds": 0.1, "images_per_second": 10.0, "first_image_seconds": 0.1},
            "peak_rss_bytes": child_runtime.peak_rss_bytes(),
            "environment": {"precision": "fp32", "threads": 1},
            "issues": [],
        },
    )


def main() -> int:
    child_runtime.tie_to_parent()
    spec = child_runtime.ordered(located_spec, Path(sys.argv[1]))
    return child_runtime.run(
        lambda _stop: answer(spec),
        job=spec["job"],
        stage=spec["request"]["task"],
        error_path=Path(spec["error_path"]),
        lock_path=Path(spec["lock_path"]),
    )


if __name__ == "__main__":
    sys.exit(main())
