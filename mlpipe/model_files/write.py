"""Core ML files with canonical bytes: the same build gives the same file, on any day and with any hash seed."""

from __future__ import annotations

import json
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Any

from mlpipe.errors import ModelFileInvalid
from mlpipe.model_files.read import kind_of

VOLATILE_METADATA = ("com.github.apple.coremltools.conversion_date",)
"""User-defined metadata that coremltools stamps and that differs from one build to the next. Its source and version keys are stable and stay."""

_AUTHOR = "com.apple.CoreML"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://developer.apple.com/documentation/coreml/mlpackage")


def extension_of(spec: Any) -> str:
    """Return `.mlpackage` for what holds an ML Program, else `.mlmodel`."""
    kind = kind_of(spec)
    if kind == "pipeline":
        pipeline = getattr(spec, spec.WhichOneof("Type"))
        models = pipeline.models if spec.WhichOneof("Type") == "pipeline" else pipeline.pipeline.models
        return ".mlpackage" if any(extension_of(model) == ".mlpackage" for model in models) else ".mlmodel"
    return ".mlpackage" if kind == "mlprogram" else ".mlmodel"


def canonical_bytes(spec: Any) -> bytes:
    """Return the serialized model with map fields in key order and without the metadata that changes from build to build."""
    clean = type(spec)()
    clean.CopyFrom(spec)
    _drop_volatile_metadata(clean)
    return bytes(clean.SerializeToString(deterministic=True))


def write_canonical(spec: Any, path: Path | str, weights_folder: Path | str | None = None) -> Path:
    """Return `path` after writing the model there, whole or not at all; what stood there is replaced.

    The extension of `path` says the container: `.mlmodel`, or `.mlpackage`, which receives the files of `weights_folder` as they are.
    Errors: ModelFileInvalid where the container cannot hold the model.
    """
    path = Path(path)
    if path.suffix == ".mlmodel" and extension_of(spec) == ".mlpackage":
        raise ModelFileInvalid("an ML Program needs a .mlpackage", where=str(path), why="its weights lie in a file of their own")
    if path.suffix not in (".mlmodel", ".mlpackage"):
        raise ModelFileInvalid("a Core ML file ends in .mlmodel or .mlpackage", where=str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        written = Path(folder) / path.name
        if path.suffix == ".mlmodel":
            written.write_bytes(canonical_bytes(spec))
        else:
            _write_package(spec, written, None if weights_folder is None else Path(weights_folder))
        _replace(written, path)
    return path


def _write_package(spec: Any, package: Path, weights_folder: Path | None) -> None:
    data = package / "Data" / _AUTHOR
    data.mkdir(parents=True)
    (data / "model.mlmodel").write_bytes(canonical_bytes(spec))
    items = {"model.mlmodel": "CoreML Model Specification"}
    files = sorted(file for file in weights_folder.rglob("*") if file.is_file()) if weights_folder else []
    for file in files:
        target = data / "weights" / file.relative_to(weights_folder or file)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        items["weights"] = "CoreML Model Weights"
    (package / "Manifest.json").write_text(_manifest(items), encoding="utf-8")


def _manifest(items: dict[str, str]) -> str:
    """Return the manifest, whose identifiers follow from the items' paths: Core ML only asks that they are unique."""
    identifiers = {name: str(uuid.uuid5(_NAMESPACE, f"{_AUTHOR}/{name}")).upper() for name in items}
    entries = {
        identifiers[name]: {"author": _AUTHOR, "description": description, "name": name, "path": f"{_AUTHOR}/{name}"} for name, description in items.items()
    }
    content = {"fileFormatVersion": "1.0.0", "itemInfoEntries": entries, "rootModelIdentifier": identifiers["model.mlmodel"]}
    return json.dumps(content, indent=4, sort_keys=True) + "\n"


def _drop_volatile_metadata(spec: Any) -> None:
    description = spec.description
    for key in VOLATILE_METADATA:
        if key in description.metadata.userDefined:
            del description.metadata.userDefined[key]
    if description.HasField("metadata") and not description.metadata.ByteSize():
        description.ClearField("metadata")
    kind = spec.WhichOneof("Type")
    if kind in ("pipeline", "pipelineClassifier", "pipelineRegressor"):
        holder = getattr(spec, kind)
        for model in (holder if kind == "pipeline" else holder.pipeline).models:
            _drop_volatile_metadata(model)


def _replace(written: Path, path: Path) -> None:
    """Move `written` to `path`. A folder cannot be replaced in one step: the old one steps aside first."""
    if path.is_dir():
        path.rename(written.parent / "replaced")
    written.replace(path)
