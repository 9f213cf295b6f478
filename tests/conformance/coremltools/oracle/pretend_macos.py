"""coremltools, told that it runs on a Mac: its modules of the table are changed right after they were executed, before any other imports names from them."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from types import ModuleType

from oracle import apple, classic_suites, tolerance

MACOS_VERSION = (26, 0)
"""The first that runs every operator set."""


def install() -> None:
    """Prepare this process; coremltools must not have been imported."""
    assert "coremltools" not in sys.modules, "coremltools has already decided that this is no Mac"
    sys.modules[apple.MODULE] = apple.synthetic_module()
    sys.meta_path.insert(0, _ChangedModules())


def _dependencies(module: ModuleType) -> None:
    module._IS_MACOS = True  # type: ignore[attr-defined]


def _utilities(module: ModuleType) -> None:
    module._is_macos = lambda: True  # type: ignore[attr-defined]
    module._macos_version = lambda: MACOS_VERSION  # type: ignore[attr-defined]


CHANGES: dict[str, Callable[[ModuleType], None]] = {
    "coremltools._deps": _dependencies,
    "coremltools.models.utils": _utilities,
    "xgboost.data": classic_suites.with_numpy_1,
    "coremltools.test.utils": classic_suites.without_download,
    "coremltools.converters.mil.testing_utils": tolerance.install,
}


class _ChangedModules(importlib.abc.MetaPathFinder):
    """Finds the modules of the table as usual, with a loader that changes them."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> importlib.machinery.ModuleSpec | None:  # noqa: ARG002
        if name not in CHANGES:
            return None
        sys.meta_path.remove(self)
        try:
            spec = find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        assert spec is not None
        assert spec.loader is not None
        execute, change = spec.loader.exec_module, CHANGES[name]

        def execute_and_change(module: ModuleType) -> None:
            execute(module)
            change(module)

        spec.loader.exec_module = execute_and_change  # type: ignore[method-assign]
        return spec
