from __future__ import annotations

import math
import os
import time
from pathlib import Path

import pytest

from mlpipe.errors import QuantizationFailed
from mlpipe.model_files.read import read_model
from mlpipe.model_files.size import size_bytes
from mlpipe.weights.inventory import stored_weights

MODELS = Path(os.environ.get("MLPIPE_MODELS", Path(__file__).parents[3] / "shared" / "models"))
pytestmark = pytest.mark.needs_models


@pytest.fixture
def real_model():
    def read(name):
        path = MODELS / name
        if not path.exists():
            pytest.skip(f"NOT RUN: {path} is not there")
        return read_model(path)

    return read


@pytest.mark.parametrize(
    ("step", "ratio", "lowest_db"),
    [
        ({"method": "float16"}, 0.51, 70),
        ({"method": "linear", "bits": 8}, 0.27, 44),
        ({"method": "linear", "bits": 4}, 0.14, 20),
        ({"method": "kmeans", "bits": 4}, 0.14, 21),
        ({"method": "kmeans", "bits": 1}, 0.045, 5),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else None,
)
def test_simple_mnist_shrinks_as_its_bits_say(real_model, run_steps, step, ratio, lowest_db):
    model = real_model("coreml_nn_simplemnist/SimpleMnist.mlmodel")
    records, written = run_steps(model, step)
    assert size_bytes(written.path) / size_bytes(model.path) < ratio
    assert min(record.snr_db for record in records if record.skipped is None) > lowest_db


def test_a_network_of_145_convolutions_takes_less_than_a_second_at_4_bits(real_model, run_steps):
    model = real_model("pose_cpm/cpm.mlmodel")
    before = time.process_time()
    records, _ = run_steps(model, {"method": "linear", "bits": 4, "granularity": "per_tensor"})
    assert time.process_time() - before < 1
    assert sum(record.skipped is None for record in records) == 145


def test_a_program_made_for_ios15_is_read_and_refused(real_model, run_steps):
    model = real_model("basic_pitch_4formats/nmp.mlpackage")
    weights = list(stored_weights(model))
    assert sum(weight.elements for weight in weights if math.prod(weight.shape) > 1) == sum(weight.values().size for weight in weights if weight.elements > 1)
    with pytest.raises(QuantizationFailed, match="need iOS16"):
        run_steps(model, {"method": "linear", "bits": 8})


def test_a_pipeline_of_tables_has_nothing_to_compress(real_model, run_steps):
    model = real_model("coreml_pipeline_sentiment/SentimentPolarity.mlmodel")
    with pytest.raises(QuantizationFailed, match="it has no weights"):
        run_steps(model, {"method": "float16"})
