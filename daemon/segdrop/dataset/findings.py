"""Equal findings, gathered: one issue for a thousand files, with the first names and the count."""

from collections.abc import Mapping

from segdrop.errors import MAX_LISTED_FILES, Issue


class Findings:
    """Names by issue code, in the order of discovery. Keeps no more names than are listed."""

    def __init__(self, messages: Mapping[str, str]) -> None:
        """``messages``: by code, with ``{count}`` and, for the first finding's detail, ``{first}``."""
        self._messages = messages
        self._names: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}
        self._first: dict[str, str] = {}

    def __contains__(self, code: str) -> bool:
        return code in self._counts

    def __bool__(self) -> bool:
        return bool(self._counts)

    def codes(self) -> set[str]:
        return set(self._counts)

    def add(self, code: str, name: str, detail: str = "") -> None:
        names = self._names.setdefault(code, [])
        if len(names) < MAX_LISTED_FILES:
            names.append(name)
        self._counts[code] = self._counts.get(code, 0) + 1
        self._first.setdefault(code, detail)

    def issues(self) -> list[Issue]:
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
