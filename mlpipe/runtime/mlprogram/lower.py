"""An ML Program as a graph, straight from its protobuf."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mlpipe.errors import MlpipeError, ModelFileInvalid, NotExecutable
from mlpipe.model_files.read import ModelFile
from mlpipe.model_files.size import size_bytes
from mlpipe.runtime.features import Feature, Interface, interface
from mlpipe.runtime.graph_walk import reads
from mlpipe.runtime.lowered import Classifier, Lowered, Unsupported, UnsupportedLayerError, why_not
from mlpipe.runtime.mlprogram import ops
from mlpipe.runtime.mlprogram.constants import Constants
from mlpipe.runtime.mlprogram.control_flow import WITH_BLOCKS
from mlpipe.runtime.mlprogram.interface import add_input, classifier, declared_classifier, limits, names_of_outputs
from mlpipe.runtime.mlprogram.layer_values import layer_values
from mlpipe.runtime.mlprogram.op import OPS, Binding, Build, Operation, bind
from mlpipe.runtime.mlprogram.states import OPERANDS, VALUES, add_state, use_state, written_states
from mlpipe.runtime.mlprogram.values import STORAGE, Constant, State, Tensor, TensorType, agree, declared_type
from mlpipe.runtime.onnx_graph import Graph
from mlpipe.runtime.precision import Precision, round_to_half

OPSETS = {"CoreML5": "iOS15", "CoreML6": "iOS16", "CoreML7": "iOS17", "CoreML8": "iOS18", "CoreML9": "iOS26"}
"""Names of operator sets in files -> the system that brought them."""


def lower_program(file: ModelFile, precision: Precision, function_name: str | None = None) -> tuple[Lowered | None, list[Unsupported]]:
    """Return a function of the program, the default one where none is named, as a graph, or None, and every operation that cannot be executed.

    Errors: ModelFileInvalid for damaged weights; NotExecutable for an operator set or an interface that is not known.
    """
    ops.load()
    described = interface(file.spec, function_name)
    if described.function not in file.spec.mlProgram.functions:
        raise NotExecutable(f"the program has no function {described.function!r}", where=str(file.path))
    function = file.spec.mlProgram.functions[described.function]
    if function.opset not in OPSETS:
        raise NotExecutable(f"operator set {function.opset!r} is not known", where=str(file.path), fix=f"known are {', '.join(OPSETS)}")
    if function.opset not in function.block_specializations:
        known = ", ".join(sorted(function.block_specializations))
        raise ModelFileInvalid(f"the program has no block for its operator set {function.opset!r}", where=str(file.path), why=f"its blocks are for {known}")
    lowering = _Lowering(OPSETS[function.opset], precision, file.weights_folder)
    lowering.add_inputs(function, {feature.name: feature for feature in (*described.inputs, *described.states)})
    lowering.limit_sizes(size_bytes(file.path), [feature.name for feature in described.inputs if not feature.optional])
    block = function.block_specializations[function.opset]
    for operation in block.operations:
        lowering.add(operation)
    if lowering.missing:
        return None, list(dict.fromkeys(lowering.missing))
    return lowering.finish(described, function.inputs, block.operations), []


class _Lowering:
    """The state of one walk over a function's operations."""

    def __init__(self, version: str, precision: Precision, weights: Path | None) -> None:
        self.graph = Graph()
        self.missing: list[Unsupported] = []
        self._version = version
        self._precision = precision
        self._constants = Constants(weights)
        self._values: dict[str, Binding] = {}
        self._tensors: dict[int, tuple[Constant, Tensor]] = {}
        self.states: dict[str, Tensor] = {}
        self._classifier: Classifier | None = None

    def add_inputs(self, function: Any, features: dict[str, Feature]) -> None:
        """Declare the function's inputs as graph inputs of the features' sizes."""
        for given in function.inputs:
            try:
                if given.type.WhichOneof("type") == "stateType":
                    self.states[given.name] = add_state(self.graph, given.name, given.type, features.get(given.name))
                    self._values[given.name] = State(given.name)
                else:
                    self._values[given.name] = add_input(self.graph, given, features.get(given.name), self._precision)
            except Exception as error:  # noqa: BLE001 - as in `add`
                self.missing.append(Unsupported("input", given.name, why_not(error)))

    def limit_sizes(self, model_bytes: int, fed: Sequence[str]) -> None:
        """Set how large values may be; what nobody feeds, states and defaults, is made by the runtime and must be small enough too."""
        self.graph.allow_for(model_bytes, fed)
        for name in self.graph.inputs:
            try:
                if name not in fed:
                    self.graph.check_size(self.graph.shape(name), self.graph.dtype(name))
            except UnsupportedLayerError as error:
                self.missing.append(Unsupported("input", name, error.why))

    def add(self, operation: Any) -> None:
        """Lower one operation; one that cannot be is noted, and its outputs stand in as inputs of their declared types."""
        name = operation.outputs[0].name if operation.outputs else _own_name(operation)
        try:
            with self.graph.made_for(operation.type, name):
                self._add(operation)
        except MlpipeError:
            raise
        except Exception as error:  # noqa: BLE001 - what a damaged program can make of its parameters has no end
            self.missing.append(Unsupported(operation.type, name, why_not(error)))
            for output in operation.outputs:
                self._stand_in(output)

    def _add(self, operation: Any) -> None:
        if operation.type == "const":
            self._values[operation.outputs[0].name] = self._constants.constant(operation.attributes["val"])
        elif operation.type.startswith("constexpr_"):
            self._values.update(self._constants.expanded(operation, self._arguments(operation)))
        elif operation.type == "classify":
            arguments = self._arguments(operation)
            self._classifier = classifier(self.graph, operation, arguments, self.tensor(arguments["probabilities"][0]))
        elif operation.type in OPERANDS:
            self._use_state(operation)
        else:
            self._lower(operation)

    def _arguments(self, operation: Any) -> dict[str, list[Binding]]:
        arguments: dict[str, list[Binding]] = {}
        for name, argument in operation.inputs.items():
            bindings = argument.arguments
            arguments[name] = [self._constants.constant(each.value) if each.WhichOneof("binding") == "value" else self._named(each.name) for each in bindings]
        return arguments

    def _named(self, name: str) -> Binding:
        if name not in self._values:
            raise UnsupportedLayerError(f"it reads {name!r}, which the runtime has no value of")
        return self._values[name]

    def _use_state(self, operation: Any) -> None:
        arguments = self._arguments(operation)
        parameter = VALUES.get(operation.type)
        value = None if parameter is None else self.tensor(arguments[parameter][0])
        held = use_state(self.graph, operation.type, arguments, self.states, value)
        for output in operation.outputs:
            self._values[output.name] = self._result(held.name, declared_type(output.type), keeps_grid=True)

    def _lower(self, operation: Any) -> None:
        entry = OPS.find(operation.type, self._version)
        with_blocks = WITH_BLOCKS.get(operation.type)
        if entry is None and with_blocks is None:
            raise UnsupportedLayerError("the runtime does not have this operation")
        declared = tuple(declared_type(output.type) for output in operation.outputs)
        for each in declared:
            if each.dtype not in STORAGE:
                raise UnsupportedLayerError(f"results of type {each.dtype} are not supported")
            self.graph.check_size(each.shape, STORAGE[each.dtype])
        arguments = self._arguments(operation)
        if entry is not None:
            names = self._call(entry, arguments, declared)
            results = [self._result(name, each, entry.keeps_grid) for name, each in zip(names, declared, strict=True)]
        elif with_blocks is not None:
            # Each was held against what its own operation declares; what this one declares may be the sizes of one of several blocks.
            results = with_blocks(self, operation, arguments)
        self._values.update({output.name: result for output, result in zip(operation.outputs, results, strict=True)})

    def block(self, block: Any, graph: Graph, inputs: list[Tensor], states: dict[str, Tensor]) -> list[Tensor]:
        """Lower a block into a graph, its inputs bound to these values, and return its results; `states` is left as the block leaves it."""
        outer = self.graph, self._values, self.states
        self.graph, self.states = graph, states
        self._values = {**self._values, **{given.name: value for given, value in zip(block.inputs, inputs, strict=True)}}
        try:
            for operation in block.operations:
                self.add(operation)
            return [self.tensor(self._named(name)) for name in block.outputs]
        finally:
            self.graph, self._values, self.states = outer

    def written_states(self, blocks: Iterable[Any]) -> list[str]:
        """Return the names of the states that these blocks may change."""
        return written_states(blocks, self._values)

    def _call(self, entry: Operation, arguments: dict[str, list[Binding]], declared: tuple[TensorType, ...]) -> list[str]:
        from onnx.shape_inference import InferenceError

        bound = bind(entry, arguments, self.tensor)
        try:
            results = entry.function(Build(self.graph, declared), **bound)
        except InferenceError as error:
            raise UnsupportedLayerError(f"its inputs do not fit each other: {error}") from error
        return [results] if isinstance(results, str) else results

    def _result(self, name: str, declared: TensorType, keeps_grid: bool) -> Tensor:
        """Hold what was built against what the program declares: a difference is a mistake that would give wrong numbers."""
        name = self.graph.cast(name, STORAGE[declared.dtype])
        known = self.graph.type_of(name)
        found = known.shape if known else None
        if found is not None and declared.shape is not None:
            if not agree(found, declared.shape):
                raise UnsupportedLayerError(f"the runtime computes the shape {list(found)} where the program declares {list(declared.shape)}")
            found = tuple(theirs if ours is None else ours for ours, theirs in zip(found, declared.shape, strict=True))
        shape = declared.shape if found is None else found
        if shape is None:
            raise UnsupportedLayerError("a result whose rank varies is not supported")
        self.graph.set_type(name, STORAGE[declared.dtype], shape)
        if declared.dtype == "fp16" and not keeps_grid:
            name = round_to_half(self.graph, name, self._precision)
        return Tensor(name, declared.dtype, shape, self.graph.value_of(name))

    def tensor(self, value: Binding) -> Tensor:
        """Return a value of the graph; a constant enters it when it is first asked for."""
        if isinstance(value, Tensor):
            return value
        if isinstance(value, State):
            raise UnsupportedLayerError(f"it takes the state {value.name!r} for a value")
        if id(value) not in self._tensors:
            if value.dtype not in STORAGE:
                raise UnsupportedLayerError(f"a constant of type {value.dtype} is not supported as a tensor")
            array = value.array.astype(STORAGE[value.dtype], copy=False)
            self._tensors[id(value)] = value, Tensor(self.graph.constant(array), value.dtype, array.shape, array)
        return self._tensors[id(value)][1]

    def _stand_in(self, output: Any) -> None:
        """Let the operations after one that cannot be lowered be checked too."""
        try:
            declared = declared_type(output.type)
        except UnsupportedLayerError:
            return
        if declared.dtype in STORAGE and declared.shape is not None:
            name = self.graph.add_input(self.graph.name("missing"), STORAGE[declared.dtype], declared.shape)
            self._values[output.name] = Tensor(name, declared.dtype, declared.shape)

    def finish(self, described: Interface, inputs: Sequence[Any], operations: Sequence[Any]) -> Lowered:
        """Name the outputs and return the whole."""
        made = declared_classifier(described, self._classifier)
        for name in names_of_outputs(described, made):
            if name not in self._values:
                raise ModelFileInvalid("the model does not fit its program", why=f"nothing in the program makes the output {name!r}")
            self.graph.outputs[name] = self.tensor(self._values[name]).name
        # No name in a program has a blank in it: these cannot be the name of a feature.
        states = {name: f"{name} afterwards" for name, held in self.states.items() if held.name != name}
        self.graph.outputs.update({output: self.states[name].name for name, output in states.items()})
        # What operations have made other constants of is not held beside them.
        read = {*self.graph.outputs.values(), *(name for node in self.graph.nodes for name in reads(node))}
        self.graph.constants = {name: value for name, value in self.graph.constants.items() if name in read}
        values = tuple(layer_values(inputs, operations, self._values))
        return Lowered(self.graph, made, states, values, limits(described.inputs, inputs))


def _own_name(operation: Any) -> str:
    """Return the name of an operation that makes nothing."""
    names = operation.attributes["name"].immediateValue.tensor.strings.values if "name" in operation.attributes else ()
    return str(names[0]) if names else ""
