"""Which fork of Caffe knows a field that the schema does not have, or a layer type that BVLC's lacks.

The schema is the union of BVLC Caffe and the SSD fork. A prototxt that fails to parse usually comes
from a third tree; naming it tells the user which program made, or will accept, the file.
"""

from __future__ import annotations

from typing import Final

# (message, field) -> the tree that has it, and what to write instead where that is known
_FIELDS: Final[dict[tuple[str, str], str]] = {
    ("ReLUParameter", "relu6"): "synopsys-caffe's ReLU6; use a layer of type ReLU6, or Clip with 0 and 6",
    ("LayerParameter", "bn_param"): "caffe-segnet's BN layer; use BatchNorm and Scale",
    ("LayerParameter", "upsample_param"): "a layer of caffe-segnet",
    ("LayerParameter", "dense_image_data_param"): "a layer of caffe-segnet",
    ("LayerParameter", "interp_param"): "a layer of DeepLab's and PSPNet's trees",
    ("LayerParameter", "seg_accuracy_param"): "a layer of DeepLab's tree",
    ("LayerParameter", "roi_pooling_param"): "a layer of Fast R-CNN's tree",
    ("LayerParameter", "smooth_l1_loss_param"): "a layer of Fast R-CNN's tree",
    ("LayerParameter", "psroi_pooling_param"): "a layer of R-FCN's tree",
    ("LayerParameter", "box_annotator_ohem_param"): "a layer of R-FCN's tree",
    ("LayerParameter", "proposal_param"): "a layer of Faster R-CNN's C++ trees",
    ("LayerParameter", "shuffle_channel_param"): "a layer of the ShuffleNet trees",
    ("LayerParameter", "multi_stage_meanfield_param"): "a layer of CRF-RNN's tree",
    ("LayerParameter", "detection_loss_param"): "a layer of the YOLO trees",
    ("LayerParameter", "region_loss_param"): "a layer of the YOLO trees (MobileNet-YOLO)",
    ("LayerParameter", "yolov3_detection_output_param"): "a layer of MobileNet-YOLO",
    ("LayerParameter", "axpy_param"): "a layer of the SENet tree",
    ("LayerParameter", "selu_dropout_param"): "a layer of jolibrain/caffe",
    ("LayerParameter", "dice_coef_loss_param"): "a layer of jolibrain/caffe",
    ("LayerParameter", "depth_to_space_param"): "a layer of synopsys-caffe",
    ("SolverParameter", "rampup_interval"): "a solver field of NVIDIA Caffe",
    ("SolverParameter", "rampup_lr"): "a solver field of NVIDIA Caffe",
    ("SolverParameter", "min_lr"): "a solver field of NVIDIA Caffe",
    ("NetParameter", "default_forward_type"): "a field of NVIDIA Caffe's mixed precision",
    ("NetParameter", "default_backward_type"): "a field of NVIDIA Caffe's mixed precision",
    ("LayerParameter", "forward_type"): "a field of NVIDIA Caffe's mixed precision",
    ("LayerParameter", "backward_type"): "a field of NVIDIA Caffe's mixed precision",
    ("BatchNormParameter", "scale_bias"): "a field of NVIDIA Caffe; add a Scale layer with bias_term: true",
    ("ConvolutionParameter", "conv_algos_override"): "a field of NVIDIA Caffe; leave it out",
}  # fmt: skip

SSD_FORK: Final = "the SSD fork"
_TREES: Final[dict[str, str]] = {
    **dict.fromkeys(
        (
            "AnnotatedData",
            "DetectionEvaluate",
            "DetectionOutput",
            "MultiBoxLoss",
            "Normalize",
            "Permute",
            "PriorBox",
            "SmoothL1Loss",
            "VideoData",
        ),
        f"{SSD_FORK} (weiliu89/caffe, branch ssd, and the trees made from it)",
    ),
    "ReLU6": "chuanqi305/ssd or jolibrain/caffe",
    "DepthwiseConvolution": "yonghenglh6/DepthwiseConvolution",
    "ConvolutionDepthwise": "farmingyard/caffe-mobilenet",
}
"""Layer type of the schema's that BVLC's tree lacks -> the trees that have it."""

_FOREIGN: Final[dict[str, str]] = {
    "BN": "caffe-segnet or PSPNet's tree",
    "DenseImageData": "caffe-segnet",
    "Upsample": "caffe-segnet or MobileNet-YOLO",
    "Interp": "DeepLab's or PSPNet's tree",
    **dict.fromkeys(("ImageSegData", "SegAccuracy", "MatRead", "MatWrite", "DenseCRF"), "DeepLab's tree"),
    "ROIPooling": "Fast R-CNN's tree",
    **dict.fromkeys(
        ("PSROIPooling", "BoxAnnotatorOHEM", "SmoothL1LossOHEM", "SoftmaxWithLossOHEM"), "R-FCN's tree"
    ),
    "DeformableConvolution": "deformable R-FCN's tree",
    "Proposal": "a C++ tree of Faster R-CNN",
    "ShuffleChannel": "a ShuffleNet tree",
    "MultiStageMeanfield": "CRF-RNN's tree",
    **dict.fromkeys(("DetectionLoss", "RegionLoss", "Reorg"), "a YOLO tree"),
    **dict.fromkeys(("Yolov3", "Yolov3DetectionOutput"), "MobileNet-YOLO"),
    "Axpy": "the SENet tree",
    "CenterLoss": "caffe-face",
    "MarginInnerProduct": "SphereFace's tree",
    "LargeMarginInnerProduct": "the tree of the large-margin softmax",
    **dict.fromkeys(("SeluDropout", "DiceCoefLoss"), "jolibrain/caffe"),
    "DepthToSpace": "synopsys-caffe",
    **dict.fromkeys(("Correlation", "Correlation1D", "FlowWarp", "Resample", "CustomData"), "FlowNet's tree"),
    "SpatialTransformer": "a tree with spatial transformers",
    **dict.fromkeys(("L1Loss", "DetectNetTransformation"), "NVIDIA Caffe"),
    **dict.fromkeys(("ConvolutionRistretto", "FcRistretto", "LRNRistretto"), "Ristretto"),
}  # fmt: skip
"""Layer type that is in no schema of ours -> the trees that have it."""

_INSTEAD: Final[dict[str, str]] = {
    "BN": "BatchNorm and Scale",
    "Interp": "a Deconvolution with a bilinear filler",
    "ShuffleChannel": "Reshape, Permute and Reshape",
    "Axpy": "Scale with two bottoms, and Eltwise",
}
"""Layer type -> layers that do the same."""


def tree_of_layer(layer_type: str) -> str | None:
    """Returns the tree that a layer type of another fork than BVLC's is from, or None if it is of none."""
    return _TREES.get(layer_type) or foreign_tree_of_layer(layer_type)


def foreign_tree_of_layer(layer_type: str) -> str | None:
    """Returns the tree of a layer type that neither BVLC nor the SSD forks have, or None if none is known."""
    return _FOREIGN.get(layer_type)


def instead_of_layer(layer_type: str) -> str | None:
    """Returns which layers do what one of another tree does, or None if none is known."""
    return _INSTEAD.get(layer_type)


def fork_of_field(message: str, field: str) -> str | None:
    """Returns where a field unknown to the schema comes from, or None if that is not known."""
    return _FIELDS.get((message, field))
