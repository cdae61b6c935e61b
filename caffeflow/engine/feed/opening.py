"""Opens the feed of a data layer."""

from __future__ import annotations

from typing import Final

from caffeflow.engine.feed.background import BackgroundFeed
from caffeflow.engine.feed.batches import BatchSettings, RecordBatches
from caffeflow.engine.feed.draws import Draws
from caffeflow.engine.feed.dummy import DummyFeed
from caffeflow.engine.feed.protocol import Feed
from caffeflow.engine.feed.sources import first_shape, naming, open_records
from caffeflow.engine.feed.transformer import Transformer, TransformSettings
from caffeflow.layers.spec import spec_for
from caffeflow.proto.caffe_pb2 import LayerParameter
from caffeflow.system import usable_cores

_MOST_WORKERS: Final = 16
_IMAGE_DATA_PREFETCH: Final = 4  # Caffe: of all its data layers only Data lets the file choose


def open_feed(
    layer: LayerParameter, *, phase: str, seed: int, rank: int = 0, world: int = 1,
    workers: int | None = None, pin: bool = False,
) -> Feed:  # fmt: skip
    """Returns a feed for a Data, ImageData or DummyData layer.

    Args:
        layer: The layer, upgraded.
        phase: "TRAIN" or "TEST". In TEST every rank sees all records, as in Caffe.
        seed: The run's; same seed, same crops, mirrors and order.
        rank: This process's number among `world` that train together.
        world: How many they are.
        workers: Threads that decode; None: one a core.
        pin: Puts the batches into page-locked memory, for copying to a CUDA device.

    Raises:
        NetError: A setting that Caffe would refuse, or that is not honoured here.
        DataError: The source cannot be read, or its first record does not fit the crop or the mean.
    """
    draws = Draws(seed, layer.name)
    with naming(layer):
        params = spec_for(layer).read(layer)
        if layer.type == "DummyData":
            return DummyFeed(layer, params.tops, draws)
    settings = TransformSettings.read(layer)
    records = open_records(layer, settings, draws)
    transformer = Transformer(settings, phase=phase, draws=draws, layer=layer.name)
    # A crop or mean of another size is said now, not from a worker in the first batch.
    transformer.output_shape(first_shape(records), "the first record")
    threads = workers or min(usable_cores(), _MOST_WORKERS)
    is_shared = phase == "TRAIN"
    batches = BatchSettings(
        batch_size=params.batch_size,
        rank=rank if is_shared else 0,
        world=world if is_shared else 1,
        with_labels=len(layer.top) > 1,
        parts=threads,
        pin=pin,
    )
    depth = layer.data_param.prefetch if layer.type == "Data" else _IMAGE_DATA_PREFETCH
    return BackgroundFeed(RecordBatches(records, transformer, batches), workers=threads, depth=max(depth, 1))
