"""Running recipes: from files to a report, the short way where nothing changed since the last run."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpipe.engine.run_report import RecipeResult, RunReport
from mlpipe.engine.snapshot import listed_folders, read_snapshot, write_snapshot
from mlpipe.exit_codes import ExitCode, combine
from mlpipe.recipe.root import find_root, pipeline_candidates, recipe_file

if TYPE_CHECKING:
    from mlpipe.engine.outcome import RunReporter, RunResult, TaskResult
    from mlpipe.recipe.plan import Plan, Workspace


def run_recipes(
    recipes: Sequence[Path] = (),
    *,
    workspace: Path | None = None,
    jobs: int | None = None,
    only: Sequence[str] = (),
    fail_fast: bool = False,
    require_gate: bool = False,
    reporter: RunReporter | None = None,
) -> RunReport:
    """Bring recipes up to date and return their reports. Errors: RecipeErrors, StoreUnusable; a failed step or gate is in the report."""
    named = [recipe_file(recipe) for recipe in recipes]
    root = find_root(workspace, named)
    selection = json.dumps([[os.path.relpath(recipe, root) for recipe in named], sorted(only), require_gate])
    summary = read_snapshot(root, selection)
    if summary is not None:
        return RunReport.from_dict(summary, nothing_to_do=True)
    started_ns = time.time_ns()
    return _Run(named, workspace, jobs, tuple(only), reporter).report(selection, started_ns, fail_fast=fail_fast, require_gate=require_gate)


class _Run:
    """A run that has to look at everything."""

    def __init__(self, named: Sequence[Path], workspace: Path | None, jobs: int | None, only: tuple[str, ...], reporter: RunReporter | None) -> None:
        from mlpipe.engine.graph import task_specs
        from mlpipe.recipe.workspace import load_workspace

        self.named = named
        self.given = workspace
        self.only = only
        self.reporter = reporter
        self.workspace: Workspace = load_workspace(workspace, named)
        self.specs = {spec.name: spec for plan in self.workspace.plans for spec in task_specs(plan, self.workspace.root / "build")}
        self.jobs = jobs or self.workspace.workers.jobs or os.cpu_count() or 1

    def report(self, selection: str, started_ns: int, *, fail_fast: bool, require_gate: bool) -> RunReport:
        """Run the tasks, write history and snapshot."""
        from mlpipe.engine.outcome import Outcome
        from mlpipe.engine.records import append_history

        recipes: list[RecipeResult] = []
        result = self.tasks(fail_fast=fail_fast, while_locked=lambda result: recipes.extend(self.recipe(plan, result) for plan in self.workspace.plans))
        codes = [ExitCode((task.error or {}).get("exit_code", ExitCode.STEP_FAILED)) for task in result.failed]
        codes += [ExitCode.GATE_FAILED for recipe in recipes if recipe.report is not None and recipe.report["verdict"] in {"FAIL", "ERROR"}]
        codes += [ExitCode.GATE_FAILED for recipe in recipes if require_gate and not recipe.gated]
        tasks = {name: self.task(task) for name, task in result.tasks.items()}
        codes += [ExitCode.GATE_FAILED for task in tasks.values() if task["judged"] and task["judged"]["verdict"] in {"FAIL", "ERROR"}]
        idle = result.ok and not (result.count(Outcome.RAN) or result.count(Outcome.RESTORED))
        report = RunReport(tuple(recipes), tasks, combine(codes), result.partial, nothing_to_do=idle)
        for recipe in recipes:
            append_history(self.workspace.root, recipe.name, result, _facts(recipe))
        self.snapshot(selection, report, result, started_ns)
        return report

    def tasks(self, *, fail_fast: bool = False, dry_run: bool = False, while_locked: Callable[[RunResult], None] | None = None) -> RunResult:
        """Run what is stale, or say what that would be."""
        from mlpipe.engine.run import run_tasks
        from mlpipe.engine.store import Store
        from mlpipe.engine.workers import WorkerPool

        return run_tasks(
            list(self.specs.values()),
            workspace_root=self.workspace.root,
            store=Store(size_limit_bytes=self.workspace.cache_size_bytes),
            pool_factory=lambda on_progress: WorkerPool(self.jobs, self.workspace.workers.memory_bytes, on_progress),
            reporter=self.reporter,
            select=self.only or None,
            fail_fast=fail_fast,
            dry_run=dry_run,
            while_locked=while_locked,
        )

    def recipe(self, plan: Plan, result: RunResult) -> RecipeResult:
        """Return one recipe's result, with its report where it has one."""
        from mlpipe.engine.failure_report import write_failure_report

        folder = self.workspace.root / "build" / plan.name
        task = result.tasks.get(f"{plan.name}:report")
        report = None
        if task is not None and not result.partial:
            if not task.outcome.is_good:
                write_failure_report(self.specs[task.task], result, self.specs, self.workspace.root)
                self.withdraw_release(plan, result)
            report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        return RecipeResult(plan.name, str(plan.recipe_path), report, str(folder), gated=plan.gates is not None)

    def withdraw_release(self, plan: Plan, result: RunResult) -> None:
        """Remove an earlier run's release where this run could not judge it: it would be shipped by mistake. The cache still has it."""
        from mlpipe.engine.files import remove

        task = result.tasks.get(f"{plan.name}:release")
        if task is not None and not task.outcome.is_good:
            for target in self.specs[task.task].export.values():
                remove(target)

    def task(self, task: TaskResult) -> dict[str, Any]:
        """Return what the report tells of a task."""
        from mlpipe.engine.outcome import Outcome
        from mlpipe.engine.records import read_record

        record = read_record(self.workspace.root, task.record) if task.record is not None and task.outcome is Outcome.RAN else None
        return {
            "outcome": task.outcome.value,
            "why": task.why,
            "seconds": round(task.seconds, 3),
            "cpu_seconds": record["cpu_seconds"] if record else 0.0,
            "notes": list(task.notes),
            "log": None if task.log is None else str(task.log),
            "error": task.error,
            "judged": task.values if self.specs[task.task].step == "mlpipe.steps.gate" else None,
        }

    def snapshot(self, selection: str, report: RunReport, result: RunResult, started_ns: int) -> None:
        """Keep what a run with nothing to do needs."""
        looked_for = (*self.workspace.files, *pipeline_candidates(self.given, self.named))
        folders = set(self.watched_folders())
        tasks = {name: dict(task) | {"outcome": "up_to_date", "seconds": 0.0, "cpu_seconds": 0.0, "why": ""} for name, task in report.tasks.items()}
        summary = report.as_dict() | {"tasks": tasks}
        environment = self.workspace.environment
        write_snapshot(self.workspace.root, selection, summary, result, files=looked_for, folders=folders, environment=environment, started_ns=started_ns)

    def watched_folders(self) -> Iterator[Path]:
        """Yield the folders in which a new file could be a new recipe or sample."""
        for pattern in self.workspace.recipe_globs:
            yield from listed_folders(pattern)
        for plan in self.workspace.plans:
            images = plan.compare.samples.images if plan.compare.samples is not None else None
            for pattern in [images] if isinstance(images, str) else images or ():
                yield from listed_folders(pattern)


def plan_recipes(recipes: Sequence[Path] = (), *, workspace: Path | None = None, only: Sequence[str] = ()) -> RunResult:
    """Return what a run would do, without doing anything. Errors: RecipeErrors."""
    return _Run([recipe_file(recipe) for recipe in recipes], workspace, None, tuple(only), None).tasks(dry_run=True)


def _facts(recipe: RecipeResult) -> dict[str, Any]:
    """Return what the history keeps of a recipe: verdicts, sizes, metrics."""
    if recipe.report is None:
        return {}
    variants = recipe.report["variants"]
    return {
        "passed": recipe.passed,
        "sizes": {name: variant["size_bytes"] for name, variant in variants.items()},
        "metrics": {name: {metric: entry["value"] for metric, entry in variant["metrics"].items()} for name, variant in variants.items()},
        "gates": {name: variant["gates"] for name, variant in variants.items()},
    }
