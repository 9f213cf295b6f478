"""However the main process ends, nothing that it started stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

Marked = Callable[[], list[psutil.Process]]
Drive = Callable[..., subprocess.Popen[str]]
DRIVER = Path(__file__).with_name("driver.py")


@pytest.fixture
def drive(tmp_path: Path, marked: Marked) -> Iterator[Drive]:  # noqa: ARG001 - sets the mark before the driver starts
    """Start the driver; wait until it has printed `lines` lines."""
    started = []

    def start(lines: int, preload: str = "main", method: str = "fork") -> subprocess.Popen[str]:
        driver = subprocess.Popen([sys.executable, DRIVER, tmp_path, preload, method], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(driver)
        printed = [driver.stdout.readline().split()[0] for _ in range(lines)]
        assert printed[:2] == ["main", "submitted"]
        assert "main" not in printed[1:]
        return driver

    yield start
    for driver in started:
        driver.kill()
        driver.communicate()


LIMIT_SECONDS = float(os.environ.get("MLPIPE_TEST_LIMIT_SECONDS", "10"))
"""How long an ending may take. Steps linger for ten minutes, so this tells ending from waiting on a loaded machine too; on a quiet one it is run with 1."""


def await_start(marked: Marked, count: int) -> None:
    """Wait until so many processes can be seen: one that was just forked has no command line of its own yet."""
    end = time.monotonic() + 30
    while len(marked()) < count:
        assert time.monotonic() < end, [process.cmdline() for process in marked()]
        time.sleep(0.02)


def await_end(marked: Marked, seconds: float) -> list[str]:
    end = time.monotonic() + seconds
    while (left := marked()) and time.monotonic() < end:
        time.sleep(0.02)
    return [" ".join(process.cmdline()) for process in left if process.is_running()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_everything_at_once(drive: Drive, marked: Marked, method: str, number: signal.Signals) -> None:
    driver = drive(4, method=method)
    await_start(marked, 6)  # the driver, its server, two workers, two grandchildren
    start = time.monotonic()
    driver.send_signal(number)
    assert driver.wait(10) == 130
    assert time.monotonic() - start < LIMIT_SECONDS
    assert await_end(marked, LIMIT_SECONDS) == []
    assert driver.stderr.read() == ""


def test_kill_of_the_main_process_leaves_no_orphan(drive: Drive, marked: Marked, method: str) -> None:
    driver = drive(4, method=method)
    driver.kill()
    driver.wait()
    assert await_end(marked, LIMIT_SECONDS) == []


def test_kill_of_main_process_and_server_leaves_no_orphan(drive: Drive, marked: Marked, method: str) -> None:
    driver = drive(4, method=method)
    [server] = psutil.Process(driver.pid).children()
    driver.send_signal(signal.SIGSTOP)
    server.kill()
    driver.kill()
    driver.wait()
    assert await_end(marked, LIMIT_SECONDS) == []


def test_an_interrupt_while_frameworks_are_imported_ends_everything(drive: Drive, marked: Marked) -> None:
    driver = drive(2, preload="coremltools")
    time.sleep(0.4)
    driver.send_signal(signal.SIGINT)
    assert driver.wait(2) == 130
    assert await_end(marked, 0.5) == []


def test_kill_while_frameworks_are_imported_leaves_no_orphan(drive: Drive, marked: Marked) -> None:
    driver = drive(2, preload="coremltools")
    time.sleep(0.4)
    driver.kill()
    assert await_end(marked, LIMIT_SECONDS) == []


def test_ctrl_c_of_a_terminal_reaches_the_main_process_only(drive: Drive) -> None:
    driver = drive(4)
    groups = {os.getpgid(process.pid) for process in psutil.Process(driver.pid).children(recursive=True)}
    assert os.getpgid(driver.pid) not in groups
