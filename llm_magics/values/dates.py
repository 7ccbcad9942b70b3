"""Dates as people write them in English, French, Spanish and German -> ``datetime.date``, or the ISO text of a part of one."""

from __future__ import annotations

import datetime
import re

_MONTHS = (
    "january janvier enero januar jänner",
    "february février fevrier febrero februar feber",
    "march mars marzo märz maerz",
    "april avril abril",
    "may mai mayo",
    "june juin junio juni",
    "july juillet julio juli",
    "august août aout agosto",
    "september septembre septiembre setiembre",
    "october octobre octubre oktober",
    "november novembre noviembre",
    "december décembre decembre diciembre dezember",
)
# The month whose name begins with the three letters or more that were written; longer ones first, so juin is not juillet.
_NUMBERS = {name: number for number, names in enumerate(_MONTHS, 1) for name in names.split()}
_ISO = re.compile(r"(\d{4})-(\d{1,2})(?:-(\d{1,2}))?(?:[T ]\d.*)?")
_PARTIAL = re.compile(r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?")
_NUMERIC = re.compile(r"(\d{1,4})[./-](\d{1,2})[./-](\d{2,4})")
_WORDY = re.compile(r"(?:\w+,\s*)?(?:(\d{1,2})(?:st|nd|rd|th|er|º|\.)?\s*(?:of |de |del )?)?\s*([^\W\d_]{3,})\.?,?\s*(?:de |del )?(\d{4})")
_MONTH_FIRST = re.compile(r"(?:\w+,\s*)?([^\W\d_]{3,})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})")


def read(text: str, lang: str = "en") -> datetime.date | str | None:
    """The date that ``text`` writes; ISO text where only its year or its month is told; None when it cannot be read.

    A day and a month in figures come in the order of ``lang``. English has two, so ``03/04/2024`` is None there, and 13/04/2024 is not.
    """
    written = " ".join(text.split())
    iso = _ISO.fullmatch(written)
    if iso:
        return _made(int(iso[1]), int(iso[2]), int(iso[3]) if iso[3] else None)
    if re.fullmatch(r"\d{4}", written):
        return written
    numeric = _NUMERIC.fullmatch(written)
    if numeric:
        return _from_figures(int(numeric[1]), int(numeric[2]), int(numeric[3]), lang, slash="/" in written)
    first = _MONTH_FIRST.fullmatch(written)
    wordy = first or _WORDY.fullmatch(written)
    if wordy is None:
        return None
    month = _month(wordy[1] if first else wordy[2])
    day = wordy[2] if first else wordy[1]
    return _made(int(wordy[3]), month, int(day) if day else None) if month else None


def is_iso(text: str) -> bool:
    """Whether ``text`` is an ISO date, whole or cut to the month or the year, and in the calendar."""
    if not _PARTIAL.fullmatch(text):
        return False
    return len(text) < 10 or isinstance(read(text), datetime.date)


def _month(name: str) -> int | None:
    name = name.casefold()
    found = {number for full, number in _NUMBERS.items() if full.startswith(name)}
    return _NUMBERS.get(name) or (found.pop() if len(found) == 1 else None)


def _made(year: int, month: int, day: int | None) -> datetime.date | str | None:
    try:
        made = datetime.date(year, month, day or 1)
    except ValueError:
        return None
    return made if day else f"{year:04}-{month:02}"


def _from_figures(first: int, second: int, third: int, lang: str, *, slash: bool) -> datetime.date | str | None:
    if first > 31:  # 2024/03/12
        return _made(first, second, third)
    year = third if third > 99 else 2000 + third if third < 70 else 1900 + third
    day_first = lang != "en" or not slash or first > 12
    if not day_first and second <= 12 and first != second:
        return None
    return _made(year, second, first) if day_first else _made(year, first, second)
