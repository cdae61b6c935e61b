"""An LMDB of AnnotatedDatums, as SSD's convert_annoset writes it, and the text files that belong to it.

`train.txt` and `val.txt` list the images in the order of the records, each with its annotation file where
it has one, as convert_annoset reads them. `test_name_size.txt` holds name, height and width of each image of
val before resizing, as get_image_size writes it: DetectionOutput and DetectionEvaluate go through it
record by record, so it has a line for each record, and none for a reject.
"""

from __future__ import annotations

import os
import re
from pathlib import PurePosixPath
from typing import Final

from caffeflow.data.annotated_datum import annotated_datum
from caffeflow.data.convert import Converted, Packed, Picture
from caffeflow.data.datum import encoded_datum, raw_datum
from caffeflow.data.folder import NAME_SIZE_NAME
from caffeflow.data.journal import CountedText
from caffeflow.data.sample import Job
from caffeflow.data.sink import SinkStart
from caffeflow.data.sinks.lmdb import LmdbSink, record_key
from caffeflow.data.transforms import as_planes

_BLANKS: Final = re.compile(r"\s+")


class AnnotatedSink(LmdbSink):
    """Writes `train_lmdb/` and `train.txt`, or the same of `val` and `test_name_size.txt`."""

    def __init__(self, start: SinkStart) -> None:
        super().__init__(start)
        names = {"list_bytes": f"{start.split}.txt"}
        if start.split == "val":
            names["name_size_bytes"] = NAME_SIZE_NAME
        self._texts = {
            key: CountedText(start.out_dir / name, length=start.state.get(key, 0))
            for key, name in names.items()
        }

    @property
    def name_size(self) -> str | None:
        """Name of the file of image names and sizes; val has one."""
        return NAME_SIZE_NAME if "name_size_bytes" in self._texts else None

    def pack(self, index: int, job: Job, picture: Picture) -> Packed:
        """Returns key and AnnotatedDatum of a picture, and its lines."""
        assert picture.boxes is not None, "jobs of one list all have boxes"  # noqa: S101 - a contract between our parts
        datum: bytes | bytearray
        if picture.file is None:
            datum, planes = raw_datum(picture.image, job.label)
        else:
            datum = encoded_datum(picture.file, job.label, sized_as=picture.image)
            planes = as_planes(picture.image)
        value = annotated_datum(datum, picture.boxes)
        return Packed(record_key(index, job), value, planes, lines=(_listed(job), _name_size(job, picture)))

    def add(self, record: Converted) -> None:
        """Writes the next record and its lines."""
        super().add(record)
        for text, line in zip(self._texts.values(), record.lines, strict=False):  # val has a line more
            text.add(line)

    def commit(self) -> dict[str, int]:
        """Makes records and lines durable, and returns how long the files are."""
        state = super().commit()
        return state | {key: text.commit() for key, text in self._texts.items()}

    def close(self) -> None:
        """Gives up what was not committed."""
        super().close()
        for text in self._texts.values():
            text.close()


def _listed(job: Job) -> bytes:
    file = job.annotation.file if job.annotation is not None else ""
    return os.fsencode(f"{job.name} {file}".rstrip(" "))


def _name_size(job: Job, picture: Picture) -> bytes:
    """Returns the line of an image in `test_name_size.txt`."""
    height, width = picture.original
    name = job.annotation.image_id if job.annotation is not None else ""
    return os.fsencode(f"{without_blanks(name or PurePosixPath(job.name).stem)} {height} {width}")


def without_blanks(name: str) -> str:
    """Returns a name as a file that is read by blanks can hold it."""
    return _BLANKS.sub("_", name)
