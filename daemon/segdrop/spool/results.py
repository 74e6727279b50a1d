"""Finished results by what was asked: to answer the same question with a pointer instead of hours of work."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from segdrop.spool.layout import RootLayout

#: request keys that change when a job runs, and not what comes out
_NOT_COMPARED = frozenset({"priority", "force"})


def fingerprint(input_sha256: str, request: Mapping[str, Any]) -> str:
    """The same for the same bytes and the same resolved request."""
    compared = {key: value for key, value in request.items() if key not in _NOT_COMPARED}
    return hashlib.sha256(f"{input_sha256} {json.dumps(compared, sort_keys=True)}".encode()).hexdigest()


class Results:
    """The succeeded jobs in the outbox. Read once, and looked at again before it is relied on."""

    def __init__(self, layout: RootLayout) -> None:
        self._layout = layout
        self._jobs: dict[str, str] | None = None

    def find(self, wanted: str) -> str | None:
        """The job whose result answers ``wanted`` and is still in the outbox."""
        if self._jobs is None:
            self._jobs = {}
            for path in self._layout.outbox.glob("*.json"):
                self.add(path.stem)
        job_id = self._jobs.get(wanted)
        return job_id if job_id and self._fingerprint_of(job_id) == wanted else None

    def add(self, job_id: str) -> None:
        """A result was delivered."""
        found = self._fingerprint_of(job_id)
        if self._jobs is not None and found is not None:
            self._jobs[found] = job_id

    def _fingerprint_of(self, job_id: str) -> str | None:
        try:
            result = json.loads(self._layout.published_json(job_id).read_bytes())
            if result["status"] != "succeeded" or not self._layout.published_zip(job_id).is_file():
                return None
            return fingerprint(result["input"]["sha256"], result["request"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None  # not one of ours (people may put what they like into a share), or gone
