"""What one run knows of its tasks: whether a task is up to date, how it is restored, and how a result is kept.

Nothing here knows of doit: `runner.py` asks, task by task, in the order of the graph.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpipe.engine import exports, records
from mlpipe.engine.explain import Change, changes, sentence
from mlpipe.engine.files import Signature, canonical_json, digest_of, disk_errors, folders, relative_text, remove, signature
from mlpipe.engine.keys import Fields, Keys
from mlpipe.engine.state import State, state_folder
from mlpipe.engine.store import Entry, Manifest, Store
from mlpipe.engine.task_spec import TaskSpec
from mlpipe.engine.workers import JobOutcome
from mlpipe.errors import MlpipeError, StepFailed
from mlpipe.steps.step import Json

Row = dict[str, Any]
"""What is kept of a task that has its result: key, result (digest of artifact and values), artifact, values, notes, user_files, record, files and
exports with their signatures."""


@dataclass(frozen=True)
class Attempt:
    """A task's key in this run, and why the task is not up to date (empty where it is)."""

    key: str
    fields: Fields
    why: str = ""
    changes: tuple[Change, ...] = ()
    error: MlpipeError | None = None
    """Why no key could be made."""


class Build:
    """One run over some tasks; they are asked about in topological order."""

    def __init__(self, specs: Sequence[TaskSpec], workspace_root: Path, store: Store, state: State) -> None:
        self.specs = {spec.name: spec for spec in specs}
        self.workspace_root = workspace_root
        self.store = store
        self.state = state
        self.keys = Keys(state)
        self.rows: dict[str, Row] = {}
        """Of the tasks that have their result by now."""
        self.attempts: dict[str, Attempt] = {}

    def check(self, spec: TaskSpec, row: Row) -> bool:
        """Whether a task's last result still stands; `row` is what was kept of it. Fills `attempts` and, if it stands, `rows`."""
        try:
            fields = self.keys.fields(spec, {role: self.rows[task]["result"] for role, task in spec.inputs.items()})
        except StepFailed as error:
            self.attempts[spec.name] = Attempt("", {}, why=str(error), error=error)
            return False
        key = digest_of(fields)
        why, found = self._why(spec, key, fields, row)
        self.attempts[spec.name] = Attempt(key, fields, why, tuple(found))
        if not why:
            self.rows[spec.name] = row
        return not why

    def lookup(self, spec: TaskSpec) -> tuple[Entry, Manifest] | None:
        """Return what the store has for a task's key."""
        for entry in self.store.entries(self.attempts[spec.name].key):
            if self.keys.user_files(spec.folder, entry.user_files) and (manifest := self.store.verify(entry.artifact)) is not None:
                return entry, manifest
        return None

    def restore(self, spec: TaskSpec) -> Row | None:
        """Take a task's result from the store; None where it is not there."""
        found = self.lookup(spec)
        return None if found is None else self._keep(spec, *found)

    def request(self, spec: TaskSpec, output: Path) -> dict[str, Json]:
        """Return what a step is given, as JSON-able data."""
        return {
            "parameters": json.loads(canonical_json(spec.parameters)),
            "inputs": {role: str(self.store.files_of(self.rows[task]["artifact"])) for role, task in spec.inputs.items()},
            "values": {role: self.rows[task]["values"] for role, task in spec.inputs.items()},
            "files": {role: [str(path) for path in paths] for role, paths in spec.files.items()},
            "folder": str(spec.folder),
            "output": str(output),
        }

    def commit(self, spec: TaskSpec, outcome: JobOutcome, output: Path, started_ns: int) -> Row:
        """Keep what a step made. Errors: StepFailed where what it read changed meanwhile; StoreUnusable."""
        attempt = self.attempts[spec.name]
        self.keys.check_unchanged(spec, attempt.fields)
        user_files = self.keys.digests_of_user_files(spec.folder, outcome.user_files, started_ns)
        try:
            values = json.loads(canonical_json(outcome.values))
        except (TypeError, ValueError) as error:
            raise StepFailed("the step returned values that JSON cannot hold", where=spec.step, why=str(error)) from error
        artifact = self.store.commit(output)
        record = {
            "task": spec.name,
            "key": attempt.key,
            "fields": attempt.fields,
            "why": attempt.why,
            "changes": [str(change) for change in attempt.changes],
            "artifact": artifact,
            "user_files": user_files,
            "values": values,
            "notes": list(outcome.notes),
            "time": records.now(),
            "seconds": round(outcome.seconds, 3),
            "cpu_seconds": round(outcome.cpu_seconds, 3),
            "peak_bytes": outcome.peak_bytes,
            "log": os.path.relpath(records.log_path(self.workspace_root, spec.name), self.workspace_root),
        }
        entry = Entry(artifact, values, tuple(outcome.notes), user_files, record)
        manifest = self.store.verify(artifact)
        if manifest is None:
            raise StepFailed("the artifact vanished from the store as it was written", where=str(self.store.root))
        self.store.add_entry(attempt.key, entry)
        return self._keep(spec, entry, manifest)

    def failed(self, spec: TaskSpec) -> None:
        """Remember that a task failed, so that the next run can say so."""
        last = self.state.get("fields", spec.name) or {"fields": None}
        self.state.put("fields", spec.name, {**last, "failed": True})

    def retire(self, names: Collection[str]) -> None:
        """Forget tasks that these recipes no longer have, and take away what they had placed in the workspace, unless somebody edited it.

        `names` are all tasks of the recipes; recipes that are not among them are left alone.
        """
        recipes = {name.partition(":")[0] for name in names}
        gone = [name for name in self.state.names("tasks") if name not in names and name.partition(":")[0] in recipes]
        current = {self._relative(target) for spec in self.specs.values() for target in spec.export.values()}
        for name in gone:
            for place, files in (self.state.get("tasks", name).get("_values_:") or {}).get("exports", {}).items():
                target = self.workspace_root / place
                if place not in current and files and exports.unchanged(target, {path: _signature(known) for path, known in files.items()}):
                    with disk_errors(target, "make the build folder writable"):
                        remove(target)
            self.state.put("tasks", name, None)

    def watched(self) -> dict[str, Signature | None]:
        """Return every file that the results rest on or consist of, with the signature it had when it was known to be right; None for absent."""
        found: dict[str, Signature | None] = dict(self.keys.files.seen)
        for row in self.rows.values():
            folder = self.store.files_path(row["artifact"])
            found |= {f"{folder}/{path}": _signature(known) for path, known in row["files"].items()}
            for place, files in row["exports"].items():
                target = os.path.normpath(os.path.join(self.workspace_root, place))  # noqa: PTH118 - paths as text are ten times quicker
                if files.keys() == {""}:
                    found[target] = _signature(files[""])
                    continue
                found |= {f"{target}/{path}": _signature(known) for path, known in files.items()}
                if not files:
                    found[target] = None
                found |= {inner: signature(inner) for inner in folders(target)}
                if not exports.unchanged(Path(target), {path: _signature(known) for path, known in files.items()}):
                    found[target] = (0, 0, 0, 0)  # edited since: no snapshot of this will ever hold
        return found

    def _why(self, spec: TaskSpec, key: str, fields: Fields, row: Row) -> tuple[str, list[Change]]:
        if row.get("key") != key:
            return self._why_key(spec, fields)
        if not self.keys.user_files(spec.folder, row["user_files"]):
            changed = [name for name, digest in row["user_files"].items() if not self.keys.user_files(spec.folder, {name: digest})]
            return f"{', '.join(changed)} changed", [Change(f"code: {name}", "before", "now") for name in changed]
        if not self._artifact_stands(spec, row):
            return "its artifact is no longer in the store", []
        edited = [place for place in spec.export.values() if not self._export_stands(spec, row, place)]
        return (f"{', '.join(self._relative(place) for place in edited)} was edited or deleted", []) if edited else ("", [])

    def _why_key(self, spec: TaskSpec, fields: Fields) -> tuple[str, list[Change]]:
        last = self.state.get("fields", spec.name)
        if last is None:
            return "first run", []
        found = [] if last["fields"] is None else changes(last["fields"], fields, lambda digest: self.state.get("sets", digest), spec.inputs)
        reason = "it failed last time" if last.get("failed") else "it was not run last time"
        return sentence(found) or reason, found

    def _artifact_stands(self, spec: TaskSpec, row: Row) -> bool:
        folder = self.store.files_path(row["artifact"])
        if all(signature(f"{folder}/{path}") == tuple(known) for path, known in row["files"].items()):
            return self.store.touch(row["artifact"])
        manifest = self.store.verify(row["artifact"])
        if manifest is not None:
            row["files"] = dict(manifest.signatures)
            self._refreshed(spec)
        return manifest is not None

    def _export_stands(self, spec: TaskSpec, row: Row, target: Path) -> bool:
        place = self._relative(target)
        known = row["exports"].get(place)
        if known is not None and exports.unchanged(target, {path: _signature(entry) for path, entry in known.items()}):
            return True
        manifest = self.store.verify(row["artifact"])
        relative = next(inner for inner, other in spec.export.items() if other == target)
        if manifest is None or not exports.matches(target, exports.part(manifest, relative)):
            return False
        row["exports"][place] = exports.signatures(target)
        self._refreshed(spec)
        return True

    def row(self, spec: TaskSpec, entry: Entry, manifest: Manifest) -> Row:
        """Return what is kept of a task that has its result; the exports are not placed yet."""
        return {
            "key": self.attempts[spec.name].key,
            "result": digest_of([entry.artifact, entry.values]),
            "artifact": entry.artifact,
            "values": entry.values,
            "notes": list(entry.notes),
            "user_files": dict(entry.user_files),
            "record": records.record_id(entry.record),
            "files": dict(manifest.signatures),
            "exports": {},
        }

    def _keep(self, spec: TaskSpec, entry: Entry, manifest: Manifest) -> Row:
        row = self.row(spec, entry, manifest)
        artifact = self.store.files_of(entry.artifact)
        for relative, target in spec.export.items():
            files = exports.part(manifest, relative)
            if not exports.matches(target, files):
                exports.place(artifact, relative, files, target, state_folder(self.workspace_root) / "tmp")
            row["exports"][self._relative(target)] = exports.signatures(target)
        records.keep_record(self.workspace_root, entry.record)
        self.state.put("fields", spec.name, {"fields": self.attempts[spec.name].fields, "failed": False})
        self.rows[spec.name] = row
        return row

    def _refreshed(self, spec: TaskSpec) -> None:
        """Write a row whose signatures were brought up to date."""
        self.state.put("tasks", spec.name, self.state.get("tasks", spec.name))

    def _relative(self, target: Path) -> str:
        return relative_text(os.fspath(target), os.fspath(self.workspace_root))


def _signature(known: Sequence[int]) -> Signature:
    return known[0], known[1], known[2], known[3]
