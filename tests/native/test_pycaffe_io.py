"""`caffe.io`: the real pycaffe's arrays and bytes from the same input.

Its scikit-image is 0.18, which smooths before it shrinks; Caffe's time had none that does, so that is
turned off in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from caffeflow.pycaffe import io
from caffeflow.pycaffe.proto import caffe_pb2
from tests.support.native import NativeCaffe, Report
from tests.support.native_pycaffe import ask_pycaffe

pytestmark = pytest.mark.native

_AS_THEN: Final = """
import skimage.transform
def resize(image, dims, order, mode):
    return skimage.transform.resize(image, dims, order=order, mode=mode, anti_aliasing=False)
caffe.io.resize = resize
"""
_SIZES: Final = ((5, 7), (29, 37), (13, 17), (40, 11), (1, 1))


def test_conversions_give_equal_bytes(caffe: NativeCaffe, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    given = {
        "bytes": random.integers(0, 256, (3, 5, 7), dtype=np.uint8),
        "floats": random.standard_normal((2, 3, 5)),
        "whole": random.integers(-9, 9, (1, 2, 3)),
    }
    answers = ask_pycaffe(
        caffe,
        """
        def put(name, message):
            out[name] = np.frombuffer(message if isinstance(message, bytes) else message.SerializeToString(), np.uint8)
        for name, array in given.items():
            put(name + ' datum', caffe.io.array_to_datum(array))
            put(name + ' labelled', caffe.io.array_to_datum(array, 300))
            put(name + ' blob', caffe.io.array_to_blobproto(array, -array.astype(float)))
            out[name + ' back'] = caffe.io.datum_to_array(caffe.io.array_to_datum(array))
            out[name + ' diff'] = caffe.io.blobproto_to_array(caffe.io.array_to_blobproto(array, array), True)
        put('vector', caffe.io.arraylist_to_blobprotovector_str(list(given.values())))
        """,
        tmp_path,
        given,
    )
    ours: dict[str, Any] = {}
    for name, array in given.items():
        datum = io.array_to_datum(array)
        ours[f"{name} datum"] = datum.SerializeToString()
        ours[f"{name} labelled"] = io.array_to_datum(array, 300).SerializeToString()
        ours[f"{name} blob"] = io.array_to_blobproto(array, -array.astype(float)).SerializeToString()
        ours[f"{name} back"] = io.datum_to_array(caffe_pb2.Datum.FromString(datum.SerializeToString()))
        ours[f"{name} diff"] = io.blobproto_to_array(io.array_to_blobproto(array, array), True)
    ours["vector"] = io.arraylist_to_blobprotovector_str(list(given.values()))
    assert ours.keys() == answers.keys()
    for name, answer in answers.items():
        mine = ours[name]
        if isinstance(mine, bytes):
            assert mine == answer.tobytes(), name
        else:
            assert mine.dtype == answer.dtype, name
            np.testing.assert_array_equal(mine, answer, err_msg=name)


def test_resized_pictures_are_equal(caffe: NativeCaffe, tmp_path: Path, report: Report) -> None:
    random = np.random.default_rng(5)
    given = {str(channels): random.uniform(-2, 3, (13, 17, channels)) for channels in (1, 2, 3, 5)}
    given["flat"] = np.full((3, 5, 3), 0.25)
    body = _AS_THEN + (
        f"for dims in {_SIZES!r}:\n"
        "    for name, image in given.items():\n"
        "        for order in (0, 1, 3) if image.shape[-1] in (1, 3) else (0, 1):\n"
        "            out['%s %s %s' % (name, dims, order)] = caffe.io.resize_image(image, dims, order)\n"
    )
    answers = ask_pycaffe(caffe, body, tmp_path, given)
    assert len(answers) == len(_SIZES) * (3 * 3 + 2 * 2)
    worst = 0.0
    for dims in _SIZES:
        for name, image in given.items():
            for order in (0, 1, 3) if image.shape[-1] in (1, 3) else (0, 1):
                answer = answers[f"{name} {dims} {order}"]
                mine = io.resize_image(image, dims, order)
                assert mine.dtype == answer.dtype == np.float32
                worst = max(worst, float(np.abs(mine - answer).max()))
                np.testing.assert_allclose(mine, answer, atol=2e-6, err_msg=f"{name} {dims} {order}")
    report("pycaffe: resize_image, worst difference of values from -2 to 3", f"{worst:.1e}")


def test_crops_and_preprocessed_pictures_are_equal(caffe: NativeCaffe, tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    given = {
        "image": random.uniform(0, 1, (11, 13, 3)).astype(np.float32),
        "fitting": random.uniform(0, 1, (5, 7, 3)).astype(np.float32),
        "pixel_mean": np.array([104.0, 117.0, 123.0]),
        "mean_image": random.uniform(100, 130, (3, 5, 7)),
        "large_mean": random.uniform(100, 130, (3, 8, 9)),
    }
    rules = """
def run(caffe, given, out):
    for crop in ((5, 7), (11, 13), (4, 6), (3, 12)):
        out['crops %s %s' % crop] = caffe.io.oversample([given['image'], given['image'][::-1]], crop)
    for mean in ('pixel_mean', 'mean_image', 'large_mean'):
        for picture in ('image', 'fitting'):
            transformer = caffe.io.Transformer({'data': (1, 3, 5, 7)})
            transformer.set_transpose('data', (2, 0, 1))
            transformer.set_channel_swap('data', (2, 0, 1))
            transformer.set_raw_scale('data', 255)
            transformer.set_mean('data', given[mean])
            transformer.set_input_scale('data', 0.017)
            there = transformer.preprocess('data', given[picture].copy())
            out['%s %s' % (mean, picture)] = there
            out['%s %s back' % (mean, picture)] = transformer.deprocess('data', there[None])
"""
    answers = ask_pycaffe(caffe, _AS_THEN + rules + "run(caffe, given, out)\n", tmp_path, given)
    names: dict[str, Any] = {}
    exec(rules, names)  # noqa: S102 - the text above

    class Ours:
        pass

    Ours.io = io  # type: ignore[attr-defined]
    mine: dict[str, np.ndarray] = {}
    names["run"](Ours, given, mine)
    assert mine.keys() == answers.keys()
    for name, answer in answers.items():
        assert mine[name].dtype == answer.dtype, name
        if name.startswith("crops"):
            np.testing.assert_array_equal(mine[name], answer, err_msg=name)
        else:
            np.testing.assert_allclose(mine[name], answer, rtol=1e-5, atol=2e-5, err_msg=name)
