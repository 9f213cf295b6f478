"""Copies of artifacts in the workspace: complete or absent, and put right when somebody edited or deleted them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mlpipe.engine.files import Signature, clone, disk_errors, file_sha256, remove, signature, tree
from mlpipe.engine.store import ArtifactFile, Manifest

_FIX = "free some space, or make the build folder writable"


def part(manifest: Manifest, relative: str) -> dict[str, ArtifactFile]:
    """Return the files that an export consists of, by path below the exported folder; a single file has the path ''."""
    if relative in manifest.files:
        return {"": manifest.files[relative]}
    prefix = "" if relative in {"", "."} else relative.rstrip("/") + "/"
    return {path.removeprefix(prefix): file for path, file in manifest.files.items() if path.startswith(prefix)}


def signatures(target: Path) -> dict[str, Signature]:
    """Return what stands at an export's place: path below it ('' for a single file) -> signature; nothing where nothing is."""
    if target.is_symlink():
        return {}
    paths = tree(target, ours=True) if target.is_dir() else [""]
    return {path: found for path in paths if (found := signature(target / path if path else target)) is not None}


def unchanged(target: Path, known: Mapping[str, object]) -> bool:
    """Whether an export still has the signatures that it had. Paths and signatures both come from `signatures`."""
    if len(known) == 1 and "" in known:
        return known[""] == signature(target) and not os.path.islink(target)  # noqa: PTH114 - 10,000 times in a run with nothing to do
    return signatures(target) == known


def matches(target: Path, files: Mapping[str, ArtifactFile]) -> bool:
    """Whether what stands at target has exactly these files, by content."""
    if target.is_symlink():
        return False
    current = signatures(target)
    return current.keys() == files.keys() and all(_same(target / path if path else target, file) for path, file in files.items())


def place(artifact: Path, relative: str, files: Mapping[str, ArtifactFile], target: Path, scratch: Path) -> None:
    """Put an export in its place, by rename; where the artifact has no such file, nothing may stand there.

    `scratch` is a folder on the workspace's file system that is emptied before each run.
    Errors: StoreUnusable.
    """
    with disk_errors(target, _FIX):
        if not files:
            remove(target)
            return
        scratch.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh, old = scratch / "new", scratch / "old"
        remove(fresh)
        remove(old)
        for path, file in files.items():
            destination = fresh / path if path else fresh
            destination.parent.mkdir(parents=True, exist_ok=True)
            source = artifact / relative / path if path else artifact / relative
            clone(source, destination, executable=file.executable)
        if target.is_dir() or fresh.is_dir():
            # No rename replaces a folder in one go everywhere: absent for a moment, never half there.
            if target.exists() or target.is_symlink():
                target.rename(old)
            fresh.rename(target)
            remove(old)
        else:
            fresh.replace(target)


def _same(path: Path, file: ArtifactFile) -> bool:
    status = path.lstat()
    return status.st_size == file.size and file_sha256(path) == file.sha256
