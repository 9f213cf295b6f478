"""doit's Runner, with ready tasks handed to worker processes; no thread per task. Everything mlpipe needs of doit meets here and in tasks.py."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from doit.exceptions import BaseFail, TaskFailed
from doit.runner import Runner

from mlpipe.engine import records
from mlpipe.engine.build import Build
from mlpipe.engine.main_step import end_log, run_in_main
from mlpipe.engine.outcome import Outcome, RunReporter, TaskResult
from mlpipe.engine.workers import Job, JobOutcome
from mlpipe.engine.workers.failures import as_failure
from mlpipe.errors import MlpipeError, StepFailed, StoreUnusable

_HOLD_ON = "hold on"  # what doit's dispatcher yields while every task that is left waits for a running one


class Pool(Protocol):
    """What runs jobs in processes of their own; see workers/pool.py."""

    def submit(self, job: Job) -> None:
        """Start a job."""

    def wait(self, timeout: float | None) -> list[JobOutcome]:
        """Return at least one outcome, unless the time is over."""

    def capacity(self, memory_bytes: int) -> bool:
        """Whether another job of this size may start now; always true while none runs."""


Progress = Callable[[str, float, float, str], None]
PoolFactory = Callable[[Progress], AbstractContextManager[Pool]]
"""Makes the pool when the first job is there; is given what to call with (task, done, total, what)."""


@dataclass(frozen=True)
class _Running:
    node: Any
    output: Path
    started_ns: int


class StepRunner(Runner):  # type: ignore[misc]
    """Runs what doit's dispatcher finds ready: restored from the store, in this process (`main`), or in a worker."""

    def __init__(self, dependency: Any, doit_reporter: Any, build: Build, reporter: RunReporter, pool_factory: PoolFactory, *, fail_fast: bool) -> None:
        super().__init__(dependency, doit_reporter, continue_=not fail_fast)
        self.build = build
        self.run_reporter = reporter
        self.results: dict[str, TaskResult] = {}
        self._pool_factory = pool_factory
        self._pool: Pool | None = None
        self._stack = ExitStack()
        self._ready: deque[Any] = deque()
        self._causes: dict[str, list[str]] = {}  # of the tasks that are not run: the failed ones
        self._running: dict[str, _Running] = {}

    def run_tasks(self, dispatcher: Any) -> None:
        """Run everything the dispatcher yields, in its order, as far as the workers have room."""
        finished: deque[Any] = deque()
        with self._stack:
            while not self._stop_running:
                try:
                    step = dispatcher.generator.send(finished.popleft() if finished else None)
                except StopIteration:
                    step = None
                if step is not None and step != _HOLD_ON:
                    if not self.select_task(step, dispatcher.tasks):
                        self._settle_unrun(step)
                        finished.append(step)
                    elif self._run_here(step):
                        finished.append(step)
                elif not finished:
                    if not self._running and not self._ready:
                        break
                    finished.extend(self._wait())
                self._fill_pool()

    def process_task_result(self, node: Any, base_fail: BaseFail | None) -> None:
        """Keep a task's state at once: a kill loses nothing that is done."""
        super().process_task_result(node, base_fail)
        self.dep_manager.backend.dump()

    def _settle_unrun(self, node: Any) -> None:
        """Report a task that doit found up to date, or whose dependencies failed."""
        name = node.task.name
        if node.run_status == "up-to-date":
            self._report(settled(self.build, name, Outcome.UP_TO_DATE))
            return
        causes = self._causes[name] = sorted({cause for bad in node.bad_deps for cause in self._causes.get(bad.task.name, [bad.task.name])})
        self._report(TaskResult(name, Outcome.NOT_RUN, f"not run because {', '.join(causes)} failed", log=self._log(name)))

    def _run_here(self, node: Any) -> bool:
        """Settle a task in this process if it can be; else it becomes ready for a worker."""
        spec = self.build.specs[node.task.name]
        attempt = self.build.attempts[spec.name]
        if attempt.error is not None:
            self._fail(node, as_failure(attempt.error))
            return True
        try:
            restored = self.build.restore(spec)
        except StepFailed as error:
            self._fail(node, as_failure(error))
            return True
        if restored is not None:
            self._succeed(node, restored, Outcome.RESTORED, 0.0)
            return True
        if spec.preload != "main":
            self._ready.append(node)
            return False
        self.run_reporter.started(spec.name)
        output, started_ns = self.build.store.new_output(), time.time_ns()
        self._settle(_Running(node, output, started_ns), run_in_main(spec, self.build.request(spec, output), self._log(spec.name)))
        return True

    def _fill_pool(self) -> None:
        while self._ready and not self._stop_running:
            if self._pool is None:
                self._pool = self._stack.enter_context(self._pool_factory(self.run_reporter.progress))
            spec = self.build.specs[self._ready[0].task.name]
            if not self._pool.capacity(spec.memory_bytes):
                return
            node = self._ready.popleft()
            output, started_ns = self.build.store.new_output(), time.time_ns()
            self._log(spec.name).parent.mkdir(parents=True, exist_ok=True)
            request = self.build.request(spec, output)
            job = Job(spec.name, spec.step, request, spec.preload, self._log(spec.name), spec.timeout_seconds, spec.memory_bytes)
            self.run_reporter.started(spec.name)
            self._running[spec.name] = _Running(node, output, started_ns)
            self._pool.submit(job)

    def _wait(self) -> list[Any]:
        assert self._pool is not None, "something is running"
        nodes = []
        for outcome in self._pool.wait(None):
            running = self._running.pop(outcome.task)
            self._settle(running, outcome)
            nodes.append(running.node)
        return nodes

    def _settle(self, running: _Running, outcome: JobOutcome) -> None:
        spec = self.build.specs[outcome.task]
        if outcome.error is not None:
            self._fail(running.node, outcome.error, outcome.seconds)
            return
        try:
            row = self.build.commit(spec, outcome, running.output, running.started_ns)
        except StoreUnusable:
            raise
        except MlpipeError as error:
            self._fail(running.node, as_failure(error), outcome.seconds)
        else:
            self._succeed(running.node, row, Outcome.RAN, outcome.seconds)

    def _succeed(self, node: Any, row: dict[str, Any], outcome: Outcome, seconds: float) -> None:
        node.task.values = row
        self.process_task_result(node, None)
        self._report(settled(self.build, node.task.name, outcome, seconds))

    def _fail(self, node: Any, error: dict[str, Any], seconds: float = 0.0) -> None:
        name = node.task.name
        self.build.failed(self.build.specs[name])
        self.process_task_result(node, TaskFailed(error["what"]))
        log = self._log(name)
        end_log(log, error)
        attempt = self.build.attempts[name]
        self._report(TaskResult(name, Outcome.FAILED, attempt.why, attempt.changes, seconds, log=log, error=error))

    def _log(self, name: str) -> Path:
        return records.log_path(self.build.workspace_root, name)

    def _report(self, result: TaskResult) -> None:
        self.results[result.task] = result
        self.run_reporter.finished(result)


def settled(build: Build, name: str, outcome: Outcome, seconds: float = 0.0) -> TaskResult:
    """Return the result of a task that has one."""
    row, attempt = build.rows[name], build.attempts[name]
    return TaskResult(
        task=name,
        outcome=outcome,
        why=attempt.why,
        changes=attempt.changes,
        seconds=seconds,
        values=row["values"],
        artifact=row["artifact"],
        folder=build.store.files_of(row["artifact"]),
        notes=tuple(row["notes"]),
        record=row["record"],
        log=records.log_path(build.workspace_root, name),
    )
