from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpipe.recipe.bounds import parse_bound


@pytest.mark.parametrize(
    ("metric", "text", "operator", "value"),
    [
        ("top1_agreement", ">= 98 %", ">=", 0.98),
        ("top1_agreement", ">=98%", ">=", 0.98),
        ("accuracy", ">= 0.98", ">=", 0.98),
        ("accuracy", "== 1", "==", 1.0),
        ("accuracy", ">= 99.9%", ">=", 0.999),
        ("source.topk_agreement", "> 50%", ">", 0.5),
        ("size_ratio", "<= 30%", "<=", 0.3),
        ("size_ratio", "< 0.3", "<", 0.3),
        ("size_ratio", "<= 120%", "<=", 1.2),
        ("snr_db", ">= 40 dB", ">=", 40.0),
        ("snr_db", ">= 40", ">=", 40.0),
        ("snr_db", ">= -3dB", ">=", -3.0),
        ("size_bytes", "<= 1.5 MB", "<=", 1_500_000.0),
        ("size_bytes", "<= 300 KiB", "<=", 307_200.0),
        ("max_abs_error", "<= 1e-3", "<=", 0.001),
        ("cosine", ">= 0.999", ">=", 0.999),
    ],
)
def test_bounds_are_in_the_metrics_own_unit(metric: str, text: str, operator: str, value: float) -> None:
    bound = parse_bound(metric, text)
    assert (bound.metric, bound.operator, bound.value, bound.text) == (metric, operator, value, text)


@pytest.mark.parametrize(
    ("metric", "text", "message"),
    [
        ("snr_db", "=> 3", "'=> 3' is no bound, did you mean '>= 3'?"),
        ("snr_db", "=< 3", "'=< 3' is no bound, did you mean '<= 3'?"),
        ("snr_db", "= 3", "'= 3' is no bound, did you mean '== 3'?"),
        ("snr_db", "≥ 3", "'≥ 3' is no bound, did you mean '>= 3'?"),
        ("snr_db", "40", "'40' is no bound, did you mean '>= 40'?"),
        ("size_ratio", "30%", "'30%' is no bound, did you mean '<= 30%'?"),
        ("snr_db", "at least 3", "'at least 3' is no bound: it starts with >=, >, <=, < or ==, such as '>= 40 dB'"),
        ("snr_db", ">=", "expected a bound such as '>= 40 dB', got '>='"),
        ("snr_db", ">= forty", "expected a bound such as '>= 40 dB', got '>= forty'"),
        ("snr_db", ">= 3 <= 5", "expected a bound such as '>= 40 dB', got '>= 3 <= 5'"),
        ("accuracy", ">= 98,5%", "expected a bound such as '>= 98%', got '>= 98,5%'"),
        ("snr_db", ">= 98%", "snr_db is in decibels: write a number, with or without dB; got '%'"),
        ("snr_db", ">= 40 db", "snr_db is in decibels: write a number, with or without dB; got 'db', did you mean 'dB'?"),
        ("accuracy", ">= 98 dB", "accuracy is a share: write a percentage, or a number from 0 to 1; got 'dB'"),
        ("accuracy", ">= 98", "a share is at most 1, did you mean '>= 98%'?"),
        ("accuracy", ">= 101%", "accuracy is never more than 100%, got 101%"),
        ("accuracy", ">= 1000", "accuracy is never more than 100%, got 1000"),
        ("accuracy", ">= -1%", "accuracy is never less than 0, got -1%"),
        ("size_ratio", "<= 30", "as a ratio 30 is 3000%, did you mean '<= 30%'?"),
        ("size_ratio", "<= 1.1", "as a ratio 1.1 is 110%, did you mean '<= 110%'?"),
        ("size_bytes", "<= 3 mb", "a size: write a number of bytes, or use kB, MB, GB, KiB, MiB or GiB; got 'mb', did you mean 'MB'?"),
        ("max_abs_error", "<= 3%", "max_abs_error is a plain number, without a unit; got '%'"),
        ("max_abs_error", "<= -1", "max_abs_error is never less than 0, got -1"),
        ("cosine", ">= 99", "cosine is never more than 1, got 99"),
        ("snr_db", 40, "expected a bound such as '>= 40 dB', got 40"),
        ("snr_db", [">= 40"], "expected a bound such as '>= 40 dB', got a list"),
    ],
)
def test_what_is_no_bound(metric: str, text: object, message: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the message is compared whole
        parse_bound(metric, text)
    assert str(raised.value).endswith(message)


@given(st.integers(0, 1000))
def test_a_percentage_is_the_nearest_float_to_the_share(tenths: int) -> None:
    assert parse_bound("accuracy", f">= {tenths / 10}%").value == tenths / 1000


def test_only_shares_have_an_interval() -> None:
    assert parse_bound("accuracy", ">= 98%", 0.95).confidence == 0.95
    assert parse_bound("snr_db", ">= 98", 0.95).confidence is None
