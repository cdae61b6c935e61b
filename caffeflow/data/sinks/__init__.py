"""Where prepared images go: one module a form of dataset, and the table of them."""

from __future__ import annotations

from typing import Final

from caffeflow.data.sink import Sink, SinkStart
from caffeflow.data.sinks.annotated import AnnotatedSink
from caffeflow.data.sinks.imagedata import ImageDataSink
from caffeflow.data.sinks.lmdb import LmdbSink

__all__ = ["SINKS", "Sink", "SinkStart"]

SINKS: Final[dict[str, type[LmdbSink] | type[ImageDataSink]]] = {
    "lmdb": LmdbSink,
    "imagedata": ImageDataSink,
    "annotated": AnnotatedSink,  # what lmdb is for images with boxes
}
