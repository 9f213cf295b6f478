"""What a worker has imported before its steps run, and the environment in which results do not depend on the machine."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from types import ModuleType

from mlpipe.engine.task_spec import Preload
from mlpipe.errors import EnvironmentLacksTool

MODULES: Mapping[Preload, tuple[str, ...]] = {
    "main": (),
    "numpy": ("numpy",),
    "onnxruntime": ("numpy", "onnx", "onnxruntime"),
    "coremltools": ("numpy", "coremltools"),
    "tensorflow": ("numpy", "tensorflow", "keras", "coremltools"),
}

# coremltools imports every one of these that is installed, for seconds and hundreds of megabytes.
_BLOCKED: Mapping[Preload, tuple[str, ...]] = {
    "coremltools": ("tensorflow", "keras", "torch", "torchvision", "torchaudio", "torchao", "executorch", "transformers", "sklearn", "xgboost", "libsvm"),
    "tensorflow": ("torch", "torchvision", "torchaudio", "torchao", "executorch", "transformers", "sklearn", "xgboost", "libsvm"),
}

_INSTALL = {"tensorflow": 'pip install "mlpipe[tensorflow]"', "keras": 'pip install "mlpipe[tensorflow]"'}

# Sums are split by thread, so a thread count is part of a result's last bits; parallelism comes from running several tasks.
_FIXED_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_ENABLE_ONEDNN_OPTS": "0",  # its kernels are chosen by the processor's model
    "CUDA_VISIBLE_DEVICES": "-1",
    "KERAS_BACKEND": "tensorflow",
    "ORT_DISABLE_TELEMETRY": "1",  # it starts a thread at import, before which forking is safe and after which it is not
    "PYTHONUTF8": "1",
}
_DEFAULT_ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONHASHSEED": "0"}


def environment() -> dict[str, str]:
    """Return the environment variables of every worker: the user's own, with those fixed that results depend on."""
    return _DEFAULT_ENVIRONMENT | dict(os.environ) | _FIXED_ENVIRONMENT


def preload(profile: Preload) -> None:
    """Import a profile's modules. Nothing of them is executed, so that no thread is started and the process may fork.

    Errors: EnvironmentLacksTool where a package is not installed.
    """
    with _blocked(_BLOCKED.get(profile, ())):
        for name in MODULES[profile]:
            try:
                importlib.import_module(name)
            except ModuleNotFoundError as error:
                if error.name != name:
                    raise
                fix = _INSTALL.get(name, f"pip install {name}")
                raise EnvironmentLacksTool(f"{name} is not installed", why=f"this recipe's steps need {name}", fix=f"install it: {fix}") from error


class _Blocker(MetaPathFinder):
    """A finder that makes packages look as if they were not installed."""

    def __init__(self, packages: Sequence[str]) -> None:
        self.packages = frozenset(packages)

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:  # noqa: ARG002 - the import system's signature
        """Return None for every other module, so that the next finder is asked."""
        if fullname.partition(".")[0] in self.packages and fullname not in sys.modules:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


@contextmanager
def _blocked(packages: Sequence[str]) -> Iterator[None]:
    blocker = _Blocker(packages)
    sys.meta_path.insert(0, blocker)
    try:
        yield
    finally:
        sys.meta_path.remove(blocker)
