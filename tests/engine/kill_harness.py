"""Kill a run with SIGKILL in the middle of every kind of step, and see that nothing half-written stays and the next run completes.

kill_harness.py --workspace DIR --cache DIR --kills 50 [--seed 1] [--expect-status 0] -- COMMAND ...

COMMAND is run once to its end: its outputs under build/ are the reference. Then, for each kill, one kind of step (in turn) and all that follows it is
forgotten, COMMAND is started, and it is killed at a random moment of a task of that kind. After each kill:
- every output under build/ is the reference's, whole, or absent;
- every artifact of the store has its digest;
- COMMAND runs to its end with the expected status, and every output is the reference's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Setting:
    """What is run where."""

    command: list[str]
    workspace: Path
    cache: Path
    expected_status: int

    @property
    def state(self) -> Path:
        return self.workspace / "build" / ".mlpipe"


def main() -> int:
    """Return 0 if every kill was survived; print how many hit each kind of step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--expect-status", type=int, default=0)
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    setting = Setting(arguments.command, arguments.workspace.absolute(), arguments.cache.absolute(), arguments.expect_status)
    hits = survive(setting, arguments.kills, random.Random(arguments.seed))
    for kind, count in sorted(hits.items()):
        print(f"{kind}: {count} kills")
    return 0


def survive(setting: Setting, kills: int, chance: random.Random) -> Counter[str]:
    """Return how many kills hit each kind of step. Errors: AssertionError where a kill was not survived."""
    complete(setting)
    reference = outputs(setting)
    durations = seconds_by_task(setting)
    kinds = sorted({kind_of(task) for task in durations})
    hits: Counter[str] = Counter()
    attempts = 0
    while sum(hits.values()) < kills:
        attempts += 1
        assert attempts <= 4 * kills, f"most runs ended before they could be killed; hit so far: {hits}"
        kind = kinds[attempts % len(kinds)]
        forget(setting, kind)
        running = kill(setting, kind, durations, chance)
        for name, digest in outputs(setting).items():
            assert reference.get(name) == digest, f"after a kill in {running}, {name} is not what it should be"
        check_store(setting)
        complete(setting)
        assert outputs(setting) == reference, f"the run after a kill in {running} made other outputs"
        hits.update(running)
    assert not leftovers(setting), leftovers(setting)
    return hits


def complete(setting: Setting) -> None:
    """Run the command to its end."""
    answer = subprocess.run(setting.command, env=environment(setting), capture_output=True, text=True, check=False)
    assert answer.returncode == setting.expected_status, answer.stdout + answer.stderr


def environment(setting: Setting) -> dict[str, str]:
    return {**os.environ, "MLPIPE_CACHE": str(setting.cache)}


def kill(setting: Setting, kind: str, durations: dict[str, float], chance: random.Random) -> list[str]:
    """Start the command, kill it within a task of this kind; return the kinds of the steps that were running (none if it ended before)."""
    started = time.time()
    process = subprocess.Popen(setting.command, env=environment(setting), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    task = None
    while process.poll() is None and task is None:
        task = next((name for name in fresh_logs(setting, started) if kind_of(name) == kind), None)
        time.sleep(0.001)
    if task is not None:
        time.sleep(chance.uniform(0.0, 0.9 * durations.get(task, 0.0)))
    process.send_signal(signal.SIGKILL)
    process.wait()
    if task is None:
        return []
    done = finished(setting)
    return sorted({kind_of(name) for name in fresh_logs(setting, started) if name not in done}) or [f"{kind} (just done)"]


def fresh_logs(setting: Setting, started: float) -> list[str]:
    """Return the tasks whose step has started since: a step's log is the first thing that it writes."""
    logs = setting.state / "logs"
    found = []
    for path in logs.rglob("*.log"):
        try:
            if path.stat().st_mtime >= started - 0.01:
                found.append(":".join(path.relative_to(logs).with_suffix("").parts))
        except FileNotFoundError:
            continue
    return found


def kind_of(task: str) -> str:
    return task.split(":")[1]


def finished(setting: Setting) -> set[str]:
    """Return the tasks that the state knows to be done."""
    with closing(sqlite3.connect(setting.state / "state.sqlite3")) as connection:
        return {row[0] for row in connection.execute("SELECT name FROM tasks")}


def seconds_by_task(setting: Setting) -> dict[str, float]:
    """Return how long each task took, the quickest time of several."""
    records = [json.loads(path.read_bytes()) for path in (setting.state / "records").glob("*.json")]
    return {record["task"]: record["seconds"] for record in sorted(records, key=lambda record: -record["seconds"])}


def forget(setting: Setting, kind: str) -> None:
    """Let a kind of step and all that follows it run again, for the first time as far as anybody knows."""
    records = [json.loads(path.read_bytes()) for path in (setting.state / "records").glob("*.json")]
    keys = {record["key"] for record in records if kind_of(record["task"]) == kind}
    assert keys, f"no step of kind {kind} has run"
    for key in keys:
        shutil.rmtree(setting.cache / "actions" / key[:2] / key, ignore_errors=True)
    with closing(sqlite3.connect(setting.state / "state.sqlite3")) as connection, connection:
        connection.execute("DELETE FROM tasks WHERE name LIKE ?", (f"%:{kind}%",))
    shutil.rmtree(setting.state / "snapshots", ignore_errors=True)
    shutil.rmtree(setting.state / "logs", ignore_errors=True)
    for path in (setting.workspace / "build").iterdir():
        if path.name != ".mlpipe":
            shutil.rmtree(path)


def outputs(setting: Setting) -> dict[str, str]:
    """Return the digest of every output in the workspace; a folder such as a package counts as one."""
    build = setting.workspace / "build"
    found: dict[str, Any] = {}
    for path in sorted(build.rglob("*")):
        if path.is_file() and ".mlpipe" not in path.relative_to(build).parts:
            parts = path.relative_to(build).parts
            whole = next((index for index, part in enumerate(parts) if part.endswith("package")), len(parts) - 1)
            digest = found.setdefault("/".join(parts[: whole + 1]), hashlib.sha256())
            digest.update("/".join(parts).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return {name: digest.hexdigest() for name, digest in found.items()}


def check_store(setting: Setting) -> None:
    """Check that the store holds whole artifacts and readable entries only. (What is under tmp/ belongs to nobody.)"""
    for manifest in (setting.cache / "artifacts").glob("*/*/manifest.json"):
        files = json.loads(manifest.read_bytes())["files"]
        folder = manifest.parent / "files"
        for name, (size, sha256, _) in files.items():
            data = (folder / name).read_bytes()
            assert (len(data), hashlib.sha256(data).hexdigest()) == (size, sha256), f"{folder / name} is damaged"
        text = json.dumps([[name, *entry] for name, entry in sorted(files.items())], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert hashlib.sha256(text.encode()).hexdigest() == manifest.parent.name, f"{manifest} is not what its name says"
    folders = list((setting.cache / "artifacts").glob("*/*"))
    assert all((folder / "manifest.json").exists() for folder in folders)
    for entry in (setting.cache / "actions").glob("*/*/*.json"):
        artifact = json.loads(entry.read_bytes())["entry"]["artifact"]
        assert (setting.cache / "artifacts" / artifact[:2] / artifact).exists(), f"{entry} names an artifact that is not there"


def leftovers(setting: Setting) -> list[str]:
    """Return temporary files in the workspace, of which none may stay."""
    return [str(path) for path in setting.workspace.rglob(".*") if path.name != ".mlpipe"] + [str(path) for path in (setting.state / "tmp").glob("*")]


if __name__ == "__main__":
    sys.exit(main())
