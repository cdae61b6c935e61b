"""Small SSD batches for tests of MultiBoxLoss, and its settings as prototxt text."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tests.support.oracles.multibox import Settings

VARIANCES = (0.1, 0.1, 0.2, 0.2)


@dataclass
class Scene:
    """The four bottoms, float32."""

    loc: np.ndarray
    conf: np.ndarray
    priors: np.ndarray
    truth: np.ndarray

    def bottoms(self):
        return [self.loc, self.conf, self.priors, self.truth]


def scene(
    settings, *, seed=0, count=13, boxes=(2, 0, 4), labels=None, difficult=0.3, spread=0.7, sharpness=1.5
):
    """A batch with as many images as `boxes` has numbers of boxes.

    Boxes lie near priors, some of which reach out of the image; every fifth prior and every fourth box is a
    double of the one before, so that there are ties.
    """
    rng = np.random.default_rng(seed)
    images = len(boxes)
    priors = some_boxes(rng, count)
    if labels is None:
        labels = [c for c in range(settings.classes) if c != settings.background]
    rows = []
    for item, number in enumerate(boxes):
        near = priors[rng.integers(0, count, number)] + rng.normal(0, 0.04, (number, 4))
        near[3::4] = near[2::4][: len(near[3::4])]
        near = np.sort(near.reshape(-1, 2, 2), 1).reshape(-1, 4)
        rows += [[item, rng.choice(labels), 0, *box, rng.random() < difficult] for box in near]
    if not rows:
        rows = [[-1] * 8]
    loc_classes = 1 if settings.share else settings.classes
    conf = rng.normal(0, sharpness, (images, count, settings.classes))
    conf[:, 4::5] = conf[:, 3::5][:, : conf[:, 4::5].shape[1]]
    return Scene(
        loc=rng.normal(0, spread, (images, count * loc_classes * 4)).astype(np.float32),
        conf=conf.reshape(images, -1).astype(np.float32),
        priors=as_priors(priors),
        truth=as_truth(rows),
    )


def some_boxes(rng, count):
    """Boxes of some size in and about the image; every fifth is a double of the one before."""
    centres, sides = rng.random((count, 2)), rng.uniform(0.1, 0.5, (count, 2))
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], 1)
    boxes[4::5] = boxes[3::5][: len(boxes[4::5])]
    return boxes


def as_priors(boxes, variances=VARIANCES):
    """The blob that PriorBox makes."""
    boxes = np.asarray(boxes)
    return np.stack([boxes.reshape(-1), np.tile(variances, len(boxes))])[None].astype(np.float32)


def as_truth(rows):
    """The blob that AnnotatedData makes."""
    return np.asarray(rows, np.float32).reshape(1, 1, -1, 8)


NAMES = {
    "classes": "num_classes",
    "share": "share_location",
    "background": "background_label_id",
    "match": "match_type",
    "threshold": "overlap_threshold",
    "by_priors": "use_prior_for_matching",
    "within_image": "ignore_cross_boundary_bbox",
    "difficult": "use_difficult_gt",
    "mining": "mining_type",
    "ratio": "neg_pos_ratio",
    "neg_overlap": "neg_overlap",
    "sample_size": "sample_size",
    "nms_by_priors": "use_prior_for_nms",
    "conf_loss": "conf_loss_type",
    "loc_loss": "loc_loss_type",
    "loc_weight": "loc_weight",
    "code": "code_type",
    "variance_in_target": "encode_variance_in_target",
    "bp_inside": "bp_inside",
    "agnostic": "map_object_to_agnostic",
}


def text_of(settings):
    """The layer as text, without what stays at Caffe's default."""
    defaults = Settings(classes=-1)
    fields = []
    for name, field in NAMES.items():
        value = getattr(settings, name)
        if value == getattr(defaults, name):
            continue
        if isinstance(value, bool):
            value = str(value).lower()
        elif name == "background" and value < 0:
            value += 1 << 32
        fields.append(f"{field}: {value}")
    if settings.nms:
        threshold, top_k = settings.nms
        fields.append(f"nms_param {{ nms_threshold: {threshold} {f'top_k: {top_k}' if top_k else ''} }}")
    text = f'type: "MultiBoxLoss" multibox_loss_param {{ {" ".join(fields)} }}'
    if settings.normalization != "VALID":
        text += f" loss_param {{ normalization: {settings.normalization} }}"
    if settings.counts != (True, True):
        flags = [str(flag).lower() for flag in (*settings.counts, False, False)]
        text += "".join(f" propagate_down: {flag}" for flag in flags)
    return text


def drawn_settings(seed):
    """One of the combinations that Caffe accepts."""
    rng = np.random.default_rng(seed)

    def either(*values):
        return values[rng.integers(len(values))]

    settings = Settings(
        classes=either(2, 3, 5),
        share=either(True, True, False),
        background=either(0, 0, 1, -1),
        match=either("PER_PREDICTION", "BIPARTITE"),
        threshold=either(0.5, 0.25, 0.75),
        by_priors=either(True, True, False),
        within_image=either(False, False, True),
        difficult=either(True, False),
        mining=either("MAX_NEGATIVE", "HARD_EXAMPLE", "NONE"),
        ratio=either(3, 1.5, 0.5),
        neg_overlap=either(0.5, 0.25),
        sample_size=either(64, 3, 7),
        nms=either(None, None, (0.5, 7), (0.375, -1), (0.5, 0)),
        nms_by_priors=either(True, False),
        conf_loss=either("SOFTMAX", "LOGISTIC"),
        loc_loss=either("SMOOTH_L1", "L2"),
        loc_weight=either(1, 0.5),
        code=either("CORNER", "CENTER_SIZE", "CORNER_SIZE"),
        variance_in_target=either(False, True),
        bp_inside=either(False, False, True),
        agnostic=either(False, False, True),
        normalization=either("VALID", "FULL", "BATCH_SIZE", "NONE"),
    )
    if settings.conf_loss == "SOFTMAX":
        settings = replace(settings, background=max(settings.background, 0))
    if settings.agnostic:
        classes, background = (1, -1) if settings.background < 0 else (2, 0)
        settings = replace(settings, classes=classes, background=background)
    if not settings.share:
        settings = replace(settings, mining="NONE")
    return settings
