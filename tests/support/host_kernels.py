"""Compiles a layer of cuda_layers/ with g++ for the host, kernels too, and runs it on cases.

The files are the layer's own. Only the launches are rewritten, since `<<< >>>` is no C++, and what they
include of Caffe is the stand-in of tests/cuda_layers/shim.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SHIM = ROOT / "tests" / "cuda_layers" / "shim"

STAND_IN = (
    "caffe/blob.hpp",
    "caffe/common.hpp",
    "caffe/layer.hpp",
    "caffe/layer_factory.hpp",
    "caffe/layers/conv_layer.hpp",
    "caffe/layers/neuron_layer.hpp",
    "caffe/proto/caffe.pb.h",
    "google/protobuf/descriptor.h",
)
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
# As trees are built, and with the loops for a processor without AVX2, which this one may well have.
OPTIMIZED_WITHOUT_AVX2 = ("-O2", "-DCAFFE_WITHOUT_AVX2")
LAUNCH = re.compile(r"(\w+<[\w, ]+>)<<<(.+?), (\w+)>>>\(", re.DOTALL)


@dataclass(frozen=True)
class Plant:
    """A planted error: in `file` of the layer, `right` becomes `wrong`."""

    file: str
    right: str
    wrong: str


@dataclass(frozen=True)
class HostCase:
    """What a driver reads; its head comment says which numbers and arrays."""

    settings: tuple[int, ...]
    arrays: tuple[np.ndarray, ...]


def require_compiler() -> str:
    """Returns the compiler, or skips the test."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is not installed: kernels cannot be compiled for the host")
    return compiler


def compile_layer(
    layer: str, folder: Path, *, plants: Sequence[Plant] = (), flags: Sequence[str] = SANITIZERS
) -> Path:
    """Returns the driver's program, with errors planted if there are any."""
    compiler = require_compiler()
    source = folder / "layer"
    shutil.copytree(ROOT / "cuda_layers" / layer, source)
    for plant in plants:
        _plant(source / plant.file, plant)
    for name in STAND_IN:
        header = folder / "stand_in" / name
        header.parent.mkdir(parents=True, exist_ok=True)
        header.write_text('#include "caffe_stand_in.h"\n')
    units = [path for path in source.glob("src/caffe/*/*.cpp") if path.parent.name != "test"]
    units += [_on_host(path) for path in source.glob("src/caffe/*/*.cu")]
    driver = SHIM / f"{layer}_driver.cpp"
    includes = [f"-I{path}" for path in (source / "include", folder / "stand_in", SHIM)]
    # One unit of all files: reading <thread> and the like takes longer than compiling ours.
    whole = folder / "whole.cpp"
    whole.write_text("".join(f'#include "{path}"\n' for path in (*sorted(units), driver)))
    program = folder / "driver"
    _run([compiler, "-std=c++11", "-pthread", *flags, *includes, "-o", program, whole])
    return program


def _plant(path: Path, plant: Plant) -> None:
    text = path.read_text()
    assert text.count(plant.right) == 1, f"{plant.file} has {text.count(plant.right)} times: {plant.right}"
    path.write_text(text.replace(plant.right, plant.wrong))


def _on_host(path: Path) -> Path:
    """Returns a copy of a CUDA file whose launches are calls."""
    text = path.read_text()
    host, count = LAUNCH.subn(r"cuda_on_host::Launch(\1, \2, \3)(", text)
    assert count == text.count("<<<")
    copy = path.with_name(f"{path.stem}_on_host.cpp")
    copy.write_text(host)
    return copy


def run_cases(program: Path, cases: Sequence[HostCase], *, threads: int = 2) -> list[np.ndarray]:
    """Returns the arrays that the driver gives back, those of all cases in one list, flat."""
    given, made = program.with_name("cases.bin"), program.with_name("results.bin")
    given.write_bytes(b"".join(map(_as_bytes, cases)))
    _run([program, given, made], env=os.environ | {"OPENBLAS_NUM_THREADS": str(threads)})
    results, data = [], made.read_bytes()
    while data:
        count = int(np.frombuffer(data, np.int64, 1)[0])
        results.append(np.frombuffer(data, np.float64, count, 8))
        data = data[8 + 8 * count :]
    return results


def _as_bytes(case: HostCase) -> bytes:
    def listed(values: np.ndarray) -> bytes:
        return np.int64(values.size).tobytes() + values.tobytes()

    settings = listed(np.asarray(case.settings, np.int64))
    arrays = b"".join(listed(np.ascontiguousarray(array, np.float64)) for array in case.arrays)
    return settings + listed(np.asarray([len(case.arrays)], np.int64)) + arrays


def _run(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=env)
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{done.stderr[-4000:]}"
