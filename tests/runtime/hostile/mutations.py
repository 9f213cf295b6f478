"""Ways to damage a package: its protobuf as a structure, its bytes, its manifest, its weights. Every change follows from a seed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from mlpipe.model_files.protobuf import model_pb2

MODEL = "Data/com.apple.CoreML/model.mlmodel"
ALONE = "model.mlmodel"
"""What a model that is no package is called."""

WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"
MANIFEST = "Manifest.json"

Files = dict[str, bytes]
"""The files of a package by path; of a model that is none, `ALONE`."""

Change = Callable[["Mutator", Any], None]
"""A way to change a model's protobuf."""

WHOLE = [0, 1, 2, 3, 7, 100, -1, -2, 10**5, 10**9, 2**31 - 1, 2**31, 2**32 + 1, 2**40, 2**62, 2**63 - 1, 2**64 - 1, -(2**31), -(2**63)]
REAL = [0.0, -0.0, 1.0, -1.0, 0.5, 1e9, 1e38, 3.5e38, -1e38, 1e-45, float("inf"), float("-inf"), float("nan")]
WORDS = ["", "x", "main", "../../../etc/passwd", "@model_path/weights/../weight.bin", "@model_path/weights/other.bin", "same", "\u0000", "z" * 5000]


class Mutator:
    """Damages one package, a little, in a way that its seed says."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.said: list[str] = []

    def choose(self, things: Any) -> Any:
        """Return one of several things."""
        things = list(things)
        return things[int(self.random.integers(len(things)))]

    def say(self, what: str) -> None:
        """Note what was changed."""
        self.said.append(what[:200])

    def damage(self, files: Files, changes: list[Change]) -> Files:
        """Return the package with a few changes: three of four times in the structure of its protobuf."""
        files = dict(files)
        in_package = [self._manifest, self._weights, self._weights] if MANIFEST in files else []
        if self.random.random() < 0.25:
            self.choose([self._truncate, self._flip, self._flip, *in_package])(files)
            return files
        model = protobuf_of(files)
        spec = model_pb2().Model.FromString(files[model])
        for _ in range(self.choose([1, 1, 1, 2, 4])):
            if ALONE in files or _operations(spec):  # nothing is left to damage where the program itself went
                self._change(self.choose(changes), spec)
        files[model] = spec.SerializeToString(deterministic=True)
        return files

    def _change(self, change: Change, spec: Any) -> None:
        try:
            change(self, spec)
        except DecodeError:
            self.say("it is as deep as protobuf reads")

    def _truncate(self, files: Files) -> None:
        name = self.choose(files)
        length = int(self.random.integers(len(files[name]) + 1))
        self.say(f"{name} cut to {length} bytes")
        files[name] = files[name][:length]

    def _flip(self, files: Files) -> None:
        name = self.choose([protobuf_of(files), protobuf_of(files), *files])
        data = bytearray(files[name])
        for _ in range(self.choose([1, 3, 30])):
            place = int(self.random.integers(len(data)))
            data[place] ^= 1 << int(self.random.integers(8))
        self.say(f"bits of {name} flipped")
        files[name] = bytes(data)

    def _weights(self, files: Files) -> None:
        """Damage the records of the weight file: every constant has one of 64 bytes, with its type, size and place."""
        if WEIGHTS not in files:
            return self._flip(files)
        if self.random.random() < 0.2:
            self.say("no weight file")
            del files[WEIGHTS]
            return None
        data = bytearray(files[WEIGHTS])
        records = [place for place in range(64, len(data) - 63, 64) if data[place : place + 4] == b"\xef\xbe\xad\xde"]
        place, field = self.choose(records), self.choose([(4, 4), (8, 8), (8, 8), (16, 8), (16, 8)])
        value = self.choose(WHOLE) % 2 ** (8 * field[1])
        data[place + field[0] : place + sum(field)] = value.to_bytes(field[1], "little")
        self.say(f"weight record at {place}: {value} in field {field}")
        files[WEIGHTS] = bytes(data)
        return None

    def _manifest(self, files: Files) -> None:
        content = json.loads(files[MANIFEST])
        entries = content["itemInfoEntries"]
        entry = self.choose(entries.values())
        key = self.choose([*entry, "path", "path"])
        damages: list[Callable[[], Any]] = [
            lambda: entry.update({key: self.choose([*WORDS, None, 3, [], {}, entry])}) if self.random.random() < 0.8 else entry.pop(key),
            lambda: content.update({self.choose(content): self.choose([*WORDS, None, 3, [], {}, [[]]])}),
            lambda: content.pop(self.choose(content)),
            lambda: entries.pop(self.choose(entries)),
            lambda: entries.update({self.choose(entries): self.choose([None, 3, "x", [], {}])}),
        ]
        self.choose(damages)()
        try:
            files[MANIFEST] = json.dumps(content).encode()
        except ValueError:  # it holds itself
            files[MANIFEST] = b'{"itemInfoEntries": ' * 5000
        self.say(f"manifest: {files[MANIFEST][:150]!r}")


def protobuf_of(files: Files) -> str:
    """Return which of the files the model's protobuf is."""
    return ALONE if ALONE in files else MODEL


def messages(message: Any) -> Iterator[Any]:
    """Yield a message and every message inside it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if _is_map(field):
            held = field.message_type.fields_by_name["value"].message_type is not None
            values = [value[key] for key in sorted(value)] if held else []  # maps have another order in every process
        else:
            values = value if field.is_repeated else [value]
        for inner in values:
            yield from messages(inner)


def _is_map(field: Any) -> bool:
    return bool(field.message_type is not None and field.message_type.GetOptions().map_entry)


def change_anything(mutator: Mutator, spec: Any) -> None:
    """Change a field of a message, whichever it is."""
    message = mutator.choose(messages(spec))
    fields = [field for field, _ in message.ListFields()]
    field = mutator.choose(fields if fields and mutator.random.random() < 0.8 else message.DESCRIPTOR.fields or fields or [None])
    if field is None:
        return
    value = getattr(message, field.name)
    mutator.say(f"{message.DESCRIPTOR.name}.{field.name} changed")
    if _is_map(field):
        if value:
            key = mutator.choose(sorted(value))
            if mutator.random.random() < 0.5 and field.message_type.fields_by_name["value"].message_type is not None:
                value[mutator.choose(["other", *sorted(value)])].CopyFrom(value[key])
            else:
                del value[key]
    elif field.is_repeated:
        _change_list(mutator, field, value)
    elif field.message_type is not None:
        message.ClearField(field.name)
    else:
        setattr(message, field.name, any_value(mutator, field))


def _change_list(mutator: Mutator, field: Any, values: Any) -> None:
    if not values:
        values.add() if field.message_type is not None else values.append(any_value(mutator, field))
        return
    place = int(mutator.random.integers(len(values)))
    kind = mutator.choose(["drop", "double", "swap", "change"])
    if kind == "drop":
        del values[place]
    elif kind == "double":
        values.append(values[place])
    elif kind == "swap" and field.message_type is not None:
        other = int(mutator.random.integers(len(values)))
        first, second = type(values[place])(), type(values[place])()
        first.CopyFrom(values[place])
        second.CopyFrom(values[other])
        values[place].CopyFrom(second)
        values[other].CopyFrom(first)
    elif field.message_type is None:
        values[place] = any_value(mutator, field)


def any_value(mutator: Mutator, field: Any) -> Any:
    """Return a value that the field can hold, at the edge of what it can mean."""
    kind = field.cpp_type
    if kind == field.CPPTYPE_STRING:
        word = mutator.choose(WORDS)
        return word.encode() if field.type == field.TYPE_BYTES else word
    if kind in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return mutator.choose(REAL)
    if kind == field.CPPTYPE_BOOL:
        return bool(mutator.random.integers(2))
    if kind == field.CPPTYPE_ENUM:
        return mutator.choose([*field.enum_type.values_by_number, 77])
    bits = 64 if kind in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64) else 32
    signed = kind in (field.CPPTYPE_INT64, field.CPPTYPE_INT32)
    value = mutator.choose(WHOLE) % 2**bits
    return value - 2**bits if signed and value >= 2 ** (bits - 1) else value


def _operations(spec: Any) -> list[Any]:
    return [message for message in messages(spec) if message.DESCRIPTOR.name == "Operation"]


def _values(spec: Any) -> list[Any]:
    return [message for message in messages(spec) if message.DESCRIPTOR.full_name.endswith("MILSpec.Value") and message.HasField("type")]


def _tensor_types(spec: Any) -> list[Any]:
    return [message for message in messages(spec) if message.DESCRIPTOR.name == "TensorType"]


def _change_constant(mutator: Mutator, spec: Any) -> None:
    """Put other numbers into a constant: amounts, sizes, axes, strides, pads, indices."""
    small = [value for value in _values(spec) if value.WhichOneof("value") == "immediateValue" and value.immediateValue.WhichOneof("value") == "tensor"]
    if not small:
        return
    value = mutator.choose(small)
    which = value.immediateValue.tensor.WhichOneof("value")
    if which is None:
        return
    held = getattr(value.immediateValue.tensor, which)
    mutator.say(f"constant {which} {str(held.values)[:40]} changed")
    if which == "bytes":
        held.values = bytes(mutator.random.integers(0, 256, mutator.choose([0, 1, len(held.values), len(held.values)])).astype(np.uint8))
        return
    field = held.DESCRIPTOR.fields_by_name["values"]
    if held.values and mutator.random.random() < 0.8:
        held.values[int(mutator.random.integers(len(held.values)))] = any_value(mutator, field)
    else:
        _change_list(mutator, field, held.values)


def _change_shape(mutator: Mutator, spec: Any) -> None:
    """Declare another shape or type."""
    tensor = mutator.choose(_tensor_types(spec) or [model_pb2().Model().mlProgram.functions["main"].inputs.add().type.tensorType])
    kind = mutator.choose(["size", "size", "size", "rank", "add", "drop", "type", "unknown"])
    mutator.say(f"declared {kind} changed")
    if kind == "type":
        tensor.dataType = mutator.choose([0, 1, 2, 10, 11, 12, 13, 21, 23, 24, 25, 31, 32, 37, 41, 999])
    elif kind == "rank":
        tensor.rank = mutator.choose([-1, 0, 1, 5, 2**62])
    elif kind == "add" or not tensor.dimensions:
        tensor.dimensions.add().constant.size = mutator.choose([0, 1, 2, 10**9, 2**64 - 1])
        tensor.rank = len(tensor.dimensions)
    elif kind == "drop":
        del tensor.dimensions[int(mutator.random.integers(len(tensor.dimensions)))]
        tensor.rank = len(tensor.dimensions)
    elif kind == "unknown":
        mutator.choose(tensor.dimensions).unknown.variadic = bool(mutator.random.integers(2))
    else:
        mutator.choose(tensor.dimensions).constant.size = mutator.choose([0, 1, 2, 3, 10**5, 10**9, 2**31, 2**40, 2**63 - 1, 2**64 - 1])


def _scale_together(mutator: Mutator, spec: Any) -> None:
    """Make an amount and every size that may follow from it huge together, so that the file agrees with itself."""
    small = [value for value in _values(spec) if value.immediateValue.tensor.WhichOneof("value") == "ints" and value.immediateValue.tensor.ints.values]
    if not small:
        return
    held = mutator.choose(small).immediateValue.tensor.ints.values
    place, amount = int(mutator.random.integers(len(held))), mutator.choose([1000, 10**5, 10**7, 10**9, 2**31 - 1])
    mutator.say(f"{held[place]} becomes {amount}, shapes left open")
    held[place] = amount
    for operation in _operations(spec):
        for output in operation.outputs:
            if operation.type != "const" and output.type.WhichOneof("type") == "tensorType":
                for dimension in output.type.tensorType.dimensions:
                    dimension.unknown.variadic = False


def _rewire(mutator: Mutator, spec: Any) -> None:
    """Let an operation read another value: a later one, its own, one of another type, none."""
    names = [output.name for operation in _operations(spec) for output in operation.outputs]
    bindings = [message for message in messages(spec) if message.DESCRIPTOR.name == "Binding" and message.WhichOneof("binding") == "name"]
    if not bindings:
        return
    binding = mutator.choose(bindings)
    name = mutator.choose([*names, "x", "nothing", ""])
    mutator.say(f"reads {name!r} instead of {binding.name!r}")
    binding.name = name


def _rename(mutator: Mutator, spec: Any) -> None:
    """Give a value the name of another, or none."""
    outputs = [output for operation in _operations(spec) for output in operation.outputs]
    if not outputs:
        return
    output, other = mutator.choose(outputs), mutator.choose(outputs)
    name = mutator.choose([other.name, other.name, "", "x", "with blank", "é"])
    mutator.say(f"{output.name!r} renamed to {name!r}")
    output.name = name


def _retype(mutator: Mutator, spec: Any) -> None:
    """Make another operation of one, with the parameters that it had."""
    operations = _operations(spec)
    operation = mutator.choose(operations)
    kind = mutator.choose([*(other.type for other in operations), "const", "classify", "while_loop", "cond", "nothing", "conv", "constexpr_lut_to_dense"])
    mutator.say(f"{operation.type} becomes {kind}")
    operation.type = kind


def _reorder(mutator: Mutator, spec: Any) -> None:
    """Move, double or drop an operation of a block, or drop a whole block."""
    blocks = [message for message in messages(spec) if message.DESCRIPTOR.name == "Block" and message.operations]
    operations = mutator.choose(blocks).operations
    place, other = (int(mutator.random.integers(len(operations))) for _ in range(2))
    kind = mutator.choose(["move", "double", "drop", "block"])
    mutator.say(f"operations: {kind}")
    inner = [operation for operation in _operations(spec) if operation.blocks]
    if kind == "block" and inner:
        del mutator.choose(inner).blocks[-1]
    elif kind == "drop":
        del operations[place]
    else:
        moved = type(operations[0])()
        moved.CopyFrom(operations[place])
        if kind == "move":
            del operations[place]
        operations.insert(min(other, len(operations)), moved)


def _move_weight(mutator: Mutator, spec: Any) -> None:
    """Point a constant at another place of the weight file."""
    stored = [value for value in _values(spec) if value.WhichOneof("value") == "blobFileValue"]
    if not stored:
        return _change_constant(mutator, spec)
    blob = mutator.choose(stored).blobFileValue
    offset = mutator.choose([0, 1, 63, 64, blob.offset + 64, max(blob.offset, 1) - 1, 10**6, 2**31, 2**63 - 1, 2**63, 2**64 - 1])
    mutator.say(f"offset {blob.offset} becomes {offset}")
    blob.offset = offset
    return None


def change_interface(mutator: Mutator, spec: Any) -> None:
    """Change what the model says of itself: names, kinds, sizes, ranges, classes."""
    mutator.choose([change_anything, change_anything, _rename_feature])(mutator, spec.description)


def _rename_feature(mutator: Mutator, description: Any) -> None:
    features = [*description.input, *description.output]
    if features:
        mutator.choose(features).name = mutator.choose([*WORDS, *(feature.name for feature in features)])
        mutator.say("a feature renamed")


STRUCTURED = [
    *(change_anything, change_anything, change_anything, _change_constant, _change_constant, _change_constant, _change_shape, _change_shape),
    *(_scale_together, _rewire, _rename, _retype, _reorder, _move_weight, change_interface),
]
