from __future__ import annotations

import argparse
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from caffeflow.errors import WeightsError
from caffeflow.weights.torch_files import read_state_dict


def tensors() -> dict[str, torch.Tensor]:
    return {
        "conv.weight": torch.arange(2 * 3 * 5, dtype=torch.float32).reshape(2, 3, 5) / 7,
        "conv.bias": torch.tensor([0.5, -3.0]),
        "bn.num_batches_tracked": torch.tensor(11),
    }


def saved(content: object, name: str = "x.pth", **options: Any) -> Path:
    path = Path(name)
    torch.save(content, path, **options)
    return path


def assert_is_ours(path: Path) -> None:
    read = read_state_dict(path)
    assert set(read) == set(tensors())
    for key, tensor in tensors().items():
        np.testing.assert_array_equal(read[key], tensor.numpy())
        assert read[key].dtype == (np.int64 if "num_" in key else np.float32)


def test_a_state_dict_is_read_in_either_of_pytorchs_formats() -> None:
    assert_is_ours(saved(tensors()))
    assert_is_ours(saved(tensors(), _use_new_zipfile_serialization=False))


def test_safetensors_are_read_without_torchs_pickles() -> None:
    save_file(tensors(), "x.safetensors", metadata={"format": "pt"})
    assert_is_ours(Path("x.safetensors"))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "epoch": 3, "optimizer": {"lr": 0.1}},
        lambda state: {"model": state, "arch": "resnet50"},
        lambda state: {"model_state_dict": state},
        lambda state: {"model": {"state_dict": state}},
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {"state_dict": {f"model.module.{key}": value for key, value in state.items()}},
        lambda state: {f"_orig_mod.{key}": value for key, value in state.items()},
    ],
)
def test_what_trainings_put_around_a_state_dict_is_taken_off(
    wrap: Callable[[dict[str, torch.Tensor]], object],
) -> None:
    assert_is_ours(saved(wrap(tensors())))


def test_a_prefix_that_not_all_keys_have_stays() -> None:
    read = read_state_dict(saved({"module.a": torch.ones(2), "b": torch.ones(3)}))
    assert list(read) == ["module.a", "b"]


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("form", ["pth", "safetensors"])
def test_other_precisions_become_float32(kind: torch.dtype, form: str) -> None:
    values = torch.tensor([[1.5, -0.3, 65000.0], [2e-5, 3.0, 0.1]]).to(kind)
    path = Path(f"x.{form}")
    if form == "pth":
        torch.save({"w": values}, path)
    else:
        save_file({"w": values}, path)
    read = read_state_dict(path)["w"]
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, values.float().numpy())


def test_a_module_that_was_pickled_whole_is_refused_with_what_to_do() -> None:
    path = saved(nn.Sequential(nn.Linear(2, 3)))
    with pytest.raises(WeightsError, match="would have to be run") as caught:
        read_state_dict(path)
    message = str(caught.value)
    assert "x.pth: to be read, 'torch.nn.modules.container.Sequential'" in message
    assert "torch.save(model.state_dict()" in message
    assert "\n" not in message


def test_code_in_a_pickle_is_named_and_not_run() -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, ("trapped",)

    with pytest.raises(WeightsError, match=r"'(posix|nt)\.mkdir' would have to be run"):
        read_state_dict(saved({"a": Trap()}))
    with pytest.raises(WeightsError, match=r"'argparse\.Namespace'"):
        read_state_dict(saved({"state_dict": tensors(), "args": argparse.Namespace(lr=1)}))
    assert not Path("trapped").exists()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.4, 0.7, 0.97])
def test_a_truncated_file_is_called_so(zipped: bool, share: float) -> None:
    path = saved(tensors(), _use_new_zipfile_serialization=zipped)
    content = path.read_bytes()
    path.write_bytes(content[: max(1, int(share * len(content)))])
    with pytest.raises(WeightsError, match=r"x\.pth: is truncated or no PyTorch file \([\d,]+ bytes\)"):
        read_state_dict(path)


@pytest.mark.parametrize("size", [4, 20, -2])
def test_a_truncated_safetensors_file_is_called_so(size: int) -> None:
    path = Path("x.safetensors")
    save_file(tensors(), path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(WeightsError, match="truncated or no safetensors file"):
        read_state_dict(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git-lfs pointer"),
        (bytes(range(256)) * 9, "truncated or no PyTorch file"),
    ],
)
def test_what_is_no_pytorch_file_is_recognised(content: bytes, words: str) -> None:
    Path("x.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=words):
        read_state_dict(Path("x.pth"))


def test_other_things_that_pytorch_saves_are_refused() -> None:
    torch.save([1, 2], "list.pth")
    with pytest.raises(WeightsError, match="holds no state_dict: expected tensors by name"):
        read_state_dict(Path("list.pth"))
    with pytest.raises(WeightsError, match="a mapping with 'epoch', 'optimizer'"):
        read_state_dict(saved({"epoch": 3, "optimizer": {}}))
    with zipfile.ZipFile("other.pt", "w") as archive:
        archive.writestr("readme.txt", "words")
    with pytest.raises(WeightsError, match="truncated or no PyTorch file"):
        read_state_dict(Path("other.pt"))
    with pytest.raises(WeightsError, match="cannot read the weights: No such file"):
        read_state_dict(Path("missing.pth"))


def test_tensors_that_numpy_cannot_hold_as_floats_are_named() -> None:
    with pytest.raises(WeightsError, match=r"'fc\.weight' is torch\.complex64"):
        read_state_dict(saved({"fc.weight": torch.ones(2, dtype=torch.complex64)}))
    sparse = torch.eye(3).to_sparse()
    with pytest.raises(WeightsError, match=r"'fc\.weight' is torch\.float32, torch\.sparse_coo"):
        read_state_dict(saved({"fc.weight": sparse}))
    save_file({"w": torch.ones(2).to(torch.float8_e4m3fn)}, "x.safetensors")
    with pytest.raises(WeightsError, match=r"'w' .* is of the type F8_E4M3"):
        read_state_dict(Path("x.safetensors"))
