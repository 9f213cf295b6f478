"""TaskSpecs as doit tasks: one `uptodate` callable and plain task_deps, declared in topological order.

doit's own file_dep and targets are not used: they see a truncated model as up to date, and cannot name folders.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from doit.task import Task

from mlpipe.engine.build import Build
from mlpipe.engine.task_spec import TaskSpec
from mlpipe.errors import RecipeError


def doit_tasks(build: Build) -> list[Task]:
    """Return a doit task for each of a build's specs, which are in topological order."""
    uptodate = _uptodate(build)
    return [Task(spec.name, None, task_dep=_dependencies(spec), uptodate=[uptodate]) for spec in build.specs.values()]


def ordered(specs: Iterable[TaskSpec]) -> list[TaskSpec]:
    """Return tasks after those they read, else in the given order. Errors: ValueError for unknown, equal or circular names."""
    by_name: dict[str, TaskSpec] = {}
    for spec in specs:
        if spec.name in by_name:
            raise ValueError(f"two tasks are named {spec.name!r}")
        by_name[spec.name] = spec
    done: dict[str, TaskSpec] = {}
    open_names: set[str] = set()
    for name in by_name:
        stack = [name]
        while stack:
            current = stack[-1]
            if current not in by_name:
                raise ValueError(f"a task reads {current!r}, which does not exist")
            missing = [task for task in _dependencies(by_name[current]) if task not in done]
            if current in done or not missing:
                done[current] = by_name[current]
                open_names.discard(stack.pop())
                continue
            if current in open_names:
                raise ValueError(f"tasks read each other in a circle: {' -> '.join(stack)}")
            open_names.add(current)
            stack += reversed(missing)
    return list(done.values())


def selected(specs: Sequence[TaskSpec], patterns: Sequence[str]) -> list[TaskSpec]:
    """Return the tasks that match a glob, and all that they read; `specs` are in topological order. Errors: RecipeError where a glob matches nothing."""
    wanted: set[str] = set()
    for pattern in patterns:
        matching = {spec.name for spec in specs if fnmatchcase(spec.name, pattern)}
        if not matching:
            some = ", ".join(spec.name for spec in specs[:8])
            raise RecipeError(f"no task matches {pattern!r}", fix=f"tasks are {some}{' ...' if len(specs) > 8 else ''}")
        wanted |= matching
    for spec in reversed(specs):
        if spec.name in wanted:
            wanted.update(spec.inputs.values())
    return [spec for spec in specs if spec.name in wanted]


def _dependencies(spec: TaskSpec) -> list[str]:
    return list(dict.fromkeys(spec.inputs.values()))


def _uptodate(build: Build) -> Callable[..., bool]:
    def uptodate(task: Any, values: dict[str, Any]) -> bool:
        return build.check(build.specs[task.name], values)

    # doit asks for the signature once a task; answering it here saves a third of a run with nothing to do.
    uptodate.__signature__ = inspect.signature(uptodate)  # type: ignore[attr-defined]
    return uptodate
