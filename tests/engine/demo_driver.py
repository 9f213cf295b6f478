"""Run the demo graph as a program, as the command line runs a recipe: `demo_driver.py WORKSPACE [select=GLOB] [snapshot] [dry] [fail_fast]`; prints JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

DEFAULTS: dict[str, Any] = {"scale": 1.0, "bits": [8, 4], "bound": 0.0, "user_code": False, "seconds": {}, "misbehave": {}}


def specs(root: Path) -> list[Any]:
    from mlpipe.engine.task_spec import TaskSpec

    recipe = DEFAULTS | json.loads((root / "recipe.json").read_text())
    build = root / "build" / "demo"

    def spec(name: str, step: str, parameters: dict[str, Any], **rest: Any) -> TaskSpec:
        behaviour = {key: recipe[key][step] for key in ("seconds", "misbehave") if step in recipe[key]}
        if name in recipe["misbehave"]:
            behaviour["misbehave"] = recipe["misbehave"][name]
        rest.setdefault("preload", "numpy")
        return TaskSpec(name=f"demo:{name}", step=f"demo_steps.{step}", parameters=parameters | behaviour, folder=root, tools=("numpy",), **rest)

    yield spec("source", "source", {}, files={"model": (root / "model.txt",)})
    export = {"model.package": build / "converted.package"}
    yield spec("convert", "convert", {"scale": recipe["scale"]}, inputs={"source": "demo:source"}, export=export)
    samples = tuple(sorted((root / "data").glob("*.txt")))
    for bits in recipe["bits"]:
        export = {"model.bin": build / f"q{bits}.bin"}
        yield spec(f"quantize:q{bits}", "quantize", {"bits": bits}, inputs={"model": "demo:convert"}, export=export)
        parameters = {"user_code": recipe["user_code"]}
        yield spec(f"predict:q{bits}", "predict", parameters, inputs={"model": f"demo:quantize:q{bits}"}, files={"samples": samples})
        yield spec(f"gate:q{bits}", "gate", {"bound": recipe["bound"]}, inputs={"predict": f"demo:predict:q{bits}"}, preload="main")
    first = recipe["bits"][0]
    inputs = {"gate": f"demo:gate:q{first}", "model": f"demo:quantize:q{first}"}
    yield spec("release", "release", {}, inputs=inputs, preload="main", export={"release.bin": build / "release" / "release.bin"})


class Lines:
    """Says on stderr what happens."""

    def waiting(self, what: str) -> None:
        print(what, file=sys.stderr, flush=True)

    def started(self, task: str) -> None:
        print(f"started {task}", file=sys.stderr, flush=True)

    def progress(self, task: str, done: float, total: float, what: str) -> None:
        pass

    def finished(self, result: Any) -> None:
        print(f"finished {result.task}: {result.outcome.description}", file=sys.stderr, flush=True)


def main() -> int:
    started_ns = time.time_ns()
    root, flags = Path(sys.argv[1]), sys.argv[2:]
    from mlpipe.engine.snapshot import read_snapshot, write_snapshot

    if "snapshot" in flags and (summary := read_snapshot(root, "all")) is not None:
        print(json.dumps(summary | {"modules": sorted(sys.modules)}))
        return 0
    from mlpipe.engine.run import run_tasks
    from mlpipe.engine.store import Store
    from mlpipe.engine.workers import WorkerPool

    select = [flag.removeprefix("select=") for flag in flags if flag.startswith("select=")] or None
    result = run_tasks(
        list(specs(root)),
        workspace_root=root,
        store=Store(),
        pool_factory=lambda progress: WorkerPool(2, None, progress),
        reporter=Lines(),
        select=select,
        fail_fast="fail_fast" in flags,
        dry_run="dry" in flags,
    )
    summary = {
        "outcomes": {name: task.outcome.value for name, task in result.tasks.items()},
        "why": {name: task.why for name, task in result.tasks.items()},
        "values": {name: task.values for name, task in result.tasks.items()},
        "errors": {name: task.error for name, task in result.tasks.items() if task.error},
        "logs": {name: str(task.log) for name, task in result.tasks.items()},
        "ok": result.ok,
        "partial": result.partial,
        "snapshot": False,
    }
    if "snapshot" in flags:
        kept = {**summary, "snapshot": True}
        summary["kept"] = write_snapshot(
            root, "all", kept, result, files=[root / "recipe.json", root / "absent.json"], folders=[root / "data"], environment={}, started_ns=started_ns
        )
    print(json.dumps(summary))
    return 0 if result.ok else 3


if __name__ == "__main__":
    sys.exit(main())
