"""`mlpipe doctor`: what this machine has and lacks."""

from __future__ import annotations

import click

from mlpipe.cli.options import common, print_json
from mlpipe.exit_codes import ExitCode


@click.command(name="doctor", epilog="Example: mlpipe doctor --json")
@common
def command(*, as_json: bool) -> ExitCode:
    """Check Python, packages, cache folder and disk. Exit code 5 where something that every recipe needs is missing."""
    from mlpipe.engine.doctor import examine

    checks = examine()
    if as_json:
        print_json({"checks": [check.__dict__ for check in checks]})
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            click.echo(f"{check.state:<8} {check.name:<{width}}  {check.detail}" + (f"\n{'':<9}{check.fix}" if check.fix else ""))
    return ExitCode.ENVIRONMENT_LACKS_TOOL if any(check.state == "missing" for check in checks) else ExitCode.DONE
