"""The tables against coremltools' own source, which is read as text: importing it takes seconds."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from mlpipe.recipe import capabilities as can
from mlpipe.recipe.plan import Plan
from mlpipe.recipe.schema.convert import Target
from mlpipe.recipe.schema.quantize import Method


def coremltools_source(name: str) -> str:
    return Path(str(importlib.metadata.distribution("coremltools").locate_file(f"coremltools/{name}"))).read_text(encoding="utf-8")


def test_deployment_targets_are_those_of_coremltools() -> None:
    versions = dict(re.findall(r"^_SPECIFICATION_VERSION_IOS_(\d+) = (\d+)", coremltools_source("__init__.py"), re.MULTILINE))
    source = coremltools_source("converters/mil/_deployment_compatibility.py")
    theirs = {name.replace("_", "."): int(versions[ios]) for name, ios in re.findall(r"^    (\w+) = _SPECIFICATION_VERSION_IOS_(\d+)$", source, re.MULTILINE)}
    assert len(theirs) == 29
    del theirs["macOS10.16"]  # another name of macOS11
    ours = {name: version for name, version in can.SPECIFICATION_VERSIONS.items() if not name.startswith("visionOS")}
    assert ours == theirs


@pytest.mark.parametrize(
    ("target", "specification", "theirs"),
    [("iOS13", 4, "iOS13"), ("macOS10.15", 4, "iOS13"), ("macOS13", 7, "iOS16"), ("watchOS11", 9, "iOS18"), ("visionOS1", 8, "iOS17"), ("tvOS26", 10, "iOS26")],
)
def test_targets_by_name(target: str, specification: int, theirs: str) -> None:
    assert can.specification_version(target) == specification
    assert can.coremltools_target(target) == theirs
    assert can.target_name(specification, like=target) == target


def test_a_platform_without_a_version_falls_back_to_ios() -> None:
    assert can.target_name(can.IOS14, like="visionOS1") == "iOS14"


def test_palettes_have_the_bits_that_coremltools_takes() -> None:
    bits = re.search(r"_VALID_NBITS = \(([\d, ]+)\)", coremltools_source("optimize/coreml/_config.py"))
    assert bits is not None
    assert set(can.WEIGHT_BITS["mlprogram", "kmeans"]) == {int(number) for number in bits[1].split(",")}


def test_every_format_and_method_has_its_row() -> None:
    pairs = {(target, method) for target in get_args(Target) for method in get_args(Method)}
    assert set(can.WEIGHT_BITS) == pairs
    assert set(can.GRANULARITIES) == {pair for pair in pairs if pair[1] != "float16"}
    for (_, method), held in can.GRANULARITIES.items():
        assert can.DEFAULT_GRANULARITIES[method] in held


def _loads(plan_of: Callable[[str], Plan], target: Target, minimum: str, step: str) -> bool:
    from mlpipe.errors import RecipeErrors

    try:
        plan_of(f"source: {{keras: model.keras}}\nconvert: {{to: {target}, minimum_deployment_target: {minimum}}}\nquantize: {{v: {{{step}}}}}\n")
    except RecipeErrors:
        return False
    return True


@pytest.mark.parametrize(
    ("target", "minimum", "method", "bits"),
    [
        ("neuralnetwork", "iOS13", "linear", {8, 7, 6, 5, 4, 3, 2, 1}),
        ("neuralnetwork", "iOS14", "kmeans", {8, 7, 6, 5, 4, 3, 2, 1}),
        ("mlprogram", "iOS15", "linear", set()),
        ("mlprogram", "iOS15", "kmeans", set()),
        ("mlprogram", "iOS16", "linear", {8}),
        ("mlprogram", "macOS14", "linear", {8}),
        ("mlprogram", "iOS18", "linear", {8, 4}),
        ("mlprogram", "iOS16", "kmeans", {8, 6, 4, 2, 1}),
        ("mlprogram", "iOS18", "kmeans", {8, 6, 4, 3, 2, 1}),
        ("mlprogram", "iOS16", "float16", {16}),
        ("neuralnetwork", "iOS13", "float16", {16}),
    ],
)
def test_bits_that_a_target_holds(target: Target, minimum: str, method: Method, bits: set[int], plan_of: Callable[[str], Plan]) -> None:
    """Source: measured with coremltools 9.0."""
    assert {width for width in range(1, 17) if _loads(plan_of, target, minimum, f"method: {method}, bits: {width}")} == bits


def test_defaults_of_a_conversion_and_its_steps(plan_of: Callable[[str], Plan]) -> None:
    network = plan_of("source: {keras: model.keras}\nconvert: {to: neuralnetwork}\nquantize: {a: {method: linear}, b: {method: kmeans}}\n")
    program = plan_of(
        "source: {keras: model.keras}\nconvert: {minimum_deployment_target: iOS18}\n"
        "quantize: {a: {method: linear, granularity: per_block}, b: {method: kmeans, granularity: per_grouped_channel}}\n"
    )
    assert network.convert is not None
    assert program.convert is not None
    assert (network.convert.minimum_deployment_target, network.convert.compute_precision) == ("iOS14", "float32")
    assert (program.convert.to, program.convert.compute_precision) == ("mlprogram", "float16")
    assert [(v.steps[0].granularity, v.steps[0].symmetric) for v in network.variants] == [("per_channel", False), ("per_tensor", None)]
    assert [(v.steps[0].symmetric, v.steps[0].block_size, v.steps[0].group_size) for v in program.variants] == [(True, 32, None), (None, None, 32)]
    assert plan_of("source: {keras: model.keras}\n").convert.minimum_deployment_target == "iOS16"  # type: ignore[union-attr]
