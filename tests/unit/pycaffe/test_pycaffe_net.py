"""`caffe.Net`: what BVLC's own tests of it look at, and what scripts rely on beside."""

from __future__ import annotations

import gc
from collections import OrderedDict
from pathlib import Path

import h5py
import numpy as np
import pytest

from caffeflow import pycaffe as caffe
from caffeflow.errors import NetError, UsageError, WeightsError
from tests.support.pycaffe_nets import write_nets


@pytest.fixture
def net(tmp_path: Path) -> caffe.Net:
    caffe.set_random_seed(5)
    made = caffe.Net(str(write_nets(tmp_path)[0]), caffe.TRAIN)
    made.blobs["label"].data[...] = [0, 3, 5, 6]
    return made


@pytest.fixture
def deploy(tmp_path: Path) -> caffe.Net:
    made = caffe.Net(str(write_nets(tmp_path)[1]), caffe.TEST)
    random = np.random.default_rng(3)
    for blobs in made.params.values():
        for blob in blobs:
            blob.data[...] = random.standard_normal(blob.data.shape)
    return made


def test_names(net: caffe.Net, deploy: caffe.Net) -> None:
    layers = ["data", "conv", "relu", "b", "loss", "size"]
    assert list(net.blobs) == ["data", "label", "a", "relu", "b", "loss", "size"]
    assert list(net.layer_dict) == net._layer_names == layers
    assert [net.layer_dict[name] for name in layers] == net.layers
    assert [layer.type for layer in net.layers][:2] == ["DummyData", "Convolution"]
    assert list(net.params) == ["conv", "b"]
    assert (net.inputs, net.outputs) == ([], ["loss", "size"])
    assert (deploy.inputs, deploy.outputs) == (["data"], ["prob"])
    assert isinstance(net.top_names, OrderedDict)
    assert net.top_names["data"] == ["data", "label"]
    assert net.bottom_names["loss"] == ["b", "label"]
    assert net.blob_loss_weights["loss"] == pytest.approx(0.7)
    assert net.blob_loss_weights["b"] == 0
    assert [net._blob_names[place] for place in net._outputs] == net.outputs
    assert [deploy._blob_names[place] for place in deploy._inputs] == deploy.inputs
    assert net._blobs == list(net.blobs.values())
    assert net._blob_loss_weights == list(net.blob_loss_weights.values())


def test_a_blob_has_numpy_arrays_that_are_written_in_place(net: caffe.Net) -> None:
    blob = net.blobs["a"]
    assert (blob.shape, blob.count) == ((4, 3, 4, 5), 240)
    assert (blob.num, blob.channels, blob.height, blob.width) == (4, 3, 4, 5)
    assert (net.blobs["b"].width, net.blobs["loss"].num) == (1, 1)
    assert blob.data.dtype == blob.diff.dtype == np.float32
    held = blob.data
    net.forward()
    assert np.shares_memory(held, net.blobs["a"].data)
    first = held.copy()
    net.params["conv"][0].data[...] *= 2
    net.forward()
    assert not np.array_equal(first, held)


def test_arrays_outlive_their_net(net: caffe.Net, tmp_path: Path) -> None:
    other = caffe.Net(str(write_nets(tmp_path)[0]), caffe.TRAIN)
    other.forward()
    arrays = [blob.data for blob in other.blobs.values()]
    arrays += [blob.diff for blobs in other.params.values() for blob in blobs]
    total = sum(float(array.sum()) for array in arrays)
    del other
    gc.collect()
    net.forward()
    assert sum(float(array.sum()) for array in arrays) == total


def test_what_was_written_into_a_constant_top_of_dummy_data_stays(net: caffe.Net) -> None:
    net.forward()
    assert net.blobs["label"].data.tolist() == [0, 3, 5, 6]
    assert np.unique(net.blobs["data"].data).tolist() == [0.5]


def test_forward_returns_outputs_and_what_is_asked_for(net: caffe.Net) -> None:
    assert list(net.forward()) == ["loss", "size"]
    assert list(net.forward(blobs=["a"])) == ["loss", "size", "a"]
    assert list(net.forward(end="relu")) == ["relu"]


def test_a_part_forward_is_what_numpy_computes(net: caffe.Net) -> None:
    random = np.random.default_rng(1)
    net.blobs["relu"].data[...] = random.standard_normal(net.blobs["relu"].data.shape)
    weight, bias = (blob.data for blob in net.params["b"])
    made = net.forward(start="b", end="b")
    assert list(made) == ["b"]
    expected = net.blobs["relu"].data.reshape(4, -1) @ weight.T + bias
    np.testing.assert_allclose(made["b"], expected, rtol=1e-4, atol=1e-5)


def test_a_part_backward_needs_no_forward_before(net: caffe.Net) -> None:
    random = np.random.default_rng(1)
    net.blobs["b"].diff[...] = random.standard_normal(net.blobs["b"].data.shape)
    made = net.backward(start="b", end="b")
    assert list(made) == ["relu"]
    expected = (net.blobs["b"].diff @ net.params["b"][0].data).reshape(made["relu"].shape)
    np.testing.assert_allclose(made["relu"], expected, rtol=1e-4, atol=1e-5)


def test_a_backward_in_two_parts_is_one_backward(net: caffe.Net) -> None:
    net.forward()
    net.backward()
    whole = {name: blob.diff.copy() for name, blob in net.blobs.items()}
    net.forward()
    net.backward(end="loss")
    net.backward(start="b")
    np.testing.assert_array_equal(net.blobs["a"].diff, whole["a"])
    assert np.abs(whole["a"]).max() > 0


def test_diffs_of_learned_blobs_add_up_until_they_are_cleared(net: caffe.Net) -> None:
    net.forward()
    net.backward()
    once = net.params["conv"][0].diff.copy()
    net.backward()
    np.testing.assert_allclose(net.params["conv"][0].diff, 2 * once, rtol=1e-5)
    net.clear_param_diffs()
    assert not any(blob.diff.any() for blobs in net.params.values() for blob in blobs)
    assert once.any()


def test_inputs_are_given_by_name(deploy: caffe.Net) -> None:
    images = np.random.default_rng(2).standard_normal((4, 2, 5, 7))
    prob = deploy.forward(data=images)["prob"]
    np.testing.assert_allclose(prob.sum(axis=1), 1, rtol=1e-5)
    assert list(deploy.backward(prob=prob)) == ["data"]
    with pytest.raises(UsageError, match=r"do not match net inputs.*data; found images"):
        deploy.forward(images=images)
    with pytest.raises(UsageError, match=r"not batch sized: blob 'data'"):
        deploy.forward(data=images[:3])
    with pytest.raises(UsageError, match="do not match net outputs"):
        deploy.backward(data=images)


def test_forward_all_runs_any_number_of_items(deploy: caffe.Net) -> None:
    images = np.random.default_rng(2).standard_normal((11, 2, 5, 7)).astype(np.float32)
    prob = deploy.forward_all(data=images)["prob"]
    assert prob.shape == (11, 7)
    np.testing.assert_allclose(prob[8:11], deploy.forward_all(data=images[8:])["prob"], rtol=1e-5)
    outs, diffs = deploy.forward_backward_all(blobs=["b"], data=images, prob=prob)
    assert (outs["b"].shape, diffs["data"].shape) == ((11, 7), (11, 2, 5, 7))


def test_an_input_of_another_size(deploy: caffe.Net) -> None:
    images = np.random.default_rng(2).standard_normal((4, 2, 5, 7)).astype(np.float32)
    expected = deploy.forward(data=images)["prob"][:3].copy()
    deploy.blobs["data"].reshape(3, 2, 5, 7)
    deploy.reshape()
    assert deploy.blobs["a"].shape == (3, 3, 4, 5)
    np.testing.assert_allclose(deploy.forward(data=images[:3])["prob"], expected, rtol=1e-4, atol=1e-6)
    deploy.blobs["data"].reshape(1, 2, 5, 7)  # forward looks by itself
    np.testing.assert_allclose(deploy.forward(data=images[:1])["prob"], expected[:1], rtol=1e-4, atol=1e-6)
    deploy.blobs["data"].reshape(1, 2, 5, 11)
    with pytest.raises(NetError, match=r"layer 'b': has learned blobs of 7 x 60, 7; with"):
        deploy.reshape()


def test_weights_go_into_files_and_come_back(net: caffe.Net, deploy: caffe.Net, tmp_path: Path) -> None:
    net.save(str(tmp_path / "w.caffemodel"))
    net.save_hdf5(str(tmp_path / "w.h5"))
    path = str(write_nets(tmp_path)[1])
    with pytest.warns(DeprecationWarning, match="old order"):
        old = caffe.Net(path, str(tmp_path / "w.caffemodel"), caffe.TEST)
    new = caffe.Net(path, caffe.TEST, weights=str(tmp_path / "w.caffemodel"))
    deploy.load_hdf5(str(tmp_path / "w.h5"))
    for name, blobs in net.params.items():
        for index, blob in enumerate(blobs):
            for other in (old, new, deploy):
                np.testing.assert_array_equal(other.params[name][index].data, blob.data)
    with pytest.raises(WeightsError, match=r"nowhere\.caffemodel"):
        new.copy_from(str(tmp_path / "nowhere.caffemodel"))


def test_what_layers_share_may_be_left_out_of_hdf5(tmp_path: Path) -> None:
    layer = (
        'layer {{ name: "{0}" type: "InnerProduct" bottom: "data" top: "{0}" param {{ name: "shared" }}'
        ' inner_product_param {{ num_output: 3 weight_filler {{ type: "xavier" }} }} }}'
    )
    data = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 5 } } }'
    (tmp_path / "net.prototxt").write_text(data + layer.format("left") + layer.format("right"))
    net, other = (caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST) for _ in range(2))
    net.params["right"][1].data[...] = 7
    net.save_hdf5(str(tmp_path / "w.h5"))
    with h5py.File(tmp_path / "w.h5", "a") as file:  # as Caffe would have written it
        del file["caffeflow"], file["data/right/0"]
    other.load_hdf5(str(tmp_path / "w.h5"))
    for name in ("left", "right"):
        for ours, theirs in zip(other.params[name], net.params[name], strict=True):
            np.testing.assert_array_equal(ours.data, theirs.data)


def test_diffs_go_into_hdf5_beside_the_data(net: caffe.Net, tmp_path: Path) -> None:
    net.forward()
    net.backward()
    net.save_hdf5(str(tmp_path / "d.h5"), write_diff=True)
    with h5py.File(tmp_path / "d.h5") as file:
        for name, blobs in net.params.items():
            assert sorted(file["diff"][name]) == [str(index) for index in range(len(blobs))]
            for index, blob in enumerate(blobs):
                np.testing.assert_array_equal(file["data"][name][str(index)], blob.data)
                np.testing.assert_array_equal(file["diff"][name][str(index)], blob.diff)
                assert np.any(blob.diff)
    net.load_hdf5(str(tmp_path / "d.h5"))


def test_nets_share_weights(net: caffe.Net, deploy: caffe.Net) -> None:
    deploy.share_with(net)
    net.params["conv"][0].data[...] = 0.25
    assert np.unique(deploy.params["conv"][0].data).tolist() == [0.25]


def test_stages_levels_and_phases_choose_layers(tmp_path: Path) -> None:
    path = str(write_nets(tmp_path)[0])
    assert "staged" not in caffe.Net(path, caffe.TRAIN, stages=["more"]).blobs
    assert "staged" in caffe.Net(path, caffe.TRAIN, stages=["more"], level=2).blobs
    with pytest.raises(UsageError, match=r"caffe\.TRAIN or caffe\.TEST"):
        caffe.Net(path, 2)
    with pytest.raises(NetError, match="no such net file"):
        caffe.Net(str(tmp_path / "nowhere.prototxt"), caffe.TEST)


def test_the_seed_decides_the_weights(tmp_path: Path) -> None:
    path = str(write_nets(tmp_path)[0])

    def weights(seed: int) -> list[float]:
        caffe.set_random_seed(seed)
        return list(caffe.Net(path, caffe.TRAIN).params["b"][0].data.flat)

    assert weights(1) == weights(1) != weights(2)
    assert weights(-1) == weights(2**32 - 1)


def test_callbacks_hear_of_every_layer(net: caffe.Net) -> None:
    heard: list[tuple[str, int]] = []
    net.before_forward(lambda layer: heard.append(("before", layer)))
    net.after_forward(lambda layer: heard.append(("after", layer)))
    net.before_backward(lambda layer: heard.append(("down", layer)))
    net.after_backward(lambda layer: heard.append(("up", layer)))
    net.forward(end="conv")
    assert heard == [("before", 0), ("after", 0), ("before", 1), ("after", 1)]
    heard.clear()
    net.backward(start="conv")
    assert heard == [("down", 1), ("up", 1), ("down", 0), ("up", 0)]


def test_unknown_layers_are_told_with_the_nearest(net: caffe.Net) -> None:
    with pytest.raises(NetError, match=r"no layer 'rely'.*'relu'"):
        net.forward(start="rely")
    with pytest.raises(NetError, match="0 to 5"):
        net._forward(0, 9)
