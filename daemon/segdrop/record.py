"""The form of what is written as JSON and read again, by another process and perhaps by another version."""

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A record in a JSON file. Keys that were not given are not written; keys of other versions are passed over."""

    # What reads or writes it is built at the first use: the daemon starts without what it may never need.
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True, defer_build=True)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Returns the record in a file; raises ``OSError``, or ``ValueError`` where that is no such record."""
        return cls.model_validate_json(path.read_bytes())

    def to_json(self) -> dict[str, Any]:
        """Returns the record as JSON values, with the keys that were given."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)
