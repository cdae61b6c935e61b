"""The result files that DetectionOutput writes on request: VOC's, COCO's and ILSVRC's.

The one rule to know: they are written whole, after as many images as `num_test_image` says, and then a new
round begins with the first image. Caffe: deletes the whole output_directory when the net is set up, and
empties VOC's files when a round begins (detection_output_layer.cpp); here only the files of these names are
replaced, once a round is complete.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from caffeflow.engine.modules.pixel_boxes import to_pixels
from caffeflow.errors import DataError
from caffeflow.files import write_text
from caffeflow.layers.detection_output import DetectionOutputParams, ResultFiles
from caffeflow.proto.labelmap import read_label_map
from caffeflow.proto.name_sizes import read_name_sizes

_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")

Rows = NDArray[np.float64]
"""Detections of one image: label, score, x, y, width, height; the last four rounded to 0.01 pixels."""


class ResultWriter:
    """Gathers the detections of image after image and writes them.

    Args:
        files: What is written, and where.
        params: The settings of the layer.
        layer: Its name.

    Raises:
        DataError: The label map or the file of names and sizes cannot be used.
    """

    def __init__(self, files: ResultFiles, params: DetectionOutputParams, *, layer: str) -> None:
        self.files: Final = files
        try:
            self._names: Final = dict(read_label_map(Path(files.label_map_file)).names)
            self._images: Final = read_name_sizes(Path(files.name_size_file))
        except DataError as error:
            hint = "; remove save_output_param to write no result files"
            raise DataError(f"layer '{layer}': {error}{hint}") from error
        self._round: Final = files.images or len(self._images)
        if self._round > len(self._images):
            raise DataError(
                f"layer '{layer}': num_test_image is {self._round}, but {files.name_size_file} has only"
                f" {len(self._images)} lines"
            )
        self._layer: Final = layer
        self._labels: Final = [n for n in range(params.num_classes) if n != params.background]
        self._found: list[Rows] = []

    def add(self, rows: NDArray[Any], *, images: int) -> None:
        """Takes the detections of a batch, rows of 7, and writes the files when a round is complete.

        Raises:
            DataError: A label has no name, or a file cannot be written.
        """
        for number in range(images):
            self._found.append(self._measured(rows[rows[:, 0] == number]))
            if len(self._found) == self._round:
                self._write()
                self._found = []

    def _measured(self, rows: NDArray[Any]) -> Rows:
        image = self._images[len(self._found)]
        for label in np.unique(rows[:, 1]):
            if int(label) not in self._names:
                raise DataError(
                    f"layer '{self._layer}': label {int(label)} was detected, but has no name in"
                    f" {self.files.label_map_file}; give the label map that the net was trained with"
                )
        sizes = torch.tensor([[image.height, image.width]]).expand(len(rows), 2)
        boxes = torch.from_numpy(np.ascontiguousarray(rows[:, 3:], np.float32))
        corners = to_pixels(boxes, sizes, self.files.resize).corners.numpy()
        hundredths = np.concatenate((corners[:, :2], corners[:, 2:] - corners[:, :2]), 1) * np.float32(100)
        away = np.copysign(np.floor(np.abs(hundredths.astype(np.float64)) + 0.5), hundredths)
        return np.concatenate((rows[:, 1:3].astype(np.float64), away / 100), 1)

    def _write(self) -> None:
        folder = Path(self.files.directory)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{folder}: cannot be made: {error.strerror}; change output_directory") from error
        texts = {"VOC": self._voc, "COCO": self._coco, "ILSVRC": self._ilsvrc}[self.files.format]()
        for name, text in texts.items():
            write_text(folder / f"{self.files.prefix}{name}", text)

    def _voc(self) -> dict[str, str]:
        lines: dict[str, list[str]] = {
            self._names[label]: [] for label in self._labels if label in self._names
        }
        for image, row in self._each():
            lines[self._names[int(row[0])]].append(f"{image} {row[1]:g} {_whole_corners(row)}\n")
        return {f"{name}.txt": "".join(each) for name, each in lines.items()}

    def _ilsvrc(self) -> dict[str, str]:
        lines = (f"{image} {int(row[0])} {row[1]:g} {_whole_corners(row)}\n" for image, row in self._each())
        return {".txt": "".join(lines)}

    def _coco(self) -> dict[str, str]:
        entries = (
            {
                "image_id": _number_or_name(image),
                "category_id": _number_or_name(self._names[int(row[0])]),
                "bbox": [float(value) for value in row[2:]],
                "score": float(f"{row[1]:.9g}"),
            }
            for image, row in self._each()
        )
        return {".json": "[\n" + ",\n".join(map(json.dumps, entries)) + "\n]\n"}

    def _each(self) -> Iterator[tuple[str, NDArray[np.float64]]]:
        for image, rows in zip(self._images, self._found, strict=False):
            for row in rows:
                yield image.name, row


def _whole_corners(row: NDArray[np.float64]) -> str:
    # Caffe: each number is cut before they are added, so a corner may be a pixel short.
    x, y, width, height = (int(value) for value in row[2:])
    return f"{x} {y} {x + width} {y + height}"


def _number_or_name(word: str) -> int | float | str:
    """Returns a number where a name is one, as COCO's tools expect ids."""
    # Caffe: takes the quotes off whatever looks like a number, 000042 too, which is no JSON then.
    match = _NUMBER.fullmatch(word)
    if match is None:
        return word
    return float(word) if match[1] else int(word)
