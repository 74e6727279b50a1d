"""Oddities of real datasets, one function each: they change a draft, and with it what its truth is.

Two of them go together where they touch different parts of a draft.
"""

from builders import odd_files, odd_masks
from builders.oddity_table import ODDITIES, Oddity

__all__ = ["ODDITIES", "Oddity", "odd_files", "odd_masks"]
