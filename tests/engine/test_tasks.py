"""The order of tasks, and which of them a selection takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpipe.engine.task_spec import TaskSpec
from mlpipe.engine.tasks import ordered, selected
from mlpipe.errors import RecipeError


def graph(**needs: str) -> list[TaskSpec]:
    return [TaskSpec(name, "mlpipe.steps.step", {}, Path("/"), inputs={other: other for other in names}) for name, names in needs.items()]


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [(graph(a="", b="a", c="b"), "abc"), (graph(c="ab", b="a", a=""), "abc"), (graph(d="bc", c="a", b="a", a=""), "abcd"), (graph(b="", a=""), "ba")],
)
def test_order(tasks, expected):
    assert "".join(spec.name for spec in ordered(tasks)) == expected


def test_a_chain_of_ten_thousand_declared_in_reverse():
    tasks = [TaskSpec(str(n), "s", {}, Path("/"), inputs={"x": str(n + 1)} if n < 9999 else {}) for n in range(10000)]
    assert [spec.name for spec in ordered(tasks)] == [str(n) for n in reversed(range(10000))]


@pytest.mark.parametrize(("tasks", "message"), [(graph(a="b", b="a"), "circle"), (graph(a="a"), "circle"), (graph(a="x"), "does not exist")])
def test_wrong_graphs(tasks, message):
    with pytest.raises(ValueError, match=message):
        ordered(tasks)


def test_equal_names():
    with pytest.raises(ValueError, match="two tasks"):
        ordered([*graph(a=""), *graph(a="")])


@pytest.mark.parametrize(("patterns", "expected"), [(["b"], "ab"), (["*"], "abcd"), (["[bc]"], "abc"), (["a", "c"], "ac"), (["d"], "abcd")])
def test_a_selection_brings_what_it_reads(patterns, expected):
    assert "".join(spec.name for spec in selected(graph(a="", b="a", c="a", d="bc"), patterns)) == expected


def test_a_selection_of_nothing_is_a_mistake():
    with pytest.raises(RecipeError, match="no task matches 'x'"):
        selected(graph(a=""), ["x"])
