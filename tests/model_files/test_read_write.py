from __future__ import annotations

import json
import shutil
import subprocess
import sys
import uuid

import pytest

from mlpipe.errors import ModelFileInvalid
from mlpipe.model_files import write
from mlpipe.model_files.protobuf import model_pb2
from mlpipe.model_files.read import read_model
from mlpipe.model_files.size import find_model, size_bytes, weight_bytes
from mlpipe.model_files.write import canonical_bytes, extension_of, write_canonical
from mlpipe.weights.inventory import float32_size_bytes, stored_weights

DATE = "com.github.apple.coremltools.conversion_date"
VERSION = "com.github.apple.coremltools.version"


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_network_is_read_back(network, tmp_path):
    path = write_canonical(network, tmp_path / "new" / "model.mlmodel")
    model = read_model(path)
    assert (model.kind, model.spec, model.weights_folder, model.path) == ("neuralnetwork", network, None, path)
    assert [item.name for item in path.parent.iterdir()] == ["model.mlmodel"]
    assert size_bytes(path) == float32_size_bytes(model) == len(canonical_bytes(network))
    assert weight_bytes(model) == 0


def test_a_program_is_read_back_with_its_weights(program, tmp_path):
    spec, weights = program
    path = write_canonical(spec, tmp_path / "out" / "model.mlpackage", weights)
    model = read_model(path)
    assert (model.kind, model.spec) == ("mlprogram", spec)
    assert (model.weights_folder / "weight.bin").read_bytes() == (weights / "weight.bin").read_bytes()
    assert weight_bytes(model) == (weights / "weight.bin").stat().st_size
    assert size_bytes(path) == sum(len(content) for content in contents(path).values())
    assert [(weight.name, weight.elements) for weight in stored_weights(model)] == [("w", 20)]
    assert find_model(path.parent) == path


def test_a_package_is_replaced_as_a_whole(program, tmp_path):
    spec, weights = program
    path = write_canonical(spec, tmp_path / "out" / "model.mlpackage", weights)
    (path / "Data" / "old").write_text("stale", encoding="utf-8")
    before = set(contents(path))
    write_canonical(spec, path, weights)
    assert set(contents(path)) == before - {"Data/old"}
    assert [item.name for item in path.parent.iterdir()] == ["model.mlpackage"]


def test_nothing_is_left_where_writing_fails(program, tmp_path, monkeypatch):
    spec, weights = program
    monkeypatch.setattr(write.shutil, "copyfile", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_canonical(spec, tmp_path / "out" / "model.mlpackage", weights)
    assert list((tmp_path / "out").iterdir()) == []


def test_dates_are_dropped_and_stable_metadata_stays(network):
    plain = canonical_bytes(network)
    network.description.metadata.userDefined[DATE] = "2026-01-01"
    assert canonical_bytes(network) == plain
    assert network.description.metadata.userDefined[DATE] == "2026-01-01"  # the caller's model is not touched
    network.description.metadata.userDefined[VERSION] = "9.0"
    assert canonical_bytes(network) != plain


def test_dates_inside_a_pipeline_are_dropped_too(network):
    pipeline = model_pb2().Model(specificationVersion=4)
    pipeline.pipelineClassifier.pipeline.models.add().CopyFrom(network)
    plain = canonical_bytes(pipeline)
    pipeline.pipelineClassifier.pipeline.models[0].description.metadata.userDefined[DATE] = "2026-01-01"
    assert canonical_bytes(pipeline) == plain


PROGRAM = """
import sys
from pathlib import Path
from mlpipe.model_files.read import read_model
from mlpipe.model_files.write import write_canonical
source = read_model(sys.argv[1])
for index in range(40):
    source.spec.description.metadata.userDefined[f"key {index}"] = "value"
write_canonical(source.spec, sys.argv[2], source.weights_folder)
"""


def test_bytes_do_not_depend_on_the_process(program, tmp_path):
    spec, weights = program
    source = write_canonical(spec, tmp_path / "source.mlpackage", weights)
    results = []
    for seed in ("1", "77"):
        target = tmp_path / f"{seed}.mlpackage"
        subprocess.run([sys.executable, "-c", PROGRAM, str(source), str(target)], check=True, env={"PYTHONHASHSEED": seed})
        results.append(contents(target))
    assert results[0] == results[1]
    manifest = json.loads(results[0]["Manifest.json"])
    assert {uuid.UUID(identifier).version for identifier in manifest["itemInfoEntries"]} == {5}


def test_the_container_must_fit_the_model(network, program, tmp_path):
    assert extension_of(network) == ".mlmodel"
    assert extension_of(program[0]) == ".mlpackage"
    for spec, name, what in ((program[0], "model.mlmodel", "needs a .mlpackage"), (network, "model.bin", "ends in .mlmodel")):
        with pytest.raises(ModelFileInvalid, match=what):
            write_canonical(spec, tmp_path / name)
    assert read_model(write_canonical(network, tmp_path / "network.mlpackage")).weights_folder is None


def test_a_damaged_file_is_refused_with_the_cause(network, tmp_path):
    path = write_canonical(network, tmp_path / "model.mlmodel")
    whole = path.read_bytes()
    cases = {
        "no such": None,
        "no Core ML model": b"",
        "damaged": whole[: len(whole) // 2],
        "truncated": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n",
        "newer": canonical_bytes(model_pb2().Model(specificationVersion=99, identity=model_pb2().Model().identity)),
    }
    for what, content in cases.items():
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ModelFileInvalid, match=what):
            read_model(path)


def test_every_truncation_of_a_file_is_refused(network, tmp_path):
    """A cut inside the model, its last field, can never pass as a whole one."""
    whole = canonical_bytes(network)
    path = tmp_path / "model.mlmodel"
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelFileInvalid):
            read_model(path)


def edit_manifest(package, edit):
    manifest = json.loads((package / "Manifest.json").read_text(encoding="utf-8"))
    edit(manifest)
    (package / "Manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


DAMAGE = {
    "has no Manifest.json": lambda package: (package / "Manifest.json").unlink(),
    "JSONDecodeError": lambda package: (package / "Manifest.json").write_text("{", encoding="utf-8"),
    "KeyError": lambda package: edit_manifest(package, lambda manifest: manifest.pop("rootModelIdentifier")),
    "TypeError": lambda package: edit_manifest(package, lambda manifest: manifest.update(itemInfoEntries=[])),
    "which is not there": lambda package: shutil.rmtree(package / "Data" / "com.apple.CoreML" / "weights"),
    "is not a file": lambda package: edit_manifest(package, lambda manifest: next(iter(manifest["itemInfoEntries"].values())).update(path="com.apple.CoreML")),
    "../secret": lambda package: edit_manifest(package, lambda manifest: next(iter(manifest["itemInfoEntries"].values())).update(path="../secret")),
}


@pytest.mark.parametrize("why", DAMAGE)
def test_a_damaged_package_is_refused_with_the_cause(program, tmp_path, why):
    spec, weights = program
    path = write_canonical(spec, tmp_path / "out" / "model.mlpackage", weights)
    # which item stands first depends on the identifiers: damage the root model's entry alone
    edit_manifest(path, lambda manifest: manifest.update(itemInfoEntries=dict(sorted(manifest["itemInfoEntries"].items(), key=lambda item: item[1]["name"]))))
    DAMAGE[why](path)
    with pytest.raises(ModelFileInvalid) as caught:
        read_model(path)
    assert why in caught.value.why


def test_reading_imports_no_framework(network, tmp_path):
    path = write_canonical(network, tmp_path / "model.mlmodel")
    code = "import sys\nfrom mlpipe.model_files.read import read_model\nread_model(sys.argv[1])\nsys.exit('coremltools' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 0
