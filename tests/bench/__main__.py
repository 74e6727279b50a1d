"""``python -m bench [OUTPUT]`` from tests/: a table on the terminal, and bench.md and bench.json in OUTPUT."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from bench.interleaved import Comparison, compare
from bench.training_step import naive_step, our_step
from segdrop import __version__
from segdrop.modeling.precision import available_threads, cpu_name

#: image size in pixels → pairs of steps
SIZES = {96: 7, 128: 7, 256: 5}


def main() -> None:
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("build/bench")
    output.mkdir(parents=True, exist_ok=True)
    rows = []
    for size, rounds in SIZES.items():
        rows.append(compare(f"training step, 8 images of {size} x {size}", our_step(size), naive_step(size), rounds))
        print(line(rows[-1]), flush=True)
    host = {"cpu": cpu_name(), "threads": available_threads(), "torch": torch.__version__, "segdrop": __version__}
    (output / "bench.json").write_text(json.dumps({"host": host, "rows": [asdict(row) for row in rows]}, indent=2))
    head = "| | times as fast as the naive reference | lowest-highest |\n|---|---|---|\n"
    body = "".join(line(row) + "\n" for row in rows)
    about = f"\n{host['cpu']}, {host['threads']} threads, torch {host['torch']}, segdrop {host['segdrop']}\n"
    (output / "bench.md").write_text(head + body + about)


def line(row: Comparison) -> str:
    return f"| {row.name} | {row.ratio:.2f} | {row.lowest:.2f}-{row.highest:.2f} |"


if __name__ == "__main__":
    main()
