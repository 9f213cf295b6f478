from __future__ import annotations

import numpy as np
import pytest

from mlpipe.errors import QuantizationFailed, RecipeError, UserCodeFailed
from mlpipe.weights.inventory import stored_weights

TABLES = """
import numpy as np

calls = []

def spaced(weights, bits, name):
    return np.linspace(weights.min(), weights.max(), 2 ** bits)

def with_indices(weights, bits, name):
    table = np.linspace(weights.min(), weights.max(), 2 ** bits)
    return table, np.abs(weights[..., None] - table).argmin(axis=-1)

def zeros(weights, bits, name):
    return np.zeros(2 ** bits)

def nothing(weights, bits, name):
    return None

def short(weights, bits, name):
    return np.zeros(2 ** bits - 1)

def infinite(weights, bits, name):
    return np.full(2 ** bits, np.inf)

def too_high(weights, bits, name):
    return np.zeros(2 ** bits), np.full(weights.shape, 2 ** bits)

def few_indices(weights, bits, name):
    return np.zeros(2 ** bits), np.zeros(3, int)

def real_indices(weights, bits, name):
    return np.zeros(2 ** bits), np.zeros(weights.shape)

def raises(weights, bits, name):
    raise KeyError(f"{name} {bits}")

def spoils_its_input(weights, bits, name):
    weights[:] = 0
    return np.linspace(-4, 4, 2 ** bits)
"""


@pytest.fixture
def lut(tmp_path):
    (tmp_path / "tables.py").write_text(TABLES, encoding="utf-8")
    return lambda function, bits=4, **more: {"method": "lut", "bits": bits, "function": f"tables.py:{function}", **more}


@pytest.mark.parametrize("function", ["spaced", "with_indices"])
@pytest.mark.parametrize("model_name", ["network", "program"])
def test_weights_take_the_values_of_the_users_table(request, run_steps, lut, model_name, function):
    model = request.getfixturevalue(model_name)
    original = {weight.name: weight.values() for weight in stored_weights(model)}
    records, written = run_steps(model, lut(function))
    compressed = {record.name for record in records if record.skipped is None}
    assert len(compressed) >= 7
    for weight in stored_weights(written):
        if weight.name in compressed:
            values = original[weight.name]
            table = np.linspace(values.min(), values.max(), 16).astype(values.dtype)
            expected = table[np.abs(values[..., None].astype(np.float64) - table.astype(np.float64)).argmin(axis=-1)]
            assert np.mean(weight.values() == expected) > 0.999, weight.name  # all but ties between two entries


def test_both_forms_give_the_same_file(network, run_steps, lut):
    first = run_steps(network, lut("spaced"))[1].path.read_bytes()
    assert run_steps(network, lut("with_indices"))[1].path.read_bytes() == first


WRONG = [
    ("nothing", "table of 16 finite values", "shape []"),
    ("short", "table of 16 finite values", "shape [15]"),
    ("infinite", "table of 16 finite values", "not a finite float32"),
    ("too_high", "432 whole-number indices below 16", "from 16 to 16"),
    ("few_indices", "432 whole-number indices below 16", "returned 3"),
    ("real_indices", "432 whole-number indices below 16", "float64"),
    ("raises", "function failed", "KeyError: 'conv.weights 4', at tables.py:"),
]


@pytest.mark.parametrize(("function", "what", "why"), WRONG)
def test_a_function_that_returns_no_table_is_named_with_the_weight(network, run_steps, lut, function, what, why):
    with pytest.raises(QuantizationFailed) as caught:
        run_steps(network, lut(function))
    assert what in caught.value.what
    assert why in caught.value.why
    assert caught.value.where == f"tables.py:{function}, weight conv.weights"


def test_a_table_of_zeros_is_worse_than_the_bound_unless_the_recipe_allows_it(network, run_steps, lut):
    records, _ = run_steps(network, lut("zeros"))  # exactly 0 dB: as bad as leaving the weights out
    assert {record.snr_db for record in records if record.skipped is None} == {0.0}
    with pytest.raises(QuantizationFailed, match="worse than their bound"):
        run_steps(network, lut("zeros", minimum_snr_db=10))
    run_steps(network, lut("zeros", minimum_snr_db=-1))


def test_a_function_that_writes_into_its_argument_does_no_harm(network, run_steps, lut):
    records, _ = run_steps(network, lut("spoils_its_input", bits=6))
    assert min(record.snr_db for record in records if record.skipped is None) > 10


def test_a_missing_file_or_function_is_a_mistake_in_the_recipe(network, run_steps, lut, tmp_path):
    with pytest.raises(RecipeError, match="has no function absent"):
        run_steps(network, lut("absent"))
    with pytest.raises(UserCodeFailed, match="cannot be read"):
        run_steps(network, {"method": "lut", "bits": 4, "function": "other.py:spaced"})
    (tmp_path / "broken.py").write_text("import a_module_that_is_not_installed_anywhere\n", encoding="utf-8")
    with pytest.raises(UserCodeFailed, match="fails to import"):
        run_steps(network, {"method": "lut", "bits": 4, "function": "broken.py:spaced"})
    with pytest.raises(QuantizationFailed, match="needs a function"):
        run_steps(network, {"method": "lut", "bits": 4})


def test_an_edited_file_is_read_again(network, run_steps, lut, tmp_path):
    run_steps(network, lut("spaced"))
    (tmp_path / "tables.py").write_text("def spaced(weights, bits, name):\n    raise ValueError('edited')\n", encoding="utf-8")
    with pytest.raises(QuantizationFailed, match="edited"):
        run_steps(network, lut("spaced"))
