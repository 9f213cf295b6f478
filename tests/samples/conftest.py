from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpipe.engine.inputs import sample_files
from mlpipe.recipe.image_inputs import ResolvedImage
from mlpipe.recipe.schema.compare import Samples
from mlpipe.samples.sample_set import SampleSet, open_samples


@pytest.fixture
def gray_image() -> ResolvedImage:
    return ResolvedImage("grayscale", (1.0,), (0.0,), "nhwc", 2, 3)


@pytest.fixture
def opened() -> Callable[..., SampleSet]:
    """Samples of a recipe for inputs given as name -> (shape, dtype)."""

    def make(section: dict[str, Any], inputs: dict[str, tuple[list[int | None], str]], images: dict[str, ResolvedImage] | None = None) -> SampleSet:
        samples = Samples.model_validate(section)
        described = [{"name": name, "shape": shape, "dtype": dtype} for name, (shape, dtype) in inputs.items()]
        return open_samples(samples, sample_files(samples), described, images or {})

    return make


@pytest.fixture
def write_png(tmp_path: Path) -> Callable[[str, np.ndarray], Path]:
    from PIL import Image

    def write(name: str, pixels: np.ndarray) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        return path

    return write
