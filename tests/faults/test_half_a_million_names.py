"""The quick check at the limit: half a million entries, flat, in as many folders, deep and wide at once.

Work is CPU time of the child that the daemon starts, at a quarter of the entries and at all of them.
"""

import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders import child, quick_check_spec
from builders.archives import write_stored
from builders.fuzzing import answered

pytestmark = pytest.mark.faults

ENTRIES = 500_000
TIMES = 4
MOST_RATIO = 6.0  # linear work takes four times as long, quadratic work sixteen times
#: of the address space that the settings allow, for names of 20 to 100 letters
MEMORY_BYTES = 1 << 30


def one_folder(count: int) -> Iterator[str]:
    for number in range(count // 2):
        yield f"images/{number}.jpg"
        yield f"masks/{number}.png"


def a_folder_each(count: int) -> Iterator[str]:
    for number in range(count // 2):
        yield f"images/{number}/a.jpg"
        yield f"masks/{number}/a.png"


def wide_and_deep(count: int) -> Iterator[str]:
    for number in range(count // 2):
        folders = "".join(f"{number >> bit & 7}/" for bit in range(40))
        yield f"{folders}images/{number}.png"
        yield f"{folders}masks/{number}.png"


def only_folders(count: int) -> Iterator[str]:
    yield from (f"{number}/" for number in range(count))


def nothing_known(count: int) -> Iterator[str]:
    yield from (f"stuff/{number}.dat" for number in range(count))


def cpu_seconds(folder: Path, names: Iterator[str]) -> float:
    """What the child needs, which has to come to an answer."""
    path = write_stored(folder / "many.zip", ((name, b"x" if name[-1] != "/" else b"") for name in names))
    spec = quick_check_spec(folder, [path], check_memory_bytes=MEMORY_BYTES)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = child("inspect", spec, folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    (answer,) = answered(spec.answer_path)
    assert answer["error"] is None
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


@pytest.mark.parametrize(
    "shape", [one_folder, a_folder_each, wide_and_deep, only_folders, nothing_known], ids=lambda shape: shape.__name__
)
def test_half_a_million_entries_are_four_times_the_work_of_a_quarter(
    shape: Callable[[int], Iterator[str]], tmp_path: Path
) -> None:
    quarter, whole = (cpu_seconds(tmp_path, shape(count)) for count in (ENTRIES // TIMES, ENTRIES))
    print(f"{shape.__name__}: {quarter:.1f} s, {whole:.1f} s of CPU time")
    assert whole < MOST_RATIO * quarter
