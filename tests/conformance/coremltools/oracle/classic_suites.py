"""What the suites of scikit-learn and XGBoost need besides those packages: LIBSVM's old module names, and a table of houses without a download."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np

ROWS = 506
NAMES = ["CRIM", "ZN", "INDUS", "CHAS", "NOX", "RM", "AGE", "DIS", "RAD", "TAX", "PTRATIO", "B", "LSTAT"]


def install() -> None:
    """Enter LIBSVM's modules under the names that the suite imports."""
    if find_spec("libsvm") is not None:
        package = importlib.import_module("libsvm")
        vars(package).setdefault("__version__", importlib.metadata.version("libsvm-official"))
        for name in ("svm", "svmutil"):
            sys.modules[name] = importlib.import_module(f"libsvm.{name}")
        vars(sys.modules["svmutil"]).update({name: value for name, value in vars(sys.modules["svm"]).items() if name.isupper()})


class _Numpy(ModuleType):
    """NumPy as an XGBoost of its first version expects it: `copy=False` avoids a copy where that is possible."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def array(values: Any, *, copy: bool = True, **options: Any) -> np.ndarray:
        return np.array(values, **options) if copy else np.asarray(values, **options)


def with_numpy_1(module: ModuleType) -> None:
    """Give a module of XGBoost the NumPy that it was written for."""
    module.np = _Numpy("numpy")  # type: ignore[attr-defined]


def without_download(module: ModuleType) -> None:
    """Replace the data that the suite's helper downloads."""
    module.load_boston = houses  # type: ignore[attr-defined]


def houses() -> dict[str, Any]:
    """Return drawn numbers in the shape of the Boston table: the suite only compares a model with its conversion, on whatever data.

    Units: as the table's columns have them, a flag (CHAS) and a small whole number (RAD) among them.
    """
    generator = np.random.default_rng(506)
    data = generator.gamma(2.0, [2.0, 6.0, 5.0, 1.0, 0.3, 3.0, 30.0, 2.0, 1.0, 200.0, 9.0, 150.0, 6.0], size=(ROWS, len(NAMES)))
    data[:, 3] = generator.random(ROWS) < 0.07
    data[:, 8] = generator.integers(1, 9, ROWS)
    target = 30.0 + 4.0 * np.log1p(data[:, 5]) - 0.6 * data[:, 12] - 3.0 * data[:, 4] + generator.normal(0.0, 2.0, ROWS)
    return {"data": data, "target": np.clip(target, 5.0, 50.0).round(1), "feature_names": np.array(NAMES)}
