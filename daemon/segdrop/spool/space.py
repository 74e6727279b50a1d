"""Disk space: what is free, and what jobs have still to write.

A job writes its cache while it is checked, and up to the operator's reserve (checkpoints, weights, model, result) from
its first attempt on. What it has begun it may end: its own checkpoints are taken out of the reserve.
"""

import shutil
from collections.abc import Iterable

from segdrop.codes import Code
from segdrop.errors import UnavailableError
from segdrop.spool.job import Job, JobState
from segdrop.spool.layout import JobLayout, RootLayout

_BLOCK_BYTES = 512  #: of ``st_blocks`` (stat(3type))


def free_bytes(layout: RootLayout) -> int:
    """Returns how many bytes are free for the jobs; raises OSError where the folder is not there."""
    return shutil.disk_usage(layout.work).free


def promised_bytes(jobs: Iterable[Job]) -> int:
    """Returns the bytes of the caches that claimed jobs are going to write."""
    return sum(job.cache_bytes for job in jobs if job.state is JobState.CLAIMED)


def needed_bytes(job: Job, files: JobLayout, reserve_bytes: int) -> int:
    """Returns how many bytes have to be free before the job's next stage begins."""
    match job.state:
        case JobState.CLAIMED:
            return reserve_bytes + job.cache_bytes
        case JobState.RUNNING | JobState.COMPUTED:
            written = [path for path in files.folder.iterdir() if path.is_file() and path != files.input]
            return max(0, reserve_bytes - sum(path.stat().st_blocks * _BLOCK_BYTES for path in written))
        case _:
            return reserve_bytes


def lacks(layout: RootLayout, lacking_bytes: int) -> UnavailableError:
    """Returns the error that says that the next job needs so many bytes more than are free."""
    free = free_bytes(layout)
    return UnavailableError(Code.DISK_LOW, f"{free} bytes are free; the next job needs {free + lacking_bytes}")
