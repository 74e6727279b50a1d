"""Why a small text file cannot be read, in words for whoever wrote it: it is no UTF-8, or no JSON. Pure.

Windows PowerShell's ``>`` writes UTF-16; editors offer "Unicode", "ANSI" and more; a word processor saves a document,
and sets typographic quotes.
"""

import codecs
import json
import re

_ADVICE = "save it as UTF-8"
#: Longest first: UTF-32's mark begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
    (b"+/v8", "UTF-7"),
)
_DOCUMENTS = (
    (b"PK\3\4", "a ZIP archive or an office document"),
    (b"{\\rtf", "a document in RTF"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "packed with gzip"),
    (b"\xd0\xcf\x11\xe0", "an office document"),
    (b"bplist", "a binary property list"),
)
#: Where the zeros are in a text without a mark that begins with an ASCII character, as JSON and TOML do.
_WITHOUT_MARK = (((1, 2, 3), "UTF-32"), ((0, 1, 2), "UTF-32"), ((1, 3), "UTF-16"), ((0, 2), "UTF-16"))

_SINGLE_QUOTES = "'‘’‚‛`´"  # noqa: RUF001  (these are meant)
_TYPOGRAPHIC = "“”„‟«»″"
_COMMENTS = ("//", "/*", "#", "<!--")
_OTHER_CONSTANTS = re.compile(r"(True|TRUE|False|FALSE|None|NULL|Null|nil|yes|no|on|off|undefined)\b")
_WORD = re.compile(r"[\w.$-]+")
_TOO_EARLY = "it ends too early: a closing bracket is missing, or the file was cut off"
_UNTERMINATED = "Unterminated string"
#: How the parser's messages begin (it has no other way to tell what is wrong), and what is said instead. {} is the word
#: at that place.
_MESSAGES = (
    ("Extra data", "something more behind the end: {}"),
    (_UNTERMINATED, 'a text without its end: a double quote (") is missing'),
    ("Invalid \\", r"a backslash in a text is written twice (\\)"),
    ("Invalid control character", r"a line end or tab within a text: write \n or \t"),
    ("Expecting property name", 'a key without double quotes: write "{}"'),
    ("Expecting ',' delimiter", "a comma is missing before this"),
    ("Expecting ':' delimiter", "a colon is missing between the key and its value"),
    ("Expecting value", '{} is no value: text stands in double quotes (")'),
)
_NEED_A_WORD = ("Expecting property name", "Expecting value")


def encoding_fault(content: bytes) -> str:
    """Returns what a text is instead of UTF-8, and what to do. Empty for UTF-8, with or without a byte order mark."""
    for start, kind in _DOCUMENTS:
        if content.startswith(start):
            return f"it is {kind}, not a text file: {_ADVICE}, as plain text"
    for mark, name in _MARKS:
        if content.startswith(mark):
            return f"it is {name}: {_ADVICE}"
    if b"\0" in content:
        return _of_zeros(content)
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return _single_bytes(content, error.start)
    return ""


def _of_zeros(content: bytes) -> str:
    """Text with zero bytes is UTF-16 or UTF-32 without a mark, or was damaged."""
    zeros = tuple(position for position, value in enumerate(content[:4]) if value == 0)
    for pattern, name in _WITHOUT_MARK:
        if zeros == pattern:
            return f"it is {name} (without a byte order mark): {_ADVICE}"
    if not content.strip(b"\0"):
        return "it holds nothing but zero bytes, as after an interrupted copy: write it again"
    return f"it has zero bytes (the first at byte {content.index(0)}), which no text has: write it again"


def _single_bytes(content: bytes, position: int) -> str:
    """Names the first byte that cannot stand in UTF-8, and the character that Windows shows for it."""
    line = content.count(b"\n", 0, position) + 1
    shown = content[position : position + 1].decode("cp1252", "replace")
    return (
        f"it is not UTF-8, perhaps Latin-1 or Windows-1252 (line {line} has the byte 0x{content[position]:02X}, "
        f"there {shown!r}): {_ADVICE}"
    )


def json_fault(text: str, error: json.JSONDecodeError) -> str:
    """Returns what is wrong at the place where reading stopped, and what to write instead."""
    if not text.strip():
        return "it is empty: write at least {}"
    if not text.lstrip().startswith(("{", "[", '"')) and error.pos <= len(text) - len(text.lstrip()):
        return _beginning(text.strip())
    return f"line {error.lineno}, column {error.colno}: {_fault(text, error)}"


def _beginning(text: str) -> str:
    if text.startswith("<"):
        return "it is HTML or XML, not JSON"
    if text.startswith(_COMMENTS):
        return "it begins with a comment, which JSON does not have: take it out"
    return f'it does not begin with {{: JSON looks like {{"level": 1}}, and not like {text.splitlines()[0][:40]}'


def _fault(text: str, error: json.JSONDecodeError) -> str:
    rest, before = text[error.pos :], text[: error.pos].rstrip()
    if rest[:1] and rest[0] in _TYPOGRAPHIC:
        return f'a typographic quote ({rest[0]}), as word processors make: type straight ones (")'
    if rest[:1] and rest[0] in _SINGLE_QUOTES:
        return f'a quote that JSON does not have ({rest[0]}): use double ones (")'
    if rest.startswith(_COMMENTS):
        return "a comment, which JSON does not have: take it out"
    if _is_trailing_comma(before, rest):
        return "a comma too many, after the last entry: take it out"
    if found := _OTHER_CONSTANTS.match(rest):
        return f"{found.group()} is no JSON: write true, false or null"
    return _by_message(text, error, rest)


def _is_trailing_comma(before: str, rest: str) -> bool:
    """Whether reading stopped at such a comma: at the bracket behind it, or from Python 3.13 on at the comma."""
    return (before.endswith(",") and rest[:1] in ("}", "]")) or bool(re.match(r",\s*[}\]]", rest))


def _by_message(text: str, error: json.JSONDecodeError, rest: str) -> str:
    """Words for the parser's message. A message that is not in the table keeps its own words."""
    ends_early = not rest.strip()
    word = found.group()[:40] if (found := _WORD.match(rest)) else ""
    for start, words in _MESSAGES:
        if error.msg.startswith(start):
            if start == _UNTERMINATED and any(quote in text for quote in _TYPOGRAPHIC):
                return 'a text without its end; there are typographic quotes in it: type straight ones (")'
            if start in _NEED_A_WORD and not word:
                break
            return _TOO_EARLY if ends_early else words.format(word)
    return _TOO_EARLY if ends_early else f"{error.msg[0].lower()}{error.msg[1:]}"
