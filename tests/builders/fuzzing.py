"""Thousands of spoilt ZIPs through the child that opens them, limited as in service: each has to get a clean answer."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from builders.daemons import BUILDERS
from builders.specs import check_spec, quick_check_spec
from segdrop.codes import Code
from segdrop.errors import Issue

BATCH = 1_000
#: address space, as in the settings but far less: what needs more than this for a ZIP of a few kilobytes dies of it
INSPECT_MEMORY_BYTES = 256 << 20
CHECK_LIMITS = {"max_image_pixels": 1_000_000, "check_memory_bytes": 1 << 30}
#: answers that tell of a defect of ours, not of one of the data
UNCLEAN = {"internal.error", "archive.reader_died", "spool.corrupt"}
#: a ZIP from its number and the seed
Mutant = Callable[[int, str], bytes]


class Findings:
    """What is wrong with the answers, if anything; the files that it is wrong with are kept."""

    def __init__(self, folder: Path, seed: str) -> None:
        self.seed = seed
        self.kept = folder / "kept"
        self.kept.mkdir()
        self.wrong: list[str] = []
        self.codes: Counter[str] = Counter()

    def judge(self, path: Path, issues: list[dict[str, Any]]) -> None:
        for value in issues:
            issue = Issue.from_json(value)
            self.codes[issue.code] += 1
            if not isinstance(issue.code, Code) or issue.code in UNCLEAN or not issue.message:
                self.keep(path, f"{issue.code}: {issue.message}")
        self.codes["good"] += not issues

    def keep(self, path: Path, what: str) -> None:
        (self.kept / path.name).write_bytes(path.read_bytes())
        self.wrong.append(f"{path.name} (seed {self.seed!r}, kept in {self.kept}): {what}")

    def expect_none(self, least_kinds: int) -> None:
        print(f"{self.codes.total()} issues of {len(self.codes)} kinds: {dict(self.codes.most_common())}")
        assert self.wrong == []
        assert len(self.codes) >= least_kinds, "the mutants are not what they were"


def answered(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run_child(arguments: list[str]) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PYTHONPATH": str(BUILDERS)}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=300
    )


def _inspect_all(folder: Path, archives: list[Path], findings: Findings) -> None:
    """The cheap check of all of them, as the daemon does it: who kills the child is the first without an answer."""
    while archives:
        spec = quick_check_spec(folder, archives, check_memory_bytes=INSPECT_MEMORY_BYTES)
        spec_path = folder / "spec.json"
        spec_path.write_text(spec.model_dump_json())
        spec.answer_path.unlink(missing_ok=True)
        done = run_child(["-m", "segdrop.dataset", "inspect", str(spec_path)])
        answers = answered(spec.answer_path)
        for path, answer in zip(archives, answers, strict=False):
            assert answer["key"] == path.stem
            if answer["error"] is not None:
                findings.keep(path, answer["error"])
            findings.judge(path, answer["issues"])
        said = done.stdout + done.stderr
        if done.returncode != 0 or said:
            culprit = archives[min(len(answers), len(archives) - 1)]
            findings.keep(culprit, f"exit status {done.returncode}: {said[-2000:]}")
        archives = archives[len(answers) + 1 :]


def _batches(folder: Path, mutant: Mutant, seed: str, total: int) -> Iterator[list[Path]]:
    """Files of so many mutants at a time, gone afterwards."""
    for start in range(0, total, BATCH):
        paths = [folder / f"{number:05}.zip" for number in range(start, min(total, start + BATCH))]
        for number, path in enumerate(paths, start):
            path.write_bytes(mutant(number, seed))
        yield paths
        for path in paths:
            path.unlink()


def inspected(folder: Path, mutant: Mutant, seed: str, total: int) -> Findings:
    """What the cheap check makes of them."""
    findings = Findings(folder, seed)
    for archives in _batches(folder, mutant, seed, total):
        _inspect_all(folder, archives, findings)
    return findings


def checked(folder: Path, mutant: Mutant, seed: str, total: int) -> tuple[Findings, int]:
    """What the full check makes of them, and its peak memory in bytes."""
    findings = Findings(folder, seed)
    peak_bytes = 0
    for archives in _batches(folder, mutant, seed, total):
        remaining = archives
        while remaining:
            done, answers = _check(folder, remaining)
            for path, answer in zip(remaining, answers, strict=False):
                assert answer["archive"] == str(path)
                if answer["defect"] is not None:
                    findings.keep(path, answer["defect"])
                findings.judge(path, answer["issues"])
                peak_bytes = max(peak_bytes, answer["peak"])
            if done.returncode != 0 or "Traceback" in done.stderr:  # Pillow's own warnings are no defect
                culprit = remaining[min(len(answers), len(remaining) - 1)]
                findings.keep(culprit, f"exit status {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
            remaining = remaining[len(answers) + 1 :]
    print(f"peak RSS {peak_bytes / 1e6:.0f} MB")
    return findings, peak_bytes


def _check(folder: Path, archives: list[Path]) -> tuple["subprocess.CompletedProcess[str]", list[dict[str, Any]]]:
    answers_path = folder / "answers.jsonl"
    answers_path.unlink(missing_ok=True)
    order = {
        "spec": check_spec(archives[0], **CHECK_LIMITS).model_dump(mode="json"),
        "archives": [str(path) for path in archives],
        "answers": str(answers_path),
    }
    (folder / "spec.json").write_text(json.dumps(order))
    done = run_child(["-m", "many_checks", str(folder / "spec.json")])
    return done, answered(answers_path)
