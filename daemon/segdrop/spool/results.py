"""Finished results by what was asked: to answer the same question with a pointer instead of hours of work."""

import json
from dataclasses import dataclass

from segdrop.spool.layout import RootLayout


@dataclass(frozen=True, slots=True)
class _Result:
    fingerprint: str  #: see ``segdrop.fingerprint``
    input_sha256: str


class Results:
    """The succeeded jobs in the outbox. Read once, and looked at again before it is relied on.

    A result that does not state its fingerprint, as those of version 0.1, answers nothing: what it started from is not
    known for certain.
    """

    def __init__(self, layout: RootLayout) -> None:
        self._layout = layout
        self._found: dict[str, _Result] | None = None

    def find(self, wanted: str) -> str | None:
        """Returns a job whose result answers ``wanted`` and is still in the outbox."""
        candidates = (job_id for job_id, result in self._known().items() if result.fingerprint == wanted)
        return next((job_id for job_id in candidates if self.holds(job_id, wanted)), None)

    def of_input(self, input_sha256: str) -> dict[str, str]:
        """Returns all jobs with results on an input, by their fingerprints."""
        known = self._known().items()
        return {result.fingerprint: job_id for job_id, result in known if result.input_sha256 == input_sha256}

    def holds(self, job_id: str, wanted: str | None = None) -> bool:
        """Whether a job's result is still in the outbox (and answers ``wanted``)."""
        result = self._read(job_id)
        return result is not None and wanted in (None, result.fingerprint)

    def add(self, job_id: str) -> None:
        """Takes note of a result that was delivered."""
        if self._found is not None and (result := self._read(job_id)) is not None:
            self._found[job_id] = result

    def _known(self) -> dict[str, _Result]:
        if self._found is None:
            jobs = sorted(path.stem for path in self._layout.outbox.glob("*.json"))
            self._found = {job_id: result for job_id in jobs if (result := self._read(job_id)) is not None}
        return self._found

    def _read(self, job_id: str) -> _Result | None:
        try:
            result = json.loads(self._layout.published_json(job_id).read_bytes())
            if result["status"] != "succeeded" or not self._layout.published_zip(job_id).is_file():
                return None
            found = result["fingerprint"]
            return _Result(found, str(result["input"]["sha256"])) if isinstance(found, str) else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None  # not one of ours (people may put what they like into a share), or gone
