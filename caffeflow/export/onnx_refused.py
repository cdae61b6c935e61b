"""Layer types that run here and are no ONNX, each with the reason."""

from __future__ import annotations

from typing import Final

_LOSS: Final = "is a loss, which compares with labels; export the deploy file, or remove the layer"
_SCORE: Final = "scores against labels, which a deployed net does not have; export the deploy file"
_STATE: Final = "keeps its state from one batch to the next, which no ONNX model does"
_SOURCE: Final = "reads records; export the deploy file, whose Input layer gives the shape"

REFUSED: Final[dict[str, str]] = {
    **dict.fromkeys(
        (
            "SoftmaxWithLoss",
            "SigmoidCrossEntropyLoss",
            "EuclideanLoss",
            "SmoothL1Loss",
            "MultiBoxLoss",
            "HingeLoss",
            "MultinomialLogisticLoss",
            "InfogainLoss",
            "ContrastiveLoss",
        ),
        _LOSS,
    ),
    **dict.fromkeys(("Accuracy", "DetectionEvaluate"), _SCORE),
    **dict.fromkeys(("Data", "ImageData", "AnnotatedData", "HDF5Data", "WindowData"), _SOURCE),
    **dict.fromkeys(("RNN", "LSTM"), _STATE),
    "LSTMUnit": "is one step of an LSTM, whose state an ONNX model does not keep from step to step",
    "DetectionOutput": "is cut off at the end of a net, but here another layer reads it; remove that one",
    "Filter": "makes as many rows as its values say, which no shape can hold; export the net without it",
    "Im2col": "lays out windows, for which ONNX has no operator; write the Convolution that reads them",
    "Python": "runs code of its own, which no ONNX model holds; write other layers, or remove it",
    "HDF5Output": "writes a file; remove the layer",
    "SPP": "pools a pyramid, for which ONNX has no operator; write a Pooling layer a level, and Concat",
    "DummyData": "makes its values up; write an Input layer in its place",
    "MemoryData": "is filled by a program; write an Input layer in its place",
}
"""Type -> why not, as a phrase that follows the type's name."""
