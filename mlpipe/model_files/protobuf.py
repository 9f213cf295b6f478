"""Core ML's protobuf classes and weight-file reader, without importing coremltools (0.06 s of CPU instead of 5)."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
import types
from typing import Any

from mlpipe.errors import EnvironmentLacksTool

_LOCK = threading.Lock()
_LOADED: dict[str, Any] = {}


def _load(name: str) -> Any:
    """Return `coremltools.<name>`, importing it under a stub package that is removed again.

    A user's own `import coremltools`, before or after, is never affected. protobuf keeps one descriptor pool, so the classes are the same.
    """
    with _LOCK:
        if name in _LOADED:
            return _LOADED[name]
        if "coremltools" in sys.modules:
            _LOADED[name] = importlib.import_module(f"coremltools.{name}")
            return _LOADED[name]
        spec = importlib.util.find_spec("coremltools")
        if spec is None or spec.submodule_search_locations is None:
            message = "coremltools is not installed"
            raise EnvironmentLacksTool(message, fix='pip install "coremltools>=9,<10"')
        stub = types.ModuleType("coremltools")
        stub.__path__ = list(spec.submodule_search_locations)
        sys.modules["coremltools"] = stub
        try:
            _LOADED[name] = importlib.import_module(f"coremltools.{name}")
        finally:
            for key in [key for key in sys.modules if key == "coremltools" or key.startswith("coremltools.")]:
                del sys.modules[key]
        return _LOADED[name]


def model_pb2() -> Any:
    """Return the module with `Model`, the message a Core ML file is made of."""
    return _load("proto.Model_pb2")


def mil_pb2() -> Any:
    """Return the module with the ML Program messages."""
    return _load("proto.MIL_pb2")


def neural_network_pb2() -> Any:
    """Return the module with the NeuralNetwork messages."""
    return _load("proto.NeuralNetwork_pb2")


def blob_storage() -> Any:
    """Return the module with the reader and writer of `weight.bin`."""
    return _load("libmilstoragepython")
