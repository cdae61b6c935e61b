"""Opens the feed of a data layer."""

from __future__ import annotations

from typing import Final

from caffeflow.augmentation import Augmentation
from caffeflow.engine.feed.annotated import AnnotatedRecords
from caffeflow.engine.feed.annotated_augmentation import AnnotatedAugmentation
from caffeflow.engine.feed.annotated_batches import AnnotatedBatches
from caffeflow.engine.feed.augmented import AugmentingTransformer
from caffeflow.engine.feed.background import BackgroundFeed, BatchSource
from caffeflow.engine.feed.batches import BatchSettings, RecordBatches, Transforms
from caffeflow.engine.feed.draws import Draws
from caffeflow.engine.feed.dummy import DummyFeed
from caffeflow.engine.feed.hdf5 import Hdf5Batches
from caffeflow.engine.feed.memory import MemoryFeed
from caffeflow.engine.feed.pictures import PictureTransformer
from caffeflow.engine.feed.protocol import Feed
from caffeflow.engine.feed.records import Records
from caffeflow.engine.feed.settings import TransformSettings, naming
from caffeflow.engine.feed.sources import first_shape, open_hdf5, open_records, reads_no_records
from caffeflow.engine.feed.transformer import Transformer
from caffeflow.engine.feed.windows import WindowBatches
from caffeflow.errors import DataError, NetError
from caffeflow.layers.spec import spec_for
from caffeflow.proto.caffe_pb2 import LayerParameter
from caffeflow.system import usable_cores

_BATCHES: Final = ("Data", "ImageData", "AnnotatedData", "HDF5Data", "WindowData")
_MOST_WORKERS: Final = 16
_IMAGE_PREFETCH: Final = 4  # Caffe: of all its data layers only Data lets the file choose


def open_feed(
    layer: LayerParameter, *, phase: str, seed: int, rank: int = 0, world: int = 1,
    workers: int | None = None, pin: bool = False, augmentation: Augmentation | None = None,
) -> Feed:  # fmt: skip
    """Returns a feed for a layer that brings data.

    Args:
        layer: The layer, upgraded.
        phase: "TRAIN" or "TEST". In TEST every rank sees all records, as in Caffe.
        seed: The run's; same seed, same crops, mirrors and order.
        rank: This process's number among `world` that train together.
        world: How many they are.
        workers: Threads that decode; None: one a core.
        pin: Puts the batches into page-locked memory, for copying to a CUDA device.
        augmentation: What happens to the pictures of a Data or ImageData layer before; in TRAIN only.

    Raises:
        NetError: A setting that Caffe would refuse, or that is not honoured here.
        DataError: The source cannot be read, or its first record does not fit the crop or the mean.
    """
    draws = Draws(seed, layer.name)
    with naming(layer):
        params = spec_for(layer).read(layer)
        if layer.type == "DummyData":
            return DummyFeed(layer, params.tops, draws)
        if layer.type == "MemoryData":
            return MemoryFeed(layer.name, params.tops[0])
    if layer.type not in _BATCHES:
        raise reads_no_records(layer)
    threads = workers or min(usable_cores(), _MOST_WORKERS)
    shares = (rank, world) if phase == "TRAIN" else (0, 1)
    cutting = _cutting(layer, params.batch_size, shares, parts=threads, pin=pin)
    if layer.type == "HDF5Data":
        shuffle = layer.hdf5_data_param.shuffle
        rows = Hdf5Batches(open_hdf5(layer), cutting, draws, shuffle=shuffle)
        return BackgroundFeed(rows, workers=1, depth=1)
    settings = TransformSettings.read(layer)
    if layer.type == "WindowData":
        windows = WindowBatches(params, settings, cutting, draws, layer=layer.name)
        return BackgroundFeed(windows, workers=threads, depth=_IMAGE_PREFETCH)
    wanted = augmentation if phase == "TRAIN" else None
    transformer = _transformer(layer, settings, draws, phase=phase, augmentation=wanted)
    source = _open_source(layer, settings, transformer, draws, cutting)
    depth = _IMAGE_PREFETCH if layer.type == "ImageData" else layer.data_param.prefetch
    return BackgroundFeed(source, workers=threads, depth=max(depth, 1))


def _cutting(
    layer: LayerParameter, batch_size: int, shares: tuple[int, int], *, parts: int, pin: bool
) -> BatchSettings:
    rank, world = shares
    return BatchSettings(
        batch_size=batch_size,
        rank=rank,
        world=world,
        with_labels=len(layer.top) > 1,
        parts=parts,
        pin=pin,
    )


def _transformer(
    layer: LayerParameter, settings: TransformSettings, draws: Draws, *,
    phase: str, augmentation: Augmentation | None,
) -> Transforms:  # fmt: skip
    if augmentation is not None and layer.type != "AnnotatedData":
        return AugmentingTransformer(augmentation, settings, draws=draws, layer=layer.name)
    if layer.type == "AnnotatedData" or settings.is_forks:
        return PictureTransformer(settings, phase=phase, draws=draws, layer=layer.name)
    return Transformer(settings, phase=phase, draws=draws, layer=layer.name)


def _open_source(
    layer: LayerParameter,
    settings: TransformSettings,
    transformer: Transforms,
    draws: Draws,
    cutting: BatchSettings,
) -> BatchSource:
    """Opens a layer's records, and returns what plans their batches; on an error they are closed again."""
    records = open_records(layer, settings, draws)
    try:
        return _checked(layer, records, transformer, draws, cutting)
    except (DataError, NetError):
        records.close()
        raise


def _checked(
    layer: LayerParameter,
    records: Records,
    transformer: Transforms,
    draws: Draws,
    cutting: BatchSettings,
) -> BatchSource:
    """Returns what plans the batches, after a look at the first record.

    A crop or mean of another size is so said now, not from a worker in the first batch.
    """
    if isinstance(records, AnnotatedRecords) and isinstance(transformer, PictureTransformer):
        annotated = AnnotatedBatches(records, AnnotatedAugmentation.read(layer), transformer, draws, cutting)
        annotated.check_first()
        return annotated
    transformer.output_shape(first_shape(records), "the first record")
    return RecordBatches(records, transformer, cutting)
