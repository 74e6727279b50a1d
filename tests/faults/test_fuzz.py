"""Thousands of damaged ZIPs: each gets a clean answer from the limited child, which never grows and never breaks.

The mutants are made from their numbers (``builders.mutants``, ``builders.mutated_exports``): a failure names the
number, and the file is kept. ``FUZZ_SEED`` makes others.
"""

import os
from pathlib import Path

import pytest

from builders import mutants, mutated_exports
from builders.fuzzing import checked, inspected

pytestmark = pytest.mark.faults

SEED = os.environ.get("FUZZ_SEED", "segdrop")
CHECK_RSS_BYTES = 200_000_000


def test_ten_thousand_damaged_zips_get_a_clean_answer_from_the_cheap_check(tmp_path: Path) -> None:
    inspected(tmp_path, mutants.mutant, SEED, 10_000).expect_none(least_kinds=15)


def test_damaged_zips_get_a_clean_answer_from_the_full_check_in_bounded_memory(tmp_path: Path) -> None:
    findings, peak_bytes = checked(tmp_path, mutants.mutant, SEED, 1_500)
    findings.expect_none(least_kinds=25)
    assert 0 < peak_bytes < CHECK_RSS_BYTES


def test_twenty_thousand_spoilt_exports_get_a_clean_answer_in_bounded_memory(tmp_path: Path) -> None:
    """Trees and annotation files of every layout, damaged inside a ZIP that is whole."""
    findings, peak_bytes = checked(tmp_path, mutated_exports.mutant, SEED, 20_000)
    findings.expect_none(least_kinds=25)
    assert 0 < peak_bytes < CHECK_RSS_BYTES
