"""Requests that missed the name of their input: ``NAME.zip.json``, ``NAME.json.txt``, ``NAME (1).json``. Pure.

None of them is ever taken: it may as well be something else. But a job that goes without a request beside such a file
says so in its answer, because something may have been asked for that was not done.
"""

import re
import unicodedata
from functools import lru_cache

from segdrop.input_kinds import SUFFIXES
from segdrop.intake import names
from segdrop.request import EMBEDDED_NAME

#: the name that a request has inside a ZIP, and the one that it has in failed/
_OF_ANY_ZIP = frozenset({EMBEDDED_NAME, "request.json"})
#: ends like the name of a request; Windows hides the last suffix, editors add one, people write YAML
_LIKE_A_REQUEST = re.compile(
    r"(?P<stem>.+?)[ ._,-]*(?:json[0-9a-z]?|jsn|jso|ya?ml|toml)(?:[ ._~(-].*)?", re.IGNORECASE | re.DOTALL
)
_SUFFIXES = re.compile(rf"\.({'|'.join(sorted(SUFFIXES))}|txt)$")
_COPY = re.compile(r"( ?\(\d+\)| ?-? ?(copy|kopie|copie|copia)( ?\(?\d+\)?)?)$|^(copy of|kopie von|copie de|copia di) ")
_ROLE = re.compile(
    r"[ ._-]+(request|req|config|settings|params|parameters|options|sidecar|segdrop)$"
    r"|^(request|config|settings|params|parameters|options|segdrop)[ ._-]+"
)
_SEPARATORS = re.compile(r"[\s._-]+")


@lru_cache(maxsize=1 << 14)
def meant_for(name: str) -> str | None:
    """Returns the core of the ZIP's name that a file looks like a request for, or None if it looks like none.

    ``""`` is what belongs to any ZIP.
    """
    if name.startswith((".", "~")):  # hidden, AppleDouble, locks of office programs
        return None
    plain = names.conflict_free(name)
    if plain.lower() in _OF_ANY_ZIP:
        return ""
    if plain.lower().endswith(".zip") or (found := _LIKE_A_REQUEST.fullmatch(plain)) is None:
        return None
    return core(plain[: -len(".json")] if plain.lower().endswith(".json") else found["stem"]) or None


@lru_cache(maxsize=1 << 14)
def core(stem: str) -> str:
    """Returns what is left of a name without suffixes, marks of copies and separators: by it near misses are found."""
    text = unicodedata.normalize("NFKC", names.caseless(names.conflict_free(stem))).strip()
    shorter = text
    while shorter:
        text = shorter
        shorter = _ROLE.sub("", _COPY.sub("", _SUFFIXES.sub("", text))).strip()
        if shorter == text:
            break
    return _SEPARATORS.sub(" ", text).strip()
