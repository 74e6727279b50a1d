"""README.txt of a result: how to load the model, preprocess, predict; what it was trained on; how good it is."""

from typing import Any

_LOADING = """\
How to predict
  python -m venv venv && venv/bin/pip install -r requirements.txt
  venv/bin/python predict.py FOLDER_OR_IMAGES -o predictions
Each prediction is a PNG whose pixel values are class ids (0 = the first line of labels.txt), with a palette.

How to load it in your own code
  checkpoint = torch.load("model.pth", weights_only=True)
  model = torchvision.models.segmentation.deeplabv3_resnet50(
      weights=None, weights_backbone=None, num_classes={num_classes}, aux_loss=True)
  model.load_state_dict(checkpoint["state_dict"]){stride}
  model.eval()
If `import torchvision` stops with "operator torchvision::nms does not exist", see the first lines of predict.py.

How to preprocess
  Turn by the EXIF orientation, convert to RGB, resize to {height} x {width} pixels (height x width, bilinear),
  divide by 255, subtract the mean {mean}, divide by the standard deviation {std}, for R, G, B.
  The model gives one plane of logits a class; the class of a pixel is the largest.
"""
_COARSE_STRIDE = 16
_HALVING = """
  predict.halve_resolution(model)  # of predict.py: this model has an output stride of 16, torchvision's has 8"""
_CHECKPOINTS = """\
Every epoch
  checkpoints/ holds the weights after each epoch, in files like model.pth:
  venv/bin/python predict.py FOLDER_OR_IMAGES -o predictions --model checkpoints/epoch-001.pth
"""
#: torchvision's normalisation of its published weights (torchvision.transforms presets)
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def render(summary: dict[str, Any]) -> str:
    """The text, from the job's summary."""
    dataset, metrics = summary["dataset"], summary["metrics"]
    parts = [
        f"segdrop result {summary['job']}\n",
        _overview(summary),
        _loading(summary),
        _CHECKPOINTS if summary["request"].get("keep_checkpoints") else "",
        _classes(metrics),
        _listed("How the dataset was read", dataset["assumptions"]),
        _listed("What was found", [f"{i['severity']} {i['code']}: {i['message']}" for i in summary["issues"]]),
        _listed("Settings", [f"{key} = {value}" for key, value in summary["request"].items()]),
    ]
    return "\n".join(part for part in parts if part)


def _loading(summary: dict[str, Any]) -> str:
    dataset = summary["dataset"]
    height, width = dataset["image_size"]
    stride = _HALVING if summary["metrics"].get("output_stride") == _COARSE_STRIDE else ""
    return _LOADING.format(
        num_classes=dataset["num_classes"], height=height, width=width, mean=_MEAN, std=_STD, stride=stride
    )


def _overview(summary: dict[str, Any]) -> str:
    metrics, counts = summary["metrics"], summary["metrics"]["counts"]
    baseline = metrics["baseline"]["pixel_accuracy"]
    lines = [
        f"input            {_on_one_line(summary['input']['name'])} (SHA-256 {summary['input']['sha256']})",
        f"pairs            {counts['train']} training, {counts['val']} validation, {counts['test']} test",
        f"start            {metrics['initialisation']}",
        f"training         {metrics['epochs']} epochs, {metrics['steps']} steps of {metrics['optimizer']}",
        f"mean IoU         {metrics['mean_iou']:.4f} (validation, epoch {metrics['best_epoch']}, the best)",
        f"pixel accuracy   {metrics['pixel_accuracy']:.4f} ({baseline:.4f} for always the most frequent class)",
    ]
    if test := metrics.get("test"):
        lines.append(f"test             mean IoU {test['mean_iou']:.4f}, pixel accuracy {test['pixel_accuracy']:.4f}")
    return "\n".join(lines) + "\n"


def _classes(metrics: dict[str, Any]) -> str:
    rows = [
        f"  {name:<28} " + " ".join(f"{_number(values[key]):>9}" for key in ("iou", "accuracy", "dice"))
        for name, values in metrics["per_class"].items()
    ]
    head = f"  {'class':<28} " + " ".join(f"{key:>9}" for key in ("IoU", "accuracy", "Dice"))
    return "\n".join(["Per class (validation)", head, *rows]) + "\n"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _listed(title: str, lines: list[str]) -> str:
    return "\n".join([title, *(f"  {_on_one_line(line)}" for line in lines)]) + "\n" if lines else ""


def _on_one_line(text: str) -> str:
    """Names may hold line ends, and characters that hide or turn what follows: these are shown escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
