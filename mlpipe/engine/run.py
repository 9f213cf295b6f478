"""Run a graph of tasks: what is stale runs, what the store knows is restored, the rest is left alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mlpipe.engine.build import Build
from mlpipe.engine.files import remove
from mlpipe.engine.locks import locked
from mlpipe.engine.outcome import Outcome, RunReporter, RunResult, Silent, TaskResult
from mlpipe.engine.state import State, TaskTable, state_folder
from mlpipe.engine.store import Store
from mlpipe.engine.task_spec import TaskSpec

_STATE = "state.sqlite3"


def run_tasks(
    specs: Sequence[TaskSpec],
    *,
    workspace_root: Path,
    store: Store,
    pool_factory: Any,
    reporter: RunReporter | None = None,
    select: Sequence[str] | None = None,
    fail_fast: bool = False,
    dry_run: bool = False,
    while_locked: Callable[[RunResult], None] | None = None,
) -> RunResult:
    """Bring tasks up to date, and return what became of each.

    `select` are globs over task names; what the matching tasks read comes with them. With `fail_fast` the first failure ends the run. With `dry_run`
    nothing is written, and the outcomes say what would happen. `pool_factory` is a runner.PoolFactory. `while_locked` is called with the result while
    no other run can touch the workspace (not in a dry run).
    Errors: RecipeError for a glob that matches nothing; StoreUnusable. A step that fails is an outcome, not an error.
    """
    from mlpipe.engine.tasks import ordered, selected

    everything = ordered(specs)
    chosen = everything if select is None else selected(everything, select)
    partial = select is not None
    reporter = reporter or Silent()
    folder = state_folder(workspace_root)
    if dry_run:
        state = State(folder / _STATE) if (folder / _STATE).exists() else State(None)
        try:
            return RunResult(_plan(Build(chosen, workspace_root, store, state)), partial)
        finally:
            state.discard()
    with locked(folder / "lock", reporter.waiting), store.session():
        remove(folder / "tmp")
        state = State(folder / _STATE)
        try:
            build = Build(chosen, workspace_root, store, state)
            if not partial:
                build.retire({spec.name for spec in everything})
            results = _run(build, reporter, pool_factory, fail_fast=fail_fast)
            result = RunResult(results, partial, tuple(build.watched().items()), (*build.keys.code.paths(), *build.keys.installations()))
            if while_locked is not None:
                while_locked(result)
            return result
        finally:
            state.close()


def _run(build: Build, reporter: RunReporter, pool_factory: Any, *, fail_fast: bool) -> dict[str, TaskResult]:
    from doit.control import TaskControl
    from doit.dependency import Dependency

    from mlpipe.engine.runner import StepRunner
    from mlpipe.engine.tasks import doit_tasks

    control = TaskControl(doit_tasks(build))
    control.process(None)
    dependency = Dependency(lambda _name, **_options: TaskTable(build.state), "")
    runner = StepRunner(dependency, _DoitReporter(), build, reporter, pool_factory, fail_fast=fail_fast)
    runner.run_all(control.task_dispatcher())
    for name in build.specs:
        if name not in runner.results:
            result = TaskResult(name, Outcome.NOT_RUN, "not run because the run was stopped at the first failure")
            runner.results[name] = result
            reporter.finished(result)
    return {name: runner.results[name] for name in build.specs}


def _plan(build: Build) -> dict[str, TaskResult]:
    """Return what a run would do; what lies behind a task that would run is known only when it has run."""
    from mlpipe.engine.runner import settled

    results: dict[str, TaskResult] = {}
    table = TaskTable(build.state)
    for name, spec in build.specs.items():
        unknown = [task for task in dict.fromkeys(spec.inputs.values()) if task not in build.rows]
        if unknown:
            results[name] = TaskResult(name, Outcome.RAN, f"reads {', '.join(unknown)}, unless that comes out the same as before")
        elif build.check(spec, table.get(name, "_values_:") or {}):
            results[name] = settled(build, name, Outcome.UP_TO_DATE)
        elif build.attempts[name].error is not None:
            results[name] = TaskResult(name, Outcome.FAILED, build.attempts[name].why)
        elif (found := build.lookup(spec)) is not None:
            build.rows[name] = build.row(spec, found[0], found[1])
            results[name] = settled(build, name, Outcome.RESTORED)
        else:
            results[name] = TaskResult(name, Outcome.RAN, build.attempts[name].why, changes=build.attempts[name].changes)
    return results


class _DoitReporter:
    """What doit tells on its way; the runner reports to RunReporter itself."""

    def __getattr__(self, name: str) -> Any:
        if name in {"get_status", "execute_task", "add_failure", "add_success", "skip_uptodate", "skip_ignore", "teardown_task", "complete_run", "initialize"}:
            return _nothing
        raise AttributeError(name)

    def runtime_error(self, message: str) -> None:
        """Raise what doit found wrong with the graph: a bug of whoever made it."""
        raise ValueError(message)


def _nothing(*_arguments: Any) -> None:
    pass
