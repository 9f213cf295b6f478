from __future__ import annotations

import pytest

from mlpipe.errors import RecipeError
from mlpipe.model_files.metadata import is_empty, stamp
from mlpipe.recipe.schema.convert import Metadata

FULL = Metadata(
    author="A. Author",
    license="Apache-2.0",
    version="1.2",
    description="Cats and dogs.",
    inputs={"pixels": "A photo of an animal."},
    outputs={"scores": "How sure it is."},
    user_defined={"com.example.build": "7"},
    preview_type="imageClassifier",
)


def test_everything_is_stamped(network):
    stamp(network, FULL, {"pixels": "image"})
    metadata = network.description.metadata
    assert (metadata.author, metadata.license, metadata.versionString) == ("A. Author", "Apache-2.0", "1.2")
    assert metadata.shortDescription == "Cats and dogs."
    assert dict(metadata.userDefined) == {"com.example.build": "7", "com.apple.coreml.model.preview.type": "imageClassifier"}
    assert network.description.input[0].shortDescription == "A photo of an animal."
    assert network.description.output[0].shortDescription == "How sure it is."


def test_what_is_not_named_stays(network):
    network.description.metadata.author = "someone"
    stamp(network, Metadata(license="MIT"))
    assert network.description.metadata.author == "someone"
    assert network.description.input[0].shortDescription == "A photo."


def test_functions_get_the_descriptions_of_their_features(network):
    network.description.functions.add(name="main").input.add(name="image")
    stamp(network, Metadata(inputs={"image": "new"}))
    assert network.description.functions[0].input[0].shortDescription == network.description.input[0].shortDescription == "new"


@pytest.mark.parametrize("section", ["inputs", "outputs"])
def test_a_description_of_nothing_is_a_mistake(network, section):
    with pytest.raises(RecipeError, match="imgae") as caught:
        stamp(network, Metadata(**{section: {"imgae": "text"}}))
    assert ("image" if section == "inputs" else "label, scores") in caught.value.fix


def test_emptiness():
    assert is_empty(Metadata())
    assert not is_empty(Metadata(user_defined={"a": "b"}))
