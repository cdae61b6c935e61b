"""`caffeflow export`: a deploy net and its weights as a file for other tools, checked if asked to.

The one rule to know: nothing is written before every check has passed, and then all files or none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from caffeflow.errors import DataError, UsageError, WeightsError
from caffeflow.files import write_atomically
from caffeflow.proto.text import located
from caffeflow.workflows.bundle import MODEL_NAME
from caffeflow.workflows.bundle_preprocess import PREPROCESS_NAME
from caffeflow.workflows.open_net import Ask, OpenedNet, open_net
from caffeflow.workflows.same_outputs import Difference, require_same

if TYPE_CHECKING:
    from caffeflow.export.onnx_model import OnnxNet


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """What is to be written.

    Attributes:
        ask: The deploy net.
        weights: Its weights: a file or a name of the zoo; None: the folder's own, as a bundle has them.
        onnx: The file to write.
        opset: The version of ONNX's operators; None: the default.
        dynamic_batch: Whether the batch size is left open.
        is_checked: Whether onnxruntime's outputs are compared with the embedded engine's.
        force: Replace files that are there.
    """

    ask: Ask
    weights: str | None
    onnx: Path
    opset: int | None = None
    dynamic_batch: bool = False
    is_checked: bool = False
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What was written.

    Attributes:
        files: The ONNX file; behind it, of a detector, its priors and settings.
        size: Bytes of the ONNX file.
        inputs: Shapes by name; -1: the batch size.
        outputs: The same.
        operators: How many nodes there are of each.
        cut: The DetectionOutput layer that was cut off; empty: none.
        unused: Layers of the weights that the net has no use for.
        differences: What the check found; empty without one.
    """

    net: str
    files: tuple[Path, ...]
    size: int
    opset: int
    inputs: Mapping[str, tuple[int, ...]]
    outputs: Mapping[str, tuple[int, ...]]
    operators: Mapping[str, int]
    cut: str
    unused: tuple[str, ...]
    differences: tuple[Difference, ...]


def export(request: ExportRequest) -> ExportReport:
    """Writes a net as ONNX, and of a detector the priors and settings beside it.

    Raises:
        UsageError: A file is there already, or the check's onnxruntime is not installed.
        NetError: A layer that Caffe would refuse, or that ONNX cannot say.
        WeightsError: The weights are not those of the net.
        DataError: The folder cannot be written to.
        CheckError: onnxruntime computes something else than the embedded engine.
    """
    from caffeflow.export.onnx_export import DEFAULT_OPSET, export_onnx
    from caffeflow.weights.formats import read_weights

    files = _files(request.onnx)
    _check_free(files[:1], request)
    opened = open_net(request.ask)
    weights = _weights_file(request)
    layers = read_weights(weights)
    with _naming_files(opened, weights):
        made = export_onnx(
            opened.net,
            layers,
            opset=DEFAULT_OPSET if request.opset is None else request.opset,
            dynamic_batch=request.dynamic_batch,
            properties=_properties(request),
        )
    if made.head is not None:
        _check_free(files, request)
    differences: list[Difference] = []
    with _folder_beside(request.onnx) as folder:
        if request.is_checked:
            from caffeflow.workflows.export_check import compare_onnx

            differences = compare_onnx(opened, layers, made, folder=folder)
            require_same(differences, what=f"{request.onnx}: onnxruntime")
        written = _write(made, files, folder)
    return ExportReport(
        net=opened.label,
        files=written,
        size=request.onnx.stat().st_size,
        opset=made.opset,
        inputs=made.inputs,
        outputs=made.outputs,
        operators=made.operators(),
        cut=made.head.layer if made.head else "",
        unused=made.unused,
        differences=tuple(differences),
    )


def _weights_file(request: ExportRequest) -> Path:
    """Returns the weights' file: the one named, else the one of a bundle."""
    from caffeflow.workflows.zoo import weights_path

    if request.weights is not None:
        return weights_path(request.weights)
    of_bundle = Path(request.ask.net) / MODEL_NAME
    if not of_bundle.is_file():
        raise UsageError(f"the weights of '{request.ask.net}' are not given; add --weights FILE")
    return of_bundle


def _properties(request: ExportRequest) -> dict[str, str]:
    """Returns how pixels become input, word for word, where the net's folder says so."""
    about = Path(request.ask.net) / PREPROCESS_NAME
    return {"preprocess": about.read_text()} if about.is_file() else {}


def _files(onnx: Path) -> tuple[Path, Path, Path]:
    """Returns the ONNX file, and where the priors and the settings of a detector go."""
    return onnx, onnx.with_suffix(".priors.npz"), onnx.with_suffix(".detection.json")


def _check_free(files: Sequence[Path], request: ExportRequest) -> None:
    there = [path for path in files if path.exists()]
    if there and not request.force:
        raise UsageError(f"{there[0]}: is there already; replace it with --force, or choose another --onnx")


@contextmanager
def _naming_files(opened: OpenedNet, weights: Path) -> Iterator[None]:
    """Adds the net's or the weights' file to an error that passes through without one."""
    try:
        with located(opened.net_file):
            yield
    except WeightsError as error:
        raise WeightsError(f"{weights}: {error}") from error


@contextmanager
def _folder_beside(file: Path) -> Iterator[Path]:
    """Gives a temporary folder from which files can be moved to a file's place."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        folder = TemporaryDirectory(dir=file.parent, prefix=f".{file.name}.")
    except OSError as error:
        raise DataError(f"{file}: cannot write: {error.strerror}") from error
    with folder as path:
        yield Path(path)


def _write(made: OnnxNet, files: tuple[Path, Path, Path], folder: Path) -> tuple[Path, ...]:
    """Writes all files into a folder, then moves them to their places, the ONNX file last."""
    onnx, priors, settings = files
    contents: list[tuple[Path, Iterable[bytes]]] = []
    if made.head is not None:
        loc, conf = made.head_outputs()
        about = {**made.head.settings(), "loc": loc, "conf": conf, "priors_file": priors.name}
        text = json.dumps(about, indent=2) + "\n"
        contents = [(priors, [made.head.priors_file()]), (settings, [text.encode()])]
    contents.append((onnx, made.pieces()))
    for path, pieces in contents:
        write_atomically(folder / path.name, pieces)
    for path, _ in contents:
        (folder / path.name).replace(path)
    return tuple(path for path, _ in reversed(contents))
