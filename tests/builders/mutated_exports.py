"""Exports of labelling tools that somebody spoilt: files moved, renamed, exchanged, and their contents damaged.

Each from its number alone, as in ``mutants``; the ZIP around them is whole.
"""

import functools
import importlib
import io
import json
import pkgutil
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from builders import exports
from builders.exports.reading import WRONG

Members = dict[str, bytes]
_EXTENSIONS = ("png", "jpg", "txt", "json", "xml", "csv", "yaml", "PNG", "mat", "")
_FOLDERS = ("images", "masks", "train", "val", "test", "labels", "annotations", "img", "ann", "JPEGImages", "a b")
_TEXT = (".json", ".xml", ".csv", ".txt", ".yaml", ".yml")
_TOKENS = (
    b"", b"0", b"-1", b"1e999", b"nan", b"99999999999999999999", b'"', b"<", b"</", b"&amp;", b"{", b"]", b",", b"\x00",
    b"\n", b"\xff", b"../", b"\\", b"null", b"#", b":", b"\xe2\x80\xae", b"1 2 3", b"0.5 " * 50, b"<polygon/>",
    b"- &a [*a]",
)  # fmt: skip


@functools.cache
def bases() -> tuple[Members, ...]:
    """One of every export that there is a builder for."""
    found = []
    for module in pkgutil.iter_modules(exports.__path__):
        built = importlib.import_module(f"builders.exports.{module.name}")
        for kinds in ("EXPORTS", "MASK_EXPORTS"):
            found += [make()[0] for make in getattr(built, kinds, {}).values()]
    return tuple(found)


def mutant(number: int, seed: str) -> bytes:
    """The same bytes for the same number and seed."""
    rng = random.Random(f"{seed}-{number}")
    members = dict(rng.choice(bases()))
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 6))):
        if members:
            rng.choice(_MUTATIONS)(members, rng)
    if rng.random() < 0.1:
        members["segdrop.json"] = json.dumps({"format": rng.choice(_formats())}).encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


@functools.cache
def _formats() -> tuple[str, ...]:
    from segdrop.request import LayoutName  # noqa: PLC0415  (not needed to import this)

    return ("auto", *get_args(LayoutName))


def _name(members: Members, rng: random.Random) -> str:
    return rng.choice(sorted(members))


def _text_name(members: Members, rng: random.Random) -> str:
    texts = [name for name in sorted(members) if name.casefold().endswith(_TEXT)]
    return rng.choice(texts or sorted(members))


def _leave_out(members: Members, rng: random.Random) -> None:
    del members[_name(members, rng)]


def _move(members: Members, rng: random.Random) -> None:
    old = _name(members, rng)
    path = Path(old)
    new = rng.choice(
        (
            f"{rng.choice(_FOLDERS)}/{path.name}",
            f"{rng.choice(_FOLDERS)}/{old}",
            path.name,
            f"{path.with_suffix('')}.{rng.choice(_EXTENSIONS)}",
            f"{path.with_suffix('')}{rng.choice(('_mask', '_1', ' copy', 'é', ''))}{path.suffix}",
            old.upper(),
        )
    )
    members[new] = members.pop(old)


def _move_folder(members: Members, rng: random.Random) -> None:
    """A whole folder under another name, or all of it wrapped once more."""
    folder = rng.choice(sorted({name.rpartition("/")[0] for name in members}))
    new = rng.choice((*_FOLDERS, f"{folder}/x", ""))
    for name in [name for name in members if name.startswith(f"{folder}/")]:
        members[f"{new}/{name.removeprefix(folder + '/')}".lstrip("/")] = members.pop(name)


def _copy(members: Members, rng: random.Random) -> None:
    old = _name(members, rng)
    members[f"{rng.choice(_FOLDERS)}/{Path(old).name}"] = members[old]


def _exchange(members: Members, rng: random.Random) -> None:
    one, other = _name(members, rng), _name(members, rng)
    members[one], members[other] = members[other], members[one]


def _mix(members: Members, rng: random.Random) -> None:
    """Files of another tool beside these."""
    for name, content in rng.choice(bases()).items():
        if rng.random() < 0.5:
            members.setdefault(name, content)


def _damage(members: Members, rng: random.Random) -> None:
    name = _text_name(members, rng)
    content = bytearray(members[name])
    for _ in range(rng.choice((1, 1, 3))):
        start = rng.randint(0, len(content))
        content[start : start + rng.choice((0, 1, 1, 5, 40))] = rng.choice(_TOKENS)
    members[name] = bytes(content)


def _cut(members: Members, rng: random.Random) -> None:
    name = _text_name(members, rng)
    members[name] = members[name][: rng.randint(0, len(members[name]))]


def _wrong_value(members: Members, rng: random.Random) -> None:
    """A value of another type at any place of a JSON file."""
    name = _text_name(members, rng)
    try:
        whole = json.loads(members[name])
    except (ValueError, RecursionError):
        return
    place, key = whole, None
    while isinstance(place, (dict, list)) and place and (key is None or rng.random() < 0.8):
        parent, key = place, rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        place = parent[key]
    if key is None:
        return
    parent[key] = _wrong(parent[key], rng)
    members[name] = json.dumps(whole).encode("utf-8", "surrogatepass")


def _wrong(value: Any, rng: random.Random) -> Any:
    if isinstance(value, (int, float)) and rng.random() < 0.5:
        return rng.choice((value + 1, -value, value * 1_000_000, value // 2, 0))
    return rng.choice((*WRONG, [value], [value, value]))


_MUTATIONS: tuple[Callable[[Members, random.Random], None], ...] = (
    _leave_out, _move, _move, _move_folder, _copy, _exchange, _mix, _damage, _damage, _cut, _wrong_value, _wrong_value,
    _wrong_value,
)  # fmt: skip
