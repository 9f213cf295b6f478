"""Which Python files a step can reach by imports, read from the source without importing anything.

A step's key holds their digest, so that an edited line makes stale what may run it and nothing else. Imports inside functions count; those
under `if TYPE_CHECKING` do not. A module that imports by a computed name reaches its whole package. The `__init__` of the top package is a
facade for people (it names everything) and counts for no step.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.machinery
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlpipe.engine.files import digest_of, signature
from mlpipe.engine.state import State

_OWN = "mlpipe"
_EVERYTHING = "*"


@dataclass(frozen=True)
class Reach:
    """The files that a module can reach."""

    files: dict[str, str]
    """Module name -> sha256 of its file."""
    digest: str


class OwnCode:
    """Reads the packages of mlpipe's own and of other steps, each file once per change."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._packages: dict[str, dict[str, str]] = {}
        self._modules: dict[str, tuple[str, list[str]]] = {}
        self._reaches: dict[str, Reach] = {}

    def reach(self, module: str) -> Reach:
        """Return what a module can reach, itself included."""
        if module not in self._reaches:
            files = {name: self._module(name)[0] for name in sorted(self._closure(module))}
            digest = digest_of(files)
            if self._state.get("sets", digest) is None:
                self._state.put("sets", digest, files)
            self._reaches[module] = Reach(files, digest)
        return self._reaches[module]

    def paths(self) -> list[str]:
        """Return every Python file of the packages that were looked at."""
        return sorted(path for package in self._packages.values() for path in package.values())

    def _closure(self, module: str) -> set[str]:
        known = {**self._package(_OWN), **self._package(module.partition(".")[0])}
        if module not in known:
            raise ModuleNotFoundError(f"no module {module!r}: a task names it as its step", name=module)
        facades = {_OWN, module.partition(".")[0]} - {module}
        reached: set[str] = set()
        pending = [module]
        while pending:
            name = pending.pop()
            if name in reached or name not in known:
                continue
            reached.add(name)
            if name in facades:
                continue
            pending += _parents(name)
            for imported in self._module(name)[1]:
                if imported.endswith(_EVERYTHING):
                    pending += [other for other in known if other.startswith(imported[:-1])]
                else:
                    pending += [imported, *_parents(imported)]
        return reached - facades

    def _package(self, top: str) -> dict[str, str]:
        if top not in self._packages:
            self._packages[top] = dict(_modules_of(top))
        return self._packages[top]

    def _module(self, name: str) -> tuple[str, list[str]]:
        if name not in self._modules:
            path = self._package(name.partition(".")[0])[name]
            current = signature(path)
            cached = self._state.get("code", path)
            if cached is None or cached[0] != list(current or ()) or cached[1] != name:
                source = Path(path).read_bytes()
                is_package = path.endswith("__init__.py")
                cached = [list(current or ()), name, hashlib.sha256(source).hexdigest(), sorted(set(_imports(source, name, is_package=is_package)))]
                self._state.put("code", path, cached)
            self._modules[name] = (cached[2], cached[3])
        return self._modules[name]


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _modules_of(top: str) -> Iterator[tuple[str, str]]:
    """Yield name and path of every module of a top-level package or module, without importing it."""
    spec = importlib.machinery.PathFinder.find_spec(top) or _editable_spec(top)
    if spec is None:
        return
    if spec.origin is not None and spec.origin.endswith(".py"):
        yield top, spec.origin
    for root in spec.submodule_search_locations or ():
        pending = [(top, root)]
        while pending:
            package, folder = pending.pop()
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.endswith(".py"):
                        stem = entry.name[:-3]
                        yield (package if stem == "__init__" else f"{package}.{stem}"), entry.path
                    elif entry.name.isidentifier() and entry.name != "__pycache__" and entry.is_dir():
                        pending.append((f"{package}.{entry.name}", entry.path))


def _editable_spec(top: str) -> importlib.machinery.ModuleSpec | None:
    import importlib.util

    return importlib.util.find_spec(top)


def _imports(source: bytes, module: str, *, is_package: bool) -> Iterator[str]:
    package = module if is_package else module.rpartition(".")[0]
    pending: list[ast.AST] = [ast.parse(source)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            pending += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            origin = ".".join(part for part in (base, node.module) if part)
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _name(node.func) in {"import_module", "__import__"}:
            name = node.args[0] if node.args else None
            yield name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else f"{package}.{_EVERYTHING}"
        pending += ast.iter_child_nodes(node)


def _is_type_checking(test: ast.expr) -> bool:
    return _name(test) == "TYPE_CHECKING"


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
