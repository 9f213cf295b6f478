"""What a user gets when mlpipe itself breaks: one sentence, and a file that can be pasted into an issue."""

from __future__ import annotations

import platform
import sys
import tempfile
import traceback
from pathlib import Path

from mlpipe import __version__


def report_bug(words: list[str]) -> Path:
    """Write the current exception to a file, say so on stderr, and return the file."""
    text = "\n".join(
        (
            f"mlpipe {__version__}, Python {platform.python_version()}, {platform.platform()}",
            f"command line: mlpipe {' '.join(words)}",
            "",
            traceback.format_exc(),
        ),
    )
    with tempfile.NamedTemporaryFile("w", prefix="mlpipe-bug-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write(text)
    kind = sys.exc_info()[0]
    print(f"mlpipe: a bug in mlpipe, not in your recipe: {kind.__name__ if kind else 'error'}. Details, ready for an issue: {file.name}", file=sys.stderr)
    return Path(file.name)
