"""Which way a run is shown: live on a terminal, as plain lines where stderr is piped."""

from __future__ import annotations

import sys
from typing import TextIO

from mlpipe.cli.console.live import LiveReporter
from mlpipe.cli.console.plain import PlainReporter
from mlpipe.cli.console.streams import is_terminal


def make_reporter(stream: TextIO | None = None) -> PlainReporter | LiveReporter:
    """Return a RunReporter, to be used as a context, that writes to stderr."""
    stream = sys.stderr if stream is None else stream
    return LiveReporter(stream) if is_terminal(stream) else PlainReporter(stream)
