"""What a task's result depends on, as data: the fields of its key. Their digest is its address in the store's action index."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from mlpipe.engine.files import Signature, digest_of, folders, relative_text, settled_sha256, signature, tree
from mlpipe.engine.own_code import OwnCode
from mlpipe.engine.state import State
from mlpipe.engine.task_spec import TaskSpec
from mlpipe.errors import StepFailed

KEY_FORMAT = 1
"""Raise it where the meaning of a field, or of what the state and the store keep under a key, changes: all older entries are then passed over."""
ABSENT = "not installed"

Fields = dict[str, Any]


class FileDigests:
    """Digests of files outside the store; a file is read again only when its signature changed."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.seen: dict[str, Signature] = {}
        """Signature of each file when its digest was last known to be right."""

    def sha256(self, path: str) -> str:
        """Return a file's digest. Errors: StepFailed."""
        current = signature(path)
        cached = self._state.get("files", path)
        if current is None or cached is None or tuple(cached[0]) != current:
            current, digest = settled_sha256(path)
            cached = [list(current), digest]
            self._state.put("files", path, cached)
        self.seen[path] = current
        return str(cached[1])

    def mapping(self, folder: Path, paths: tuple[Path, ...]) -> dict[str, str]:
        """Return name -> digest of files and trees. Names are relative to `folder`, outside it to what the paths share: another checkout has the same."""
        found: dict[str, str] = {}
        home = os.path.normpath(folder)
        texts = [os.path.normpath(path) for path in paths]
        outside = [path for path in texts if path != home and not path.startswith(home + os.sep)]
        shared = str(Path(outside[0]).parent) if len(outside) == 1 else os.path.commonpath(outside) if outside else ""
        for path in texts:
            name = relative_text(path, home if path not in outside else shared)
            if os.path.isdir(path):  # noqa: PTH112 - as text: see Store.files_path
                self.seen |= {inner: found_now for inner in folders(path) if (found_now := signature(inner)) is not None}
                try:
                    inside = tree(path)
                except OSError as error:
                    raise StepFailed("the folder cannot be read", where=path, why=error.strerror) from error
                found |= {f"{name}/{inner}": self.sha256(f"{path}/{inner}") for inner in inside}
            else:
                found[name] = self.sha256(path)
        return found


class Keys:
    """Makes keys within one run: versions, own code and set digests are looked up once."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._versions: dict[str, str] = {}
        self._sets: dict[tuple[Path, tuple[Path, ...]], str] = {}
        self.code = OwnCode(state)
        self.files = FileDigests(state)
        self.machine = f"{sys.platform}-{os.uname().machine}"
        self.python = f"{sys.version_info.major}.{sys.version_info.minor}"

    def fields(self, spec: TaskSpec, inputs: Mapping[str, str]) -> Fields:
        """Return the fields of a task's key; `inputs` holds the result digest of each role. Errors: StepFailed for a file that cannot be read."""
        return {
            "format": KEY_FORMAT,
            "step": spec.step,
            "parameters": spec.parameters,
            "inputs": dict(inputs),
            "files": {role: self._set_digest(spec.folder, paths) for role, paths in spec.files.items()},
            "tools": {tool: self.version(tool) for tool in spec.tools},
            "machine": self.machine,
            "python": self.python,
            "code": self.code.reach(spec.step).digest,
        }

    def version(self, tool: str) -> str:
        """Return an installed distribution's version."""
        if tool not in self._versions:
            try:
                self._versions[tool] = metadata.version(tool)
            except metadata.PackageNotFoundError:
                self._versions[tool] = ABSENT
        return self._versions[tool]

    def installations(self) -> set[str]:
        """Return the folders into which the tools are installed; an installation changes their listing."""
        found = set()
        for tool in (*self._versions, "doit"):
            with suppress(metadata.PackageNotFoundError):
                found.add(str(metadata.distribution(tool).locate_file("")))
        return found

    def check_unchanged(self, spec: TaskSpec, fields: Fields) -> None:
        """Look again at the files a step has read. Errors: StepFailed if one of them changed since the key was made."""
        for role, paths in spec.files.items():
            self._sets.pop((spec.folder, paths), None)
            if self._set_digest(spec.folder, paths) != fields["files"][role]:
                names = ", ".join(self._changed_names(spec.folder, paths, fields["files"][role])[:5])
                raise StepFailed(f"{names} changed while it was read", why=f"the step reads it as {role!r}", fix="run again; the result was not kept")

    def user_files(self, folder: Path, names: Mapping[str, str]) -> bool:
        """Whether user modules still have these digests. Their paths are relative to the recipe's folder."""
        return all(signature(folder / name) is not None and self.files.sha256(os.path.normpath(folder / name)) == digest for name, digest in names.items())

    def digests_of_user_files(self, folder: Path, paths: tuple[Path, ...], started_ns: int) -> dict[str, str]:
        """Return path relative to the recipe's folder -> digest of modules that a step loaded. Errors: StepFailed if one changed since the step started."""
        found: dict[str, str] = {}
        for path in sorted(paths):
            name = os.path.relpath(path, folder)
            found[name.replace(os.sep, "/")] = self.files.sha256(os.path.normpath(path))
            if self.files.seen[os.path.normpath(path)][1] >= started_ns:
                raise StepFailed(f"{name} changed while it was read", why="the step runs code of it", fix="run again; the result was not kept")
        return found

    def _set_digest(self, folder: Path, paths: tuple[Path, ...]) -> str:
        known = self._sets.get((folder, paths))
        if known is None:
            mapping = self.files.mapping(folder, paths)
            known = self._sets[folder, paths] = digest_of(mapping)
            if self._state.get("sets", known) is None:
                self._state.put("sets", known, mapping)
        return known

    def _changed_names(self, folder: Path, paths: tuple[Path, ...], before: str) -> list[str]:
        old, new = self._state.get("sets", before) or {}, self.files.mapping(folder, paths)
        return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
