"""Preflight of data: files that are missing, records of another kind, and how many of them a test takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from caffeflow.data.readers.annotated import is_annotated
from caffeflow.data.readers.lmdb import LmdbReader
from caffeflow.errors import DataError
from caffeflow.proto.caffe_pb2 import DataParameter, LayerParameter
from caffeflow.proto.name_sizes import NameSize, read_name_sizes
from caffeflow.proto.net import NetRole
from caffeflow.workflows.preflight_findings import Finding, Flight, exists, place_of

_DATABASES: Final = ("Data", "AnnotatedData")


def check_records(flight: Flight) -> Iterator[Finding]:
    """Yields each database that is not what its layer reads."""
    for role, layer in flight.layers(*_DATABASES):
        source, where = layer.data_param.source, place_of(role, layer)
        if layer.data_param.backend != DataParameter.LMDB:
            if layer.type == "AnnotatedData":
                yield Finding(
                    where=where,
                    what="backend is LEVELDB (Caffe's default), but caffeflow makes and reads LMDBs; write"
                    " backend: LMDB into data_param",
                )
            continue
        if layer.type == "Data" and not exists(source):
            continue  # a plain net's own business
        try:
            has_boxes = _has_boxes(Path(source))
        except DataError as error:
            yield Finding(where=where, what=str(error), is_of_data=True)
            continue
        if has_boxes != (layer.type == "AnnotatedData"):
            yield _other_kind(where, layer, has_boxes=has_boxes)


def _other_kind(where: str, layer: LayerParameter, *, has_boxes: bool) -> Finding:
    if has_boxes:
        what = (
            f"is a Data layer, but '{layer.data_param.source}' holds AnnotatedDatums, records with boxes; use"
            " a layer of type AnnotatedData, or make an LMDB of plain records: caffeflow prepare folder"
        )
    else:
        what = (
            f"is an AnnotatedData layer, but '{layer.data_param.source}' holds Datums, records without boxes;"
            " make one with boxes: caffeflow prepare voc, coco or kitti"
        )
    return Finding(where=where, what=what, is_of_data=True)


def _has_boxes(path: Path) -> bool:
    """Whether the records of an LMDB are AnnotatedDatums."""
    with LmdbReader(path) as reader:
        _, value = next(reader.once())
    return is_annotated(value)


def check_sharing(flight: Flight) -> Iterator[Finding]:
    """Yields layers that share a name and a source, which the SSD tree reads with one thread too few."""
    seen: dict[tuple[str, str], str] = {}
    for role, layer in flight.layers(*_DATABASES):
        key, where = (layer.name, layer.data_param.source), place_of(role, layer)
        if key in seen and layer.data_param.source:
            # Caffe: readers are shared by "name:source" (data_reader.cpp), and only one of them is served.
            yield Finding(
                where=where,
                what=f"has the name and the source of {seen[key]}; the SSD tree serves only one of them, and"
                " dies or waits forever: rename one, or let it read another LMDB than"
                f" '{layer.data_param.source}'",
                is_error=flight.engine == "caffe",
            )
        seen.setdefault(key, where)


def check_test_passes(flight: Flight) -> Iterator[Finding]:
    """Yields what does not fit the number of test images: passes, and files with a line for each."""
    passes = flight.solver.test_iter if flight.solver else ()
    iterations = dict(zip((id(role) for role in flight.tests), passes, strict=False))
    for role in flight.roles:
        data = next((layer for layer in role.net.layer if layer.type == "AnnotatedData"), None)
        records = _find_count(data) if data is not None else None
        if data is not None and records is not None and id(role) in iterations:
            yield from _check_pass(place_of(role, data), data, records, iterations[id(role)])
        yield from _check_size_files(role, records)


def _find_count(layer: LayerParameter) -> int | None:
    try:
        with LmdbReader(Path(layer.data_param.source)) as reader:
            return reader.count
    except DataError:  # told by check_records
        return None


def _check_pass(where: str, layer: LayerParameter, records: int, iterations: int) -> Iterator[Finding]:
    batch = layer.data_param.batch_size
    taken = iterations * batch
    if taken == records or not batch:
        return
    if taken < records:
        found = f"{records - taken} images are not tested, other ones in each pass"
    else:
        found = f"{taken - records} images are tested twice"
    fitting = next(size for size in range(min(batch, records), 0, -1) if records % size == 0)
    yield Finding(
        where=where,
        what=f"test_iter {iterations} x batch_size {batch} = {taken} for {records} test images: {found}; to"
        f" test each once, write test_iter: {records // fitting} and batch_size: {fitting}, or use"
        " 'caffeflow test'",
        is_error=False,
        is_of_data=True,
    )


def _check_size_files(role: NetRole, records: int | None) -> Iterator[Finding]:
    for layer in role.net.layer:
        path = size_file_of(layer)
        if not path:
            continue
        where = place_of(role, layer)
        try:
            lines = read_name_sizes(Path(path))
        except DataError as error:
            yield Finding(
                where=where,
                what=f"{error}; 'caffeflow prepare' writes one as test_name_size.txt",
                is_of_data=True,
            )
            continue
        if records is not None and len(lines) != records:
            yield Finding(
                where=where,
                what=f"name_size_file '{path}' has {len(lines)} lines for {records} test images; it needs one"
                " for each, in the order of the LMDB: take the test_name_size.txt of the same dataset",
                is_of_data=True,
            )
        yield from _check_images(where, layer, lines)


def _check_images(where: str, layer: LayerParameter, lines: tuple[NameSize, ...]) -> Iterator[Finding]:
    images = layer.detection_output_param.save_output_param.num_test_image
    if images > len(lines):
        yield Finding(
            where=where,
            what=f"num_test_image is {images}, but its name_size_file has {len(lines)} lines; write"
            f" num_test_image: {len(lines)}",
        )


def size_file_of(layer: LayerParameter) -> str:
    """Returns the name_size_file that a layer names, or an empty text."""
    return (
        layer.detection_evaluate_param.name_size_file
        or layer.detection_output_param.save_output_param.name_size_file
    )
