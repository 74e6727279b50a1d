"""predict.py of a result: one file that needs nothing of ours, made of a template and of the modules that it imports.

The template imports the part that knows DeepLabV3 where it lies in this package, and runs there as it is.
"""

import ast
from pathlib import Path

from segdrop import architectures

_PACKAGE = Path(__file__).parents[1]
_TEMPLATES = Path(__file__).parent / "templates"


def render(architecture: str) -> str:
    """Returns the script for an architecture, with the text of each module in place of its import."""
    text = (_TEMPLATES / "predict.py").read_text(encoding="utf-8")
    family = architectures.ARCHITECTURES[architecture].family
    text = text.replace(f"architectures.{architectures.DEEPLABV3_RESNET50.family} ", f"architectures.{family} ")
    lines = text.splitlines(keepends=True)
    for node in reversed(ast.parse(text).body):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("segdrop."):
            lines[node.lineno - 1 : node.end_lineno] = [_body(node.module, text), "\n\n"]
    return "".join(lines)


def _body(module: str, above: str) -> str:
    """Returns the text of a module after its docstring, without the imports that stand ``above`` it already."""
    path = _PACKAGE.joinpath(*module.split(".")[1:]).with_suffix(".py")
    text = path.read_text(encoding="utf-8")
    docstring, *nodes = ast.parse(text).body
    lines = text.splitlines(keepends=True)
    for node in reversed(nodes):
        if isinstance(node, ast.Import | ast.ImportFrom) and ast.unparse(node) in above:
            del lines[node.lineno - 1 : node.end_lineno]
    return "".join(lines[docstring.end_lineno :]).strip("\n") + "\n"
