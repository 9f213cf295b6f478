from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlpipe.model_files.read import ModelFile, read_model
from mlpipe.quantization.quantize import quantize
from mlpipe.recipe.schema.quantize import QuantizeStep
from mlpipe.steps.step import no_progress
from mlpipe.weights.inventory import stored_weights

REFERENCE = Path(__file__).parent / "coremltools_reference.py"

PROGRAM_STEPS = {
    "int8": {"method": "linear", "bits": 8},
    "uint8": {"method": "linear", "bits": 8, "symmetric": False},
    "tensor": {"method": "linear", "bits": 8, "symmetric": False, "granularity": "per_tensor"},
    "palette8": {"method": "kmeans", "bits": 8},
    "palette6": {"method": "kmeans", "bits": 6},
    "palette1": {"method": "kmeans", "bits": 1},
}
IOS18_STEPS = PROGRAM_STEPS | {
    "int4-block": {"method": "linear", "bits": 4, "granularity": "per_block", "block_size": 8},
    "uint4": {"method": "linear", "bits": 4, "symmetric": False},
    "palette3": {"method": "kmeans", "bits": 3},
    "groups": {"method": "kmeans", "bits": 2, "granularity": "per_grouped_channel", "group_size": 4},
}
NETWORK_STEPS = {
    "float16": {"method": "float16"},
    "linear-symmetric-8": {"method": "linear", "bits": 8, "symmetric": True},
    "linear-tensor-4": {"method": "linear", "bits": 4, "granularity": "per_tensor"},
    **{f"linear-{bits}": {"method": "linear", "bits": bits} for bits in range(1, 9)},
    **{f"kmeans-{bits}": {"method": "kmeans", "bits": bits} for bits in range(1, 9)},
}
STEPS = {
    "network": NETWORK_STEPS,
    "program_ios16": PROGRAM_STEPS,
    "program_ios16_fp32": PROGRAM_STEPS | {"float16": {"method": "float16"}},
    "program_ios18": IOS18_STEPS,
    "program_ios18_fp32": IOS18_STEPS | {"float16": {"method": "float16"}},
}
"""Model -> name of a variant -> step."""


THEIRS_IOS16 = ("int8", "uint8", "tensor", "palette6", "palette1", "sparse")
THEIRS_IOS18 = (*THEIRS_IOS16, "int4-block", "uint4", "palette3", "groups", "vectors", "sparse-palette", "sparse-int8", "palette-int8")
THEIRS = {
    "network": ("linear-1", "linear-3", "linear-5", "linear-8", "linear-16", "linear_lut-2", "linear_lut-6", "linear_symmetric-8"),
    "program_ios16": THEIRS_IOS16,
    "program_ios18": THEIRS_IOS18,
}
"""Model -> the variants that coremltools makes of it."""


def pytest_generate_tests(metafunc):
    """`our_variant` and `their_variant` are every file of `ours` and of `theirs`; `shared_variant` is the model and name of each that both make."""
    tables = {
        "our_variant": [f"{name}-{variant}" for name, steps in STEPS.items() for variant in steps],
        "their_variant": [f"{name}-{variant}" for name, variants in THEIRS.items() for variant in variants],
        "shared_variant": [(name, variant) for name, variants in THEIRS.items() for variant in variants if variant in STEPS[name]],
    }
    for fixture, values in tables.items():
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, values, ids=[value if isinstance(value, str) else "-".join(value) for value in values])


def reference(command: str, folder: Path) -> None:
    subprocess.run([sys.executable, str(REFERENCE), command, str(folder)], check=True, capture_output=True)


def model_path(folder: Path, name: str) -> Path:
    return folder / (name + (".mlmodel" if name.startswith("network") else ".mlpackage"))


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Uncompressed models by name, and in `theirs` what coremltools makes of them, each decoded by coremltools to an .npz."""
    folder = tmp_path_factory.mktemp("models")
    reference("build", folder)
    reference("decode", folder / "theirs")
    return folder


@pytest.fixture(scope="session")
def ours(models, tmp_path_factory):
    """What mlpipe makes of them, each decoded by coremltools to an .npz."""
    folder = tmp_path_factory.mktemp("ours")
    for name, steps in STEPS.items():
        model = read_model(model_path(models, name))
        for variant, step in steps.items():
            quantize(model, [QuantizeStep(**step)], model_path(folder, f"{name}-{variant}"), folder, no_progress)
    reference("decode", folder)
    return folder


@pytest.fixture
def decoded():
    """A function from a folder and a model's name to its weights, as mlpipe decodes them."""

    def decode(folder, name):
        return {weight.name: weight.values() for weight in stored_weights(read_model(model_path(folder, name)))}

    return decode


@pytest.fixture
def network(models) -> ModelFile:
    return read_model(model_path(models, "network"))


@pytest.fixture
def program(models) -> ModelFile:
    return read_model(model_path(models, "program_ios18"))


@pytest.fixture
def run_steps(tmp_path):
    """A function that compresses a model by steps given as keywords, and returns the records and the written model."""

    def run(model, *steps):
        path = tmp_path / f"out{model.path.suffix}"
        records = quantize(model, [QuantizeStep(**step) for step in steps], path, tmp_path, no_progress)
        return records, read_model(path)

    return run
