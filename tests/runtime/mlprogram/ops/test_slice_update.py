"""Updates of slices against numpy's assignment."""

from __future__ import annotations

import numpy as np
import pytest

RANDOM = np.random.default_rng(23)
DATA = RANDOM.standard_normal((4, 5, 3)).astype(np.float32)

CASES = {
    "one axis": ({"begin": [1, 0, 0], "end": [3, 5, 3]}, np.s_[1:3]),
    "masked around": ({"begin": [0, 2, 0], "end": [0, 4, 0], "begin_mask": [True, False, True], "end_mask": [True, False, True]}, np.s_[:, 2:4]),
    "two axes": ({"begin": [1, 0, 2], "end": [3, 5, 3]}, np.s_[1:3, :, 2:]),
    "all axes": ({"begin": [3, 1, 0], "end": [4, 3, 2]}, np.s_[3:, 1:3, :2]),
    "everything": ({"begin": [0, 0, 0], "end": [4, 5, 3]}, np.s_[:]),
    "from the end": ({"begin": [-2, -9, 0], "end": [-1, -2, 99]}, np.s_[-2:-1, :-2]),
    "one mask": ({"begin": [0, 1, 0], "end": [0, 0, 2], "begin_mask": [True, False, False], "end_mask": [True, True, False]}, np.s_[:, 1:, :2]),
    "squeezed": ({"begin": [-1, 1, 0], "end": [0, 3, 3], "squeeze_mask": [True, False, False]}, np.s_[-1, 1:3]),
    "squeezed twice": ({"begin": [2, 1, 2], "end": [0, 3, 0], "squeeze_mask": [True, False, True]}, np.s_[2, 1:3, 2]),
    "strides": ({"begin": [0, 4, 0], "end": [4, 1, 3], "stride": [2, -2, 1]}, np.s_[::2, 4:1:-2]),
    "strides and squeezed": ({"begin": [1, 0, 0], "end": [0, 5, 3], "stride": [3, 2, 1], "squeeze_mask": [True, False, False]}, np.s_[1, ::2]),
}


@pytest.mark.parametrize("bounds", ["constant", "computed"])
@pytest.mark.parametrize("case", CASES)
def test_slice_update(run, case, bounds) -> None:
    parameters, where = CASES[case]
    expected = DATA.copy()
    update = RANDOM.standard_normal(DATA[where].shape).astype(np.float32)
    expected[where] = update
    feed = {"x": DATA, "u": update}
    if bounds == "computed":
        feed |= {name: np.asarray(parameters[name], np.int32) for name in ("begin", "end")}

    def body(mb, x, u, **computed):
        return mb.slice_update(x=x, update=u, **{**parameters, **computed})

    (result,) = run(body, feed, opset="iOS18")
    np.testing.assert_array_equal(result, expected)
