from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlpipe.recipe.plan import Plan
from mlpipe.recipe.workspace import load_plan

DIGITS = Path(__file__).with_name("valid") / "digits.yaml"


def test_the_digits_of_the_design(plan_of: Callable[[str], Plan], folder: Path) -> None:
    plan = plan_of(DIGITS.read_text(encoding="utf-8"))
    linear = [f"linear-{bits}" for bits in (8, 6, 4, 3, 2)]
    assert plan.variant_names == ("converted", "fp16", *linear, "lut-8", "lut-4", "lut-2")
    assert [(step.method, step.bits) for variant in plan.variants for step in variant.steps] == [
        ("float16", 16), *(("linear", bits) for bits in (8, 6, 4, 3, 2)), *(("kmeans", bits) for bits in (8, 4, 2)),
    ]  # fmt: skip
    assert plan.gates is not None
    gates = {name: ({bound.metric: (bound.operator, bound.value) for bound in rules.bounds}, rules.report_only) for name, rules in plan.gates.items()}
    usual = {"top1_agreement": (">=", 0.98), "size_ratio": ("<=", 0.3)}
    assert gates == {
        "converted": ({"source.snr_db": (">=", 60.0)}, False),
        "fp16": ({**usual, "size_ratio": ("<=", 0.55)}, False),
        **{name: (usual, name == "linear-2") for name in (*linear, "lut-8", "lut-4", "lut-2")},
    }
    assert (plan.release and plan.release.variant, plan.release and plan.release.name) == ("lut-4", "Digits")
    assert plan.source.keras == str(folder / "model.keras")
    assert plan.compare.samples is not None
    assert (plan.compare.samples.images, plan.compare.samples.ground_truth) == (str(folder / "*.png"), str(folder / "truth.csv"))
    assert [spec.name for spec in plan.compare.metrics] == ["top1_agreement", "accuracy", "snr_db"]
    assert plan.convert is not None
    assert plan.convert.classifier is not None
    assert plan.convert.classifier.class_labels == str(folder / "labels.txt")


def test_shorthands_in_full(plan_of: Callable[[str], Plan], folder: Path) -> None:
    plan = plan_of((DIGITS.parent / "shorthands.yaml").read_text(encoding="utf-8"))
    assert plan.variant_names[1:] == (
        "fp16", "one", "swept-8", "swept-2", "chain", "grid8-per_tensor", "grid8-per_channel", "grid4-per_channel", "long-4", "long-2", "custom",
    )  # fmt: skip
    variants = {variant.name: variant.steps for variant in plan.variants}
    assert variants["swept-2"][0].skip == ["head*"]
    assert [step.method for step in variants["chain"]] == ["kmeans", "linear"]
    assert [(name, step.bits, step.granularity, step.minimum_elements) for name, (step, *_) in variants.items() if name.startswith("grid")] == [
        ("grid8-per_tensor", 8, "per_tensor", 100), ("grid8-per_channel", 8, "per_channel", 100), ("grid4-per_channel", 4, "per_channel", 0),
    ]  # fmt: skip
    assert variants["custom"][0].function == "tables.py:make"
    assert set(plan.source.outputs) == {"y", "z:0"}
    assert plan.source.is_url
    assert [(spec.name, spec.k, spec.peak) for spec in plan.compare.metrics] == [
        ("top1_agreement", None, None), ("topk_agreement", 3, None), ("psnr_db", None, 1.0), ("snr_db", None, None), ("cosine", None, None),
        ("max_abs_error", None, None),
    ]  # fmt: skip
    assert plan.compare.samples is not None
    assert plan.compare.samples.limit == 2
    assert plan.release is not None
    assert plan.release.name == "shorthands"
    assert (plan.workers.memory_bytes, plan.workers.timeout_seconds) == (4 * 10**9, {"convert": 600.0, "*": 5400.0})
    assert plan.convert is not None
    assert plan.convert.metadata.version == "1.10"
    shape = plan.convert.inputs["x"].shape
    assert shape is not None
    assert [size if isinstance(size, int) else (size.min, size.max, size.default) for size in shape] == [1, (2, 9, 2), (1, 8, 1), 3]
    assert plan.convert.inputs["w"].default_shape == [1, 2]
    assert folder == plan.folder


def test_an_environment_variable_is_a_number_or_text_as_its_place_expects(plan_of: Callable[[str], Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLPIPE_TEST_LIMIT", "7")
    monkeypatch.setenv("MLPIPE_TEST_VERSION", "2.0")
    plan = plan_of((DIGITS.parent / "shorthands.yaml").read_text(encoding="utf-8"))
    assert plan.compare.samples is not None
    assert plan.convert is not None
    assert (plan.compare.samples.limit, plan.convert.metadata.version) == (7, "2.0")


def test_paths_are_relative_to_the_file_that_names_them(folder: Path) -> None:
    (folder / "recipes" / "[odd]").mkdir(parents=True)
    for name in ("recipes/[odd]/b.png", "recipes/[odd]/model.keras"):
        (folder / name).touch()
    (folder / "pipeline.yaml").write_text("defaults: {compare: {samples: {ground_truth: truth.csv}}, quantize: {c: {method: lut, function: 'tables.py:f'}}}\n")
    recipe = folder / "recipes" / "[odd]" / "recipe.yaml"
    recipe.write_text("name: odd\nsource: {keras: ./model.keras}\ncompare: {samples: {images: [b.png, '../../a.p?g']}}\nconvert: {to: neuralnetwork}\n")
    plan = load_plan(recipe)
    assert plan.source.keras == str(recipe.parent / "model.keras")
    assert plan.compare.samples is not None
    assert plan.compare.samples.ground_truth == str(folder / "truth.csv")
    assert plan.variants[0].steps[0].function == "../../tables.py:f"
    assert plan.compare.samples.images == [str(folder / "recipes" / "[[]odd]" / "b.png"), str(folder / "a.p?g")]


@pytest.mark.parametrize("name", ["checkpoint", "saved"])
def test_a_tensorflow_source_may_be_a_folder_or_a_checkpoints_prefix(name: str, folder: Path, plan_of: Callable[[str], Plan]) -> None:
    (folder / "saved").mkdir()
    (folder / "checkpoint.index").touch()
    assert plan_of(f"source: {{tensorflow: {name}}}\n").source.tensorflow == str(folder / name)


def test_the_name_follows_from_the_folder_or_the_file(folder: Path) -> None:
    for name in ("recipe.yaml", "other.yaml"):
        (folder / name).write_text("source: {keras: model.keras}\nrelease: {variant: converted}\n")
    plans = [load_plan(folder / name) for name in ("recipe.yaml", "other.yaml")]
    assert [plan.name for plan in plans] == [folder.name, "other"]
    assert [plan.release and plan.release.name for plan in plans] == [folder.name, "other"]


def test_defaults_lie_under_the_recipe(plan_of: Callable[[str, str], Plan]) -> None:
    pipeline = """
workers: {jobs: 3, timeout: 1h}
defaults:
  convert: {to: neuralnetwork, minimum_deployment_target: iOS14, metadata: {author: We}}
  compare: {samples: {arrays: x.npz}, metrics: [snr_db, cosine]}
  gate: {"*": {snr_db: ">= 10"}}
"""
    recipe = "source: {keras: model.keras}\nconvert: {minimum_deployment_target: iOS13}\ncompare: {metrics: [cosine]}\n"
    recipe += "gate: null\nworkers: {timeout: {convert: 5}}\n"
    plan = plan_of(recipe, pipeline)
    assert plan.convert is not None
    assert (plan.convert.to, plan.convert.minimum_deployment_target, plan.convert.metadata.author) == ("neuralnetwork", "iOS13", "We")
    assert [spec.name for spec in plan.compare.metrics] == ["cosine"]
    assert plan.gates is None
    assert (plan.workers.jobs, plan.workers.timeout_seconds) == (3, {"convert": 5.0})


def test_an_existing_model_ignores_a_shared_conversion(plan_of: Callable[[str, str], Plan]) -> None:
    assert plan_of("source: {coreml: model.mlmodel}\n", "defaults: {convert: {to: neuralnetwork}}\n").convert is None
