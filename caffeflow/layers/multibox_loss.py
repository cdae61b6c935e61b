"""MultiBoxLoss: what an SSD's heads cost; SSD fork only.

Bottoms: loc [N, P*L*4] (L is 1, or num_classes without share_location), conf [N, P*num_classes] before any
softmax, priors [1, 2, P*4] (boxes, then variances), ground truth [1, 1, G, 8] (item, label, instance, xmin,
ymin, xmax, ymax, difficult; item -1: no box). Where Caffe surprises:
  * code_type is CORNER unless told otherwise, and the published nets use CENTER_SIZE;
  * VALID, the default, divides by the number of matched priors after mining;
  * negatives are mined per image and only where a box was matched: an image without boxes costs nothing;
  * nms_param without top_k selects nothing at all in mining (in DetectionOutput it means all);
  * a term whose propagate_down is false is left out of the printed loss as well;
  * LOGISTIC targets begin as the background's label id, not as 0, so an id other than 0 spoils them;
  * LOGISTIC without mining writes the targets of all images but the first into wrong rows, and no target
    for the background;
  * boxes without area are never matched, so they are no error, not even where a code divides by their sides.
All of these are kept, so that a net learns the same here and there; the settings that nobody can want are
named when the net is built. One thing is not: Caffe keeps its matches until backward, so that of two
forwards in a row the second sees the first's. Here each forward stands for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffeflow.errors import NetError
from caffeflow.layers.boxes import Coding, check_head, prior_count, read_background, read_coding
from caffeflow.layers.losses import Normalization, check_first_dimension, read_normalization
from caffeflow.layers.params import count, dims
from caffeflow.layers.spec import LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import LayerParameter, MultiBoxLossParameter


@dataclass(frozen=True, kw_only=True)
class Matching:
    """Which priors stand for which boxes.

    Attributes:
        is_bipartite: One prior a box; otherwise also every prior that overlaps one enough.
        threshold: The overlap that is enough.
        by_priors: Priors are compared with the boxes; otherwise the predictions are.
        within_image: Priors (or predictions) that reach out of the image are left aside.
        with_difficult: Difficult boxes count.
    """

    is_bipartite: bool
    threshold: float
    by_priors: bool
    within_image: bool
    with_difficult: bool


@dataclass(frozen=True, kw_only=True)
class Suppression:
    """Candidates that overlap one with a larger loss are passed over.

    Attributes:
        threshold: The overlap from which on they are.
        top_k: How many of the largest losses are looked at; negative: all.
        by_priors: Priors are compared; otherwise the predictions are.
    """

    threshold: float
    top_k: int
    by_priors: bool


@dataclass(frozen=True, kw_only=True)
class Mining:
    """Which priors cost confidence.

    Attributes:
        sample_size: HARD_EXAMPLE: how many an image, matched or not; None: MAX_NEGATIVE.
        negatives_per_match: MAX_NEGATIVE: how many unmatched ones for a matched one.
        overlap: MAX_NEGATIVE: only priors that overlap less with every box.
        suppression: None: none.
    """

    sample_size: int | None
    negatives_per_match: float
    overlap: float
    suppression: Suppression | None


@dataclass(frozen=True, kw_only=True)
class MultiBoxLossParams:
    """The settings of MultiBoxLoss.

    Attributes:
        background: The label of no object; outside [0, num_classes) there is none.
        mining: None: all priors cost confidence.
        is_logistic: A sigmoid for each class; otherwise a softmax.
        is_smooth: SmoothL1 of loc; otherwise half the square.
        inside_only: Coordinates outside the image cost nothing (bp_inside).
        is_agnostic: All labels count as the one after the background's.
        counts_loc: The loss contains the localisation's term.
        counts_conf: The loss contains the confidence's term.
    """

    num_classes: int
    share_location: bool
    background: int
    coding: Coding
    matching: Matching
    mining: Mining | None
    is_logistic: bool
    is_smooth: bool
    loc_weight: float
    inside_only: bool
    is_agnostic: bool
    normalization: Normalization
    counts_loc: bool
    counts_conf: bool

    @property
    def loc_classes(self) -> int:
        """How many boxes are predicted for a prior."""
        return 1 if self.share_location else self.num_classes

    @property
    def decodes(self) -> bool:
        """Whether loc values are made boxes, for which priors need an area."""
        suppression = self.mining.suppression if self.mining else None
        return not self.matching.by_priors or (suppression is not None and not suppression.by_priors)

    @property
    def warnings(self) -> list[str]:
        """What Caffe does with these settings, and its user can hardly want."""
        found: list[str] = []
        if self.is_logistic and self.background:
            found.append(
                f"background_label_id is {self.background}: with conf_loss_type LOGISTIC all targets begin as"
                " that number, as in Caffe; only 0 gives targets of 0 and 1"
            )
        if self.is_logistic and self.mining is None:
            found.append(
                "conf_loss_type LOGISTIC with mining_type NONE gives the boxes of all images but the first to"
                " wrong priors, as in Caffe; use mining, or SOFTMAX"
            )
        if self.mining and self.mining.suppression and self.mining.suppression.top_k == 0:
            found.append("nms_param has no top_k, so mining chooses no negatives, as in Caffe; give top_k")
        return found

    @classmethod
    def read(cls, layer: LayerParameter) -> MultiBoxLossParams:
        """Reads `multibox_loss_param`, `loss_param` and `propagate_down`.

        Raises:
            NetError: Caffe would refuse the settings, or abort in the first backward.
        """
        param = layer.multibox_loss_param
        counts_loc, counts_conf = _read_propagation(layer)
        params = cls(
            num_classes=_read_num_classes(param),
            share_location=param.share_location,
            background=read_background(param.background_label_id),
            coding=read_coding(param.code_type, variance_in_target=param.encode_variance_in_target),
            matching=_read_matching(param),
            mining=_read_mining(param),
            is_logistic=param.conf_loss_type == MultiBoxLossParameter.LOGISTIC,
            is_smooth=param.loc_loss_type == MultiBoxLossParameter.SMOOTH_L1,
            loc_weight=param.loc_weight,
            inside_only=param.bp_inside,
            is_agnostic=param.map_object_to_agnostic,
            normalization=read_normalization(layer, default="VALID"),
            counts_loc=counts_loc,
            counts_conf=counts_conf,
        )
        _check_background(params)
        return params


def _read_num_classes(param: MultiBoxLossParameter) -> int:
    if not param.HasField("num_classes"):
        raise NetError("num_classes is missing in multibox_loss_param; give it, the background counted")
    if param.num_classes < 1:
        raise NetError(f"num_classes is {param.num_classes}; it must be at least 1")
    return param.num_classes


def _read_propagation(layer: LayerParameter) -> tuple[bool, bool]:
    down = list(layer.propagate_down) or [True, True, False, False]
    for place, name in ((2, "priors"), (3, "ground truth")):
        if any(down[place : place + 1]):
            raise NetError(
                f"propagate_down is true for bottom {place} (the {name}), which gets no gradient: Caffe would"
                " abort; write propagate_down: true, true, false, false"
            )
    return down[0], all(down[1:2])


def _read_matching(param: MultiBoxLossParameter) -> Matching:
    return Matching(
        is_bipartite=param.match_type == MultiBoxLossParameter.BIPARTITE,
        threshold=param.overlap_threshold,
        by_priors=param.use_prior_for_matching,
        within_image=param.ignore_cross_boundary_bbox,
        with_difficult=param.use_difficult_gt,
    )


def _read_mining(param: MultiBoxLossParameter) -> Mining | None:
    kind = MultiBoxLossParameter.MiningType.Name(param.mining_type)
    if param.HasField("do_neg_mining") and param.do_neg_mining != (kind != "NONE"):
        raise NetError(
            f"do_neg_mining is {str(param.do_neg_mining).lower()}, but mining_type is {kind}; remove"
            " do_neg_mining, which is deprecated: mining_type says all"
        )
    if kind == "NONE":
        return None
    if not param.share_location:
        raise NetError(f"mining_type {kind} needs share_location: true; set that, or mining_type: NONE")
    is_hard = kind == "HARD_EXAMPLE"
    if is_hard and param.sample_size < 1:
        raise NetError(f"sample_size is {param.sample_size}; HARD_EXAMPLE needs at least 1")
    return Mining(
        sample_size=param.sample_size if is_hard else None,
        negatives_per_match=param.neg_pos_ratio,
        overlap=param.neg_overlap,
        suppression=_read_suppression(param),
    )


def _read_suppression(param: MultiBoxLossParameter) -> Suppression | None:
    nms = param.nms_param
    if not param.HasField("nms_param") or nms.nms_threshold <= 0:
        return None
    # Caffe: mining reads a missing top_k as 0, which leaves no candidate (bbox_util.cpp, MineHardExamples).
    return Suppression(threshold=nms.nms_threshold, top_k=nms.top_k, by_priors=param.use_prior_for_nms)


def _check_background(params: MultiBoxLossParams) -> None:
    background, classes = params.background, params.num_classes
    if not params.is_logistic and not 0 <= background < classes:
        raise NetError(
            f"background_label_id is {background}; with conf_loss_type SOFTMAX it must be one of the"
            f" num_classes {classes} (0 to {classes - 1})"
        )
    if params.mining and background >= classes:
        raise NetError(
            f"background_label_id is {background}; with mining it must be below num_classes, {classes}"
        )
    if params.is_agnostic:
        expected = 2 if background >= 0 else 1
        if classes != expected or background + 1 >= classes:
            raise NetError(
                f"map_object_to_agnostic needs the background and one class: num_classes 2 with"
                f" background_label_id 0; found num_classes {classes} with background_label_id {background}"
            )


def multibox_loss_shapes(params: MultiBoxLossParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns a scalar, of heads that fit the priors."""
    loc, conf, priors, truth = bottoms
    check_first_dimension(bottoms)
    number = prior_count(priors)
    if len(truth) < 4 or truth[-1] != 8 or count(truth) != truth[2] * 8:
        raise NetError(
            f"the ground truth must be 1 x 1 x G x 8, as AnnotatedData makes it; found {dims(truth)}"
        )
    check_head("loc", loc, priors=number, values=params.loc_classes * 4)
    check_head("conf", conf, priors=number, values=params.num_classes)
    return [()]


register(
    LayerSpec(
        type="MultiBoxLoss",
        bottoms=4,
        read=MultiBoxLossParams.read,
        shapes=multibox_loss_shapes,
        settings=("loss_param",),
        default_loss_weight=1.0,
        auto_tops=True,
        note="each forward stands for itself, where Caffe keeps its matches until backward",
    )
)
