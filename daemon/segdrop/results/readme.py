"""README.txt of a result: how to load the model, preprocess, predict; what it was trained on; how good it is.

The text is a template, ``templates/README.txt.jinja``. Imported in the child that packs a result, never by the daemon.
"""

import jinja2

from segdrop import architectures
from segdrop.results.result import Result


def render(result: Result) -> str:
    """Returns the text for a job that succeeded. Raises ``UndefinedError`` where something that it tells is missing."""
    family = architectures.ARCHITECTURES[result.architecture].family
    settings = result.request.model_dump(mode="json") if result.request else {}
    values = {"request": settings, "family": family, "mean": architectures.MEAN, "std": architectures.STD}
    return _templates().get_template("README.txt.jinja").render(dict(result) | values)


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
