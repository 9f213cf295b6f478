"""A running process, as others see it in the store: a locked file while it lives, and a folder of temporary files that is its own."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from mlpipe.engine.files import remove
from mlpipe.engine.locks import try_lock


class Presence:
    """This process in one store. The lock goes with the process, however it ends."""

    def __init__(self, root: Path, name: str, handle: int) -> None:
        self._lock = root / "runs" / name
        self.folder = root / "tmp" / name
        self._handle = handle
        self._count = 0

    @classmethod
    def announce(cls, root: Path) -> Presence:
        """Return a new presence."""
        (root / "runs").mkdir(parents=True, exist_ok=True)
        while True:
            name = uuid.uuid4().hex
            handle = try_lock(root / "runs" / name, create=True)
            if handle is not None:
                return cls(root, name, handle)

    def new_folder(self) -> Path:
        """Return a new folder for temporary files, with an empty folder `files` in it."""
        self._count += 1
        folder = self.folder / str(self._count)
        (folder / "files").mkdir(parents=True)
        return folder

    def leave(self) -> None:
        """Remove the temporary files and the lock."""
        remove(self.folder)
        self._lock.unlink(missing_ok=True)
        os.close(self._handle)
