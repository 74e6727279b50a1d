"""Equal findings, gathered: one issue for a thousand files, with the first names and the count."""

from collections.abc import Mapping

from segdrop.codes import Code
from segdrop.errors import MAX_LISTED_FILES, Issue


class Findings:
    """Gathers names by issue code, in the order of discovery. It keeps no more names than an issue lists."""

    def __init__(self, messages: Mapping[Code, str]) -> None:
        """``messages`` by code may contain ``{count}`` and, for the detail of the first finding, ``{first}``."""
        self._messages = messages
        self._names: dict[Code, list[str]] = {}
        self._counts: dict[Code, int] = {}
        self._first: dict[Code, str] = {}

    def __contains__(self, code: Code) -> bool:
        return code in self._counts

    def __bool__(self) -> bool:
        return bool(self._counts)

    def codes(self) -> set[Code]:
        """Returns the codes that were found."""
        return set(self._counts)

    def add(self, code: Code, name: str, detail: str = "") -> None:
        """Note that a file has what a code stands for. Only the first detail of a code is kept."""
        names = self._names.setdefault(code, [])
        if len(names) < MAX_LISTED_FILES:
            names.append(name)
        self._counts[code] = self._counts.get(code, 0) + 1
        self._first.setdefault(code, detail)

    def issues(self) -> list[Issue]:
        """Returns one issue for each code."""
        return [
            Issue.of(
                code,
                self._messages[code].replace("{count}", _plural(count)).replace("{first}", self._first[code]),
                files=self._names[code],
                count=count,
            )
            for code, count in self._counts.items()
        ]


def _plural(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
