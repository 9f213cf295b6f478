from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mlpipe.errors import SampleUnreadable
from mlpipe.recipe.image_inputs import ResolvedImage
from mlpipe.recipe.schema.compare import Samples
from mlpipe.samples.images import pixels_of, read_image

RAMP = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
COLORS = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 10


def wanted(color: str, height: int | None, width: int | None) -> ResolvedImage:
    return ResolvedImage(color, (1.0,), (0.0,), "nhwc", height, width)  # type: ignore[arg-type]


def fitted(pixels: np.ndarray, color: str, height: int | None, width: int | None, **section: object) -> np.ndarray:
    return pixels_of(Image.fromarray(pixels), wanted(color, height, width), Samples.model_validate({"images": "x", **section}))


def png(rows: bytes, width: int, height: int, depth: int, kind: int) -> bytes:
    """A PNG from raw rows: Pillow cannot write 16-bit colour."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    stride = len(rows) // height
    raw = b"".join(b"\0" + rows[line * stride : (line + 1) * stride] for line in range(height))
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def test_eight_bit_files_keep_every_pixel(write_png: Callable[..., Path]) -> None:
    assert np.array_equal(np.asarray(read_image(write_png("gray.png", RAMP))), RAMP)
    assert np.array_equal(np.asarray(read_image(write_png("color.png", COLORS))), COLORS)


@pytest.mark.parametrize(("kind", "channels", "alpha"), [(0, 1, False), (2, 3, False), (4, 2, True), (6, 4, True)])
def test_sixteen_bits_become_their_upper_eight(tmp_path: Path, kind: int, channels: int, alpha: bool) -> None:
    values = np.random.default_rng(kind).integers(0, 65536, (2, 3, channels), dtype=np.uint16)
    if alpha:
        values[..., -1] = 65535
    path = tmp_path / "deep.png"
    path.write_bytes(png(values.astype(">u2").tobytes(), 3, 2, 16, kind))
    colors = channels - alpha
    expected = (values[..., :colors] >> 8).astype(np.uint8)
    read = np.asarray(read_image(path)).reshape(2, 3, -1)  # Pillow reads deep gray with alpha as colour, whose channels are equal
    assert np.array_equal(read, np.broadcast_to(expected, read.shape))


def test_palette_one_bit_and_opaque_alpha_are_plain_colours(tmp_path: Path) -> None:
    color = Image.fromarray(COLORS)
    opaque = color.copy()
    opaque.putalpha(255)
    opaque.save(tmp_path / "opaque.png")
    assert np.array_equal(np.asarray(read_image(tmp_path / "opaque.png")), COLORS)
    palette = color.quantize(16)
    palette.save(tmp_path / "palette.png")
    assert np.array_equal(np.asarray(read_image(tmp_path / "palette.png")), np.asarray(palette.convert("RGB")))
    Image.fromarray(RAMP > 100).save(tmp_path / "bits.png")
    assert np.array_equal(np.asarray(read_image(tmp_path / "bits.png")), (RAMP > 100) * 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    upright = {  # how stored pixels turn into what people see; Exif 2.3, tag 274
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0),
        8: lambda a: np.rot90(a, 1),
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(RAMP).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(np.asarray(read_image(tmp_path / "turned.png")), upright(RAMP))


def _cmyk(path: Path) -> None:
    Image.new("CMYK", (3, 2)).save(path)


def _floats(path: Path) -> None:
    Image.fromarray(np.zeros((2, 3), np.float32)).save(path)


def _wide(path: Path) -> None:
    Image.fromarray(np.zeros((2, 3), np.int32)).save(path)


def _frames(path: Path) -> None:
    Image.fromarray(RAMP).save(path, save_all=True, append_images=[Image.fromarray(RAMP[::-1].copy())])


def _transparent(path: Path) -> None:
    Image.new("RGBA", (3, 2), (1, 2, 3, 254)).save(path)


def _transparent_gray(path: Path) -> None:
    Image.new("L", (3, 2), 7).save(path, transparency=7)


def _transparent_palette(path: Path) -> None:
    Image.fromarray(COLORS).quantize(4).save(path, transparency=0)


def _truncated(path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:1500])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("make", "suffix", "message"),
    [
        (_cmyk, ".tif", "mode CMYK.*printing profile"),
        (_floats, ".tif", "mode F"),
        (_wide, ".tif", "mode I"),
        (_frames, ".tif", "2 frames"),
        (_transparent, ".png", "transparent pixels"),
        (_transparent_gray, ".png", "transparent pixels"),
        (_transparent_palette, ".png", "transparent pixels"),
        (_truncated, ".png", "cannot be read"),
        (_empty, ".png", "cannot be read"),
    ],
)
def test_what_has_no_clear_pixels_is_refused(tmp_path: Path, make: Callable[[Path], None], suffix: str, message: str) -> None:
    path = tmp_path / f"bad{suffix}"
    make(path)
    with pytest.raises(SampleUnreadable, match=message):
        read_image(path)


def test_colours_become_luma_and_gray_becomes_colour() -> None:
    luma = COLORS.astype(np.float64) @ [0.299, 0.587, 0.114]  # ITU-R BT.601
    assert np.abs(fitted(COLORS, "grayscale", 2, 3)[..., 0] - luma).max() <= 1
    assert np.array_equal(fitted(RAMP, "rgb", 2, 3), np.repeat(RAMP[..., None], 3, axis=2))
    assert np.array_equal(fitted(COLORS, "bgr", 2, 3), COLORS)


def test_exact_refuses_other_sizes_and_any_size_takes_all() -> None:
    assert fitted(RAMP, "grayscale", 2, 3).shape == (2, 3, 1)
    assert fitted(RAMP, "grayscale", None, None).shape == (2, 3, 1)
    with pytest.raises(SampleUnreadable, match=r"image is 2 x 3 .*takes 3 x 3"):
        fitted(RAMP, "grayscale", 3, 3)
    with pytest.raises(SampleUnreadable, match="images of any size"):
        fitted(RAMP, "grayscale", None, None, fit="crop")


def test_stretch_is_a_plain_resize() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7), dtype=np.uint8)
    for resampling in ("nearest", "bilinear", "bicubic", "lanczos"):
        expected = Image.fromarray(pixels).resize((4, 5), Image.Resampling[resampling.upper()])
        assert np.array_equal(fitted(pixels, "grayscale", 5, 4, fit="stretch", resampling=resampling)[..., 0], np.asarray(expected))


def test_crop_keeps_the_middle() -> None:
    wide = np.repeat(np.arange(8, dtype=np.uint8)[None], 4, axis=0)
    assert fitted(wide, "grayscale", 4, 4, fit="crop")[0, :, 0].tolist() == [2, 3, 4, 5]
    tall = wide.T.copy()
    assert fitted(tall, "grayscale", 4, 4, fit="crop")[:, 0, 0].tolist() == [2, 3, 4, 5]
    assert fitted(wide, "grayscale", 2, 2, fit="crop", crop_fraction=0.5)[0, :, 0].tolist() == [3, 4]


@pytest.mark.parametrize("size", [(128, 192), (192, 128), (128, 128)])
@pytest.mark.parametrize("resampling", ["bilinear", "bicubic", "lanczos"])
def test_crop_is_shrinking_the_short_side_and_cropping_the_centre(size: tuple[int, int], resampling: str) -> None:
    # Sizes at which the two steps need no rounding.
    pixels = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    whole = Image.fromarray(pixels).resize((size[1] // 2, size[0] // 2), Image.Resampling[resampling.upper()])
    left, top = (whole.width - 32) // 2, (whole.height - 32) // 2
    two_steps = np.asarray(whole.crop((left, top, left + 32, top + 32))).astype(int)
    one_step = fitted(pixels, "grayscale", 32, 32, fit="crop", crop_fraction=0.5, resampling=resampling)[..., 0]
    assert np.abs(one_step - two_steps).max() <= 1


def test_pad_centres_on_black() -> None:
    white = np.full((2, 4), 255, np.uint8)
    padded = fitted(white, "grayscale", 4, 4, fit="pad")[..., 0]
    assert padded.tolist() == [[0] * 4, [255] * 4, [255] * 4, [0] * 4]
    assert fitted(white.T.copy(), "grayscale", 4, 4, fit="pad")[..., 0].tolist() == [[0, 255, 255, 0]] * 4
