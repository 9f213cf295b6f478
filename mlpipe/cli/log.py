"""`mlpipe log`: what a task's last run printed."""

from __future__ import annotations

from pathlib import Path

import click

from mlpipe.cli.options import common, print_json, workspace_option


@click.command(name="log", epilog="Example: mlpipe log digits:convert")
@click.argument("task")
@workspace_option
@common
def command(task: str, workspace: Path | None, *, as_json: bool) -> None:
    """Print the log of TASK's last run in this workspace."""
    from mlpipe import api

    path = api.log(task, workspace=workspace)
    text = path.read_text(encoding="utf-8", errors="replace")
    if as_json:
        print_json({"task": task, "log": str(path), "text": text})
    else:
        click.echo(text, nl=False)
