"""README.txt of a result. Of a training: how to load the model, preprocess, predict; what it was trained on; how good
it is. Of a prediction or an evaluation: what is in which folder, and how good the model is.

The texts are templates, ``templates/*.README.txt.jinja``, one for each task. Imported in the child that packs a result,
never by the daemon.
"""

import jinja2

from segdrop import architectures
from segdrop.results.result import EvaluateResult, PredictResult, Result, TrainResult

#: The names that each output has in a result ZIP, and what they hold.
_OF_OUTPUT: dict[str, tuple[tuple[str, str], ...]] = {
    "masks": (("masks/", "a PNG of class ids for each image, with a palette to look at"),),
    "colour": (("colour/", "a PNG for each image, in the colours of legend.png"),),
    "overlay": (("overlay/", "the images with the colours of their classes over them"),),
    "confidence": (("confidence/", "a grey PNG for each image: 255 times the probability of the class"),),
    "json": (("json/", "a JSON for each image: shares of the classes, mean confidence"),),
    "video": (("video/", "the video with the colours of the classes over it"),),
    "frames": (("frames/", "the frames, their masks and their colours as files"),),
    "originals": (("originals/", "the images themselves"),),
    "coco": (("coco/", "pre-labels for tools that import COCO"),),
    "cvat": (("cvat/", "pre-labels for CVAT"),),
    "label_studio": (("label_studio/", "pre-labels for Label Studio"),),
    "labelme": (("labelme/", "pre-labels for LabelMe"),),
    "yolo": (("yolo/", "pre-labels for tools that import YOLO"),),
}
_ALWAYS = (
    ("legend.png, .json", "the colours of the classes"),
    ("summary.csv", "a row for each image: shares of the classes, confidence"),
    ("review.html, .csv", "the images in the order in which it is most worth correcting them"),
    ("labels.txt", "names of the classes, one a line"),
    ("metrics.json", "everything that is known about the job"),
)


def render(result: Result) -> str:
    """Returns the text for a job that succeeded. Raises ``UndefinedError`` where something that it tells is missing."""
    values: dict[str, object] = {"request": result.request.model_dump(mode="json") if result.request else {}}
    if isinstance(result, TrainResult):
        family = architectures.ARCHITECTURES[result.architecture].family
        values |= {"family": family, "mean": architectures.MEAN, "std": architectures.STD}
    if not isinstance(result, TrainResult):
        values |= {"contents": _contents(result)}
    name = "train" if isinstance(result, TrainResult) else "inference"
    return _templates().get_template(f"{name}.README.txt.jinja").render(dict(result) | values)


def _contents(result: PredictResult | EvaluateResult) -> list[tuple[str, str]]:
    """Returns the names in a result ZIP, each with what it holds."""
    written = result.predictions.outputs if result.predictions else []
    return [(name, meaning) for output in written for name, meaning in _OF_OUTPUT[output]] + list(_ALWAYS)


def _templates() -> jinja2.Environment:
    """What goes into pages is escaped; plain text stays as it is."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("segdrop.results"),
        autoescape=jinja2.select_autoescape(enabled_extensions=("html", "html.jinja"), default=False),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= {"number": _number, "one_line": _on_one_line}
    return templates


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _on_one_line(text: str) -> str:
    """Returns text with line ends, and characters that hide or turn what follows, escaped: names may hold them."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
