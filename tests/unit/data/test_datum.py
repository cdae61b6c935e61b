"""The bytes of a Datum, against protobuf's own and the loop oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caffeflow.data.datum import encoded_datum, raw_datum
from caffeflow.proto.caffe_pb2 import Datum
from tests.support.oracles import convert_imageset as oracle

LABELS = st.one_of(st.integers(0, 300), st.integers(0, 2**31 - 1))


@settings(deadline=None)
@given(height=st.integers(1, 150), width=st.integers(1, 5), channels=st.sampled_from([0, 1, 3]), label=LABELS)
def test_raw_datums_are_protobufs(height: int, width: int, channels: int, label: int) -> None:
    shape = (height, width, channels) if channels else (height, width)
    image = np.random.default_rng(height).integers(0, 256, shape, np.uint8)
    planes = image.transpose(2, 0, 1) if channels else image[None]
    expected = Datum(
        channels=channels or 1, height=height, width=width, label=label, encoded=False, data=planes.tobytes()
    )
    record, view = raw_datum(image, label)
    assert bytes(record) == expected.SerializeToString(deterministic=True)
    assert np.array_equal(view, planes)


@settings(deadline=None)
@given(file=st.binary(min_size=1, max_size=20000), label=LABELS)
def test_encoded_datums_are_protobufs(file: bytes, label: int) -> None:
    expected = Datum(data=file, label=label, encoded=True)
    assert encoded_datum(file, label) == expected.SerializeToString(deterministic=True)


@pytest.mark.parametrize("shape", [(7, 5, 3), (5, 7), (2, 3, 1)])
@pytest.mark.parametrize("label", [0, 127, 128, 999, 2**31 - 1])
def test_raw_datums_are_the_oracles(shape: tuple[int, ...], label: int) -> None:
    image = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    assert bytes(raw_datum(image, label)[0]) == oracle.raw_datum(image, label)


def test_a_view_that_is_not_contiguous_is_written_right() -> None:
    image = np.random.default_rng(1).integers(0, 256, (7, 5, 3), np.uint8)[:, ::-1]
    assert bytes(raw_datum(image, 3)[0]) == oracle.raw_datum(image, 3)
