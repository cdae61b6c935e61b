"""Battery cases of the layers that the feed serves: what it brings comes out, in the inferred shapes."""

from __future__ import annotations

from tests.support.layer_battery import Case


def case(layer_type, settings, fed):
    return Case(
        id=layer_type.lower(),
        prototxt=f'type: "{layer_type}" {settings}',
        bottoms=fed,
        oracle=lambda xs, _: xs,
        fed=True,
        tops=len(fed),
        gradient=None,
        differentiable=(),
    )


IMAGE_LIST = 'image_data_param { source: "train.txt" batch_size: 5 } transform_param { crop_size: 7 }'

# The battery's records are 3 x 11 x 13.
CASES = [
    case("Data", 'data_param { source: "train_lmdb" batch_size: 5 }', [(5, 3, 11, 13), (5,)]),
    case(
        "AnnotatedData",
        'data_param { source: "train_lmdb" batch_size: 5 } transform_param { resize_param { height: 7 width: 17 } }',
        [(5, 3, 7, 17), (1, 1, 1, 8)],
    ),
    case("ImageData", IMAGE_LIST, [(5, 3, 7, 7), (5,)]),
    case("HDF5Data", 'hdf5_data_param { source: "files.txt" batch_size: 5 }', [(5, 3, 11, 13)]),
    Case(
        id="hdf5output",
        prototxt='type: "HDF5Output" hdf5_output_param { file_name: "out.h5" }',
        bottoms=[(2, 3, 5), (2,)],
        oracle=lambda *_: [],
        tops=0,
        gradient=None,
        by_values=True,
    ),
    case(
        "DummyData",
        "dummy_data_param { shape { dim: 2 dim: 3 } shape { dim: 5 } }",
        [(2, 3), (5,)],
    ),
    case(
        "WindowData",
        'window_data_param { source: "windows.txt" batch_size: 5 } transform_param { crop_size: 7 }',
        [(5, 3, 7, 7), (5,)],
    ),
    case(
        "MemoryData",
        "memory_data_param { batch_size: 5 channels: 3 height: 7 width: 11 }",
        [(5, 3, 7, 11), (5,)],
    ),
    case("Input", "input_param { shape { dim: 2 dim: 3 dim: 5 dim: 7 } }", [(2, 3, 5, 7)]),
]
