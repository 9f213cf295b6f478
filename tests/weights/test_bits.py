from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpipe.weights.bits import pack, packed_size, sign_extend, unpack

BITS = st.integers(1, 8)


@given(bits=BITS, order=st.sampled_from(["big", "little"]), data=st.data())
def test_unpacking_what_was_packed_gives_it_back(bits, order, data):
    values = np.array(data.draw(st.lists(st.integers(0, 2**bits - 1), max_size=40)), np.uint8)
    packed = pack(values, bits, order)
    assert len(packed) == packed_size(values.size, bits)
    np.testing.assert_array_equal(unpack(packed, bits, values.size, order), values)


@given(bits=BITS, order=st.sampled_from(["big", "little"]), data=st.data())
def test_bits_stand_where_an_integer_written_in_that_order_has_them(bits, order, data):
    values = data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=1, max_size=20))
    packed = pack(np.array(values, np.uint8), bits, order)
    if order == "little":  # one long integer, the first value in its lowest bits
        assert int.from_bytes(packed, "little") == sum(value << (bits * index) for index, value in enumerate(values))
    else:  # one long binary number, the first value in front, filled up with zeros at the end
        text = "".join(f"{value:0{bits}b}" for value in values)
        assert int.from_bytes(packed, "big") == int(text.ljust(8 * len(packed), "0"), 2)


@given(st.integers(2, 8).flatmap(lambda bits: st.tuples(st.just(bits), st.lists(st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1), max_size=20))))
def test_signs_survive(case):
    bits, values = case
    packed = pack(np.array(values, np.int8), bits, "little")
    np.testing.assert_array_equal(sign_extend(unpack(packed, bits, len(values), "little"), bits), np.array(values, np.int8))


@pytest.mark.parametrize(("size", "count"), [(2, 3), (4, 4), (0, 1)])
def test_a_wrong_length_is_refused(size, count):
    with pytest.raises(ValueError, match="bytes"):
        unpack(bytes(size), 6, count, "big")
