"""What a run with nothing to do costs, side by side with plain doit on the same graph: one file read and one file written a task.

python benchmarks/no_op.py [--runs 5] [10 1000 10000]

CPU time of the whole process (user and system), median of several runs. "snapshot" is what `mlpipe run` does, the imports of its command line
included; "no snapshot" goes through the whole graph on doit, as after a change anywhere.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

GOALS = {10: "<= 0.25 s", 1000: "<= 1.5 x doit", 10000: "<= 1.0 x doit"}

DODO = """
import shutil
def task_copy():
    for index in range({count}):
        source, target = f"in/{{index}}.txt", f"out/{{index}}.txt"
        yield {{"name": str(index), "file_dep": [source], "targets": [target], "actions": [(shutil.copyfile, [source, target])], "verbosity": 0}}
"""

STEP = """
from mlpipe.steps.step import StepResult
def run(request):
    (request.output / "out.txt").write_bytes(request.files["source"][0].read_bytes())
    return StepResult()
"""


@dataclass(frozen=True)
class Cost:
    """Of one process."""

    cpu_seconds: float
    peak_megabytes: float


def measure(command: list[str], folder: Path, environment: dict[str, str]) -> Cost:
    """Return what a command costs. Errors: CalledProcessError where it fails."""
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit)


def mlpipe_run(folder: Path, count: int, mode: str) -> None:
    """Do what `mlpipe run` does with a graph of copies. With mode `expect` it fails where anything ran or was restored."""
    started_ns = time.time_ns()
    import mlpipe.cli.main  # noqa: F401 - the command line's own imports belong to the cost
    from mlpipe.engine.snapshot import read_snapshot, write_snapshot

    if mode == "snapshot":
        if read_snapshot(folder, "") != count:
            sys.exit("no snapshot")
        return
    from mlpipe.engine.outcome import Outcome
    from mlpipe.engine.run import run_tasks
    from mlpipe.engine.store import Store
    from mlpipe.engine.task_spec import TaskSpec
    from mlpipe.engine.workers import WorkerPool

    specs = [
        TaskSpec(
            name=f"copy:{index}",
            step="no_op_step",
            parameters={},
            folder=folder,
            files={"source": (folder / "in" / f"{index}.txt",)},
            export={"out.txt": folder / "build" / "copy" / f"{index}.txt"},
        )
        for index in range(count)
    ]
    result = run_tasks(specs, workspace_root=folder, store=Store(folder / "cache"), pool_factory=lambda progress: WorkerPool(2, None, progress))
    if mode == "expect" and result.count(Outcome.UP_TO_DATE) != count:
        sys.exit("something was not up to date")
    if mode == "make":
        kept = write_snapshot(folder, "", count, result, files=[], folders=[folder / "in"], environment={}, started_ns=started_ns)
        sys.exit("a task failed" if not result.ok else 0 if kept else "something changed during the run, perhaps mlpipe's own source")


def compare(count: int, runs: int) -> None:
    """Print a row of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("in", "out", "step"):
            (folder / part).mkdir()
        for index in range(count):
            (folder / "in" / f"{index}.txt").write_text(f"{index}\n")
        (folder / "dodo.py").write_text(DODO.format(count=count))
        (folder / "step" / "no_op_step.py").write_text(STEP)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder / "step"), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)}
        doit = [str(Path(sys.executable).with_name("doit")), "-f", "dodo.py"]
        own = [sys.executable, __file__, "--child", str(folder), str(count)]
        time.sleep(0.1)  # what is read must be older than the run
        measure(doit, folder, environment)
        first = measure([*own, "make"], folder, environment)
        commands = {"doit": doit, "snapshot": [*own, "snapshot"], "no snapshot": [*own, "expect"]}
        costs: dict[str, list[Cost]] = {kind: [] for kind in commands}
        for _ in range(runs):
            for kind, command in commands.items():
                costs[kind].append(measure(command, folder, environment))
    cpu = {kind: statistics.median(cost.cpu_seconds for cost in found) for kind, found in costs.items()}
    peak = {kind: max(cost.peak_megabytes for cost in found) for kind, found in costs.items()}
    cells = [f"{cpu[kind]:.3f} s / {peak[kind]:.0f} MB" for kind in commands]
    ratios = [f"{cpu[kind] / cpu['doit']:.2f}" for kind in ("snapshot", "no snapshot")]
    print("| " + " | ".join([f"{count:,}", *cells, *ratios, GOALS.get(count, ""), f"{first.cpu_seconds:.1f} s"]) + " |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", nargs="*", type=int, default=list(GOALS))
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    print("| tasks | doit | mlpipe, snapshot | mlpipe, no snapshot | ratio, snapshot | ratio, no snapshot | goal | first run |")
    print("|---|---|---|---|---|---|---|---|")
    for count in arguments.counts:
        compare(count, arguments.runs)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        mlpipe_run(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    else:
        main()
