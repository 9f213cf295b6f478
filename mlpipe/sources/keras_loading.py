"""Keras files into memory: code in a file only with consent, custom classes by name, and what Keras 2 wrote."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlpipe.errors import SourceUnreadable
from mlpipe.recipe.schema.source import Source
from mlpipe.sources.traceable import first_line, import_tensorflow
from mlpipe.sources.user_modules import load_objects

SUFFIXES = (".keras", ".h5", ".hdf5")

LEGACY_KEYS: Mapping[str, Mapping[str, Any]] = {
    "DepthwiseConv2D": {"groups": 1},
    "DepthwiseConv1D": {"groups": 1},
    "SeparableConv2D": {"groups": 1},
    "SeparableConv1D": {"groups": 1},
    "Conv2DTranspose": {"groups": 1},
    "Conv3DTranspose": {"groups": 1},
    "Conv1DTranspose": {"groups": 1},
    "LSTM": {"time_major": False, "implementation": None},
    "GRU": {"time_major": False, "implementation": None},
    "SimpleRNN": {"time_major": False, "implementation": None},
    "RNN": {"time_major": False},
}
"""Configuration keys that Keras 2 wrote and Keras 3 refuses, with the only value that means nothing (None: every value means nothing)."""


def load_model(source: Source, path: Path) -> Any:
    """Return the Keras model, ready for inference.

    Errors: SourceUnreadable where the file is damaged, needs classes that `modules` does not give, or holds code without `allow_code`.
    """
    import_tensorflow()
    import keras

    if path.suffix not in SUFFIXES:
        raise SourceUnreadable(
            "this is no Keras file", where=path.name, fix="a Keras source ends in .keras, .h5 or .hdf5; a SavedModel folder is `tensorflow:`"
        )
    if keras.backend.backend() != "tensorflow":
        raise SourceUnreadable(f"Keras runs on {keras.backend.backend()}", fix="unset KERAS_BACKEND: mlpipe traces models with TensorFlow")
    _check_container(path)
    custom_objects = load_objects(source.modules)
    try:
        with _legacy_configurations(keras), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # how a layer could be written better is no news to who converts it
            return keras.saving.load_model(path, custom_objects=custom_objects, compile=False, safe_mode=not source.allow_code)
    except Exception as error:
        raise _unreadable(path, error, allow_code=source.allow_code) from error


def _check_container(path: Path) -> None:
    """Refuse what is no zip or HDF5 file: Keras says of the one that it is missing, of the other what its library says."""
    import h5py

    whole = path.is_dir() or zipfile.is_zipfile(path) if path.suffix == ".keras" else h5py.is_hdf5(path)
    if not whole:
        what = f"the file is damaged, truncated or no {path.suffix}"
        raise SourceUnreadable(what, where=path.name, fix="save or download it again; the suffix must say what it is: .keras, or .h5 and .hdf5 for HDF5")


def _unreadable(path: Path, error: Exception, *, allow_code: bool) -> SourceUnreadable:
    text = str(error)
    if not allow_code and ("safe_mode" in text or "unsafe deserialization" in text.lower() or "lambda" in text.lower()):
        why = "it holds Python code (a Lambda layer or the like), which would run on this machine"
        return SourceUnreadable("the model file was not loaded", where=path.name, why=why, fix="if you trust the file, set `source.allow_code: true`")
    if "Unknown layer" in text or "Could not locate" in text:
        fix = "list the Python file that defines it under `source.modules`"
        return SourceUnreadable("the model uses a class that Keras does not have", where=path.name, why=first_line(error), fix=fix)
    return SourceUnreadable("Keras cannot load the model", where=path.name, why=first_line(error))


@contextmanager
def _legacy_configurations(keras: Any) -> Iterator[None]:
    """Let Keras 3 read the layers of LEGACY_KEYS while the context is open."""
    patched = [getattr(keras.layers, name) for name in LEGACY_KEYS]
    own = {layer: vars(layer).get("from_config") for layer in patched}
    for layer in patched:
        layer.from_config = classmethod(_without(LEGACY_KEYS[layer.__name__], layer.from_config.__func__))
    try:
        yield
    finally:
        for layer, method in own.items():
            if method is None:
                del layer.from_config
            else:
                layer.from_config = method


def _without(keys: Mapping[str, Any], from_config: Any) -> Any:
    def lenient(cls: Any, config: Mapping[str, Any]) -> Any:
        kept = {key: value for key, value in config.items() if key not in keys or (keys[key] is not None and value != keys[key])}
        return from_config(cls, kept)

    return lenient
