"""What a dataset says of the images of a detection test: their names, their sizes, their classes' names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from caffeflow.data.manifest import MANIFEST_NAME, Manifest, Split, read_manifest
from caffeflow.data.readers.annotated import AnnotatedParser
from caffeflow.data.readers.datum import Record
from caffeflow.data.readers.lmdb import LmdbReader
from caffeflow.errors import DataError
from caffeflow.image_bytes import find_header
from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.labelmap import LabelMap, read_label_map
from caffeflow.proto.name_sizes import NameSize, read_name_sizes
from caffeflow.workflows.detection_names import label_map_files


@dataclass(frozen=True, kw_only=True)
class ClassNames:
    """What classes are called, without the background.

    Attributes:
        shown: For people.
        written: In annotations, and so in result files.
    """

    shown: Mapping[int, str]
    written: Mapping[int, str]

    @classmethod
    def of(cls, label_map: LabelMap | None, labels: Iterable[int]) -> ClassNames:
        """Returns the names of a label map; labels without one are called by their numbers."""
        numbers = {label: str(label) for label in labels}
        if label_map is None:
            return cls(shown=numbers, written=numbers)
        return cls(
            shown={label: label_map.display_names.get(label, text) for label, text in numbers.items()},
            written={label: label_map.names.get(label, text) for label, text in numbers.items()},
        )


def images_of(data: LayerParameter, *, size_file: str) -> tuple[NameSize, ...]:
    """Returns name and size of each image that a layer reads, in its order.

    They are those of the dataset, else those of the net's own name_size_file, else of the records.

    Args:
        data: The layer.
        size_file: What the net names; maybe empty.

    Raises:
        DataError: A file cannot be read, or has not one line for each record.
    """
    source = Path(data.data_param.source)
    path = _size_file_of(source) or (Path(size_file) if size_file else None)
    if path is None:
        return tuple(_sizes_in(source))
    images = read_name_sizes(path)
    with LmdbReader(source) as reader:
        count = reader.count
    if len(images) != count:
        raise DataError(
            f"{path}: has {len(images)} lines, but '{source}' has {count} images; it needs a line for each"
        )
    return images


def find_label_map(data: LayerParameter, net: NetParameter) -> LabelMap | None:
    """Returns the label map of the dataset that a layer reads, else the net's; None if there is neither.

    Raises:
        DataError: It is there, and cannot be read.
    """
    found = _find_split(Path(data.data_param.source))
    if found and found[0].label_map:
        return read_label_map(Path(data.data_param.source).parent / found[0].label_map)
    return next((read_label_map(path) for path in label_map_files(net) if path.exists()), None)


def _size_file_of(source: Path) -> Path | None:
    found = _find_split(source)
    return source.parent / found[1].name_size if found and found[1].name_size else None


def _find_split(source: Path) -> tuple[Manifest, Split] | None:
    """Returns the dataset that an LMDB is part of, and its part."""
    if not (source.parent / MANIFEST_NAME).exists():
        return None
    manifest = read_manifest(source.parent)
    return next(((manifest, split) for split in manifest.splits.values() if split.path == source.name), None)


def _sizes_in(source: Path) -> Iterator[NameSize]:
    parser = AnnotatedParser(source)
    with LmdbReader(source) as reader:
        for key, value in reader.once():
            record = parser.parse(key, value).datum
            height, width = _size_of(record)
            # Caffe's tools put a number before the path (convert_annoset.cpp): 00000017_JPEGImages/x.jpg
            name = Path(key.decode(errors="replace").partition("_")[2]).stem or key.decode(errors="replace")
            yield NameSize(name, height, width)


def _size_of(record: Record) -> tuple[int, int]:
    header = find_header(record.encoded) if record.encoded is not None else None
    if header is not None:
        return header.height, header.width
    _, height, width = record.pixels("unchanged").shape
    return height, width
