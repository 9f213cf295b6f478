"""However a run of the digits recipe ends, nothing that it started stays."""

from __future__ import annotations

import os
import signal
import time
import uuid

import psutil
import pytest

RECIPE = "recipes/digits/recipe.yaml"


@pytest.fixture
def in_convert(make_checkout):
    """Start a run with an empty cache, wait until it converts, and return the run and a function that lists what lives of it."""
    checkout = make_checkout(cold=True)
    mark = f"MLPIPE_TEST_{uuid.uuid4().hex}"
    checkout.environment[mark] = "1"
    process = checkout.start("run", RECIPE)
    log = checkout.folder / "build/.mlpipe/logs/digits/convert.log"
    end = time.monotonic() + 120
    while not log.exists() and time.monotonic() < end and process.poll() is None:
        time.sleep(0.01)
    assert log.exists()
    time.sleep(0.3)

    def living():
        found = []
        for other in psutil.process_iter():
            try:
                if mark in other.environ() and other.status() != psutil.STATUS_ZOMBIE:
                    found.append(other)
            except psutil.Error:
                continue
        return found

    yield checkout, process, living
    for other in living():
        other.kill()
    process.communicate()


LIMIT_SECONDS = float(os.environ.get("MLPIPE_TEST_LIMIT_SECONDS", "10"))
"""Generous, for loaded machines; the long checks are run with 1."""


def await_end(living, seconds):
    end = time.monotonic() + seconds
    while (left := living()) and time.monotonic() < end:
        time.sleep(0.02)
    return [other.cmdline() for other in left if other.is_running()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_during_the_conversion_ends_everything_at_once(in_convert, number):
    checkout, process, living = in_convert
    while len(living()) < 3:  # the run, the server with TensorFlow, the worker
        assert process.poll() is None
        time.sleep(0.02)
    start = time.monotonic()
    process.send_signal(number)
    assert process.wait(60) == 130
    assert time.monotonic() - start < LIMIT_SECONDS
    assert await_end(living, LIMIT_SECONDS) == []
    assert process.stderr.read().splitlines()[-1] == "interrupted"
    assert not (checkout.folder / "build/digits").exists()


def test_kill_of_the_main_process_leaves_no_orphan(in_convert):
    _, process, living = in_convert
    process.kill()
    process.wait()
    assert await_end(living, LIMIT_SECONDS) == []
