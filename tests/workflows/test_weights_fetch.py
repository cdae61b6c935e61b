"""`weights fetch` from a server of our own: mirrors, resuming, wrong files, and what is said of each."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from caffeflow import resources
from caffeflow.cli.main import run
from caffeflow.errors import StoppedError, UsageError, WeightsError
from caffeflow.proto.binary import LayerArrays, read_caffemodel, write_caffemodel
from caffeflow.weights.zoo import ZooModel, zoo_models
from caffeflow.workflows.zoo_fetch import FetchReport, FetchRequest, fetch
from caffeflow.workflows.zoo_files import net_shapes
from tests.support.file_server import FileServer, Served, file_server

FILE = "digits.caffemodel"
DRIVE = b"<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head></html>"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as running:
        yield running


@pytest.fixture
def content() -> bytes:
    """Returns weights of lenet as a caffemodel: 1.7 MB, several pieces."""
    Path("made").mkdir()
    return caffemodel("lenet")


@pytest.fixture
def zoo(server: FileServer, content: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Publishes the weights in a table of our own, on two addresses, and returns the zoo's folder."""
    server.files = {f"first/{FILE}": Served(content), f"second/{FILE}": Served(content)}
    publish(server, monkeypatch, size=len(content), sha1=sha1_of(content))
    monkeypatch.setenv("CAFFEFLOW_ZOO", "zoo")
    yield Path("zoo")
    zoo_models.cache_clear()


def caffemodel(net: str) -> bytes:
    model = ZooModel(name=net, title=net, file=FILE, addresses=(), source="", licence="", net=net)
    layers = [
        LayerArrays(
            name=name, type="", bottoms=(), tops=(),
            arrays=tuple(np.arange(np.prod(shape), dtype=np.float32).reshape(shape) for shape in shapes),
        )
        for name, shapes in net_shapes(model).items()
    ]  # fmt: skip
    write_caffemodel("made/x.caffemodel", name=net, layers=layers)
    return Path("made/x.caffemodel").read_bytes()


def sha1_of(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def publish(server: FileServer, monkeypatch: pytest.MonkeyPatch, **facts: object) -> None:
    entry = {
        "name": "digits", "title": "LeNet", "file": FILE, "net": "lenet", "source": "the tests", "licence": "free",
        "addresses": [server.url(f"{place}/{FILE}") for place in ("first", "second")], **facts,
    }  # fmt: skip
    lines = [f"{key} = {json.dumps(value)}" for key, value in entry.items() if value is not None]
    Path("table.toml").write_text("\n".join(["[[model]]", *lines]))
    monkeypatch.setattr(resources, "zoo_table", lambda: Path("table.toml").resolve())
    zoo_models.cache_clear()


def fetch_digits(**settings: object) -> FetchReport:
    return fetch(FetchRequest(**{"what": "digits", "timeout_s": 5, "tries": 1, **settings}))  # type: ignore[arg-type]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_model_comes_from_its_first_address_and_once(server: FileServer, zoo: Path, content: bytes) -> None:
    report = fetch_digits()
    assert (report.path, report.was_here) == (zoo / FILE, False)
    assert "published" in report.checked
    assert report.path.read_bytes() == content
    assert names(zoo) == [FILE]
    assert fetch_digits().was_here
    assert fetch_digits(what="lenet").was_here  # by its net's name
    assert server.asked == [(f"first/{FILE}", None)]


def test_the_next_address_is_tried_and_said(server: FileServer, zoo: Path, content: bytes) -> None:
    server.files[f"first/{FILE}"] = Served(status=404)
    notes: list[str] = []
    report = fetch(FetchRequest(what="digits", tries=1), on_note=notes.append)
    assert report.path.read_bytes() == content
    assert len(notes) == 1
    assert f"first/{FILE}: the server answers 404" in notes[0]
    assert [name for name, _ in server.asked] == [f"first/{FILE}", f"second/{FILE}"]


def test_a_wrong_checksum_is_kept_aside_and_the_next_address_tried(
    server: FileServer, zoo: Path, content: bytes
) -> None:
    wrong = content[:-4] + b"evil"
    server.files[f"first/{FILE}"] = Served(wrong)
    assert fetch_digits().path.read_bytes() == content
    assert names(zoo) == [FILE, f"{FILE}.wrong"]
    assert (zoo / f"{FILE}.wrong").read_bytes() == wrong


def test_a_download_that_breaks_goes_on(server: FileServer, zoo: Path, content: bytes) -> None:
    server.files[f"first/{FILE}"] = Served(content, cut_after=700_001)
    assert fetch_digits().path.read_bytes() == content
    assert [asked for _, asked in server.asked] == [None, "bytes=700001-", "bytes=1400002-"]


def test_what_one_address_gave_is_continued_at_the_next(
    server: FileServer, zoo: Path, content: bytes
) -> None:
    zoo.mkdir()
    (zoo / f"{FILE}.part").write_bytes(content[:1000])
    server.files[f"first/{FILE}"] = Served(status=503)
    assert fetch_digits().path.read_bytes() == content
    assert server.asked[-1] == (f"second/{FILE}", "bytes=1000-")


def test_a_server_that_cannot_resume_sends_all_again(server: FileServer, zoo: Path, content: bytes) -> None:
    zoo.mkdir()
    (zoo / f"{FILE}.part").write_bytes(b"?" * 1000)
    server.files[f"first/{FILE}"] = Served(content, resumes=False)
    assert fetch_digits().path.read_bytes() == content


def test_a_short_answer_without_a_length_is_not_taken_for_all(
    server: FileServer, zoo: Path, content: bytes
) -> None:
    server.files[f"first/{FILE}"] = Served(content, cut_after=700_001, tells_size=False)
    assert fetch_digits().path.read_bytes() == content


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (b"<!DOCTYPE html><html>gone</html>", "an HTML page"),
        (DRIVE, "Google Drive's page that asks to confirm"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "a git-lfs pointer"),
    ],
)
def test_what_is_no_model_is_named_and_costs_nothing(
    server: FileServer, zoo: Path, content: bytes, page: bytes, words: str
) -> None:
    zoo.mkdir()
    (zoo / f"{FILE}.part").write_bytes(content[:1000])
    server.files = {name: Served(page, resumes=False) for name in server.files}
    with pytest.raises(WeightsError, match=words):
        fetch_digits()
    assert names(zoo) == [f"{FILE}.part"]
    assert (zoo / f"{FILE}.part").read_bytes() == content[:1000]


def test_without_any_address_it_is_said_what_to_get_by_hand(
    server: FileServer, zoo: Path, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    server.files = {}
    assert run(["weights", "fetch", "digits"]) == 6
    said = capfd.readouterr().err
    for words in (
        FILE, f"{len(content):,} bytes", f"sha1 {sha1_of(content)}", server.url(f"first/{FILE}"),
        server.url(f"second/{FILE}"), "the server answers 404", "by hand and put it into zoo/",
    ):  # fmt: skip
        assert words in said
    assert not list(zoo.iterdir())


def test_ctrl_c_keeps_what_came_and_the_next_call_goes_on(
    server: FileServer, zoo: Path, content: bytes
) -> None:
    seen: list[int] = []

    def stop_at_the_third_piece(_doing: str, done: int, _total: int | None) -> None:
        seen.append(done)
        if len(seen) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(StoppedError, match="goes on from there"):
        fetch(FetchRequest(what="digits"), tell=stop_at_the_third_piece)
    assert names(zoo) == [f"{FILE}.part"]
    assert fetch_digits().path.read_bytes() == content
    assert server.asked[1] == (f"first/{FILE}", f"bytes={seen[2]}-")


def test_ctrl_c_before_anything_comes_says_so_too(
    server: FileServer,
    zoo: Path,
    content: bytes,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("urllib.request.urlopen", interrupted)
    assert run(["weights", "fetch", "digits"]) == 8
    assert f"zoo/{FILE}: stopped" in capfd.readouterr().err
    assert not list(zoo.iterdir())


def test_a_full_disk_is_said_and_costs_nothing(server: FileServer, zoo: Path, content: bytes) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))  # the kernel then refuses to write more
    try:
        with pytest.raises(WeightsError, match=r"digits\.caffemodel\.part: cannot write: File too large"):
            fetch_digits()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(zoo) == [f"{FILE}.part"]
    assert (zoo / f"{FILE}.part").stat().st_size > 500_000
    assert [name for name, _ in server.asked] == [f"first/{FILE}"]  # another address would not help
    assert fetch_digits().path.read_bytes() == content


def test_without_a_checksum_the_layers_decide(
    server: FileServer, zoo: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(server, monkeypatch, size=None, sha1=None)
    server.files[f"first/{FILE}"] = Served(caffemodel("cifar10-quick"))
    notes: list[str] = []
    report = fetch(FetchRequest(what="digits", tries=1), on_note=notes.append)
    assert report.path.read_bytes() == content
    assert report.checked == "checksum unknown; its layers are those of lenet"
    assert "layer 'conv1': blob 0 is 32 3 5 5 (2400) in the file and 20 1 5 5 (500)" in notes[0]
    assert names(zoo) == [FILE, f"{FILE}.wrong"]


def test_another_file_of_the_name_is_not_replaced_unasked(
    server: FileServer, zoo: Path, content: bytes
) -> None:
    Path("mine").mkdir()
    Path("mine", FILE).write_bytes(b"my own")
    with pytest.raises(UsageError, match=r"it has 6 bytes, expected 1,7.*--force"):
        fetch_digits(out_dir=Path("mine"))
    assert server.asked == []
    Path("mine", f"{FILE}.old").write_bytes(b"mine too")
    server.files[f"first/{FILE}"] = Served(content[:-4] + b"evil")
    fetch_digits(out_dir=Path("mine"), force=True)
    assert Path("mine", FILE).read_bytes() == content
    assert Path("mine", f"{FILE}.old").read_bytes() == b"mine too"
    assert Path("mine", f"{FILE}.old2").read_bytes() == b"my own"
    assert names(Path("mine")) == [FILE, f"{FILE}.old", f"{FILE}.old2", f"{FILE}.wrong"]


def test_what_the_user_has_is_copied_not_fetched(server: FileServer, zoo: Path, content: bytes) -> None:
    zoo.mkdir()
    (zoo / "renamed.caffemodel").write_bytes(content)
    assert fetch_digits().path == zoo / "renamed.caffemodel"
    report = fetch_digits(out_dir=Path("copy"))
    assert report.was_here
    assert Path("copy", FILE).read_bytes() == content
    assert server.asked == []


@pytest.mark.parametrize("what", ["models/own/readme.md", "models/own"])
def test_a_model_zoo_page_is_fetched_beside_itself(
    server: FileServer, zoo: Path, content: bytes, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    write_page(server.url(f"first/{FILE}"), sha1_of(content))
    assert run(["weights", "fetch", what, "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert said["path"] == "models/own/own.caffemodel"
    assert said["fetched"] is True
    assert [layer.name for layer in read_caffemodel(said["path"])] == ["conv1", "conv2", "ip1", "ip2"]


def test_a_page_whose_server_is_gone_gets_the_mirrors_of_the_table(
    server: FileServer, zoo: Path, content: bytes
) -> None:
    write_page(server.url("gone"), sha1_of(content))
    assert fetch_digits(what="models/own/readme.md").path.read_bytes() == content
    assert [name for name, _ in server.asked] == ["gone", f"first/{FILE}"]


def test_a_page_without_a_checksum_takes_no_file_for_its_name_alone(
    server: FileServer, zoo: Path, content: bytes
) -> None:
    write_page(server.url(f"first/{FILE}"), "")
    Path("own.caffemodel").write_bytes(caffemodel("cifar10-quick"))
    report = fetch_digits(what="models/own/readme.md")
    assert report.path.read_bytes() == content
    assert report.checked == "checksum unknown; it is a caffemodel"


def write_page(address: str, sha1: str) -> None:
    Path("models/own").mkdir(parents=True)
    Path("models/own/readme.md").write_text(
        f"---\nname: Digits\ncaffemodel: own.caffemodel\ncaffemodel_url: {address}\n"
        f"license: free\nsha1: {sha1}\n---\n# Digits\n"
    )


def test_the_list_says_what_is_here(zoo: Path, content: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    def here() -> object:
        assert run(["weights", "list", "--json"]) == 0
        (entry,) = json.loads(capfd.readouterr().out)
        assert entry["checksums"] == {"sha1": sha1_of(content)}
        return entry["here"]

    assert here() is None
    zoo.mkdir()
    (zoo / FILE).write_bytes(content)
    assert here() == {"path": f"zoo/{FILE}", "state": "not checked yet"}
    fetch_digits()
    assert here() == {"path": f"zoo/{FILE}", "state": "checked"}
    (zoo / FILE).write_bytes(content[:-1])
    assert here() == {
        "path": f"zoo/{FILE}",
        "state": f"it has {len(content) - 1:,} bytes, expected {len(content):,}",
    }
    assert run(["weights", "list"]) == 0
    assert "lenet" in capfd.readouterr().out
