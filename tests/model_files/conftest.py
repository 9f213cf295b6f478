from __future__ import annotations

import pytest

from mlpipe.model_files.protobuf import mil_pb2, model_pb2


@pytest.fixture
def network():
    """A classifier of one layer that takes an image, as a NeuralNetwork."""
    spec = model_pb2().Model(specificationVersion=4)
    image = spec.description.input.add(name="image", shortDescription="A photo.")
    image.type.imageType.width, image.type.imageType.height, image.type.imageType.colorSpace = 8, 6, 20
    scores = spec.description.output.add(name="scores")
    scores.type.dictionaryType.stringKeyType.SetInParent()
    spec.description.output.add(name="label").type.stringType.SetInParent()
    spec.description.predictedFeatureName, spec.description.predictedProbabilitiesName = "label", "scores"
    spec.neuralNetworkClassifier.stringClassLabels.vector.extend(["cat", "dog"])
    layer = spec.neuralNetworkClassifier.layers.add(name="dense", input=["image"], output=["scores"])
    layer.innerProduct.inputChannels, layer.innerProduct.outputChannels = 144, 2
    layer.innerProduct.weights.floatValue.extend(range(288))
    return spec


@pytest.fixture
def program(tmp_path):
    """An ML Program with one constant in a weight file, and the folder of that file."""
    from mlpipe.weights.blob_file import BlobWriter

    weights = tmp_path / "weights"
    writer = BlobWriter(weights / "weight.bin")
    offset = writer.write([float(index) for index in range(20)], "fp32")
    spec = model_pb2().Model(specificationVersion=7)
    for feature in (spec.description.input.add(name="x"), spec.description.output.add(name="y")):
        feature.type.multiArrayType.shape.append(20)
        feature.type.multiArrayType.dataType = 65568
    function = spec.mlProgram.functions["main"]
    function.opset = "CoreML6"
    constant = function.block_specializations["CoreML6"].operations.add(type="const")
    value = mil_pb2().Value()
    value.type.tensorType.dataType, value.type.tensorType.rank = 11, 1
    value.type.tensorType.dimensions.add().constant.size = 20
    value.blobFileValue.fileName, value.blobFileValue.offset = "@model_path/weights/weight.bin", offset
    constant.attributes["val"].CopyFrom(value)
    constant.outputs.add(name="w").type.CopyFrom(value.type)
    return spec, weights
