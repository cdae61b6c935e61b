"""Twenty drawn configurations of each type that brings data or writes it: all values are the real Caffe's.

What such a layer draws itself (crops in TRAIN, mirroring, order) is left out; `test_data_layers.py` and its
neighbours look at those that are here once more, by hand.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from caffeflow import pycaffe
from tests.support.drawn_layers.compare import EQUAL, Blobs
from tests.support.drawn_layers.draw import Draw
from tests.support.drawn_layers.families import CONFIGURATIONS, by_type
from tests.support.drawn_layers.feed_answers import ask_feeds, assert_feed_brings
from tests.support.drawn_layers.feeds import FEEDS, DrawnFeed, write_sources
from tests.support.drawn_layers.verdict import row
from tests.support.fidelity import Keep
from tests.support.native import NativeCaffe
from tests.support.native_pycaffe import ask_pycaffe

pytestmark = [pytest.mark.native, pytest.mark.fidelity]


@pytest.fixture(scope="module")
def feeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[DrawnFeed]]:
    root = tmp_path_factory.mktemp("sources")
    write_sources(root)
    return {
        layer_type: [family(Draw(f"{layer_type}-{number}"), root) for number in range(CONFIGURATIONS)]
        for layer_type, family in FEEDS.items()
    }


@pytest.fixture(scope="module")
def answers(
    caffe: NativeCaffe, feeds: dict[str, list[DrawnFeed]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[Blobs]]:
    """What Caffe answers by type, all of it asked in one process."""
    everything = [feed for drawn in feeds.values() for feed in drawn]
    found = ask_feeds(caffe, everything, tmp_path_factory.mktemp("drawn_feeds"))
    return by_type(feeds, found)


@pytest.mark.parametrize("layer_type", FEEDS)
def test_drawn_feeds_bring_what_caffe_s_bring(
    layer_type: str,
    feeds: dict[str, list[DrawnFeed]],
    answers: dict[str, list[Blobs]],
    fidelity: Keep,
) -> None:
    for feed, expected in zip(feeds[layer_type], answers[layer_type], strict=True):
        assert_feed_brings(feed, expected)
    assert len(feeds[layer_type]) == 20
    fidelity("Layer types", layer_type, row([EQUAL] * len(feeds[layer_type])))


def memory_layer(number: int) -> tuple[str, Blobs]:
    """Draws a MemoryData layer, and the arrays that it is given: some batches, whole ones."""
    draw = Draw(f"MemoryData-{number}")
    batch, *shape = (draw.integer(1, 5) for _ in range(4))
    rows = batch * draw.integer(1, 3)
    sizes = zip(("channels", "height", "width"), shape, strict=True)
    settings = f"batch_size: {batch} " + " ".join(f"{name}: {size}" for name, size in sizes)
    text = f'layer {{ name: "data" type: "MemoryData" top: "data" top: "label" memory_data_param {{ {settings} }} }}'
    values = draw.random.standard_normal((rows, *shape)).astype(np.float32)
    return text, {"values": values, "labels": draw.random.integers(0, 9, rows).astype(np.float32)}


def test_drawn_memory_data_brings_what_caffe_s_brings(
    caffe: NativeCaffe, tmp_path: Path, fidelity: Keep
) -> None:
    drawn = [memory_layer(number) for number in range(CONFIGURATIONS)]
    given = {}
    for number, (text, arrays) in enumerate(drawn):
        (tmp_path / f"memory_{number}.prototxt").write_text(text)
        given |= {f"{name}_{number}": array for name, array in arrays.items()}
    body = f"""
    for number in range({CONFIGURATIONS}):
        net = caffe.Net('{tmp_path}/memory_%d.prototxt' % number, caffe.TEST)
        net.set_input_arrays(given['values_%d' % number], given['labels_%d' % number])
        for batch in range(4):
            net.forward()
            for top in ('data', 'label'):
                out['%s_%d_%d' % (top, number, batch)] = net.blobs[top].data.copy()
    """
    theirs = ask_pycaffe(caffe, body, tmp_path, given)
    for number, (_, arrays) in enumerate(drawn):
        net = pycaffe.Net(str(tmp_path / f"memory_{number}.prototxt"), pycaffe.TEST)
        net.set_input_arrays(arrays["values"], arrays["labels"])
        for batch in range(4):
            net.forward()
            for top in ("data", "label"):
                found, expected = net.blobs[top].data, theirs[f"{top}_{number}_{batch}"]
                # Caffe's labels have other axes from the first forward on: docs/differences.md.
                np.testing.assert_array_equal(found, expected.reshape(found.shape))
    assert len(drawn) == 20
    fidelity("Layer types", "MemoryData", row([EQUAL] * len(drawn)))


def output_net(folder: Path, number: int, who: str) -> tuple[Path, Path, Blobs]:
    """Draws a net that writes two blobs; returns its file, the file that it writes, and the blobs."""
    draw = Draw(f"HDF5Output-{number}")
    rows = draw.integer(1, 7)
    arrays, layers = {}, []
    for name in ("values", "labels"):
        shape = (rows, *(draw.shape(0, 3) if draw.chance(0.8) else ()))
        arrays[name] = draw.random.standard_normal(shape).astype(np.float32)
        dims = " ".join(f"dim: {dim}" for dim in shape)
        layers.append(
            f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}'
        )
    written = folder / f"{who}_{number}.h5"
    settings = f'hdf5_output_param {{ file_name: "{written}" }}'
    layers.append(f'layer {{ name: "out" type: "HDF5Output" bottom: "values" bottom: "labels" {settings} }}')
    net = folder / f"{who}_{number}.prototxt"
    net.write_text("\n".join(layers))
    return net, written, arrays


def test_drawn_hdf5_output_writes_what_caffe_s_writes(
    caffe: NativeCaffe, tmp_path: Path, fidelity: Keep
) -> None:
    drawn = [output_net(tmp_path, number, "theirs") for number in range(CONFIGURATIONS)]
    given = {
        f"{name}_{number}": array
        for number, (*_, arrays) in enumerate(drawn)
        for name, array in arrays.items()
    }
    body = f"""
    for number in range({CONFIGURATIONS}):
        net = caffe.Net('{tmp_path}/theirs_%d.prototxt' % number, caffe.TEST)
        for name in ('values', 'labels'):
            net.blobs[name].data[...] = given['%s_%d' % (name, number)]
        net.forward()
        del net
    """
    ask_pycaffe(caffe, body, tmp_path, given)
    for number, (_, theirs, arrays) in enumerate(drawn):
        path, ours, _ = output_net(tmp_path, number, "ours")
        net = pycaffe.Net(str(path), pycaffe.TEST)
        for name, array in arrays.items():
            net.blobs[name].data[...] = array
        net.forward()
        with h5py.File(theirs) as expected, h5py.File(ours) as found:
            assert sorted(found) == sorted(expected) == ["data", "label"]
            for name in found:
                assert found[name].dtype == expected[name].dtype
                np.testing.assert_array_equal(found[name][...], expected[name][...])
    assert len(drawn) == 20
    fidelity("Layer types", "HDF5Output", row([EQUAL] * len(drawn)))
