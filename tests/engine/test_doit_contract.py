"""Everything of doit that the engine leans on, so that another version of doit cannot change it in silence."""

from __future__ import annotations

from collections import deque

import pytest
from doit.control import TaskControl
from doit.dependency import Dependency
from doit.exceptions import TaskFailed
from doit.runner import Runner
from doit.task import Task

from mlpipe.engine.run import _DoitReporter
from mlpipe.engine.state import State, TaskTable


@pytest.fixture
def table():
    return TaskTable(State(None))


@pytest.fixture
def dependency(table):
    return Dependency(lambda _name, **_options: table, "")


def graph(verdicts, *names):
    def uptodate(task, values):
        verdicts.append((task.name, values))
        return bool(values)

    return [Task(name, None, task_dep=list(needs), uptodate=[uptodate]) for name, needs in names]


def test_the_dispatcher_holds_on_while_everything_waits_for_a_running_task(dependency):
    control = TaskControl(graph([], ("a", ""), ("b", ""), ("c", "ab")))
    control.process(None)
    dispatcher = control.task_dispatcher()
    runner = Runner(dependency, _DoitReporter(), continue_=True)
    sent = deque()
    order = []
    for _ in range(2):
        node = dispatcher.generator.send(None)
        assert runner.select_task(node, dispatcher.tasks)
        sent.append(node)
    assert dispatcher.generator.send(None) == "hold on"
    for node in sent:
        node.task.values = {"made": node.task.name}
        runner.process_task_result(node, None)
        order.append(dispatcher.generator.send(node))
    assert order[0] == "hold on"
    assert order[1].task.name == "c"
    assert order[1].bad_deps == []


def test_values_of_both_kinds_of_good_tasks_are_there_before_dependents_are_asked(dependency):
    dependency.backend.set("a", "_values_:", {"n": 1})
    verdicts = []
    control = TaskControl(graph(verdicts, ("a", ""), ("b", "a")))
    control.process(None)
    dispatcher = control.task_dispatcher()
    runner = Runner(dependency, _DoitReporter(), continue_=True)
    node = dispatcher.generator.send(None)
    assert not runner.select_task(node, dispatcher.tasks)
    assert node.run_status == "up-to-date"
    assert node.task.values == {"n": 1}
    following = dispatcher.generator.send(node)
    assert runner.select_task(following, dispatcher.tasks)
    assert verdicts == [("a", {"n": 1}), ("b", {})]
    with pytest.raises(StopIteration):
        dispatcher.generator.send(following)


def test_success_is_saved_by_the_backend_and_failure_forgets_it(dependency, table):
    control = TaskControl(graph([], ("a", ""), ("b", "a")))
    control.process(None)
    dispatcher = control.task_dispatcher()
    runner = Runner(dependency, _DoitReporter(), continue_=True)
    node = dispatcher.generator.send(None)
    runner.select_task(node, dispatcher.tasks)
    node.task.values = {"n": 2}
    runner.process_task_result(node, None)
    assert node.run_status == "successful"
    assert dependency.get_values("a") == {"n": 2}
    runner.process_task_result(node, TaskFailed("no"))
    assert node.run_status == "failure"
    assert not table.in_("a")
    following = dispatcher.generator.send(node)
    assert [bad.task.name for bad in following.bad_deps] == ["a"]
    assert not runner.select_task(following, dispatcher.tasks)
    assert following.run_status == "failure"


def test_a_failure_stops_a_runner_that_does_not_continue(dependency):
    runner = Runner(dependency, _DoitReporter(), continue_=False)
    control = TaskControl(graph([], ("a", "")))
    control.process(None)
    node = control.task_dispatcher().generator.send(None)
    assert runner._stop_running is False
    runner.process_task_result(node, TaskFailed("no"))
    assert runner._stop_running is True


def test_the_dependency_uses_no_more_of_its_backend(dependency, table):
    public = {name for name in dir(table) if not name.startswith("_")} - {"state"}
    assert public == {"get", "set", "in_", "remove", "remove_all", "dump", "name"}
    dependency.close()


def test_stdout_is_left_alone(capsys):
    """doit's PythonAction swaps sys.stdout; a task without actions does not use it."""
    task = Task("a", None, uptodate=[True])
    assert task.actions == []
    assert capsys.readouterr().out == ""
