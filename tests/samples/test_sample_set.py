from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpipe.engine.inputs import sample_files
from mlpipe.errors import SampleUnreadable
from mlpipe.recipe.image_inputs import ResolvedImage
from mlpipe.recipe.schema.compare import Samples
from mlpipe.samples.files import sample_ids
from mlpipe.samples.sample_set import Sample, SampleSet, sample_names

Open = Callable[..., SampleSet]
RAMP = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
COLORS = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 10
BGR = ResolvedImage("bgr", (0.5, 1.0, 2.0), (1.0, 2.0, 3.0), "nchw", 2, 3)


def test_a_declared_image_is_pixels_for_core_ml_and_numbers_for_the_source(tmp_path: Path, opened: Open, write_png: Callable[..., Path]) -> None:
    write_png("a.png", COLORS)
    samples = opened({"images": f"{tmp_path}/*.png"}, {"x": ([None, 3, 2, 3], "float32")}, {"x": BGR})
    [sample] = samples
    assert sample.id == "a.png"
    pixels = samples.pixel_feed(sample, {"x": "x_1"})["x_1"]
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, COLORS)  # red first, as image files are
    source = samples.source_feed(sample)["x"]
    assert (source.shape, source.dtype) == ((1, 3, 2, 3), np.float32)
    for channel, color in enumerate((2, 1, 0)):  # blue first, as the model was trained
        expected = COLORS[..., color] * np.float32(BGR.scale[channel]) + np.float32(BGR.bias[channel])
        assert np.array_equal(source[0, channel], expected)


@pytest.mark.parametrize(
    ("shape", "section", "expected"),
    [
        ([None, 2, 3, 1], {}, RAMP[None, :, :, None] * 1.0),
        ([1, 1, 2, 3], {"scale": 0.5, "bias": 1.0}, RAMP[None, None] * 0.5 + 1.0),
        ([None, 2, 3, 3], {"color": "rgb"}, np.repeat(RAMP[None, :, :, None], 3, axis=3) * 1.0),
        ([None, 3, 2, 4], {"color": "bgr", "fit": "pad"}, np.pad(np.repeat(RAMP[None, None], 3, axis=1), ((0, 0), (0, 0), (0, 0), (0, 1))) * 1.0),
    ],
)
def test_images_feed_inputs_that_are_no_declared_images(
    tmp_path: Path, opened: Open, write_png: Callable[..., Path], shape: list[int | None], section: dict[str, Any], expected: np.ndarray
) -> None:
    write_png("a.png", RAMP)
    samples = opened({"images": f"{tmp_path}/*.png", **section}, {"x": (shape, "float32")})
    [sample] = samples
    for feed in (samples.source_feed(sample), samples.pixel_feed(sample)):
        assert feed["x"].dtype == np.float32
        assert np.array_equal(feed["x"], expected)


def test_samples_colour_orders_channels_of_undeclared_images(tmp_path: Path, opened: Open, write_png: Callable[..., Path]) -> None:
    write_png("a.png", COLORS)
    for color, expected in (("rgb", COLORS), ("bgr", COLORS[..., ::-1])):
        samples = opened({"images": f"{tmp_path}/*.png", "color": color}, {"x": ([None, 2, 3, 3], "float32")})
        assert np.array_equal(samples.source_feed(next(iter(samples)))["x"][0], expected)


def test_an_integer_source_gets_whole_pixels(tmp_path: Path, opened: Open, write_png: Callable[..., Path]) -> None:
    write_png("a.png", RAMP)
    whole = ResolvedImage("grayscale", (1.0,), (0.0,), "nhwc", 2, 3)
    samples = opened({"images": f"{tmp_path}/*.png"}, {"x": ([None, 2, 3, 1], "uint8")}, {"x": whole})
    assert np.array_equal(samples.source_feed(next(iter(samples)))["x"][0, :, :, 0], RAMP)
    halves = ResolvedImage("grayscale", (1 / 3,), (0.0,), "nhwc", 2, 3)
    samples = opened({"images": f"{tmp_path}/*.png"}, {"x": ([None, 2, 3, 1], "uint8")}, {"x": halves})
    with pytest.raises(SampleUnreadable, match="takes uint8"):
        samples.source_feed(next(iter(samples)))


def test_a_bad_file_is_a_sample_with_an_error(tmp_path: Path, opened: Open, write_png: Callable[..., Path], gray_image: ResolvedImage) -> None:
    write_png("a.png", RAMP)
    (tmp_path / "b.png").write_bytes(b"no image")
    write_png("c.png", RAMP[:, :2].copy())
    write_png("d.png", RAMP)
    samples = opened({"images": f"{tmp_path}/*.png"}, {"x": ([None, 2, 3, 1], "float32")}, {"x": gray_image})
    read = list(samples)
    assert [sample.id for sample in read] == list(samples.ids) == ["a.png", "b.png", "c.png", "d.png"]
    assert [sample.error is None for sample in read] == [True, False, False, True]
    assert "b.png cannot be read" in str(read[1].error)
    assert "fit: stretch" in str(read[2].error)


def test_files_are_sorted_named_below_their_common_folder_and_limited(tmp_path: Path, write_png: Callable[..., Path]) -> None:
    for name in ("b/2.png", "b/10.png", "a/x.png", "a/x.txt.png"):
        write_png(name, RAMP)
    samples = Samples.model_validate({"images": [f"{tmp_path}/**/*.png", f"{tmp_path}/a/*"]})
    files = sample_files(samples)["samples"]
    assert sample_ids(files) == ["a/x.png", "a/x.txt.png", "b/10.png", "b/2.png"]
    assert sample_names(samples, {"samples": files}) == tuple(sample_ids(files))
    assert sample_names(samples.model_copy(update={"limit": 2}), {"samples": files}) == ("a/x.png", "a/x.txt.png")
    assert sample_ids([]) == []
    assert sample_files(Samples.model_validate({"images": f"{tmp_path}/none/*"}))["samples"] == ()


def test_names_of_arrays_and_synthetic_samples_are_their_numbers(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 2)), y=np.zeros((3, 5)))
    np.save(tmp_path / "a.npy", np.zeros((2, 9)))
    for section, expected in (
        ({"arrays": str(tmp_path / "a.npz")}, ("0", "1", "2")),
        ({"arrays": str(tmp_path / "a.npy")}, ("0", "1")),
        ({"synthetic": {"count": 4}}, ("0", "1", "2", "3")),
        ({"synthetic": {"count": 4}, "limit": 1}, ("0",)),
    ):
        samples = Samples.model_validate(section)
        assert sample_names(samples, sample_files(samples)) == expected


@pytest.mark.parametrize("suffix", ["npy", "npz", "compressed", "fortran"])
def test_arrays_are_samples_along_the_first_axis(tmp_path: Path, opened: Open, suffix: str) -> None:
    values = np.random.default_rng(0).normal(size=(5, 4, 3))
    path = tmp_path / ("a.npy" if suffix == "npy" else "a.npz")
    if suffix == "npy":
        np.save(path, values)
    else:
        (np.savez_compressed if suffix == "compressed" else np.savez)(path, x=np.asfortranarray(values) if suffix == "fortran" else values)
    samples = opened({"arrays": str(path), "scale": 2.0, "bias": 1.0}, {"x": ([None, 4, 3], "float32")})
    assert samples.ids == ("0", "1", "2", "3", "4")
    for index, sample in enumerate(samples):
        feed = samples.source_feed(sample)["x"]
        assert (feed.shape, feed.dtype) == ((1, 4, 3), np.float32)
        assert np.array_equal(feed[0], (values[index] * 2 + 1).astype(np.float32))
    assert len(list(opened({"arrays": str(path), "limit": 2}, {"x": ([None, 4, 3], "float32")}))) == 2


def test_several_inputs_come_by_key_and_keep_their_types(tmp_path: Path, opened: Open) -> None:
    tokens, scale = np.asarray([[3, 1], [2, 7], [0, 5]]), np.asarray([0.5, 1.5, 2.5])
    np.savez(tmp_path / "a.npz", words=tokens, s=scale, other=np.zeros(9))
    samples = opened({"arrays": str(tmp_path / "a.npz"), "keys": {"tokens": "words"}}, {"tokens": ([1, 2], "int32"), "s": ([None], "float32")})
    feeds = [samples.source_feed(sample) for sample in samples]
    assert [feed["tokens"].tolist() for feed in feeds] == [[[3, 1]], [[2, 7]], [[0, 5]]]
    assert {feed["tokens"].dtype.name for feed in feeds} == {"int32"}
    assert [feed["s"].tolist() for feed in feeds] == [[0.5], [1.5], [2.5]]


def test_a_model_without_a_batch_axis_is_fed_none(tmp_path: Path, opened: Open) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 49, 10), np.float32))
    samples = opened({"arrays": str(tmp_path / "a.npy")}, {"x": ([49, 10], "float32")})
    sample = next(iter(samples))
    assert samples.source_feed(sample)["x"].shape == samples.pixel_feed(sample)["x"].shape == (49, 10)


@pytest.mark.parametrize("shape", [(3, 2, 3), (3, 2, 3, 1), (3, 2, 3, 3)])
def test_arrays_of_pixels_feed_images(tmp_path: Path, opened: Open, gray_image: ResolvedImage, shape: tuple[int, ...]) -> None:
    pixels = np.repeat(np.random.default_rng(0).integers(0, 256, (3, 2, 3, 1), dtype=np.uint8), shape[3] if len(shape) == 4 else 1, axis=3)
    np.save(tmp_path / "a.npy", pixels.reshape(shape))
    samples = opened({"arrays": str(tmp_path / "a.npy")}, {"x": ([None, 2, 3, 1], "float32")}, {"x": gray_image})
    for index, sample in enumerate(samples):
        assert np.array_equal(samples.pixel_feed(sample)["x"], pixels[index, :, :, :1])
        assert np.array_equal(samples.source_feed(sample)["x"][0], pixels[index, :, :, :1])


FLOATS = {"x": ([None, 2], "float32")}


@pytest.mark.parametrize(
    ("arrays", "section", "inputs", "message"),
    [
        ({"x": np.zeros((3, 4))}, {}, FLOATS, r"samples of shape \[4\], and input 'x' takes \[2\]"),
        ({"x": np.zeros((3, 1, 2))}, {}, FLOATS, r"shape \[1, 2\]"),
        ({"y": np.zeros((3, 2)), "z": np.zeros((3, 2))}, {}, FLOATS, "no array 'x'; its arrays are: y, z"),
        ({"x": np.zeros((3, 2))}, {"keys": {"q": "x"}}, FLOATS, "no input 'q'"),
        ({"x": np.zeros((3, 2)), "y": np.zeros((2, 2))}, {}, {**FLOATS, "y": ([None, 2], "float32")}, "different numbers of samples"),
        ({"x": np.zeros((3, 2))}, {}, {"x": ([None, 2], "int32")}, "takes int32"),
        ({"x": np.asarray([["a", "b"]])}, {}, FLOATS, "not numbers"),
        ({"x": np.asarray([[None, {}]])}, {}, FLOATS, "not numbers"),
        ({"x": np.asarray(1.0)}, {}, FLOATS, "single number"),
        ({"x": np.zeros((3, 2))}, {}, {"x": (None, "float32")}, "does not say which shape"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    tmp_path: Path, opened: Open, arrays: dict[str, np.ndarray], section: dict[str, Any], inputs: dict[str, Any], message: str
) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(SampleUnreadable, match=message):
        opened({"arrays": str(tmp_path / "a.npz"), **section}, inputs)


def test_other_refusals(tmp_path: Path, opened: Open, gray_image: ResolvedImage, write_png: Callable[..., Path]) -> None:
    two = {"x": ([None, 2, 3, 1], "float32"), "y": ([None, 2], "float32")}
    write_png("a.png", RAMP)
    np.save(tmp_path / "f.npy", np.zeros((2, 2, 3), np.float32))
    np.save(tmp_path / "t.npy", np.zeros((2, 2), np.int64) + 300)
    (tmp_path / "bad.npz").write_bytes(b"PK no zip")
    images, floats = {"images": f"{tmp_path}/*.png"}, {"arrays": f"{tmp_path}/f.npy"}
    with pytest.raises(SampleUnreadable, match=r"inputs x, y, and images or a \.npy feed only one"):
        opened(images, two)
    with pytest.raises(SampleUnreadable, match="no input 'z'"):
        opened({**images, "input": "z"}, {"x": ([None, 2, 3, 1], "float32")})
    with pytest.raises(SampleUnreadable, match=r"shape \[784\] a sample, which images do not fit"):
        opened(images, {"x": ([None, 784], "float32")})
    with pytest.raises(SampleUnreadable, match="images of color grayscale do not fit"):
        opened({**images, "color": "grayscale"}, {"x": ([None, 2, 3, 3], "float32")})
    with pytest.raises(SampleUnreadable, match=r"is an image.*as uint8"):
        opened(floats, {"x": ([None, 2, 3, 1], "float32")}, {"x": gray_image})
    with pytest.raises(SampleUnreadable, match=r"no \.npy or \.npz"):
        opened({"arrays": f"{tmp_path}/bad.npz"}, FLOATS)
    with pytest.raises(SampleUnreadable, match=r"no \.npy or \.npz"):
        opened({"arrays": f"{tmp_path}/absent.npz"}, FLOATS)
    [first, _] = opened({"arrays": f"{tmp_path}/t.npy"}, {"x": ([None, 2], "uint8")})
    assert "takes uint8" in str(first.error)


def test_a_truncated_npz_is_reported(tmp_path: Path, opened: Open) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 2), np.float32))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[160:168] = b"\xff" * 8  # inside the values: their checksum no longer holds
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(SampleUnreadable, match="damaged"):
        list(opened({"arrays": str(tmp_path / "a.npz")}, FLOATS))


def synthetic(opened: Open, inputs: dict[str, Any], images: dict[str, ResolvedImage] | None = None, **section: Any) -> list[Sample]:
    return list(opened({"synthetic": section}, inputs, images))


def test_synthetic_samples_are_these_for_ever(opened: Open, gray_image: ResolvedImage) -> None:
    inputs = {"a": ([None, 3], "float64"), "n": ([None, 4], "int32"), "image": ([None, 2, 3, 1], "float32")}
    [sample] = synthetic(opened, inputs, {"image": gray_image}, count=1, seed=7, low=0.0, high=9.0)
    stream = hashlib.shake_256(b"mlpipe synthetic 1\x007\x00a\x000").digest(24)
    expected = [9.0 * (int.from_bytes(stream[at : at + 8], "little") >> 11) / 2**53 for at in (0, 8, 16)]
    assert sample.values["a"].tolist() == expected
    stream = hashlib.shake_256(b"mlpipe synthetic 1\x007\x00n\x000").digest(32)
    assert sample.values["n"].tolist() == [(int.from_bytes(stream[at : at + 8], "little") >> 11) % 10 for at in (0, 8, 16, 24)]
    assert sample.values["image"].tobytes() == hashlib.shake_256(b"mlpipe synthetic 1\x007\x00image\x000").digest(6)


def test_synthetic_inputs_are_independent_of_each_other_and_of_the_count(opened: Open) -> None:
    alone = synthetic(opened, {"a": ([None, 3], "float32")}, count=2)
    both = synthetic(opened, {"b": ([None, 3], "float32"), "a": ([None, 3], "float32")}, count=5)
    assert all(np.array_equal(one.values["a"], two.values["a"]) for one, two in zip(alone, both[:2], strict=True))
    assert not np.array_equal(both[0].values["a"], both[0].values["b"])
    assert not np.array_equal(both[0].values["a"], both[1].values["a"])
    assert not np.array_equal(alone[0].values["a"], synthetic(opened, {"a": ([None, 3], "float32")}, count=1, seed=1)[0].values["a"])


def test_synthetic_distributions_are_what_they_say(opened: Open) -> None:
    inputs = {"a": ([None, 200_000], "float64")}
    uniform = synthetic(opened, inputs, count=1, low=-2.0, high=4.0)[0].values["a"]
    assert (uniform.min() >= -2.0, uniform.max() < 4.0) == (True, True)
    assert (uniform.mean(), uniform.std()) == (pytest.approx(1.0, abs=0.02), pytest.approx(6 / 12**0.5, abs=0.02))
    normal = synthetic(opened, inputs, count=1, distribution="normal", low=-2.0, high=4.0)[0].values["a"]
    assert (normal.mean(), normal.std()) == (pytest.approx(1.0, abs=0.03), pytest.approx(3.0, abs=0.03))
    within = np.mean(np.abs(normal - 1.0) < 3.0)
    assert within == pytest.approx(0.6827, abs=0.005)


def test_synthetic_samples_of_unknown_size_or_of_fractional_integers_are_refused(opened: Open) -> None:
    [sample] = synthetic(opened, {"a": ([None, None, 3], "float32")}, count=1)
    assert "may vary in size" in str(sample.error)
    [sample] = synthetic(opened, {"a": ([None, 3], "int32")}, count=1, high=1.5)
    assert "whole numbers low and high" in str(sample.error)


def test_a_large_file_is_read_a_sample_at_a_time(tmp_path: Path, opened: Open) -> None:
    values = np.zeros((64, 1 << 18), np.float32)  # 64 MB
    np.savez_compressed(tmp_path / "a.npz", x=values)
    np.save(tmp_path / "a.npy", values)
    del values
    for name in ("a.npz", "a.npy"):
        samples = opened({"arrays": str(tmp_path / name)}, {"x": ([None, 1 << 18], "float32")})
        tracemalloc.start()
        count = sum(samples.source_feed(sample)["x"].size for sample in samples)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert count == 1 << 24
        assert peak < 12 << 20


@pytest.mark.parametrize("section", [{"arrays": "x.npy"}, {"synthetic": {"count": 2}}])
@pytest.mark.parametrize("dtype", ["string", "dictionary", "sequence"])
def test_inputs_that_are_no_numbers_are_refused_with_what_feeds_them(section: dict[str, Any], dtype: str, tmp_path: Path, opened: Open) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 2)))
    given = {"arrays": str(tmp_path / "x.npy")} if "arrays" in section else section
    with pytest.raises(SampleUnreadable, match=f"input 'words' takes a {dtype}") as caught:
        opened(given, {"words": ([], dtype)})
    assert "mlpipe predict --samples" in str(caught.value.fix)
