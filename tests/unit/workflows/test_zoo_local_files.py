"""Weights by name: where files are looked for, what is passed over, and that one is read only once."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from caffeflow import resources
from caffeflow.errors import UsageError, WeightsError
from caffeflow.weights.zoo import ZooModel, find_model, zoo_models
from caffeflow.workflows import zoo_files
from caffeflow.workflows.zoo import weights_path
from caffeflow.workflows.zoo_files import cache_dir, find_local, problem_of

FILE = "bvlc_reference_caffenet.caffemodel"
CONTENT = b"stands for 243 MB"


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Publishes a few bytes as CaffeNet's weights, in a table of one model."""
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    Path("table.toml").write_text(
        f'[[model]]\nname = "caffenet"\ntitle = "CaffeNet"\nnet = "caffenet"\nfile = "{FILE}"\n'
        f'addresses = ["http://127.0.0.1/x"]\nsource = "tests"\nlicence = "free"\nsize = {len(CONTENT)}\n'
        f'sha1 = "{"0" * 40}"\nsha256 = "{sha256}"\n'
    )
    path = Path("table.toml").resolve()
    monkeypatch.setattr(resources, "zoo_table", lambda: path)
    zoo_models.cache_clear()
    yield
    zoo_models.cache_clear()


def caffenet() -> ZooModel:
    model = find_model("caffenet")
    assert model is not None
    return model


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("text", ["caffenet", "CaffeNet", "bvlc_reference_caffenet", "alexnet-caffe", FILE])
def test_a_name_is_a_file_where_it_lies(text: str) -> None:
    """The third is an alias of the net, which only the catalogue of nets knows."""
    path = put(Path("models/caffenet/pretrained", FILE))
    assert weights_path(text) == path


def test_a_file_is_itself_whatever_it_is_called() -> None:
    assert weights_path(str(put(Path("caffenet"), b"mine"))) == Path("caffenet")


def test_a_folder_of_the_same_name_is_not_the_file() -> None:
    Path("caffenet").mkdir()
    path = put(Path(FILE))
    assert weights_path("caffenet") == path


def test_folders_are_searched_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAFFEFLOW_ZOO", "own")
    put(Path("models", FILE))
    places = [Path(FILE), cache_dir() / FILE, Path("own/deeper", FILE)]
    found = []
    for place in places:
        put(place)
        found.append(find_local(caffenet()))
    assert found[:2] == places[:2]
    assert found[2] == places[1]  # in a sub-folder only after the places where it would be put
    put(Path("own", FILE))
    assert find_local(caffenet()) == Path("own", FILE)


def test_a_file_with_another_name_is_known_by_its_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAFFEFLOW_ZOO", "own")
    put(Path("own/other.caffemodel"), b"?" * len(CONTENT))
    path = put(Path("own/renamed.caffemodel"))
    assert find_local(caffenet()) == path


def test_a_link_to_nothing_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAFFEFLOW_ZOO", "own")
    path = put(Path("own/renamed.caffemodel"))
    for name in (FILE, "other.caffemodel"):
        Path("own", name).symlink_to("nowhere")
    assert find_local(caffenet()) == path


def test_a_file_that_goes_away_is_no_bug() -> None:
    assert problem_of(Path("gone"), caffenet()) == "it cannot be read: No such file or directory"


def test_the_variable_must_name_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAFFEFLOW_ZOO", str(put(Path("file"))))
    with pytest.raises(UsageError, match=r"\$CAFFEFLOW_ZOO is 'file', which is a file"):
        weights_path("caffenet")


def test_a_wrong_file_is_passed_over_and_said(caplog: pytest.LogCaptureFixture) -> None:
    put(Path(FILE), b"?" * len(CONTENT))
    right = put(Path("models", FILE))
    with caplog.at_level(logging.WARNING):
        assert weights_path("caffenet") == right
    assert f"{FILE}: is passed over: it has sha1" in caplog.text


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"short", "it has 5 bytes, expected 17"),
        (b"?" * len(CONTENT), f"it has sha1 [0-9a-f]+, expected {'0' * 40}"),
        (b"<html>moved</html>", "it is an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1", "it is a git-lfs pointer"),
    ],
)
def test_a_model_that_is_not_here_is_described(content: bytes, problem: str) -> None:
    put(Path(FILE), content)
    with pytest.raises(WeightsError, match=f"{FILE} is not it: {problem}") as caught:
        weights_path("caffenet")
    said = str(caught.value)
    for words in (
        f"{FILE}  17 bytes",
        "sha256 ",
        "http://127.0.0.1/x",
        "caffeflow weights fetch caffenet",
        str(cache_dir()),
        "$CAFFEFLOW_ZOO",
    ):
        assert words in said
    assert caught.value.exit_code == 6


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("caffenett", "did you mean 'caffenet'"),
        ("lenet", "'lenet' is neither a file nor published weights"),
        ("other.caffemodel", "there is no such file"),
        ("folder/other.caffemodel", "there is no such file"),
        ("folder/resnet", "there is no such file"),
        (f"folder/{FILE}", "no such file; as 'caffenet' it is looked for in ./"),
    ],
)
def test_what_is_neither_a_file_nor_known_is_said(text: str, words: str) -> None:
    with pytest.raises(WeightsError, match=words):
        weights_path(text)


def test_a_file_is_read_once_until_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    monkeypatch.setattr(zoo_files, "what_differs", lambda path, _sums: read.append(path) or "")
    path = put(Path(FILE))
    for _ in range(3):
        assert problem_of(path, caffenet()) == ""
    assert read == [path]
    os.utime(path, ns=(0, 0))
    problem_of(path, caffenet())
    assert len(read) == 2


@pytest.mark.parametrize("memory", [b"{", b"[]", b"\xff", b'{"x": 3}'])
def test_a_damaged_memory_costs_a_second_look_only(memory: bytes) -> None:
    path = put(Path(FILE))
    put(cache_dir() / "looked-at.json", memory)
    assert problem_of(path, caffenet()) == ""
    assert problem_of(path, caffenet()) == ""


def test_a_cache_folder_that_cannot_be_written_costs_a_second_look_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put(Path("file"), b"no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path("file").resolve()))
    assert problem_of(put(Path(FILE)), caffenet()) == ""
