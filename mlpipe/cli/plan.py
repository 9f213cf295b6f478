"""`mlpipe plan`: what a run would do."""

from __future__ import annotations

from pathlib import Path

import click

from mlpipe.cli.options import common, print_json, recipes_argument, workspace_option
from mlpipe.exit_codes import ExitCode


@click.command(name="plan", epilog="Examples: mlpipe plan; mlpipe plan recipe.yaml --check")
@recipes_argument
@click.option("--only", multiple=True, metavar="GLOB", help="Only these tasks and what they need.")
@click.option("--check", is_flag=True, help="Exit with 4 unless everything is up to date.")
@workspace_option
@common
def command(recipes: tuple[Path, ...], only: tuple[str, ...], workspace: Path | None, *, check: bool, as_json: bool) -> ExitCode:
    """Say for each task of the RECIPES whether it would run, comes from the cache or is up to date, and why."""
    from mlpipe import api
    from mlpipe.engine.outcome import Outcome

    result = api.plan(recipes, workspace=workspace, only=only)
    if as_json:
        print_json({"tasks": {name: {"outcome": task.outcome.value, "why": task.why} for name, task in result.tasks.items()}})
    else:
        width = max(len(name) for name in result.tasks)
        for name, task in result.tasks.items():
            why = f"  {task.why}" if task.why else ""
            click.echo(f"{name:<{width}}  {task.outcome.planned}{why}".rstrip())
    stale = result.count(Outcome.UP_TO_DATE) != len(result.tasks)
    return ExitCode.MISMATCH if check and stale else ExitCode.DONE
