"""The encoding of the names in a ZIP that does not say it: the one in which they read best.

A ZIP says "UTF-8" or nothing. Where it says nothing, names are in what the packer's system used: code page 437 or 850
(Windows, 7-Zip), 1252, 932 (Japanese), 936 (Chinese), 949 (Korean), 866 or 1251 (Russian) and others. One archive comes
from one system, so one encoding is chosen for all of its names. A wrong choice costs legibility, no more: equal bytes
are equal names in any of them.

How well a text reads is estimated as its improbability (in nats) under a rough model of file names: common letters cost
little, rare ones more, what no name has most. All candidates explain the same bytes, so their sums compare.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

#: by preference where two read alike; the first decodes everything
_SINGLE_BYTE = ("cp437", "cp850", "cp1252", "cp852", "cp1250", "cp866", "cp1251", "cp737", "cp1253", "cp857")
#: the first and last lead byte of their common characters, and the least second byte
_DOUBLE_BYTE = {
    "cp932": (0x88, 0x98, 0x40),
    "gbk": (0xB0, 0xD7, 0xA1),
    "cp949": (0xB0, 0xC8, 0xA1),
    "cp950": (0xA4, 0xC6, 0x40),
}
FALLBACK = _SINGLE_BYTE[0]

_DIGIT, _LOWER, _UPPER, _MARK = 2.3, 2.7, 4.0, 3.0
_ACCENTED, _ACCENTED_UPPER = 5.5, 6.5
_FURTHER_LATIN = 2.0  # on top, beyond the letters of Western Europe
_FREQUENT, _OTHER_LETTER, _OTHER_UPPER = 2.8, 4.0, 6.0
_KANA, _HANGUL, _COMMON, _RARE = 4.4, 6.8, 7.2, 12.0
_HALF_WIDTH, _SYMBOL, _PRIVATE = 8.0, 11.0, 30.0
#: on top: a capital within a word, two accented letters in a row, a change of script within a word
_ODD_CAPITAL, _ODD_ACCENTS, _ODD_SCRIPT = 3.0, 2.0, 6.0
_CHANGED_SCRIPT = 3.5
_LAST_WESTERN = 0xFF
_FREQUENT_LETTERS = frozenset("оеаинтсрвл" + "αοιετσνη")
_CJK_MARKS = frozenset("ー・々（）「」〜、。")  # noqa: RUF001  (these, not those of ASCII)


def plausible(names: Sequence[bytes]) -> str:
    """Returns the encoding in which these names, none of them UTF-8, read best."""
    costs = {encoding: _cost(names, encoding) for encoding in (*_SINGLE_BYTE, *_DOUBLE_BYTE)}
    return min(costs, key=costs.__getitem__)


def _cost(names: Sequence[bytes], encoding: str) -> float:
    total = 0.0
    for name in names:
        try:
            text = name.decode(encoding)
        except UnicodeDecodeError:
            return float("inf")
        for before, letter in zip(f" {text}", text, strict=False):
            total += _letter_cost(letter, encoding) + _step_cost(before, letter)
    return total


@lru_cache(maxsize=1 << 14)
def _letter_cost(letter: str, encoding: str) -> float:
    if letter.isascii():
        return _ascii_cost(letter)
    script = _script(letter)
    if script == "LATIN":
        further = _FURTHER_LATIN if ord(letter) > _LAST_WESTERN else 0.0
        return further + (_ACCENTED_UPPER if letter.isupper() else _ACCENTED)
    if encoding in _SINGLE_BYTE and script in ("CYRILLIC", "GREEK"):
        lower = _FREQUENT if letter in _FREQUENT_LETTERS else _OTHER_LETTER
        return _OTHER_UPPER if letter.isupper() else lower
    return _asian_cost(letter, script, encoding)


def _ascii_cost(letter: str) -> float:
    if letter.isalpha():
        return _LOWER if letter.islower() else _UPPER
    return _DIGIT if letter.isdigit() else _MARK


def _asian_cost(letter: str, script: str, encoding: str) -> float:
    if letter in _CJK_MARKS or (script in ("HIRAGANA", "KATAKANA") and encoding == "cp932"):
        return _KANA
    if script == "HALFWIDTH":
        return _HALF_WIDTH
    if not script:
        return _PRIVATE if unicodedata.category(letter) in ("Co", "Cc") else _SYMBOL
    return _ideograph_cost(letter, script, encoding) if script in ("CJK", "HANGUL") else _RARE


def _ideograph_cost(letter: str, script: str, encoding: str) -> float:
    first, last, least = _DOUBLE_BYTE[encoding]
    lead, second = letter.encode(encoding)
    is_own = (encoding == "cp949") is (script == "HANGUL")
    if not (is_own and first <= lead <= last and second >= least):
        return _RARE
    return _HANGUL if encoding == "cp949" else _COMMON


@lru_cache(maxsize=1 << 14)
def _script(letter: str) -> str:
    """Returns the first word of a letter's name ("LATIN", "CJK"), or "" for what is no letter."""
    return re.split("[ -]", unicodedata.name(letter, ""), maxsplit=1)[0] if letter.isalpha() else ""


@lru_cache(maxsize=1 << 14)
def _step_cost(before: str, letter: str) -> float:
    """Returns what it costs that a letter follows another."""
    if not (before.isalpha() and letter.isalpha()) or (before.isascii() and letter.isascii()):
        return 0.0
    scripts = {_script(before), _script(letter)}
    if len(scripts) > 1:
        return _ODD_SCRIPT if scripts <= {"LATIN", "CYRILLIC", "GREEK"} else _asian_step(scripts)
    odd = _ODD_CAPITAL if before.islower() and letter.isupper() else 0.0
    return odd + (_ODD_ACCENTS if scripts == {"LATIN"} and not (before.isascii() or letter.isascii()) else 0.0)


def _asian_step(scripts: set[str]) -> float:
    """Returns what a change of script costs: Japanese mixes its scripts."""
    return 0.0 if scripts <= {"CJK", "HIRAGANA", "KATAKANA", "IDEOGRAPHIC"} else _CHANGED_SCRIPT
