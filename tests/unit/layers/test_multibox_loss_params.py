"""What MultiBoxLoss reads, and what it refuses before anything runs."""

from __future__ import annotations

import pytest

from caffeflow.errors import NetError
from caffeflow.layers.boxes import Coding
from caffeflow.layers.multibox_loss import MultiBoxLossParams, multibox_loss_shapes
from caffeflow.proto.caffe_pb2 import LayerParameter
from caffeflow.proto.text import parse

PRIORS, IMAGES, CLASSES = 7, 3, 5
TRUTH = (1, 1, 11, 8)


def read(fields="num_classes: 5", extra=""):
    text = f'name: "mbox" type: "MultiBoxLoss" multibox_loss_param {{ {fields} }} {extra}'
    return MultiBoxLossParams.read(parse(text, LayerParameter(), source="test"))


def test_defaults_are_caffes():
    params = read()
    assert params.coding == Coding("CORNER")
    assert params.background == 0
    assert params.is_smooth
    assert not params.is_logistic
    assert params.loc_weight == 1
    assert params.normalization == "VALID"
    assert (params.counts_loc, params.counts_conf) == (True, True)
    assert not params.matching.is_bipartite
    assert params.matching.by_priors
    assert params.matching.with_difficult
    assert params.matching.threshold == 0.5
    assert params.mining is not None
    assert params.mining.sample_size is None
    assert (params.mining.negatives_per_match, params.mining.overlap) == (3, 0.5)
    assert params.mining.suppression is None


@pytest.mark.parametrize(
    ("loss", "mode"),
    [
        ("normalization: BATCH_SIZE", "BATCH_SIZE"),
        ("normalize: false", "BATCH_SIZE"),
        ("normalize: true", "VALID"),
        ("normalization: FULL normalize: false", "FULL"),
    ],
)
def test_the_divisor_is_chosen_as_by_other_losses(loss, mode):
    assert read(extra=f"loss_param {{ {loss} }}").normalization == mode


@pytest.mark.parametrize("fields", ["do_neg_mining: true", "do_neg_mining: false mining_type: NONE"])
def test_the_old_switch_of_mining_may_agree(fields):
    assert (read(f"num_classes: 5 {fields}").mining is None) == ("NONE" in fields)


def test_a_background_beyond_int_is_none():
    params = read("num_classes: 5 background_label_id: 4294967295 conf_loss_type: LOGISTIC")
    assert params.background == -1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("", "num_classes is missing.*background counted"),
        ("num_classes: 0", "num_classes is 0"),
        ("num_classes: 5 do_neg_mining: false", "do_neg_mining is false, but mining_type is MAX_NEGATIVE"),
        ("num_classes: 5 do_neg_mining: true mining_type: NONE", "do_neg_mining is true.*NONE"),
        ("num_classes: 5 share_location: false", "MAX_NEGATIVE needs share_location: true"),
        ("num_classes: 5 mining_type: HARD_EXAMPLE sample_size: 0", "sample_size is 0"),
        ("num_classes: 5 background_label_id: 5", r"background_label_id is 5.*SOFTMAX.*0 to 4"),
        ("num_classes: 5 background_label_id: 4294967295", "background_label_id is -1.*SOFTMAX"),
        ("num_classes: 5 background_label_id: 5 conf_loss_type: LOGISTIC", "is 5; with mining"),
        ("num_classes: 5 map_object_to_agnostic: true", "num_classes 2.*found num_classes 5"),
        ("num_classes: 2 background_label_id: 1 map_object_to_agnostic: true", "background_label_id 1"),
    ],
)
def test_settings_that_caffe_refuses(fields, message):
    with pytest.raises(NetError, match=message):
        read(fields)


@pytest.mark.parametrize(
    ("flags", "counts"),
    [
        ("[true, true, false, false]", (True, True)),
        ("[false, true, false, false]", (False, True)),
        ("[true, false, false, false]", (True, False)),
    ],
)
def test_terms_follow_propagate_down(flags, counts):
    params = read(extra=f"propagate_down: {flags}")
    assert (params.counts_loc, params.counts_conf) == counts


@pytest.mark.parametrize(
    ("flags", "bottom"),
    [("[true, true, true, false]", "bottom 2 .the priors"), ("[true, true, false, true]", "bottom 3")],
)
def test_no_gradient_goes_to_priors_or_boxes(flags, bottom):
    with pytest.raises(NetError, match=bottom):
        read(extra=f"propagate_down: {flags}")


def shapes(fields="num_classes: 5", **given):
    bottoms = {
        "loc": (IMAGES, PRIORS * 4),
        "conf": (IMAGES, PRIORS * CLASSES),
        "priors": (1, 2, PRIORS * 4),
        "truth": TRUTH,
        **given,
    }
    return multibox_loss_shapes(read(fields), list(bottoms.values()))


def test_the_top_is_a_scalar():
    assert shapes() == [()]
    assert shapes(loc=(IMAGES, PRIORS * 4, 1, 1)) == [()]
    per_class = "num_classes: 5 share_location: false mining_type: NONE"
    assert shapes(per_class, loc=(IMAGES, PRIORS * CLASSES * 4)) == [()]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"loc": (IMAGES, PRIORS * 4 + 8)},
            r"priors must match the loc head: 7 priors x 4 values need 28 channels, found 36.*enough for 9"
            r".*num_output.*min_size",
        ),
        ({"conf": (IMAGES, PRIORS * 4)}, r"the conf head: 7 priors x 5 values need 35 channels, found 28"),
        ({"conf": (2, PRIORS * CLASSES)}, "same first dimension"),
        ({"loc": (IMAGES, PRIORS, 4)}, r"loc must be flat, N x 28; found 3 x 7 x 4; .*Flatten"),
        ({"priors": (1, 1, PRIORS * 4)}, "priors must be 1 x 2 x P"),
        ({"priors": (1, 2, PRIORS * 4 + 1)}, "priors must be 1 x 2 x P"),
        ({"truth": (IMAGES, 1, 1, 1)}, r"ground truth must be 1 x 1 x G x 8.*found 3 x 1 x 1 x 1"),
        ({"truth": (IMAGES,)}, "ground truth must be"),
    ],
)
def test_heads_that_do_not_fit_say_by_how_much(given, message):
    with pytest.raises(NetError, match=message):
        shapes(**given)
