"""Layers one at a time in the real Caffe: the cases, and what it answers for each.

Shapes are small primes; inputs are drawn here, parameters by Caffe's own fillers, and top gradients
by the driver. Dropout, stochastic pooling and data layers are left out: they draw or read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from tests.support.native import NativeCaffe

DRIVER: Final = Path(__file__).with_name("native_layer_driver.py")
Values = Literal["any", "positive", "classes", "ones_and_zeros", "probabilities", "tied"]
IMAGE: Final = (2, 3, 5, 7)
SCORES: Final = (7, 5)


@dataclass(frozen=True, kw_only=True)
class LayerCase:
    """One layer, what it is fed with, and what is asked of it.

    Attributes:
        name: Unique; begins with the type.
        text: The layer's fields beside name, bottom and top.
        bottoms: Shape of each bottom.
        values: What each bottom holds; `any` (normal numbers) where none is given; `tied` ones are -2 to 2
            in halves, so that maxima are shared and bounds are met.
        tops: Number of tops.
        phase: TRAIN or TEST.
        in_place: The top is the bottom.
        backward: Gradients are compared, too.
        loss: The top's gradient is its loss weight.
        diffs: Blobs within the net whose gradients are asked for as well.
    """

    name: str
    text: str = ""
    bottoms: tuple[tuple[int, ...], ...] = (IMAGE,)
    values: tuple[Values, ...] = ()
    tops: int = 1
    phase: Literal["TRAIN", "TEST"] = "TRAIN"
    in_place: bool = False
    backward: bool = True
    loss: bool = False
    diffs: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """The layer type, which the name begins with."""
        return self.name.split("-")[0]

    @property
    def bottom_names(self) -> list[str]:
        """The names of the bottoms, which are net inputs."""
        return [f"bottom_{index}" for index in range(len(self.bottoms))]

    @property
    def top_names(self) -> list[str]:
        """The names of the tops."""
        return ["bottom_0"] if self.in_place else [f"top_{index}" for index in range(self.tops)]

    def net(self) -> str:
        """Returns a net of inputs and this layer; the pre-layer of an in-place one copies its input."""
        inputs = "".join(
            f'layer {{ name: "in_{name}" type: "Input" top: "{name}" input_param {{ shape {{ {_dims(shape)} }} }} }}\n'
            for name, shape in zip(self.bottom_names, self.bottoms, strict=True)
        )
        bottoms = " ".join(f'bottom: "{name}"' for name in self.bottom_names)
        tops = " ".join(f'top: "{name}"' for name in self.top_names)
        layer = f'layer {{ name: "layer" type: "{self.type}" {bottoms} {tops} {self.text} }}\n'
        return f'name: "{self.name}"\nforce_backward: true\n{inputs}{layer}'

    def draw_bottoms(self) -> dict[str, np.ndarray]:
        """Returns the inputs, the same ones every time."""
        random = np.random.default_rng(len(self.name) * 1009 + sum(self.name.encode()))
        kinds = self.values or ("any",) * len(self.bottoms)
        return {
            name: _draw(kind, shape, random, classes=self.bottoms[0][1])
            for name, kind, shape in zip(self.bottom_names, kinds, self.bottoms, strict=True)
        }


def ask_caffe(
    caffe: NativeCaffe, cases: Sequence[LayerCase], folder: Path
) -> dict[str, dict[str, np.ndarray]]:
    """Returns all blobs of each case, by the driver's names, after one forward and backward."""
    orders: list[dict[str, Any]] = []
    for seed, case in enumerate(cases, start=1):
        (folder / f"{case.name}.prototxt").write_text(case.net())
        np.savez(folder / f"{case.name}.in.npz", **case.draw_bottoms())
        orders.append(
            {
                "name": case.name,
                "prototxt": f"{case.name}.prototxt",
                "layer": "layer",
                "seed": seed,
                "bottoms": case.bottom_names,
                "tops": case.top_names,
                "phase": case.phase,
                "backward": case.backward,
                "loss": case.loss,
                "diffs": list(case.diffs),
            }
        )
    (folder / "cases.json").write_text(json.dumps(orders))
    caffe.run("python", DRIVER, folder)
    return {case.name: dict(np.load(folder / f"{case.name}.out.npz")) for case in cases}


def _dims(shape: tuple[int, ...]) -> str:
    return " ".join(f"dim: {size}" for size in shape)


def _draw(kind: Values, shape: tuple[int, ...], random: np.random.Generator, *, classes: int) -> np.ndarray:
    if kind == "classes":
        values = random.integers(0, classes, shape)
    elif kind == "tied":
        values = random.integers(-4, 5, shape) / 2
    elif kind == "ones_and_zeros":
        values = random.integers(0, 2, shape)
    elif kind == "positive":
        values = random.uniform(0.1, 2.0, shape)
    elif kind == "probabilities":
        values = random.dirichlet(np.ones(shape[1]), shape[0]).reshape(shape)
    else:
        values = random.standard_normal(shape)
    return values.astype(np.float32)


_GAUSSIAN: Final = (
    'weight_filler { type: "gaussian" std: 0.3 } bias_filler { type: "uniform" min: -1 max: 1 }'
)
_TIED: Final = {"bottoms": ((31, 5), (31,)), "values": ("tied", "classes")}
_LABELLED: Final = {"bottoms": (SCORES, (7,)), "values": ("any", "classes")}
_SPATIAL: Final = {"bottoms": ((2, 5, 3, 7), (2, 3, 7)), "values": ("any", "classes")}

CASES: Final[tuple[LayerCase, ...]] = (
    LayerCase(name="AbsVal"),
    LayerCase(name="Accuracy", **_LABELLED, backward=False),
    LayerCase(name="Accuracy-top-3", text="accuracy_param { top_k: 3 }", **_LABELLED, backward=False),
    LayerCase(name="Accuracy-per-class", tops=2, **_LABELLED, backward=False),
    LayerCase(name="Accuracy-ignored", text="accuracy_param { ignore_label: 1 }", **_SPATIAL, backward=False),
    LayerCase(name="ArgMax", text="argmax_param { top_k: 2 out_max_val: true }", backward=False),
    LayerCase(name="ArgMax-axis", text="argmax_param { axis: 1 }", backward=False),
    LayerCase(name="BNLL"),
    LayerCase(name="BatchNorm", bottoms=((5, 3, 7, 2),)),
    LayerCase(name="BatchNorm-flat", bottoms=((11, 3),)),
    LayerCase(name="BatchNorm-in-place", bottoms=((5, 3, 7, 2),), in_place=True),
    LayerCase(name="BatchNorm-single-value", text="batch_norm_param { eps: 0.01 }", bottoms=((1, 3, 1, 1),)),
    LayerCase(name="BatchNorm-untrained", phase="TEST"),
    LayerCase(
        name="BatchReindex", bottoms=((3, 5, 2), (7,)), values=("any", "ones_and_zeros"), backward=False
    ),
    LayerCase(name="Bias", text='bias_param { filler { type: "gaussian" } }'),
    LayerCase(name="Bias-two-bottoms", bottoms=(IMAGE, (3, 5)), text="bias_param { axis: 1 }"),
    LayerCase(name="Clip", text="clip_param { min: -0.5 max: 0.7 }"),
    LayerCase(name="Clip-in-place", text="clip_param { min: 0 max: 0.7 }", in_place=True),
    LayerCase(name="Concat", bottoms=((2, 3, 5, 7), (2, 5, 5, 7))),
    LayerCase(name="Concat-axis-0", bottoms=((2, 3, 5), (3, 3, 5)), text="concat_param { axis: 0 }"),
    LayerCase(
        name="ContrastiveLoss",
        bottoms=((7, 3), (7, 3), (7,)),
        values=("any", "any", "ones_and_zeros"),
        text="contrastive_loss_param { margin: 3 }",
        loss=True,
    ),
    LayerCase(
        name="Convolution", text=f"convolution_param {{ num_output: 5 kernel_size: 3 pad: 1 {_GAUSSIAN} }}"
    ),
    LayerCase(
        name="Convolution-uneven",
        bottoms=((2, 4, 11, 13),),
        text="convolution_param { num_output: 6 kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 3"
        f" pad_h: 1 pad_w: 2 group: 2 dilation: 2 {_GAUSSIAN} }}",
    ),
    LayerCase(
        name="Convolution-depthwise",
        bottoms=((3, 5, 7, 7),),
        text=f"convolution_param {{ num_output: 5 kernel_size: 3 pad: 1 stride: 2 group: 5 bias_term: false {_GAUSSIAN} }}",
    ),
    LayerCase(
        name="Convolution-1x1",
        text=f"convolution_param {{ num_output: 7 kernel_size: 1 stride: 2 {_GAUSSIAN} }}",
    ),
    LayerCase(
        name="Crop", bottoms=((2, 3, 7, 11), (2, 3, 5, 7)), text="crop_param { axis: 2 offset: 1 offset: 3 }"
    ),
    LayerCase(
        name="Deconvolution",
        text=f"convolution_param {{ num_output: 5 kernel_size: 3 stride: 2 pad: 1 {_GAUSSIAN} }}",
    ),
    LayerCase(
        name="Deconvolution-bilinear",
        text="convolution_param { num_output: 3 group: 3 kernel_size: 4 stride: 2 pad: 1 bias_term: false"
        ' weight_filler { type: "bilinear" } }',
    ),
    LayerCase(name="Dropout-test", phase="TEST"),
    LayerCase(name="ELU", text="elu_param { alpha: 0.7 }"),
    LayerCase(
        name="Eltwise-sum", bottoms=(IMAGE,) * 3, text="eltwise_param { coeff: 1 coeff: -0.5 coeff: 2 }"
    ),
    LayerCase(name="Eltwise-prod", bottoms=(IMAGE,) * 3, text="eltwise_param { operation: PROD }"),
    LayerCase(name="Eltwise-max", bottoms=(IMAGE,) * 3, text="eltwise_param { operation: MAX }"),
    LayerCase(
        name="Embed",
        bottoms=((7, 3),),
        values=("classes",),
        text='embed_param { input_dim: 3 num_output: 5 weight_filler { type: "gaussian" } }',
        backward=False,
    ),
    LayerCase(name="EuclideanLoss", bottoms=(IMAGE, IMAGE), loss=True),
    LayerCase(name="Exp", text="exp_param { base: 2 scale: 0.5 shift: 0.1 }"),
    LayerCase(name="Filter", bottoms=((7, 3, 2), (7,)), values=("any", "ones_and_zeros"), backward=False),
    LayerCase(name="Flatten"),
    LayerCase(name="Flatten-middle", text="flatten_param { axis: 1 end_axis: 2 }"),
    LayerCase(name="HingeLoss", **_LABELLED, loss=True),
    LayerCase(name="HingeLoss-squared", text="hinge_loss_param { norm: L2 }", **_LABELLED, loss=True),
    LayerCase(name="Im2col", text="convolution_param { kernel_size: 3 pad: 1 stride: 2 dilation: 2 }"),
    LayerCase(
        name="InfogainLoss",
        bottoms=((7, 5), (7,), (5, 5)),
        values=("any", "classes", "any"),
        backward=False,
        loss=True,
    ),
    LayerCase(name="InnerProduct", text=f"inner_product_param {{ num_output: 11 {_GAUSSIAN} }}"),
    LayerCase(
        name="InnerProduct-transposed",
        text='inner_product_param { num_output: 11 transpose: true axis: 2 weight_filler { type: "xavier" } }',
    ),
    LayerCase(
        name="LRN", bottoms=((2, 7, 3, 5),), text="lrn_param { local_size: 5 alpha: 0.1 beta: 0.75 k: 2 }"
    ),
    LayerCase(
        name="LRN-within",
        bottoms=((2, 3, 7, 5),),
        text="lrn_param { local_size: 3 alpha: 2 norm_region: WITHIN_CHANNEL }",
    ),
    LayerCase(
        name="LSTM",
        bottoms=((3, 2, 5), (3, 2)),
        values=("any", "ones_and_zeros"),
        text=f"recurrent_param {{ num_output: 7 {_GAUSSIAN} }}",
        backward=False,
    ),
    LayerCase(
        name="LSTMUnit",
        bottoms=((1, 2, 7), (1, 2, 28), (1, 2)),
        values=("any", "any", "ones_and_zeros"),
        tops=2,
    ),
    LayerCase(name="Log", values=("positive",), text="log_param { base: 10 scale: 2 shift: 0.5 }"),
    LayerCase(name="MVN"),
    LayerCase(name="MVN-mean-only", text="mvn_param { normalize_variance: false across_channels: true }"),
    LayerCase(
        name="MultinomialLogisticLoss", bottoms=(SCORES, (7,)), values=("probabilities", "classes"), loss=True
    ),
    LayerCase(name="PReLU", text='prelu_param { filler { type: "uniform" min: 0.1 max: 0.5 } }'),
    LayerCase(name="PReLU-shared", text="prelu_param { channel_shared: true }"),
    LayerCase(name="Parameter", bottoms=(), text="parameter_param { shape { dim: 2 dim: 3 } }"),
    LayerCase(
        name="Pooling-max", bottoms=((2, 3, 7, 11),), text="pooling_param { kernel_size: 3 stride: 2 }"
    ),
    LayerCase(
        name="Pooling-max-padded",
        bottoms=((2, 3, 7, 11),),
        text="pooling_param { kernel_size: 3 stride: 2 pad: 1 }",
    ),
    LayerCase(
        name="Pooling-max-floor",
        bottoms=((2, 3, 8, 11),),
        text="pooling_param { kernel_size: 3 stride: 2 round_mode: FLOOR }",
    ),
    LayerCase(
        name="Pooling-max-mask", tops=2, text="pooling_param { kernel_size: 2 stride: 2 }", backward=False
    ),
    LayerCase(
        name="Pooling-average-padded",
        bottoms=((2, 3, 8, 11),),
        text="pooling_param { pool: AVE kernel_h: 3 kernel_w: 5 stride_h: 2 stride_w: 3 pad_h: 1 pad_w: 2 }",
    ),
    LayerCase(
        name="Pooling-average",
        bottoms=((2, 3, 8, 10),),
        text="pooling_param { pool: AVE kernel_size: 3 stride: 2 }",
    ),
    LayerCase(name="Pooling-global", text="pooling_param { pool: AVE global_pooling: true }"),
    LayerCase(name="Power", values=("positive",), text="power_param { power: 1.5 scale: 0.7 shift: 0.2 }"),
    LayerCase(name="Power-linear", text="power_param { scale: 0.017 shift: -3 }"),
    LayerCase(
        name="RNN",
        bottoms=((3, 2, 5), (3, 2)),
        values=("any", "ones_and_zeros"),
        text=f"recurrent_param {{ num_output: 7 {_GAUSSIAN} }}",
        backward=False,
    ),
    LayerCase(name="ReLU"),
    LayerCase(name="ReLU-leaky-in-place", text="relu_param { negative_slope: 0.1 }", in_place=True),
    LayerCase(name="Reduction", text="reduction_param { operation: MEAN axis: 2 coeff: 3 }"),
    LayerCase(name="Reduction-squares", text="reduction_param { operation: SUMSQ axis: 1 }"),
    LayerCase(name="Reshape", text="reshape_param { shape { dim: 0 dim: -1 dim: 5 } }"),
    LayerCase(name="SPP", bottoms=((2, 3, 11, 13),), text="spp_param { pyramid_height: 3 }"),
    LayerCase(
        name="Scale",
        text='scale_param { bias_term: true filler { type: "gaussian" } bias_filler { type: "gaussian" } }',
    ),
    LayerCase(
        name="Scale-in-place",
        in_place=True,
        text='scale_param { axis: 2 num_axes: 2 filler { type: "gaussian" std: 2 } }',
    ),
    LayerCase(name="Scale-two-bottoms", bottoms=(IMAGE, (2, 3)), text="scale_param { axis: 0 }"),
    LayerCase(name="Sigmoid"),
    LayerCase(
        name="SigmoidCrossEntropyLoss", bottoms=(SCORES, SCORES), values=("any", "ones_and_zeros"), loss=True
    ),
    LayerCase(name="Silence", tops=0, backward=False),
    LayerCase(
        name="Slice", bottoms=((2, 7, 3),), tops=3, text="slice_param { slice_point: 2 slice_point: 5 }"
    ),
    LayerCase(name="Softmax"),
    LayerCase(name="Softmax-axis", text="softmax_param { axis: 2 }"),
    LayerCase(name="SoftmaxWithLoss", **_LABELLED, loss=True),
    LayerCase(name="SoftmaxWithLoss-weighted", text="loss_weight: 0.3", **_LABELLED, loss=True),
    LayerCase(name="SoftmaxWithLoss-ignored", text="loss_param { ignore_label: 2 }", **_SPATIAL, loss=True),
    LayerCase(
        name="SoftmaxWithLoss-by-batch",
        text="loss_param { normalization: BATCH_SIZE }",
        **_SPATIAL,
        loss=True,
    ),
    LayerCase(name="Split", tops=3),
    LayerCase(name="Swish", text="swish_param { beta: 1.5 }"),
    LayerCase(name="TanH"),
    LayerCase(name="Threshold", text="threshold_param { threshold: 0.2 }", backward=False),
    LayerCase(name="Tile", text="tile_param { axis: 1 tiles: 2 }"),
    # Equal values and values at bounds, where an implementation shows what it prefers
    LayerCase(name="AbsVal-at-zero", values=("tied",)),
    LayerCase(name="Accuracy-tied", **_TIED, backward=False),
    LayerCase(name="Accuracy-tied-top-2", text="accuracy_param { top_k: 2 }", **_TIED, backward=False),
    LayerCase(name="ArgMax-tied", values=("tied",), text="argmax_param { axis: 1 top_k: 2 }", backward=False),
    LayerCase(name="Clip-at-bounds", values=("tied",), text="clip_param { min: -0.5 max: 1 }"),
    LayerCase(name="ELU-at-zero", values=("tied",)),
    LayerCase(
        name="Eltwise-max-tied",
        bottoms=(IMAGE,) * 3,
        values=("tied",) * 3,
        text="eltwise_param { operation: MAX }",
    ),
    LayerCase(name="PReLU-at-zero", values=("tied",)),
    LayerCase(
        name="Pooling-max-tied",
        bottoms=((2, 3, 8, 11),),
        values=("tied",),
        text="pooling_param { kernel_size: 3 stride: 2 pad: 1 }",
    ),
    LayerCase(
        name="Pooling-mask-tied",
        values=("tied",),
        tops=2,
        text="pooling_param { kernel_size: 3 }",
        backward=False,
    ),
    LayerCase(
        name="Power-squared", values=("tied",), text="power_param { power: 2 scale: -1.5 shift: 0.75 }"
    ),
    LayerCase(name="Power-zero", text="power_param { power: 0 }"),
    LayerCase(name="ReLU-at-zero", values=("tied",)),
    LayerCase(name="ReLU-leaky-at-zero", values=("tied",), text="relu_param { negative_slope: 0.25 }"),
    LayerCase(
        name="Threshold-met", values=("tied",), text="threshold_param { threshold: 0.5 }", backward=False
    ),
)
