"""Outputs and caches of the digits recipes: whatever happens to what lies in build/, the next run puts it right, without running a step."""

from __future__ import annotations

import os
import shutil

import pytest

RECIPE = "recipes/digits/recipe.yaml"


def edit(path):
    path.write_bytes(path.read_bytes() + b"\n")


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip_bit_with_forged_time(path):
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def delete(path):
    path.unlink()


OUTPUTS = {
    "digits/lut-4.mlmodel": "digits:package:lut-4",
    "digits/release/Digits.mlmodel": "digits:release",
    "digits/report.json": "digits:report",
    "digits-mlprogram/int8.mlpackage/Data/com.apple.CoreML/weights/weight.bin": "digits-mlprogram:package:int8",
}


@pytest.fixture
def everything(make_checkout):
    """Return a checkout in which both recipes are up to date."""
    workspace = make_checkout()
    workspace.run("run")
    return workspace


@pytest.mark.parametrize("damage", [edit, truncate, flip_bit_with_forged_time, delete], ids=lambda damage: damage.__name__)
def test_damaged_outputs_are_restored_and_nothing_runs(everything, damage):
    before = everything.outputs()
    for output in OUTPUTS:
        damage(everything.folder / "build" / output)
    assert everything.outputs() != before
    assert everything.outcomes() == {"restored": set(OUTPUTS.values())}
    assert everything.outputs() == before
    assert everything.outcomes() == {}


def test_a_second_checkout_restores_everything(everything, make_checkout):
    other = make_checkout("a checkout elsewhere, with spaces")
    shutil.rmtree(other.cache)
    other.cache = everything.cache
    found = other.run_json("run")["tasks"]
    assert {task["outcome"] for task in found.values()} == {"restored"}
    assert {task["cpu_seconds"] for task in found.values()} == {0.0}
    assert other.outputs() == everything.outputs()


def test_build_cleaned_or_removed_is_restored(everything):
    before = everything.outputs()
    everything.run("clean", "digits")
    assert not (everything.folder / "build/digits").exists()
    assert {path.split("/")[0] for path in everything.outputs()} == {"digits-mlprogram"}
    restored = everything.outcomes()
    assert restored.keys() == {"restored"}
    assert restored["restored"] == {
        *(f"digits:package:{variant}" for variant in ("converted", "fp16", "linear-8", "lut-4")),
        *("digits:release", "digits:report"),
    }
    assert everything.outputs() == before
    everything.run("clean", "--all")
    assert everything.outputs() == {}
    assert everything.outcomes().keys() == {"restored"}
    assert everything.outputs() == before
    shutil.rmtree(everything.folder / "build")
    assert everything.outcomes().keys() == {"restored"}
    assert everything.outputs() == before


def test_a_lost_cache_is_filled_again_and_outputs_stay(checkout):
    """Only what the store no longer has runs again, and it comes out the same."""
    before = checkout.outputs()
    for entry in (checkout.cache / "artifacts").glob("*/*"):
        if (entry / "files" / "weights.json").exists():
            shutil.rmtree(entry)
    assert checkout.outcomes(RECIPE) == {"ran": {f"digits:quantize:{variant}" for variant in ("fp16", "linear-8", "lut-4")}}
    assert checkout.outputs() == before


def test_two_runs_at_once_on_one_workspace_do_the_work_once(checkout):
    checkout.edit(RECIPE, "kmeans, bits: [4]", "kmeans, bits: [4], minimum_elements: 300")
    runs = [checkout.start("run", RECIPE, "--json") for _ in range(2)]
    answers = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], answers
    assert sum('"outcome": "ran"' in out for out, _ in answers) == 1
    assert checkout.outcomes(RECIPE) == {}


def test_two_checkouts_at_once_on_one_cache(make_checkout):
    checkouts = [make_checkout(name) for name in ("left", "right")]
    checkouts[1].cache = checkouts[0].cache
    for workspace in checkouts:
        workspace.edit(RECIPE, "kmeans, bits: [4]", "kmeans, bits: [4], minimum_elements: 300")
    runs = [workspace.start("run", RECIPE, "--json") for workspace in checkouts]
    answers = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], answers
    assert checkouts[0].outputs() == checkouts[1].outputs()


def test_the_store_keeps_its_limit_and_what_was_just_used(checkout):
    for manifest in (checkout.cache / "artifacts").glob("*/*/manifest.json"):
        os.utime(manifest, (0, 0))  # all of it was used long ago
    limit = size(checkout.cache) - 300_000
    (checkout.folder / "pipeline.yaml").write_text(f"mlpipe: 1\nrecipes: [recipes/digits/*.yaml]\ncache: {{size: {limit}}}\n")
    checkout.edit(RECIPE, 'size_ratio: "<= 55%"', 'size_ratio: "<= 56%"')
    before = checkout.outputs()
    checkout.run("run", RECIPE)
    assert 0 < size(checkout.cache) <= limit
    assert checkout.outcomes(RECIPE) == {}
    assert {path: digest for path, digest in checkout.outputs().items() if path.endswith(".mlmodel")} == {
        path: digest for path, digest in before.items() if path.endswith(".mlmodel")
    }


def size(cache):
    return sum(path.stat().st_size for path in cache.glob("artifacts/*/*/files/**/*") if path.is_file())
