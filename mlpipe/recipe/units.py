"""Numbers with units, as people write them: shares, decibels, sizes and durations."""

from __future__ import annotations

import re
from decimal import Decimal

SIZE_UNITS = {"B": 1, "kB": 1000, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}
DURATION_UNITS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "min": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_QUANTITY = re.compile(rf"\s*({_NUMBER})\s*([A-Za-z%]*)\s*", re.ASCII)


def split_quantity(text: str) -> tuple[Decimal, str] | None:
    """Return the number, exact, and the unit ("" without one), or None if the text is not of that form."""
    match = _QUANTITY.fullmatch(text)
    if match is None or len(match[1]) > 40:
        return None
    number = Decimal(match[1])
    return (number, match[2]) if abs(number.adjusted()) < 40 else None


def parse_size(value: object) -> int:
    """Return a size in bytes: a number of bytes, or text such as "4 GB" (1000^3) or "4 GiB" (1024^3).

    Errors: ValueError.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    quantity = split_quantity(value) if isinstance(value, str) else None
    if quantity is None or quantity[0] < 0 or (quantity[1] or "B") not in SIZE_UNITS:
        raise ValueError("expected a size such as '4 GB' or '500 MiB'")
    return int(quantity[0] * SIZE_UNITS[quantity[1] or "B"])


def parse_duration(value: object) -> float:
    """Return a duration in seconds: a number of seconds, or text such as "90s", "30m", "1h30m".

    Errors: ValueError.
    """
    message = "expected a duration such as '90s', '30m' or '1h30m'"
    if isinstance(value, int | float) and not isinstance(value, bool):
        text = f"{value!r}s"
    elif isinstance(value, str):
        text = value.strip()
    else:
        raise ValueError(message)  # noqa: TRY004 - pydantic turns ValueError into a message
    if re.fullmatch(_NUMBER, text):
        text += "s"
    if not re.fullmatch(r"(?:\d+(?:\.\d+)?\s*(?:ms|min|[smhd])\s*)+|\d+(?:\.\d+)?[eE][-+]?\d+s", text):
        raise ValueError(message)
    parts = [split_quantity(part) for part in re.findall(rf"{_NUMBER}\s*[a-z]+", text)]
    seconds = sum((part[0] * DURATION_UNITS[part[1]] for part in parts if part is not None), Decimal(0))
    if seconds <= 0 or None in parts:
        raise ValueError(message)
    return float(seconds)
