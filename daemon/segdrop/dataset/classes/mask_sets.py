"""Which keys occur together in single masks, as counts that do not grow with the number of masks."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from segdrop.dataset.masks.mask_keys import BETWEEN


@dataclass(frozen=True, slots=True)
class Masks:
    """Pixels by key over all masks, and the number of masks by the set of keys that they hold."""

    pixels: Mapping[int, int]
    sets: Mapping[frozenset[int], int]

    @classmethod
    def of(cls, pixels: Mapping[int, int], codes: Iterable[int]) -> "Masks":
        """``codes`` has a bit mask for each mask: bit c is set where the c-th key of ``pixels`` occurs."""
        keys = list(pixels)
        counted = Counter(codes)
        counted.pop(0, None)  # a mask that cannot be read
        return cls(pixels, {frozenset(keys[code] for code in _bits(bits)): count for bits, count in counted.items()})

    @property
    def count(self) -> int:
        """Number of masks."""
        return sum(self.sets.values())

    def files(self, key: int) -> int:
        """Returns the number of masks that hold a key."""
        return sum(count for held, count in self.sets.items() if key in held)

    def files_by_key(self) -> Counter[int]:
        """Returns the number of masks that hold each key."""
        found: Counter[int] = Counter()
        for held, count in self.sets.items():
            for key in held:
                found[key] += count
        return found

    def replaced(self, replacements: Mapping[int, int]) -> "Masks":
        """Returns the same masks with keys replaced."""
        if not replacements:
            return self
        pixels: Counter[int] = Counter()
        for key, count in self.pixels.items():
            pixels[replacements.get(key, key)] += count
        sets: Counter[frozenset[int]] = Counter()
        for held, count in self.sets.items():
            sets[frozenset(replacements.get(key, key) for key in held)] += count
        return Masks(pixels, sets)

    def values(self, held: Iterable[int]) -> frozenset[int]:
        """Returns the keys of a set, without those that are left out."""
        return frozenset(key for key in held if key != BETWEEN)


def _bits(bits: int) -> Sequence[int]:
    """Returns the numbers of the bits that are set."""
    return [number for number in range(bits.bit_length()) if bits >> number & 1]
