"""The pytest plugin: `pytest -p oracle.plugin --pyargs coremltools... --results FILE`.

Each test is seeded from its own id, so that a shard gives what the whole gives. Results are appended line by line: a run that is ended goes on where
it stopped, and a test that took the process down is known by its start without an end.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oracle import classic_suites, no_network, numpy_names, pretend_macos
from oracle.absent import hide
from oracle.identity import backend_name, in_shard, readable, sample, seed, test_id, without_addresses
from oracle.outcome import FAILURES, outcome_of
from oracle.record import RECORD
from oracle.results import read_results

no_network.install()
numpy_names.install()
classic_suites.install()
pretend_macos.install()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mlpipe")
    group.addoption("--results", type=Path, required=True, help="JSON lines, appended; tests that stand there are not run again")
    group.addoption("--shard", default="0/1", help="i/n: the tests whose id's hash is i modulo n")
    group.addoption("--backend", default="all", choices=("all", "mlprogram", "neuralnetwork"))
    group.addoption("--precision", default="float32", choices=("float32", "float16"))
    group.addoption("--each", type=int, help="at most so many of every test function, chosen by their ids' hashes: a sample that leaves none out")
    group.addoption("--without", action="append", default=[], help="a package that counts as not installed")
    group.addoption("--retry", action="store_true", help="run tests again whose last result is a failure")


def pytest_configure(config: pytest.Config) -> None:
    RECORD.precision = config.getoption("--precision")
    hide(config.getoption("--without"))
    config.pluginmanager.register(_Results(config.getoption("--results"), retry=config.getoption("--retry")), "mlpipe-results")


@pytest.hookimpl(tryfirst=True)
def pytest_make_parametrize_id(val: Any, argname: str) -> str:
    """Name parameters as the suite's own hook does, but for addresses in memory: an id is the same in every run."""
    return f"{argname}={readable(val) or without_addresses(str(val))}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    results: _Results = config.pluginmanager.get_plugin("mlpipe-results")
    shard, backend = config.getoption("--shard"), config.getoption("--backend")
    fitting = (item for item in items if backend in ("all", backend_name(item)))
    everything = list(fitting)
    results.note_collected(len(everything))
    chosen = [item for item in everything if in_shard(test_id(item), shard)]
    if config.getoption("--each") is not None:
        chosen = sample(chosen, config.getoption("--each"))
    items[:] = [item for item in chosen if test_id(item) not in results.done]


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays: coremltools calls it in every conversion, and it took half of the time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run coroutines: the suite relies on a plugin that does."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}))
    return True


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Call the `setup` of a test class, and its `teardown` afterwards: pytest did until version 8, and the suite relies on it."""
    outcome = yield
    instance = getattr(item, "instance", None)
    if outcome.exception is None and hasattr(instance, "setup"):
        instance.setup()
        if hasattr(instance, "teardown"):
            item.addfinalizer(instance.teardown)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    _seed(seed(test_id(item)))
    yield


def _seed(number: int) -> None:
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002 - the suite draws from numpy's global generator
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(number)
    if "tensorflow" in sys.modules:
        sys.modules["tensorflow"].random.set_seed(number)


class _Results:
    """Writes one line when a test starts and one when it has ended."""

    def __init__(self, file: Path, *, retry: bool) -> None:
        self._file = file
        self.done = {name for name, result in read_results([file]).items() if not (retry and result["outcome"] in FAILURES)}
        self._reports: list[pytest.TestReport] = []

    def _write(self, line: dict[str, Any]) -> None:
        with self._file.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def note_collected(self, count: int) -> None:
        """Note how many tests the suite has in all shards together."""
        self._write({"collected": count})

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        name = test_id(item)
        self._write({"test": name, "started": True})
        RECORD.clear(name)
        self._reports = []
        yield
        self._write({"test": name, "backend": backend_name(item), **outcome_of(self._reports, RECORD)})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._reports.append(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        name = test_id(report)
        if report.outcome == "passed" or name in self.done:
            return
        outcome = "not collected"
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr).strip().splitlines()[-1]
        self._write({"test": name, "backend": "all", "outcome": outcome, "reason": str(reason), "predict_calls": 0})
