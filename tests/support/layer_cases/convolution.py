"""Battery cases of Convolution, its depthwise spellings, and Deconvolution."""

from __future__ import annotations

from tests.support.layer_battery import Case
from tests.support.oracles.convolution import convolution, deconvolution

WEIGHT_BIAS = ("weight", "bias")


def case(name, settings, bottoms, *, kind="Convolution", layer_type=None, names=WEIGHT_BIAS, **arguments):
    compute = deconvolution if kind == "Deconvolution" else convolution

    def oracle(values, blobs):
        return [compute(value, *blobs, **arguments) for value in values]

    return Case(
        id=f"{(layer_type or kind).lower()}-{name}",
        prototxt=f'type: "{layer_type or kind}" convolution_param {{ {settings} }}',
        bottoms=bottoms,
        oracle=oracle,
        tops=len(bottoms),
        names=names,
    )


def flat(**arguments):
    return {"stride": (1, 1), "pad": (0, 0), "dilation": (1, 1)} | arguments


ODD = "num_output: 5 kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 3 pad_h: 2 pad_w: 1"
DEPTHWISE = "kernel_h: 3 kernel_w: 2 stride: 2 pad_h: 1 pad_w: 0"
DEPTHWISE_SETTINGS = {"stride": (2, 2), "pad": (1, 0), "group": 3}

CASES = [
    case("h-and-w", ODD, [(2, 3, 7, 5)], **flat(stride=(2, 3), pad=(2, 1))),
    case("list-of-two", "num_output: 5 kernel_size: [3, 2] pad: [1, 0]", [(2, 3, 5, 7)], **flat(pad=(1, 0))),
    case("pad-h-alone", "num_output: 2 kernel_size: 3 pad_h: 1", [(2, 3, 5, 7)], **flat(pad=(1, 0))),
    case("one-row", "num_output: 7 kernel_size: 3", [(1, 2, 5, 3)], **flat()),
    case(
        "stride-beyond-kernel",
        "num_output: 2 kernel_size: 2 stride: 3",
        [(2, 3, 7, 5)],
        **flat(stride=(3, 3)),
    ),
    case(
        "dilation",
        "num_output: 3 kernel_size: 3 dilation: [2, 1] pad: 1",
        [(2, 2, 7, 5)],
        **flat(dilation=(2, 1), pad=(1, 1)),
    ),
    case("groups", "num_output: 6 group: 2 kernel_size: 2", [(2, 4, 5, 3)], **flat(group=2)),
    case(
        "no-bias",
        "num_output: 5 bias_term: false kernel_size: 1",
        [(2, 3, 5, 7)],
        names=("weight",),
        **flat(),
    ),
    case("two-bottoms", "num_output: 2 kernel_size: 2", [(2, 3, 5, 7), (2, 3, 5, 7)], **flat()),
    case(
        "one-axis",
        "num_output: 5 kernel_size: 3 stride: 2",
        [(2, 3, 7)],
        stride=(2,),
        pad=(0,),
        dilation=(1,),
    ),
    case(
        "three-axes",
        "num_output: 2 kernel_size: [2, 1, 3]",
        [(2, 3, 3, 2, 5)],
        stride=(1,) * 3,
        pad=(0,) * 3,
        dilation=(1,) * 3,
    ),
    case("no-axis", "num_output: 5 kernel_size: 1", [(2, 3)], stride=(), pad=(), dilation=()),
    Case(
        id="convolution-axis-2",
        prototxt='type: "Convolution" convolution_param { num_output: 5 kernel_size: [2, 3] axis: 2 }',
        bottoms=[(2, 7, 3, 5, 4)],
        oracle=lambda xs, blobs: convolution(xs[0].reshape(-1, 3, 5, 4), *blobs, **flat()).reshape(
            len(xs[0]), 7, 5, 4, 2
        ),
        names=WEIGHT_BIAS,
    ),
    case(
        "group-left-out",
        DEPTHWISE,
        [(2, 3, 7, 5)],
        layer_type="DepthwiseConvolution",
        **flat(**DEPTHWISE_SETTINGS),
    ),
    case(
        "two-filters-a-channel",
        f"num_output: 6 group: 3 {DEPTHWISE}",
        [(2, 3, 7, 5)],
        layer_type="ConvolutionDepthwise",
        **flat(**DEPTHWISE_SETTINGS),
    ),
    case("h-and-w", ODD, [(2, 3, 7, 5)], kind="Deconvolution", **flat(stride=(2, 3), pad=(2, 1))),
    case(
        "groups",
        "num_output: 6 group: 2 kernel_size: [2, 3] dilation: [1, 2] bias_term: false",
        [(2, 4, 3, 5)],
        kind="Deconvolution",
        names=("weight",),
        **flat(dilation=(1, 2), group=2),
    ),
]
