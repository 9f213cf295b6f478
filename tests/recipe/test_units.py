from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpipe.recipe.units import DURATION_UNITS, SIZE_UNITS, parse_duration, parse_size, split_quantity


@pytest.mark.parametrize(
    ("text", "size"),
    [("4 GB", 4 * 10**9), ("4GiB", 4 * 2**30), ("1.5 MB", 1_500_000), ("0.1 kB", 100), ("512", 512), (7, 7), ("2e3 B", 2000), ("1 KiB", 1024)],
)
def test_sizes(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["4 gb", "GB", "-1 MB", "4 GB free", "1,5 MB", True, None, 1.5, -3, "1e99999 B", "٣ MB", ""])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(ValueError, match="expected a size such as"):
        parse_size(text)


@given(st.integers(0, 10**9), st.sampled_from(sorted(SIZE_UNITS)))
def test_a_whole_number_of_any_unit_is_exact(number: int, unit: str) -> None:
    assert parse_size(f"{number} {unit}") == number * SIZE_UNITS[unit]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90.0),
        ("30m", 1800.0),
        ("1h30m", 5400.0),
        ("1h 30m 5s", 5405.0),
        ("250ms", 0.25),
        ("10min", 600.0),
        ("2d", 172800.0),
        (5, 5.0),
        (0.5, 0.5),
        ("45", 45.0),
    ],
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "3 weeks", "-5s", "0", 0, -1, "1h30", True, None, "5 S", "1h-30m", float("nan"), float("inf")])
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="expected a duration such as"):
        parse_duration(text)


@given(st.lists(st.tuples(st.integers(1, 1000), st.sampled_from(sorted(DURATION_UNITS))), min_size=1, max_size=4))
def test_a_duration_is_the_sum_of_its_parts(parts: list[tuple[int, str]]) -> None:
    assert parse_duration("".join(f"{number}{unit}" for number, unit in parts)) == float(sum(number * DURATION_UNITS[unit] for number, unit in parts))


@given(st.decimals(-1000, 1000, places=4), st.sampled_from(["", "%", "dB", "MB"]), st.sampled_from(["", " "]))
def test_a_quantity_is_split_exactly(number: Decimal, unit: str, space: str) -> None:
    assert split_quantity(f"{number}{space}{unit}") == (number, unit)
