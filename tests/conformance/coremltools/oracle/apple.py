"""A stand-in for `coremltools.libcoremlpython`, the module that exists on macOS only: its proxies, with mlpipe's runtime behind them."""

from __future__ import annotations

import inspect
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from mlpipe.errors import InvalidInput, MlpipeError, NotExecutable
from oracle.record import RECORD
from oracle.wording import refusal

NEWEST_SPECIFICATION = 10
MODULE = "coremltools.libcoremlpython"
COMPILED = ".mlmodelc"


NOT_REACHABLE = "has no counterpart off a Mac"


class NotReachableError(RuntimeError):
    """The test asks for a part of Apple's framework that is no prediction."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} {NOT_REACHABLE}")


class StateProxy:
    """What `MLState` holds: the runtime's state, with the names that coremltools calls."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def read_state(self, name: str) -> np.ndarray:
        return _watched(lambda: self.state.read_state(name))

    def write_state(self, name: str, value: np.ndarray) -> None:
        _watched(lambda: self.state.write_state(name, value))


class ModelProxy:
    """A model as coremltools sees it on macOS. The file is read at once: coremltools may delete it right afterwards."""

    def __init__(self, path: str, compute_units: str, function_name: str, hints: dict[str, str], asset: Any) -> None:  # noqa: ARG002
        import mlpipe

        if asset is not None:
            raise NotReachableError("MLModelAsset")
        self._path = Path(path)
        self._bytes = self._path.read_bytes() if self._path.is_file() else b""
        self._model: Any = None
        self._failure: Exception | None = None
        options = {"precision": RECORD.precision}
        if function_name and "function_name" in inspect.signature(mlpipe.load_model).parameters:
            options["function_name"] = function_name
        try:
            self._model = mlpipe.load_model(_uncompiled(self._path), **options)
        except Exception as error:  # noqa: BLE001
            # Many tests convert and never predict: what stands in the way of a prediction is raised when one is asked for.
            self._failure = error

    def predict(self, feed: dict[str, Any], state: StateProxy | None = None) -> dict[str, Any]:
        """Return every output of one prediction."""
        RECORD.predict_called()
        results = _watched(lambda: self._predict(feed, state))
        RECORD.predicted()
        return results

    def batchPredict(self, feeds: list[dict[str, Any]]) -> list[dict[str, Any]]:  # noqa: N802
        """Return the outputs of several predictions."""
        return [self.predict(feed) for feed in feeds]

    def newState(self) -> StateProxy:  # noqa: N802
        """Return a state of zeros."""
        RECORD.predict_called()
        return StateProxy(_watched(lambda: self._ready().make_state()))

    def _ready(self) -> Any:
        if self._failure is not None:
            raise self._failure
        return self._model

    def _predict(self, feed: dict[str, Any], state: StateProxy | None) -> dict[str, Any]:
        model = self._ready()
        types = {feature.name: feature.dtype for feature in model.inputs if feature.kind == "array"}
        arrays = {name: _as_declared(value, types.get(name, "")) for name, value in feed.items()}
        try:
            return model.predict(arrays) if state is None else model.predict(arrays, state=state.state)
        except InvalidInput as error:
            raise InvalidInput(refusal(model.inputs, arrays, str(error))) from error

    def get_compiled_model_path(self) -> str:
        """Return the folder of the "compiled" model."""
        if self._bytes and not self._path.exists():
            self._path.write_bytes(self._bytes)
        return self.compileModel(str(self._path))

    def get_load_duration_in_nano_seconds(self) -> int:
        raise NotReachableError("the time of loading or predicting")

    get_last_predict_duration_in_nano_seconds = get_load_duration_in_nano_seconds

    @staticmethod
    def maximum_supported_specification_version() -> int:
        return NEWEST_SPECIFICATION

    @staticmethod
    def auto_set_specification_version(_specification: bytes) -> bytes:
        raise NotReachableError("auto_set_specification_version")

    @staticmethod
    def compileModel(path: str) -> str:  # noqa: N802
        """Return a folder that stands for the compiled model: it holds the model as it was."""
        compiled = Path(tempfile.mkdtemp()) / (Path(path).stem + COMPILED)
        compiled.mkdir()
        copy = shutil.copytree if Path(path).is_dir() else shutil.copyfile
        copy(path, compiled / Path(path).name)
        return str(compiled)

    @staticmethod
    def _unreachable(*_arguments: Any) -> Any:
        raise NotReachableError("a compute device, compute plan or model structure")

    get_available_compute_devices = get_all_compute_devices = _unreachable
    get_model_structure = get_compute_plan = _unreachable
    create_model_asset_from_path = create_model_asset_from_memory = _unreachable


def synthetic_module() -> ModuleType:
    """Return the module to be entered in `sys.modules` before coremltools is imported."""
    module = ModuleType(MODULE)
    module._MLModelProxy = ModelProxy  # type: ignore[attr-defined]
    for name in ("_MLModelAssetProxy", "_MLComputePlanProxy", "_MLCPUComputeDeviceProxy", "_MLGPUComputeDeviceProxy", "_MLNeuralEngineComputeDeviceProxy"):
        setattr(module, name, type(name, (), {}))
    return module


def _uncompiled(path: Path) -> Path:
    """Return the model inside a folder that `compileModel` made, and every other path as it is."""
    return next(path.glob("*.mlpackage"), None) or next(path.glob("*.mlmodel")) if path.suffix == COMPILED else path


def _as_declared(value: Any, dtype: str) -> Any:
    """Return an array in its feature's type: the suite feeds every array as float32, and Core ML converts it."""
    return np.asarray(value).astype(dtype) if dtype.startswith("int") else value


def _watched(action: Callable[[], Any]) -> Any:
    """Run the action; note what the runtime could not do, and raise it as the framework raises everything."""
    try:
        return action()
    except NotExecutable as error:
        RECORD.unsupported(_without_path(error))
        raise RuntimeError(str(error)) from error
    except MlpipeError as error:
        RECORD.refused(_without_path(error))
        raise RuntimeError(str(error)) from error
    except Exception as error:
        RECORD.crashed(error)
        raise


def _without_path(error: MlpipeError) -> str:
    """Return what and why: the model lies in a temporary folder, whose name says nothing."""
    return error.what if error.why is None else f"{error.what} ({error.why})"
