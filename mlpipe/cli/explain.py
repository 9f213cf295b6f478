"""`mlpipe explain`: why a task is not up to date."""

from __future__ import annotations

from pathlib import Path

import click

from mlpipe.cli.options import common, print_json, workspace_option
from mlpipe.errors import RecipeError


@click.command(name="explain", epilog="Example: mlpipe explain digits:predict:linear-8")
@click.argument("task")
@click.option("--recipe", type=click.Path(path_type=Path), default=None, help="The recipe, where it is not in pipeline.yaml.")
@workspace_option
@common
def command(task: str, recipe: Path | None, workspace: Path | None, *, as_json: bool) -> None:
    """Say which fields of TASK's key changed since it last ran, old -> new, or that it is up to date."""
    from mlpipe import api

    planned = api.plan([recipe] if recipe else [], workspace=workspace).tasks
    if task not in planned:
        import difflib

        near = difflib.get_close_matches(task, planned, 1)
        raise RecipeError(f"there is no task {task!r}", fix=f"did you mean {near[0]!r}?" if near else "mlpipe plan lists them")
    found = planned[task]
    if as_json:
        changes = [{"field": change.field, "old": change.old, "new": change.new} for change in found.changes]
        print_json({"task": task, "outcome": found.outcome.value, "why": found.why, "changes": changes})
        return
    click.echo(f"{task}: {found.outcome.planned}" + (f", because {found.why}" if found.why and not found.changes else ""))
    for change in found.changes:
        click.echo(f"  {change}")
