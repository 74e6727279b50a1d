"""``python driver.py run|once|train …``: the real command line, with the stand-ins as children.

Three things are changed, and nothing else: which modules the children run, how long faults are waited out, and that the
wall clock is ahead by as many seconds as the file ``clock`` beside the plan says.
"""

import functools
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from segdrop import cli
from segdrop.cli import serve
from segdrop.service import delays, loop, pause
from segdrop.stages.stage import Modules


def wall() -> datetime:
    setting = Path(os.environ["STANDIN_PLAN"]).with_name("clock")
    ahead = timedelta(seconds=float(setting.read_text())) if setting.exists() else timedelta()
    return datetime.now(UTC) + ahead


if __name__ == "__main__":
    modules = Modules(check="held_check", training="standin", inference="standin_inference", package="held_package")
    clock = loop.Clock(wall=wall)
    serve.Service = functools.partial(loop.Service, modules=modules, clock=clock)  # type: ignore[misc,assignment]
    delays.FIRST_SECONDS = 1.0
    delays._LONGEST_SECONDS = 1.0
    pause._LONGEST_SECONDS = 1.0
    cli.main()
