"""The content-addressed store: artifacts by the digest of their files, and an index from action keys to artifacts.

    actions/KE/KEY/USER.json        what a key led to; one entry for each state of the user modules that were loaded
    artifacts/DI/DIGEST/files/      the files, read-only
    artifacts/DI/DIGEST/manifest.json   their sizes, digests and signatures; its mtime is the time of the last use
    tmp/RUN/                        what running processes are writing; `runs/RUN` is locked for as long as they live

Whatever does not match its digest counts as absent. Files appear by rename, so a crash leaves nothing half-written outside tmp/.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlpipe.engine.files import Signature, digest_of, disk_errors, file_sha256, remove, signature, tree, write_atomically
from mlpipe.engine.garbage import USE_GRANULARITY_SECONDS, collect
from mlpipe.engine.presence import Presence
from mlpipe.errors import StepFailed
from mlpipe.steps.step import Json

DEFAULT_SIZE_LIMIT_BYTES = 20_000_000_000
_FIX = "free some space, or let MLPIPE_CACHE name a folder that can be written"


@dataclass(frozen=True)
class ArtifactFile:
    """One file of an artifact."""

    size: int
    sha256: str
    executable: bool


@dataclass(frozen=True)
class Manifest:
    """What an artifact holds."""

    files: Mapping[str, ArtifactFile]
    """By relative path, with `/`."""
    signatures: Mapping[str, Signature]
    """Of the files in the store, when they were last known to match their digests."""

    @property
    def digest(self) -> str:
        """Return the artifact's address."""
        return digest_of([[path, file.size, file.sha256, file.executable] for path, file in sorted(self.files.items())])

    def as_json(self) -> bytes:
        """Return the file's form."""
        files = {path: [file.size, file.sha256, file.executable] for path, file in self.files.items()}
        return json.dumps({"files": files, "signatures": self.signatures}).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Manifest:
        """Return what `as_json` wrote. Errors: ValueError, KeyError, TypeError for anything else."""
        data = json.loads(text)
        files = {path: ArtifactFile(*entry) for path, entry in data["files"].items()}
        return cls(files, {path: (entry[0], entry[1], entry[2], entry[3]) for path, entry in data["signatures"].items()})


@dataclass(frozen=True)
class Entry:
    """What an action led to."""

    artifact: str
    values: Json
    notes: tuple[str, ...]
    user_files: Mapping[str, str]
    """Modules loaded from the recipe's folder: path relative to it -> sha256."""
    record: Json
    """What is known of the run that made it: seconds, memory, tools, time."""


def default_root() -> Path:
    """Return MLPIPE_CACHE, else the user's cache folder of this platform."""
    if named := os.environ.get("MLPIPE_CACHE"):
        return Path(named).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("mlpipe")


class Store:
    """One store. Any number of processes may use it at once."""

    def __init__(self, root: Path | None = None, *, size_limit_bytes: int | None = None) -> None:
        self.root = root or default_root()
        self.size_limit_bytes = DEFAULT_SIZE_LIMIT_BYTES if size_limit_bytes is None else size_limit_bytes
        self._artifacts = f"{self.root}/artifacts"
        self._presence: Presence | None = None
        self._grown = False

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """Be a running process of this store: may write, and what it uses is safe from the garbage collector.

        Errors: StoreUnusable.
        """
        with disk_errors(self.root, _FIX):
            for name in ("actions", "artifacts"):
                (self.root / name).mkdir(parents=True, exist_ok=True)
            self._presence = Presence.announce(self.root)
        try:
            yield
        finally:
            self._presence.leave()
            self._presence = None
        if self._grown:
            self.collect_garbage()

    def collect_garbage(self) -> int:
        """Remove what crashed runs left, then the artifacts that were not used for longest, down to the size limit; return the bytes freed."""
        self._grown = False
        return collect(self.root, self.size_limit_bytes)

    def new_output(self) -> Path:
        """Return a new empty folder in which an artifact may be made. Errors: StoreUnusable."""
        assert self._presence is not None, "only within a session"
        with disk_errors(self.root, _FIX):
            return self._presence.new_folder() / "files"

    def files_of(self, artifact: str) -> Path:
        """Return the folder with an artifact's files."""
        return Path(self.files_path(artifact))

    def files_path(self, artifact: str) -> str:
        """Return the same as text, which is ten times quicker."""
        return f"{self._artifacts}/{artifact[:2]}/{artifact}/files"

    def commit(self, output: Path) -> str:
        """Make the files under `output` (from `new_output`) an artifact; return its digest.

        Errors: StepFailed for a link, which would lead out of the store; StoreUnusable.
        """
        with disk_errors(self.root, _FIX):
            files = {path: _seal(output / path) for path in tree(output, ours=True)}
            signatures = {path: found for path in files if (found := signature(output / path)) is not None}
            manifest = Manifest(files, signatures)
            final = self._artifact(manifest.digest)
            if self.verify(manifest.digest) is None:
                remove(final)
                (output.parent / "manifest.json").write_bytes(manifest.as_json())
                final.parent.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(FileExistsError):  # another process was faster: the bytes are the same
                    _rename(output.parent, final)
                self._grown = True
            remove(output.parent)
        return manifest.digest

    def verify(self, artifact: str) -> Manifest | None:
        """Return the manifest of an artifact that is whole, and count it as used; None where it is absent or damaged (it is then removed)."""
        folder = self._artifact(artifact)
        try:
            manifest = Manifest.from_json((folder / "manifest.json").read_bytes())
            names = tree(folder / "files", ours=True)
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            self._drop(folder)
            return None
        files = folder / "files"
        current = {path: signature(files / path) for path in manifest.files}
        if current != manifest.signatures or len(names) != len(current):
            # Copied stores (a CI cache) have other inodes and times: the digests decide.
            same = names == sorted(manifest.files) and all(_same(files / path, file) for path, file in manifest.files.items())
            if not same or manifest.digest != artifact:
                self._drop(folder)
                return None
            manifest = Manifest(manifest.files, {path: found for path, found in current.items() if found is not None})
            if self._presence is not None:
                with disk_errors(self.root, _FIX):
                    write_atomically(folder / "manifest.json", manifest.as_json(), self._presence.folder)
        return manifest if self.touch(artifact) else None

    def touch(self, artifact: str) -> bool:
        """Count an artifact as used now; return False where it is absent."""
        manifest = f"{self._artifacts}/{artifact[:2]}/{artifact}/manifest.json"
        try:
            if time.time() - os.stat(manifest).st_mtime > USE_GRANULARITY_SECONDS:  # noqa: PTH116 - as in `files_path`
                with contextlib.suppress(PermissionError):  # another user's, in a store that is shared: only its owner may
                    os.utime(manifest)
        except OSError:
            return False
        return True

    def add_entry(self, key: str, entry: Entry) -> None:
        """Remember what an action led to. Errors: StoreUnusable."""
        data = {
            "artifact": entry.artifact,
            "values": entry.values,
            "notes": list(entry.notes),
            "user_files": dict(entry.user_files),
            "record": entry.record,
        }
        assert self._presence is not None, "only within a session"
        path = self._action(key) / f"{digest_of(data['user_files'])[:32]}.json"
        with disk_errors(self.root, _FIX):
            write_atomically(path, json.dumps({"sha256": digest_of(data), "entry": data}).encode(), self._presence.folder)

    def entries(self, key: str) -> Iterator[Entry]:
        """Yield the entries of a key, one for each state of the user modules; damaged ones are removed."""
        try:
            paths = sorted(self._action(key).glob("*.json"))
        except OSError:
            return
        for path in paths:
            try:
                data = json.loads(path.read_bytes())
                entry = data["entry"]
                whole = digest_of(entry) == data["sha256"]
            except (OSError, ValueError, KeyError, TypeError):
                whole = False
            if whole:
                yield Entry(entry["artifact"], entry["values"], tuple(entry["notes"]), entry["user_files"], entry["record"])
            else:
                with contextlib.suppress(OSError):
                    path.unlink()

    def _artifact(self, digest: str) -> Path:
        return self.root / "artifacts" / digest[:2] / digest

    def _action(self, key: str) -> Path:
        return self.root / "actions" / key[:2] / key

    def _drop(self, folder: Path) -> None:
        if self._presence is not None and folder.exists():
            with contextlib.suppress(OSError):
                _rename(folder, self._presence.new_folder() / "damaged")


def _rename(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError as error:
        if target.exists():
            raise FileExistsError(target) from error
        raise


def _seal(path: Path) -> ArtifactFile:
    if path.is_symlink():
        raise StepFailed("the step wrote a link", where=path.name, why="artifacts hold files only", fix="write a copy of what the link points to")
    status = path.stat()
    executable = bool(status.st_mode & 0o100)
    path.chmod(0o555 if executable else 0o444)
    return ArtifactFile(status.st_size, file_sha256(path), executable)


def _same(path: Path, file: ArtifactFile) -> bool:
    try:
        status = path.stat()
        return status.st_size == file.size and bool(status.st_mode & 0o100) == file.executable and file_sha256(path) == file.sha256
    except OSError:
        return False
