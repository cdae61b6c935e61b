"""Battery cases of the SSD fork's layers but MultiBoxLoss: what stands before and behind the loss."""

from __future__ import annotations

import numpy as np

from tests.support.layer_battery import Case
from tests.support.oracles import detection_layers as loops
from tests.support.oracles.detection_evaluate import evaluate
from tests.support.oracles.detection_output import detections

SHAPE = (2, 3, 5, 7)


def permute_case(name, order, wanted, bottom=SHAPE):
    return Case(
        id=f"permute-{name}",
        prototxt=f'type: "Permute" permute_param {{ {order} }}',
        bottoms=[bottom],
        oracle=lambda xs, _: loops.permute(xs[0], wanted),
        larger_batch=wanted[0] == 0,
    )


PERMUTE = [
    permute_case("channels-last", "order: 0 order: 2 order: 3 order: 1", [0, 2, 3, 1]),
    permute_case("all-axes", "order: [3, 1, 0, 2]", [3, 1, 0, 2]),
    permute_case("rest-follows", "order: 2", [2, 0, 1, 3]),
    permute_case("nothing", "", [0, 1, 2, 3]),
    permute_case("three-axes", "order: [0, 2]", [0, 2, 1], (3, 2, 5)),
]


def normalize_case(name, settings, *, bottom=SHAPE, **arguments):
    def gradient(xs, blobs, diffs):
        return [loops.normalize_gradient(xs[0], blobs[0], diffs[0], **arguments)]

    return Case(
        id=f"normalize-{name}",
        prototxt=f'type: "Normalize" norm_param {{ {settings} }}',
        bottoms=[bottom],
        oracle=lambda xs, blobs: loops.normalize(xs[0], blobs[0], **arguments),
        # With factors that differ Caffe's is not the derivative.
        gradient=gradient if "channel_shared" in settings else "numeric",
        names=("scale",),
    )


BY_PLACE = {"across_spatial": False}
WITH_ZEROS = np.where(np.arange(30).reshape(2, 3, 5) % 5 == 2, 0, np.arange(30).reshape(2, 3, 5) / 7 - 2)
NORMALIZE = [
    normalize_case("defaults", ""),
    normalize_case("ssd", "across_spatial: false channel_shared: false", **BY_PLACE),
    normalize_case("by-place", "across_spatial: false", **BY_PLACE),
    normalize_case("by-channel", "channel_shared: false"),
    normalize_case("eps", "across_spatial: false eps: 0.25", eps=0.25, **BY_PLACE),
    normalize_case("rows", "channel_shared: false", bottom=(3, 5)),
    normalize_case("zeros", "across_spatial: false eps: 0.5", bottom=WITH_ZEROS, eps=0.5, **BY_PLACE),
]

# Differences below 1, above it, and at both kinks and 0.
WANTED = np.zeros((3, 7))
PREDICTED = np.linspace(-2.5, 2.5, 21).reshape(3, 7)
PREDICTED[0, :3] = [-1, 0, 1]
WEIGHTS = np.abs(np.arange(21) % 4 - 1.0).reshape(3, 7) * 0.75


def smooth_l1_case(name, bottoms):
    def gradient(xs, _, diffs):
        da = loops.smooth_l1(*xs)[1] * diffs[0]
        return [da, -da.reshape(xs[1].shape)]

    return Case(
        id=f"smoothl1loss-{name}",
        prototxt='type: "SmoothL1Loss"',
        bottoms=bottoms,
        oracle=lambda xs, _: loops.smooth_l1(*xs)[0],
        gradient=gradient,
        differentiable=(0, 1),
    )


SMOOTH_L1 = [
    smooth_l1_case("two-bottoms", [PREDICTED, WANTED]),
    smooth_l1_case("weights", [PREDICTED, WANTED, WEIGHTS]),
    smooth_l1_case("maps", [SHAPE, SHAPE, SHAPE]),
    smooth_l1_case("older-shape", [PREDICTED, WANTED.reshape(3, 7, 1, 1)]),
]


def prior_case(name, settings, *, bottoms=((2, 3, 5, 3), (2, 3, 37, 53)), image=(37, 53), **arguments):
    return Case(
        id=f"priorbox-{name}",
        prototxt=f'type: "PriorBox" prior_box_param {{ {settings} }}',
        bottoms=bottoms,
        oracle=lambda xs, _: loops.prior_box(xs[0].shape[2:], image, **arguments),
        gradient=None,
    )


FOUR = (0.1, 0.1, 0.2, 0.2)
PRIOR_BOX = [
    prior_case("one-size", "min_size: 7", min_size=[7]),
    prior_case("sizes-are-cut", "min_size: 7.9 max_size: 13.9", min_size=[7.9], max_size=[13.9]),
    prior_case("ratios", "min_size: 7 aspect_ratio: 2 aspect_ratio: 3", min_size=[7], ratio=[2, 3]),
    prior_case("no-flip", "min_size: 7 aspect_ratio: [2, 3] flip: false", min_size=[7], ratio=[2, 3], flip=False),
    prior_case(
        "ratios-twice",
        "min_size: 7 aspect_ratio: [1, 2, 0.5, 2, 1.0000001]",
        min_size=[7],
        ratio=[1, 2, 0.5, 2, 1.0000001],
    ),
    prior_case(
        "two-sizes",
        "min_size: [5, 11] max_size: [9, 17] aspect_ratio: 2",
        min_size=[5, 11],
        max_size=[9, 17],
        ratio=[2],
    ),
    prior_case("clip", "min_size: 31 aspect_ratio: 3 clip: true", min_size=[31], ratio=[3], clip=True),
    prior_case("one-variance", "min_size: 7 variance: 0.3", min_size=[7], variance=(0.3,)),
    prior_case("four-variances", "min_size: 7 variance: [0.1, 0.1, 0.2, 0.2]", min_size=[7], variance=FOUR),
    prior_case("image-size", "min_size: 7 img_size: 41", min_size=[7], bottoms=[(2, 3, 5, 3)], image=(41, 41)),
    prior_case("image-sides", "min_size: 7 img_h: 41 img_w: 61", min_size=[7], image=(41, 61)),
    prior_case("step", "min_size: 7 step: 8.5", min_size=[7], step=(8.5, 8.5)),
    prior_case("steps", "min_size: 7 step_h: 5 step_w: 11", min_size=[7], step=(5, 11)),
    prior_case("offset", "min_size: 7 offset: 0.25", min_size=[7], offset=0.25),
    prior_case(
        "reduce",
        "min_size: [7, 9] max_size: [11, 13] aspect_ratio: 2 reduce_boxes: true",
        min_size=[7, 9],
        max_size=[11, 13],
        ratio=[2],
        reduce=True,
    ),
]  # fmt: skip


def tf_case(name, settings, bottom, *, stride, pad):
    return Case(
        id=f"convolution-tf-pad-{name}",
        prototxt=f'type: "Convolution" convolution_param {{ num_output: 2 {settings} }}',
        bottoms=[bottom],
        oracle=lambda xs, blobs: loops.tf_convolution(xs[0], *blobs, stride=stride, pad=pad),
        gradient=lambda xs, blobs, diffs: [
            loops.tf_convolution_gradient(xs[0], blobs[0], diffs[0], stride=stride, pad=pad)
        ],
        names=("weight", "bias"),
    )


TF_PAD = [
    tf_case("end", "kernel_size: 3 pad: 1 stride: 2 tf_pad: SAME", (2, 3, 8, 6), stride=(2, 2), pad=(1, 1)),
    tf_case("sides", "kernel_size: 3 pad: 1 stride: 2 tf_pad: SAME", (2, 3, 7, 5), stride=(2, 2), pad=(1, 1)),
    tf_case("mixed", "kernel_size: 3 pad: 1 stride: 2 tf_pad: SAME", (2, 3, 7, 6), stride=(2, 2), pad=(1, 1)),
    tf_case("other", "kernel_size: 3 pad: 1 stride: 2 tf_pad: SAME", (2, 3, 6, 7), stride=(2, 2), pad=(1, 1)),
    tf_case("stride-1", "kernel_size: 5 pad: 2 tf_pad: SAME", (2, 3, 7, 5), stride=(1, 1), pad=(2, 2)),
    # TensorFlow would put 1 zero before and 2 after; the fork puts 2 on both sides.
    tf_case("wide", "kernel_size: 5 pad: 2 stride: 2 tf_pad: SAME", (2, 3, 8, 6), stride=(2, 2), pad=(2, 2)),
    tf_case("no-pad", "kernel_size: 3 tf_pad: SAME", (2, 3, 7, 5), stride=(1, 1), pad=(0, 0)),
    Case(
        id="convolution-tf-pad-valid",
        prototxt='type: "Convolution" convolution_param { num_output: 2 kernel_size: 3 pad: 1 tf_pad: VALID }',
        bottoms=[(2, 3, 7, 5)],
        oracle=lambda xs, blobs: plain_convolution(xs[0], *blobs),
        names=("weight", "bias"),
    ),
]


def plain_convolution(x, weight, bias):
    y = np.zeros((len(x), len(weight), x.shape[2] - 2, x.shape[3] - 2))
    for n, k, i, j in np.ndindex(*y.shape):
        y[n, k, i, j] = bias[k] + (x[n, :, i : i + 3, j : j + 3] * weight[k]).sum()
    return y


RNG = np.random.default_rng(17)
PRIORS, CLASSES, IMAGES = 11, 5, 3


def some_priors():
    centres, halves = RNG.uniform(0.2, 0.8, (PRIORS, 2)), RNG.uniform(0.1, 0.3, (PRIORS, 2))
    corners = np.concatenate((centres - halves, centres + halves), 1)
    variances = np.tile(FOUR, (PRIORS, 1)) * RNG.uniform(0.5, 2, (PRIORS, 4))
    return np.stack((corners.ravel(), variances.ravel()))[None]


def some_conf(images=IMAGES):
    """Distinct scores in (0, 1)."""
    count = images * PRIORS * CLASSES
    return (RNG.permutation(count).reshape(images, -1) + 0.5) / count


def output_case(name, settings, *, images=IMAGES, classes=CLASSES, loc=1.0, conf=None, **arguments):
    per_prior = classes if arguments.get("share") is False else 1
    bottoms = [
        RNG.normal(0, loc, (images, PRIORS * per_prior * 4)),
        some_conf(images) if conf is None else conf,
        some_priors(),
    ]
    return Case(
        id=f"detectionoutput-{name}",
        prototxt=f'type: "DetectionOutput" detection_output_param {{ num_classes: {classes} {settings} }}',
        bottoms=bottoms,
        oracle=lambda xs, _: detections(*xs, classes=classes, **arguments),
        gradient=None,
        larger_batch=False,
        varying_axis=2,
    )


CENTER = "code_type: CENTER_SIZE"
HALF = "confidence_threshold: 0.5"
# A score that is the threshold itself does not exceed it; 0.375 and 0.25 are exact in float32.
ON_THRESHOLD = np.where(np.arange(PRIORS * CLASSES) % 3 == 0, 0.25, 0.375 + np.arange(PRIORS * CLASSES) / 512)
ONE_IMAGE_EMPTY = np.stack((np.zeros(PRIORS * CLASSES), some_conf(1)[0], np.zeros(PRIORS * CLASSES)))
TIED_SCORES = np.tile([0.1, 0.75, 0.5, 0.75, 0.25], (IMAGES, PRIORS))

DETECTION_OUTPUT = [
    output_case("defaults", ""),
    output_case("center-size", f"{CENTER} {HALF}", code="CENTER_SIZE", threshold=0.5),
    output_case("corner-size", f"code_type: CORNER_SIZE {HALF}", code="CORNER_SIZE", threshold=0.5),
    *[
        output_case(
            f"variance-in-target-{code.lower().replace('_', '-')}",
            f"code_type: {code} variance_encoded_in_target: true {HALF}",
            loc=0.1,
            code=code,
            variance_in_target=True,
            threshold=0.5,
        )
        for code in ("CORNER", "CENTER_SIZE", "CORNER_SIZE")
    ],
    output_case("a-box-a-label", f"share_location: false {CENTER} {HALF}", share=False, code="CENTER_SIZE", threshold=0.5),
    output_case("no-background", f"background_label_id: -1 {CENTER}", background=-1, code="CENTER_SIZE"),
    output_case("other-background", f"background_label_id: 3 {CENTER}", background=3, code="CENTER_SIZE"),
    output_case("at-the-threshold", "confidence_threshold: 0.25", images=1, conf=ON_THRESHOLD[None], threshold=0.25),
    output_case("nms-0", f"{CENTER} nms_param {{ nms_threshold: 0 }}", code="CENTER_SIZE", nms=0),
    output_case("nms-1", f"{CENTER} nms_param {{ nms_threshold: 1 }}", code="CENTER_SIZE", nms=1),
    output_case("top-k", f"{CENTER} nms_param {{ nms_threshold: 0.45 top_k: 4 }}", code="CENTER_SIZE", nms=0.45, top_k=4),
    output_case("top-k-0", f"{CENTER} nms_param {{ top_k: 0 }}", code="CENTER_SIZE", top_k=0),
    output_case("eta", f"{CENTER} nms_param {{ nms_threshold: 0.9 eta: 0.75 }}", loc=0.3, code="CENTER_SIZE", nms=0.9, eta=0.75),
    output_case("eta-below-half", f"{CENTER} nms_param {{ nms_threshold: 0.4 eta: 0.75 }}", code="CENTER_SIZE", nms=0.4, eta=0.75),
    output_case("keep", f"{CENTER} nms_param {{ nms_threshold: 0.6 }} keep_top_k: 7", code="CENTER_SIZE", nms=0.6, keep=7),
    output_case("keep-0", f"{CENTER} keep_top_k: 0", code="CENTER_SIZE", keep=0),
    output_case("keep-more", f"{CENTER} keep_top_k: 1000", code="CENTER_SIZE", keep=1000),
    output_case("nothing", "confidence_threshold: 1", threshold=1),
    output_case("one-image-has-some", HALF, conf=ONE_IMAGE_EMPTY, threshold=0.5),
    output_case("equal-scores", f"{CENTER} nms_param {{ nms_threshold: 0.6 }}", conf=TIED_SCORES, code="CENTER_SIZE", nms=0.6),
]  # fmt: skip


def evaluate_case(name, settings, found, truth, **arguments):
    return Case(
        id=f"detectionevaluate-{name}",
        prototxt=f'type: "DetectionEvaluate" detection_evaluate_param {{ num_classes: 5 {settings} }}',
        bottoms=[np.array(found).reshape(1, 1, -1, 7), np.array(truth).reshape(1, 1, -1, 8)],
        oracle=lambda xs, _: evaluate(*xs, classes=5, **arguments),
        gradient=None,
        larger_batch=False,
        varying_axis=2,
    )


def some_truth(count=29):
    """Boxes of 4 images and labels 1 to 4, a third of them difficult, by image as AnnotatedData gives them."""
    corners = RNG.uniform(0, 0.5, (count, 2))
    boxes = np.concatenate((corners, corners + RNG.uniform(0.2, 0.5, (count, 2))), 1)
    images = np.sort(RNG.integers(0, 4, count))
    head = np.stack((images, RNG.integers(1, 5, count), np.arange(count)), 1)
    return np.concatenate((head, boxes, (np.arange(count) % 3 == 0)[:, None]), 1)


TRUTH = some_truth()


def some_found(truth=TRUTH):
    """Two detections near each box, one of them often missing it, and three of labels without boxes."""
    rows = []
    for shift in (0.02, 0.12):
        for image, label, _, *box, _ in truth:
            rows.append([image, label, 0, *(np.array(box) + RNG.uniform(-shift, shift, 4))])
    rows += [[5, 2, 0, 0, 0, 1, 1], [5, 1, 0, 0, 0, 1, 1], [0, 1, 0, 0.9, 0.9, 0.95, 0.95]]
    for row, score in zip(rows, RNG.permutation(len(rows)), strict=True):
        row[2] = (score + 0.5) / len(rows)
    order = RNG.permutation(len(rows))
    return [rows[place] for place in order]


FOUND = some_found()
NO_ROW = [[-1.0] * 8]
NOTHING = [[image, *[-1.0] * 6] for image in range(4)]
TWO_ON_ONE = [[0, 1, 0.5, 0, 0, 1, 1], [0, 1, 0.75, 0, 0, 1, 0.95], [0, 1, 0.25, 0, 0, 0.5, 0.5]]

DETECTION_EVALUATE = [
    evaluate_case("defaults", "", FOUND, TRUTH),
    evaluate_case("without-difficult", "evaluate_difficult_gt: false", FOUND, TRUTH, difficult=False),
    evaluate_case("threshold", "overlap_threshold: 0.75", FOUND, TRUTH, threshold=0.75),
    evaluate_case("no-background", "background_label_id: 4294967295", FOUND, TRUTH, background=-1),
    evaluate_case("other-background", "background_label_id: 0", FOUND, TRUTH, background=0),
    evaluate_case("nothing-found", "", NOTHING, TRUTH),
    evaluate_case("no-boxes", "", FOUND, NO_ROW),
    evaluate_case("neither", "", NOTHING, NO_ROW),
    evaluate_case("two-on-one", "", TWO_ON_ONE, [[0, 1, 0, 0, 0, 1, 1, 0]]),
    evaluate_case(
        "two-on-a-difficult-one",
        "evaluate_difficult_gt: false",
        TWO_ON_ONE,
        [[0, 1, 0, 0, 0, 1, 1, 1]],
        difficult=False,
    ),
    evaluate_case("equal-overlaps", "", TWO_ON_ONE, [[0, 1, 0, 0, 0, 1, 1, 0], [0, 1, 1, 0, 0, 1, 1, 0]]),
    evaluate_case("at-the-threshold", "", [[0, 1, 0.5, 0, 0, 0.5, 1]], [[0, 1, 0, 0, 0, 1, 1, 0]]),
    evaluate_case("ends-at-no-row", "", FOUND, [*TRUTH[:7], *NO_ROW, *TRUTH[7:]]),
]

CASES = [
    *PERMUTE,
    *NORMALIZE,
    *SMOOTH_L1,
    *PRIOR_BOX,
    *TF_PAD,
    *DETECTION_OUTPUT,
    *DETECTION_EVALUATE,
]
