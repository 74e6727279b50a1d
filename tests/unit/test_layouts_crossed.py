"""Every export is taken for its own layout and no other, wrapped or not, in whatever order its files come."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import replace

import pytest

from builders import exports
from builders.exports.reading import tree_of
from segdrop.codes import Code
from segdrop.dataset import layouts

Members = dict[str, bytes]


def every_export() -> Iterator[tuple[str, str, Members]]:
    """The layout's name, what it is a case of, and the files."""
    for module in pkgutil.iter_modules(exports.__path__):
        built = importlib.import_module(f"builders.exports.{module.name}")
        for name, make in getattr(built, "EXPORTS", {}).items():
            yield module.name.replace("_", "-"), f"{module.name}/{name}", make()[0]
        for name, make in getattr(built, "MASK_EXPORTS", {}).items():
            yield f"{module.name.replace('_', '-')}-{name}", f"{module.name}/{name}", make()[0]


ALL = list(every_export())


@pytest.mark.parametrize(
    ("layout", "members"), [(layout, members) for layout, _, members in ALL], ids=[i for _, i, _ in ALL]
)
@pytest.mark.parametrize("change", ["as it is", "wrapped", "reversed"])
def test_export_is_taken_for_its_own_layout(layout: str, members: Members, change: str) -> None:
    if change == "wrapped":
        members = {f"my data/{name}": content for name, content in members.items()}
    if change == "reversed":
        members = dict(reversed(members.items()))
    assert layouts.read(tree_of(members)).layout == layout


@pytest.mark.parametrize(
    ("layout", "members"), [(layout, members) for layout, _, members in ALL], ids=[i for _, i, _ in ALL]
)
def test_format_in_the_request_reads_the_same(layout: str, members: Members) -> None:
    named, found = (layouts.read(tree_of(members), wanted) for wanted in (layout, "auto"))
    doubts = [issue for issue in found.issues if found.is_guess and issue.code is Code.LAYOUT_ASSUMED]
    issues = [issue for issue in found.issues if issue not in doubts]
    # what was asked for has no rival
    assert named == replace(found, is_guess=False, issues=issues, runner_up=None, why_not=None)
    assert len(doubts) == found.is_guess


def test_every_layout_has_an_export() -> None:
    assert {layout for layout, _, _ in ALL} == set(layouts.LAYOUTS)
