"""What a net begins with: images, rows, steps of streams, volumes, constants."""

from __future__ import annotations

from tests.support.random_nets.sketch import Sketch


def add_sources(sketch: Sketch) -> None:
    """Gives a net one to three blobs to begin with."""
    kinds = [_images, _images, _rows, _rows, _steps, _volumes, _constants]
    sketch.choose(_images, _rows, _steps)(sketch)
    for _ in range(int(sketch.choose(0, 1, 1, 2))):
        sketch.choose(*kinds)(sketch)


def _normal(sketch: Sketch, *shape: int) -> None:
    sketch.add_input(shape, sketch.random.standard_normal(shape), size=2.0)


def _batch(sketch: Sketch) -> int:
    """Returns how many rows inputs have: mostly the same for all, so that they can be joined."""
    sizes = [blob.shape[0] for blob in sketch.blobs.values()]
    return sizes[0] if sizes and sketch.chance(0.8) else int(sketch.choose(2, 3, 5))


def _images(sketch: Sketch) -> None:
    height, width = sketch.choose((5, 7), (7, 5), (11, 7), (7, 11))
    _normal(sketch, _batch(sketch), int(sketch.choose(2, 3, 5)), height, width)


def _rows(sketch: Sketch) -> None:
    _normal(sketch, _batch(sketch), int(sketch.choose(3, 5, 7, 11)))


def _steps(sketch: Sketch) -> None:
    _normal(sketch, int(sketch.choose(2, 3)), int(sketch.choose(2, 3, 5)), int(sketch.choose(3, 5, 7)))


def _volumes(sketch: Sketch) -> None:
    _normal(sketch, _batch(sketch), 2, *sketch.choose((3, 5, 4), (5, 3, 2)))


def _constants(sketch: Sketch) -> None:
    """Adds blobs that a DummyData layer fills once, with one number each."""
    shape = (_batch(sketch), int(sketch.choose(2, 3, 5)))
    dims = " ".join(f"dim: {size}" for size in shape)
    filler = f'data_filler {{ type: "constant" value: {sketch.number(0.2, 1)} }}'
    fields = f"dummy_data_param {{ shape {{ {dims} }} {filler} }}"
    sketch.add("DummyData", (), fields, positive=True, constant=True, varied=False, free=True)
