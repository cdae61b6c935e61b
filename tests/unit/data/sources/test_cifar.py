"""CIFAR's binary editions: records found where they lie, archives checked, downloads from 127.0.0.1 only."""

from __future__ import annotations

import gzip
import hashlib
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from caffeflow.data.sample import Pixels
from caffeflow.data.sources import cifar
from caffeflow.data.sources.cifar import FACTS, CifarSettings, list_jobs
from caffeflow.errors import DataError, UsageError
from tests.support.imagenet import tar_bytes

COUNT = 3  # records a batch


def batch(rng: np.random.Generator, labels: list[list[int]]) -> bytes:
    return b"".join(bytes(row) + rng.integers(0, 256, 3072, np.uint8).tobytes() for row in labels)


def files(edition: str) -> dict[str, bytes]:
    rng = np.random.default_rng(5)
    if edition == "cifar10":
        names = [f"data_batch_{number}.bin" for number in range(1, 6)] + ["test_batch.bin"]
        made = {
            name: batch(rng, [[(i * COUNT + j) % 10] for j in range(COUNT)]) for i, name in enumerate(names)
        }
        return {**made, "batches.meta.txt": b"".join(b"class%d\n" % i for i in range(10)) + b"\n"}
    made = {name: batch(rng, [[j % 20, 97 + j] for j in range(COUNT)]) for name in ("train.bin", "test.bin")}
    return {
        **made,
        "coarse_label_names.txt": b"".join(b"coarse%d\n" % i for i in range(20)),
        "fine_label_names.txt": b"".join(b"fine%d\n" % i for i in range(100)),
    }


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    return write(tmp_path / "cifar-10-batches-bin", files("cifar10"))


def write(folder: Path, contents: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


def write_archive(path: Path, edition: str) -> str:
    """Returns its md5."""
    folder = FACTS[edition].folder
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(tar_bytes({f"{folder}/{k}": v for k, v in files(edition).items()})))
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def test_cifar10_records_of_an_unpacked_folder(unpacked: Path) -> None:
    listing = list_jobs(CifarSettings(edition="cifar10"))
    train, val = listing.splits["train"], listing.splits["val"]
    assert (len(train), len(val)) == (15, 3)
    assert [job.label for job in train] == [number % 10 for number in range(15)]
    assert [job.label for job in val] == [5, 6, 7]
    assert listing.class_names == tuple(f"class{number}" for number in range(10))
    assert train[4].name == "class4/data_batch_2_00001"
    path = unpacked / "data_batch_2.bin"
    assert train[4].location == Pixels(path, 3073 + 1, 3, 32, 32)
    assert train[4].location.read() == (unpacked / "data_batch_2.bin").read_bytes()[3074 : 2 * 3073]


@pytest.mark.parametrize(
    ("coarse", "labels", "first"), [(False, [97, 98, 99], "fine97"), (True, [0, 1, 2], "coarse0")]
)
def test_cifar100_fine_and_coarse(tmp_path: Path, coarse: bool, labels: list[int], first: str) -> None:
    write(tmp_path / "cifar-100-binary", files("cifar100"))
    listing = list_jobs(CifarSettings(edition="cifar100", coarse=coarse))
    assert [job.label for job in listing.splits["val"]] == labels
    assert listing.splits["val"][0].name == f"{first}/test_00000"
    assert len(listing.class_names) == (20 if coarse else 100)
    assert listing.splits["train"][1].location == Pixels(
        tmp_path / "cifar-100-binary/train.bin", 3074 + 2, 3, 32, 32
    )


def test_an_archive_is_checked_and_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    md5 = write_archive(tmp_path / "elsewhere/c.tgz", "cifar10")
    settings = CifarSettings(edition="cifar10", path=tmp_path / "elsewhere/c.tgz")
    with pytest.raises(
        DataError, match=rf"md5 is {md5}, expected c32a1d4ab5d03f1284b67883e8d87530.*--no-md5"
    ):
        list_jobs(settings)
    assert not Path("data").exists()

    trusted = list_jobs(replace(settings, check_md5=False))
    folder = Path.cwd() / f"data/raw/cifar-10-batches-bin-{md5[:8]}"
    assert trusted.splits["train"][0].location.archive == folder / "data_batch_1.bin"
    assert len(list(folder.iterdir())) == 7

    def must_not(*args: object, **kwargs: object) -> None:
        pytest.fail("unpacked again")

    monkeypatch.setattr(cifar, "unpack", must_not)
    assert list(list_jobs(replace(settings, check_md5=False)).splits["train"]) == list(
        trusted.splits["train"]
    )


def test_the_official_archive_unpacks_to_the_usual_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    md5 = write_archive(Path("data/raw/cifar-10-binary.tar.gz"), "cifar10")
    facts = replace(FACTS["cifar10"], archive=replace(FACTS["cifar10"].archive, md5=md5))
    monkeypatch.setitem(FACTS, "cifar10", facts)
    heard: list[str] = []
    listing = list_jobs(CifarSettings(edition="cifar10"), tell=lambda doing, done, total: heard.append(doing))
    assert (
        listing.splits["val"][0].location.archive
        == Path("data/raw/cifar-10-batches-bin/test_batch.bin").absolute()
    )
    assert set(heard) == {"unpacking cifar-10-binary.tar.gz"}
    assert sorted(path.name for path in Path("data/raw").iterdir()) == [
        "cifar-10-batches-bin",
        "cifar-10-binary.tar.gz",
    ]


def test_nothing_there_says_what_to_get() -> None:
    with pytest.raises(DataError) as caught:
        list_jobs(CifarSettings(edition="cifar100"))
    message = str(caught.value)
    for words in (
        "cifar-100-binary.tar.gz  168,513,733 bytes  md5 03b5dce01913d631647c71ecec9e9cb8",
        "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        "--download",
        "./, data/raw/",
    ):
        assert words in message


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def test_download_fetches_checks_and_unpacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    md5 = write_archive(tmp_path / "served/cifar-10-binary.tar.gz", "cifar10")
    official = FACTS["cifar10"]
    assert official.url == "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    heard: list[str] = []
    handler = partial(Quiet, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        facts = replace(official, home=f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setitem(FACTS, "cifar10", facts)
        settings = CifarSettings(edition="cifar10", download=True)
        with pytest.raises(DataError, match=rf"{md5}, expected c32a1d4a"):
            list_jobs(settings)
        assert [path.name for path in Path("data/raw").iterdir()] == [f"{official.archive.name}.wrong"]
        monkeypatch.setitem(FACTS, "cifar10", replace(facts, archive=replace(facts.archive, md5=md5)))
        listing = list_jobs(settings, tell=lambda doing, done, total: heard.append(doing))
        server.shutdown()
        thread.join()
    assert len(listing.splits["train"]) == 15
    assert list(dict.fromkeys(heard)) == [
        "downloading cifar-10-binary.tar.gz",
        "unpacking cifar-10-binary.tar.gz",
    ]
    assert list_jobs(settings).class_names == listing.class_names  # the server is gone: from the disk


FAULTS: dict[str, tuple[str, bytes | None, str]] = {
    "truncated": (
        "data_batch_3.bin",
        bytes(3073 + 5),
        r"data_batch_3\.bin: has 3,078 bytes, expected a multiple of 3,073",
    ),
    "empty": ("test_batch.bin", b"", r"test_batch\.bin: has 0 bytes"),
    "missing": ("data_batch_5.bin", None, r"data_batch_5\.bin: cannot be read"),
    "label": ("data_batch_1.bin", b"\x0a" + bytes(3072), "record 0 has label 10, and there are 10 classes"),
    "no names": ("batches.meta.txt", None, r"batches\.meta\.txt: cannot be read"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_faults_of_the_files_are_named(unpacked: Path, case: str) -> None:
    name, content, message = FAULTS[case]
    if content is None:
        (unpacked / name).unlink()
    else:
        (unpacked / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        list_jobs(CifarSettings(edition="cifar10"))


def test_the_python_edition_is_no_binary_one(tmp_path: Path) -> None:
    write(tmp_path / "cifar-10-batches-py", {"data_batch_1": b"pickle"})
    with pytest.raises(DataError, match=r"batches\.meta\.txt: cannot be read"):
        list_jobs(CifarSettings(edition="cifar10", path=tmp_path / "cifar-10-batches-py"))


def test_a_web_page_in_place_of_the_archive_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-binary.tar.gz").write_text("<!DOCTYPE html><html>404</html>")
    with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz: is an HTML page"):
        list_jobs(CifarSettings(edition="cifar10"))


def test_the_folder_around_the_unpacked_one_does_as_well(unpacked: Path) -> None:
    listing = list_jobs(CifarSettings(edition="cifar10", path=unpacked.parent))
    assert listing.splits["train"][0].location.archive == unpacked / "data_batch_1.bin"


def test_coarse_is_for_cifar100(unpacked: Path) -> None:
    with pytest.raises(UsageError, match="--coarse: CIFAR-10 has no coarse labels"):
        list_jobs(CifarSettings(edition="cifar10", coarse=True))


def test_a_named_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.tar\.gz: no such file or folder"):
        list_jobs(CifarSettings(edition="cifar10", path=tmp_path / "none.tar.gz"))
