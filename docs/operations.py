"""The table of ML Program operations: what coremltools' registry has, and what the functions that lower them do, read from their own source.

Nothing here is a list that somebody has to keep: the nodes that an operation may take are counted along every path of its function, and what it
refuses are the errors that it raises.
"""

from __future__ import annotations

import ast
import inspect
import logging
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any

from mlpipe.runtime.emulation import CONTROL_FLOW, MOVING, How
from mlpipe.runtime.mlprogram import ops
from mlpipe.runtime.mlprogram.control_flow import WITH_BLOCKS
from mlpipe.runtime.mlprogram.op import OPS, VERSIONS, Build, Operation
from mlpipe.runtime.mlprogram.states import OPERANDS
from mlpipe.runtime.mlprogram.values import Tensor
from mlpipe.runtime.onnx_graph import Graph

EXPLANATION = """A section for each operator set, with the operations that it brought; a program's set has those of all earlier ones, and iOS26 those of iOS18.
*executed* is what an operation needs at most, over all its attribute values: `direct`, at most one kernel that computes; `composed`, several;
`loop`, a loop or branch of the graph; `random`, other numbers of the same distribution; `host`, before or after the graph runs. `mlpipe inspect` says
it for the operations of one model. *refused* is what is named and not executed, because it is not defined or because a size or input has to be known
before the model runs; left out are texts that no operator set has, and results that would not fit into memory."""

SEVERAL = 2
"""Stands for a number of nodes that depends on sizes."""


@dataclass
class Reading:
    """What a function may add to a graph."""

    nodes: int = 0
    """Computing nodes on the longest path."""
    loops: bool = False
    refusals: dict[str, None] = field(default_factory=dict)

    def join(self, other: Reading) -> int:
        """Take over what does not depend on the path; return the other's nodes."""
        self.loops |= other.loops
        self.refusals.update(other.refusals)
        return other.nodes


@dataclass
class Path:
    """Nodes added where a block goes on after it (None: it never does), and where it returns."""

    on: int | None
    back: int


_READ: dict[Callable[..., Any], Reading] = {}


def read(function: Callable[..., Any]) -> Reading:
    """Return what a function of mlpipe may add to a graph, and what it refuses."""
    if function not in _READ:
        _READ[function] = Reading()  # a recursive call adds nothing
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
        assert isinstance(tree, ast.FunctionDef)
        known = {**getattr(function, "__globals__", {}), **inspect.getclosurevars(function).nonlocals}
        _READ[function] = _Reader(known).function(tree)
        if function.__module__ == Graph.__module__:
            _READ[function].refusals.clear()  # what a graph refuses, values beyond any memory, is no operation's own
    return _READ[function]


class _Reader:
    def __init__(self, known: dict[str, Any]) -> None:
        self._known = known
        self._inner: dict[str, Reading] = {}
        self._found = Reading()

    def function(self, tree: ast.FunctionDef) -> Reading:
        path = self._block(tree.body)
        self._found.nodes = max(path.back, path.on or 0)
        return self._found

    def _block(self, statements: list[ast.stmt]) -> Path:
        nodes, back = 0, 0
        for statement in statements:
            path = self._statement(statement)
            back = max(back, nodes + path.back if path.back or path.on is None else 0)
            if path.on is None:
                return Path(None, back)
            nodes += path.on
        return Path(nodes, back)

    def _statement(self, statement: ast.stmt) -> Path:
        if isinstance(statement, ast.If):
            test = self._expression(statement.test)
            paths = [self._block(statement.body), self._block(statement.orelse)]
            going = [path.on for path in paths if path.on is not None]
            return Path(test + max(going) if going else None, test + max(path.back for path in paths))
        if isinstance(statement, ast.For | ast.While):
            head = self._expression(statement.iter if isinstance(statement, ast.For) else statement.test)
            body = self._block(statement.body)
            return Path(head + SEVERAL * (body.on or 0), head + SEVERAL * body.back)
        if isinstance(statement, ast.With):
            return self._block(statement.body)
        if isinstance(statement, ast.FunctionDef):
            self._inner[statement.name] = _Reader({**self._known, **self._inner}).function(statement)
            return Path(0, 0)
        if isinstance(statement, ast.Return):
            return Path(None, self._expression(statement.value) if statement.value else 0)
        if isinstance(statement, ast.Raise):
            self._refusal(statement)
            return Path(None, 0)
        return Path(sum(self._expression(child) for child in ast.iter_child_nodes(statement) if isinstance(child, ast.expr)), 0)

    def _refusal(self, statement: ast.Raise) -> None:
        call = statement.exc
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "UnsupportedLayerError":
            self._found.refusals[_text(call.args[0])] = None

    def _expression(self, node: ast.AST) -> int:
        if isinstance(node, ast.IfExp):
            return self._expression(node.test) + max(self._expression(node.body), self._expression(node.orelse))
        if isinstance(node, ast.ListComp | ast.GeneratorExp | ast.DictComp | ast.SetComp):
            return SEVERAL * sum(map(self._expression, ast.iter_child_nodes(node)))
        nodes = sum(map(self._expression, ast.iter_child_nodes(node)))
        if isinstance(node, ast.Call):
            nodes += self._call(node)
        return nodes

    def _call(self, call: ast.Call) -> int:
        if isinstance(call.func, ast.Attribute) and call.func.attr in ("add", "add_many") and call.args:
            return self._node(call.args[0])
        reading = self._reading(call.func)
        given = [self._reading(argument) for argument in call.args if isinstance(argument, ast.Name)]  # functions that are handed on
        return sum(self._found.join(found) for found in (reading, *given) if found is not None)

    def _node(self, op: ast.expr) -> int:
        name = self._known.get(op.id) if isinstance(op, ast.Name) else op.value if isinstance(op, ast.Constant) else None
        self._found.loops |= name in CONTROL_FLOW
        return 0 if name in MOVING else 1

    def _reading(self, called: ast.expr) -> Reading | None:
        if isinstance(called, ast.Name):
            found = self._inner.get(called.id) or self._known.get(called.id)
            return found if isinstance(found, Reading) else _own(found)
        if not isinstance(called, ast.Attribute):
            return None
        owner = self._known.get(called.value.id) if isinstance(called.value, ast.Name) else None
        if isinstance(owner, ModuleType):
            return _own(getattr(owner, called.attr, None))
        methods = (vars(kind).get(called.attr) for kind in (Build, Graph, Tensor))
        return next((reading for reading in map(_own, methods) if reading is not None), None)


def _own(found: Any) -> Reading | None:
    return read(found) if isinstance(found, FunctionType) and found.__module__.startswith("mlpipe.runtime") else None


def _text(message: ast.expr) -> str:
    """Return an error's text, with dots for what it fills in."""
    if isinstance(message, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "..." for part in message.values).removeprefix("... ")
    return str(message.value) if isinstance(message, ast.Constant) else "..."


def how(name: str, entry: Operation | None) -> How:
    """Return how an operation is executed at most: for some attribute values it may be less."""
    if name in {"const", "classify"} or name.startswith("constexpr_"):
        return How.HOST
    if name in WITH_BLOCKS:
        return How.LOOP
    if name.startswith("random"):
        return How.RANDOM
    if entry is None:
        return How.DIRECT  # states: values that go in and come out
    reading = read(entry.function)
    return How.LOOP if reading.loops else How.COMPOSED if reading.nodes > 1 else How.DIRECT


def executed() -> set[str]:
    """Return the names of all operations that the runtime has."""
    ops.load()
    return {*OPS.names(), *WITH_BLOCKS, *OPERANDS}


def registry() -> dict[str, dict[str, Any]]:
    """Return coremltools' operations: name -> the operator set that brought a definition -> its class, oldest first."""
    blocked = [name for name in ("tensorflow", "torch") if name not in sys.modules]
    sys.modules.update(dict.fromkeys(blocked))  # type: ignore[arg-type]
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry
    finally:
        logging.disable(logging.NOTSET)
        for name in blocked:
            del sys.modules[name]
    found: dict[str, dict[str, Any]] = {}
    dialect = {name: versions for name, versions in SSAOpRegistry.dialect_ops.items() if name.startswith("coreml_")}
    for name, versions in {**SSAOpRegistry.core_ops, **dialect}.items():
        if name.startswith("_"):
            continue
        definitions: dict[str, Any] = {}
        for target, definition in versions.items() if isinstance(versions, dict) else [("iOS18", versions)]:
            if definition not in definitions.values():
                definitions[getattr(target, "name", str(target))] = definition
        found[name] = definitions
    return found


def everything() -> dict[str, dict[str, Any]]:
    """Return every operation of the registry, and those that the runtime has and the registry does not."""
    known = registry()
    return known | {name: {"iOS18": None} for name in sorted(executed() - set(known))}


def table() -> Iterator[str]:
    """Yield the lines of the table, a section for each operator set."""
    known = everything()
    by_set: dict[str, list[str]] = {version: [] for version in VERSIONS}
    for name, definitions in known.items():
        by_set[next(iter(definitions))].append(name)
    for version, names in by_set.items():
        if not names:
            continue
        yield from ("", f"### {version} ({len(names)})", "", "| operation | redefined in | executed | refused |", "|---|---|---|---|")
        for name in sorted(names):
            yield _row(name, known[name])


def _row(name: str, definitions: dict[str, Any]) -> str:
    first, *later = definitions
    ways: dict[str, str] = {}
    refusals: dict[str, None] = {}
    for version in VERSIONS[VERSIONS.index(first) :]:
        entry = OPS.find(name, version)
        way = "no" if how(name, None) is How.DIRECT and entry is None and name not in OPERANDS else str(how(name, entry))
        if not ways or list(ways.values())[-1] != way:
            ways[version] = way
        if entry is not None:
            refusals.update(read(entry.function).refusals)
            refusals.update(dict.fromkeys(_must_be_constant(entry, definitions, version)))
    executed_as = "; ".join(way if version == first else f"from {version} {way}" for version, way in ways.items())
    told = [text.replace("|", "/") for text in refusals if not text.endswith(("is not known", "are not known"))]
    return f"| `{name}` | {', '.join(later)} | {executed_as} | {'; '.join(told)} |"


def _must_be_constant(entry: Operation, definitions: dict[str, Any], version: str) -> Iterator[str]:
    """Yield the inputs that a program may compute and the runtime wants constant."""
    fitting = [definition for since, definition in definitions.items() if VERSIONS.index(since) <= VERSIONS.index(version)]
    if not fitting or fitting[-1] is None:
        return
    for name, kind in fitting[-1].input_spec.input_types.items():
        if name in entry.hints and not kind.const and "Tensor" not in str(entry.hints[name]):
            yield f"`{name}` that is not constant"
