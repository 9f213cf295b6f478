"""Core ML files from disk: `.mlmodel`, and `.mlpackage` through its manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpipe.errors import ModelFileInvalid
from mlpipe.model_files.protobuf import model_pb2

KINDS = {
    "neuralNetwork": "neuralnetwork",
    "neuralNetworkClassifier": "neuralnetwork",
    "neuralNetworkRegressor": "neuralnetwork",
    "mlProgram": "mlprogram",
    "pipeline": "pipeline",
    "pipelineClassifier": "pipeline",
    "pipelineRegressor": "pipeline",
}
"""The specification's model type -> mlpipe's word for it; every other type keeps its own name (e.g. `treeEnsembleClassifier`)."""

NEWEST_SPECIFICATION = 10
"""iOS 26; a newer file may hold messages that this version of the protobuf classes would silently skip."""


@dataclass(frozen=True)
class ModelFile:
    """A Core ML model as it lies on disk."""

    path: Path
    """The `.mlmodel` file or `.mlpackage` folder."""
    spec: Any
    """The protobuf `Model`."""
    weights_folder: Path | None
    """The folder of `weight.bin`; None where the file has none."""
    kind: str
    """`neuralnetwork`, `mlprogram`, `pipeline`, or the specification's own name of another type."""


def read_model(path: Path | str) -> ModelFile:
    """Return the model in a `.mlmodel` file or `.mlpackage` folder.

    Errors: ModelFileInvalid where it is missing, damaged, truncated, newer than mlpipe knows, or no Core ML file.
    """
    path = Path(path)
    if path.is_dir():
        model, weights = _package_items(path)
    elif path.is_file():
        model, weights = path, None
    else:
        raise ModelFileInvalid("there is no such Core ML file", where=str(path))
    spec = _parse(model)
    return ModelFile(path, spec, weights, kind_of(spec))


def kind_of(spec: Any) -> str:
    """Return `neuralnetwork`, `mlprogram`, `pipeline`, or the specification's own name of another type."""
    kind = str(spec.WhichOneof("Type"))
    return KINDS.get(kind, kind)


def _parse(path: Path) -> Any:
    from google.protobuf.message import DecodeError

    spec = model_pb2().Model()
    try:
        spec.ParseFromString(path.read_bytes())
    except DecodeError as error:
        fix = "export or download the file again; a git-lfs pointer looks like this too"
        raise ModelFileInvalid("the file is damaged, truncated or no Core ML model", where=str(path), why=str(error), fix=fix) from error
    if spec.specificationVersion < 1 or spec.WhichOneof("Type") is None:
        raise ModelFileInvalid("this is no Core ML model", where=str(path), why="it names no specification version or no model type")
    if spec.specificationVersion > NEWEST_SPECIFICATION:
        why = f"it has specification version {spec.specificationVersion}, and mlpipe knows up to {NEWEST_SPECIFICATION}"
        raise ModelFileInvalid("the file is newer than this version of mlpipe", where=str(path), why=why)
    return spec


def _package_items(package: Path) -> tuple[Path, Path | None]:
    """Return the root model and the weights folder that the manifest names."""
    manifest = package / "Manifest.json"
    try:
        content = json.loads(manifest.read_bytes())
        entries = content["itemInfoEntries"]
        root = _item(package, entries[content["rootModelIdentifier"]])
        others = [_item(package, entry) for entry in entries.values() if entry["name"] == "weights"]
    except FileNotFoundError as error:
        raise ModelFileInvalid("the folder is no .mlpackage", where=str(package), why="it has no Manifest.json") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        why = f"{type(error).__name__}: {error}"
        raise ModelFileInvalid("the manifest of the package is damaged", where=str(manifest), why=why) from error
    for item in (root, *others):
        if not _is_there(item):
            raise ModelFileInvalid("the package is incomplete", where=str(package), why=f"its manifest names {item.relative_to(package)}, which is not there")
    if not root.is_file():
        raise ModelFileInvalid("the package is damaged", where=str(package), why=f"its root model {root.relative_to(package)} is not a file")
    return root, others[0] if others else None


def _is_there(item: Path) -> bool:
    try:
        return item.exists()
    except OSError:  # a name that no file can have
        return False


def _item(package: Path, entry: Mapping[str, str]) -> Path:
    relative = Path(entry["path"])
    if relative.is_absolute() or ".." in relative.parts:
        raise ModelFileInvalid("the manifest names a file outside its package", where=str(package / "Manifest.json"), why=str(relative))
    return package / "Data" / relative
