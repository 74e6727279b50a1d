"""Requests that came too late: after the ZIP of their name had been claimed without one.

Such a request was most likely meant for that ZIP. It must not silently become that of the next one, so no ZIP gets it
until people say that it is still wanted, by touching it, or remove it. What is known about it is on disk, because the
job may have ended, and the daemon been started anew, before the next ZIP comes.

Residual risk: a request that arrives in the moment between two scans in which its ZIP is claimed *and* answered *and*
the daemon ends is taken for a new one.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from segdrop import durable, logs
from segdrop.intake.settle import Stamp


class LateRequest(BaseModel):
    """A late request as it was last seen. Once it is ``whole``, any change to it is a word of its owner."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stamp: Stamp
    whole: bool = False


_RECORDS = TypeAdapter(dict[str, LateRequest])


class LateRequests:
    """The late requests of one inbox, by name. Without a path they live as long as the process."""

    def __init__(self, path: Path | None = None, settle_seconds: float = 0.0) -> None:
        """``path`` is the file that keeps them; ``settle_seconds`` is how long a request must be
        unchanged to be whole.
        """
        self._path = path
        self._settle_seconds = settle_seconds
        self._records = {} if path is None else _load(path)
        self._since: dict[str, float] = {}  #: the time since which each that is not whole yet has been unchanged

    @property
    def names(self) -> list[str]:
        """Names of the requests that came too late, touched or not."""
        return list(self._records)

    def look(self, requests: Mapping[str, Stamp | None], too_late: Collection[str], now: float) -> None:
        """Take note of the requests in the inbox, those among :attr:`names` and ``too_late`` at least; the stamp of one
        that cannot be looked at now is None.

        ``too_late`` are those whose input went without them.
        """
        records = {name: record for name, record in self._records.items() if name in requests}
        for name, stamp in requests.items():
            if stamp is None:
                continue
            if name in records:
                records[name] = self._seen_again(name, records[name], stamp, now)
            elif name in too_late:
                records[name], self._since[name] = LateRequest(stamp=stamp), now
        if records != self._records:
            self._save(records)

    def __contains__(self, request: tuple[str, Stamp | None]) -> bool:
        """Whether a request, as it is now, must not go with any ZIP."""
        name, stamp = request
        record = self._records.get(name)
        return record is not None and (not record.whole or record.stamp == stamp)

    def _seen_again(self, name: str, record: LateRequest, stamp: Stamp, now: float) -> LateRequest:
        """Returns the record of a request after one more look: while it is being copied, its changes are its own."""
        if record.whole:
            return record
        since = self._since.setdefault(name, now)
        if stamp != record.stamp:
            self._since[name] = now
            return LateRequest(stamp=stamp)
        return LateRequest(stamp=stamp, whole=now - since >= self._settle_seconds)

    def _save(self, records: dict[str, LateRequest]) -> None:
        if self._path is not None:
            durable.write_json(self._path, _RECORDS.dump_python(records, mode="json"))
        self._records = records
        self._since = {name: since for name, since in self._since.items() if name in records}


def _load(path: Path) -> dict[str, LateRequest]:
    try:
        return _RECORDS.validate_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        logs.get().warning("inbox.memory_lost", file=path.name, reason=reason, effect="late requests count as new")
        return {}
