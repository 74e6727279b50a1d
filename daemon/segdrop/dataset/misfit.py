"""Masks that fit their images better if they are turned, moved, or given to the neighbour, as the pixels alone show.

Of a few pairs, borders in the mask are compared with edges in the image: as the masks were read, and in every other
way that is known to go wrong. What counts is how much more of an edge there is than in the other images at the same
place, so that a dark frame, or a horizon that all pictures share, speaks for nothing. Another way is named only where
it fits clearly better in nearly all pairs; it is never taken.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from segdrop.codes import Code
from segdrop.dataset.masks.edges import SIDE, Edges, Flags
from segdrop.errors import Issue

MOST_PAIRS = 40
_FEWEST_PAIRS, _FIRST_LOOK = 6, 12
#: by how much more of all pixels the edges under the borders must be stronger, as a part of 1
_LEAST_GAIN = 0.05
#: the gain in units of its own standard error, and what is added to it, divided by the number of pairs; the best of
#: thousands of moves is better by chance
_LEAST_CERTAINTY, _LEAST_CERTAINTY_OF_MOVE = (5.0, 30.0), (5.5, 80.0)
_LEAST_SHARE_BETTER = 0.8
#: what is left of the fit as the masks were read, as a part of the other's
_MOST_AS_READ = 0.67
#: masks are said to be moved by at least and at most so many pixels of ``SIDE``
_SHORTEST_MOVE, _LONGEST_MOVE = 4, SIDE // 4

Floats = npt.NDArray[np.float32]
Kind = TypeVar("Kind", bound=np.generic)


class Turn(StrEnum):
    """Tells how a mask may lie over its image, in the words of a message."""

    NONE = "as it is"
    HALF = "turned by 180°"
    MIRRORED = "mirrored left to right"
    FLIPPED = "flipped upside down"
    LEFT = "turned by 90° to the left"
    RIGHT = "turned by 90° to the right"
    TRANSPOSED = "with rows and columns exchanged"
    ACROSS = "with rows and columns exchanged and turned by 180°"


@dataclass(frozen=True, slots=True)
class Laying:
    """One way to lay masks over images; as it stands, the way in which they were read."""

    turn: Turn = Turn.NONE
    move: tuple[int, int] = (0, 0)  #: rows down and columns to the right, in pixels of ``SIDE``
    neighbour: int = 0  #: 1: the mask of the next image, -1: of the one before

    def __str__(self) -> str:
        """Returns what is done to a mask, in words that follow "if each mask is"."""
        if self.neighbour:
            return f"taken from the {'next' if self.neighbour > 0 else 'previous'} image in the order of names"
        if self.move != (0, 0):
            down, right = (round(100 * pixels / SIDE) for pixels in self.move)
            parts = [f"{abs(down)} % {'down' if down > 0 else 'up'}"] if down else []
            parts += [f"{abs(right)} % {'to the right' if right > 0 else 'to the left'}"] if right else []
            return f"moved by {' and '.join(parts)}"
        return self.turn.value

    @property
    def needs_square(self) -> bool:
        """Whether it keeps the size of square images only."""
        return self.turn in (Turn.LEFT, Turn.RIGHT, Turn.TRANSPOSED, Turn.ACROSS)

    @property
    def fix(self) -> str:
        """Returns what a person can do where this way is the right one."""
        look = "Look at the pictures of `segdrop check --samples`, which show both ways."
        if self.neighbour:
            return f"{look} If the other way fits, give each mask the name of its own image."
        if self.move != (0, 0):
            return f"{look} If the other way fits, crop or pad images and masks alike, and pack them again."
        return f"{look} If the other way fits, turn the masks so, as files, and pack them again."


def laid(values: npt.NDArray[Kind], laying: Laying, beyond: int) -> npt.NDArray[Kind]:
    """Returns mask values (height, width) laid otherwise; what comes in from outside is ``beyond``."""
    if laying.move == (0, 0):
        return cast("npt.NDArray[Kind]", _TURNS[laying.turn](values))
    down, right = (round(pixels * side / SIDE) for pixels, side in zip(laying.move, values.shape, strict=True))
    moved = np.full_like(values, beyond)
    moved[_ends(down), _ends(right)] = values[_ends(-down), _ends(-right)]
    return moved


def _ends(step: int) -> slice:
    """Returns where values are after a move by a number of pixels."""
    return slice(step, None) if step >= 0 else slice(None, step)


_TURNS: dict[Turn, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    Turn.NONE: lambda values: values,
    Turn.HALF: lambda values: values[::-1, ::-1],
    Turn.MIRRORED: lambda values: values[:, ::-1],
    Turn.FLIPPED: lambda values: values[::-1],
    Turn.LEFT: np.rot90,
    Turn.RIGHT: lambda values: np.rot90(values, -1),
    Turn.TRANSPOSED: lambda values: values.T,
    Turn.ACROSS: lambda values: values[::-1, ::-1].T,
}


@dataclass(frozen=True, slots=True)
class Misfit:
    """Another way to lay the masks that fits better, and in how many pairs borders lie on edges in either way."""

    laying: Laying
    pairs: int
    fitting_as_read: int
    fitting_otherwise: int

    def issue(self) -> Issue:
        """Returns the warning."""
        message = (
            f"the borders of the masks lie on edges of the images in {self.fitting_as_read} of {self.pairs} pairs that "
            f"were compared, and in {self.fitting_otherwise} if each mask is {self.laying}"
        )
        return Issue.of(Code.MASK_MISFIT, message, fix=self.laying.fix)


def looked_at(num_pairs: int, most: int = MOST_PAIRS) -> list[int]:
    """Returns the positions of the pairs to be compared: all, or neighbours by two, spread evenly."""
    if num_pairs <= most:
        return list(range(num_pairs))
    last = most // 2 - 1
    starts = (number * (num_pairs - 2) // last for number in range(last + 1))
    return sorted({start + step for start in starts for step in (0, 1)})


def judge(pairs: Sequence[Edges]) -> Misfit | None:
    """Returns the way in which masks fit better than as they were read, or None.

    A first look at some of the pairs says which ways are worth more: with honest data none is, and that is all.
    """
    if len(pairs) < _FEWEST_PAIRS:
        return None
    mean = np.asarray(np.mean([pair.ranks for pair in pairs], axis=0, dtype=np.float32))
    first = _Comparison([pairs[number] for number in looked_at(len(pairs), _FIRST_LOOK)], mean, len(pairs))
    doubts = [laying for laying in first.layings() if first.gains(laying).mean() > 0]
    if not doubts:
        return None
    every = _Comparison(pairs, mean, len(pairs))
    layings = [laying if laying.move == (0, 0) else every.best_move() for laying in doubts]
    found = [misfit for laying in layings if (misfit := every.misfit(laying)) is not None]
    return max(found, key=lambda misfit: every.gains(misfit.laying).mean(), default=None)


class _Comparison:
    """Some pairs, whose masks can be laid over their images in one way or another."""

    def __init__(self, pairs: Sequence[Edges], mean: Floats, num_averaged: int) -> None:
        """``mean`` is that of the ranks of ``num_averaged`` images, these among them."""
        self._pairs = pairs
        self._borders = [pair.borders for pair in pairs]
        # how much stronger edges are than at the same place in the other images, -1 to 1
        factor = np.float32(num_averaged / (num_averaged - 1) / 255)
        self._excess = [(pair.ranks - mean) * factor for pair in pairs]
        self._as_read = self._scores(Laying())

    def layings(self) -> Iterator[Laying]:
        """Yields the ways that are compared with the one that was read."""
        is_square = all(pair.is_square for pair in self._pairs)
        for turn in Turn:
            laying = Laying(turn)
            if turn is not Turn.NONE and (is_square or not laying.needs_square):
                yield laying
        yield Laying(neighbour=1)
        yield Laying(neighbour=-1)
        yield self.best_move()

    def best_move(self) -> Laying:
        """Returns the move by which borders lie best on edges over all pairs, by their cross-correlation."""
        spectrum = np.zeros((SIDE, SIDE // 2 + 1), np.complex64)
        for excess, borders in zip(self._excess, self._borders, strict=True):
            weights = borders.astype(np.float32) / np.count_nonzero(borders)
            spectrum += np.fft.rfft2(excess) * np.conj(np.fft.rfft2(weights))
        scores = np.fft.fftshift(np.fft.irfft2(spectrum, (SIDE, SIDE)))
        steps = np.abs(np.arange(SIDE) - SIDE // 2)
        longest = np.maximum(steps[:, None], steps)
        scores[(longest < _SHORTEST_MOVE) | (longest > _LONGEST_MOVE)] = -np.inf
        row, column = divmod(int(scores.argmax()), SIDE)
        return Laying(move=(row - SIDE // 2, column - SIDE // 2))

    def gains(self, laying: Laying) -> Floats:
        """Returns by how much each pair fits better in another way; pairs that cannot be laid so are left out."""
        gains = self._scores(laying) - self._as_read
        known = gains[~np.isnan(gains)]
        return known if known.size else np.zeros(1, np.float32)

    def misfit(self, laying: Laying) -> Misfit | None:
        """Returns the misfit where another way is clearly better, in nearly all pairs."""
        gains, otherwise = self.gains(laying), self._scores(laying)
        before, after = self._as_read[~np.isnan(otherwise)], otherwise[~np.isnan(otherwise)]
        if len(gains) < _FEWEST_PAIRS or np.mean(gains > 0) < _LEAST_SHARE_BETTER:
            return None
        error = float(gains.std(ddof=1)) / len(gains) ** 0.5
        usual, for_few = _LEAST_CERTAINTY if laying.move == (0, 0) else _LEAST_CERTAINTY_OF_MOVE
        least_gain = max(_LEAST_GAIN, (usual + for_few / len(gains)) * error)
        if gains.mean() < least_gain or before.mean() > _MOST_AS_READ * after.mean():
            return None
        least = after.mean() / 2
        return Misfit(laying, len(gains), int(np.sum(before > least)), int(np.sum(after > least)))

    def _scores(self, laying: Laying) -> Floats:
        """Returns the mean excess under the borders of each pair, (N,), not a number where there are no borders."""
        scores = np.full(len(self._pairs), np.nan, np.float32)
        for number, borders in enumerate(self._laid(laying)):
            if borders is not None and (values := self._excess[number][borders]).size:
                scores[number] = values.mean()
        return scores

    def _laid(self, laying: Laying) -> Iterator[Flags | None]:
        """Yields the borders of each pair in another way, None where there is no neighbour."""
        by_position = {pair.position: borders for pair, borders in zip(self._pairs, self._borders, strict=True)}
        for pair, borders in zip(self._pairs, self._borders, strict=True):
            if laying.neighbour:
                yield by_position.get(pair.position + laying.neighbour)
            else:
                yield laid(borders, laying, beyond=0)
