"""ImageNet in all its layouts gives the same listing, and what is missing is named."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from caffeflow.data.sample import File, Job, Listing
from caffeflow.data.sources.imagenet import ImagenetSettings, list_jobs
from caffeflow.errors import DataError
from tests.support import imagenet
from tests.support.imagenet import SYNSETS, VAL_SYNSETS, WORDS, content, val_name

TRAIN = [
    (f"{synset}/{synset}_{number}.JPEG", label)
    for label, synset in enumerate(SYNSETS)
    for number in (10, 3, 7)
]
VAL = [(val_name(number), SYNSETS.index(synset)) for number, synset in enumerate(VAL_SYNSETS, 1)]
NAMES = tuple(f"{synset} {WORDS[synset]}" for synset in SYNSETS)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "raw"
    folder.mkdir(parents=True)
    return folder


def pairs(listing: Listing, split: str) -> list[tuple[str, int]]:
    return [(job.name, job.label) for job in listing.splits[split]]


def check_bytes(jobs: list[Job]) -> None:
    """The location leads to the picture that has the name."""
    for job in jobs:
        assert job.location.read() == content(Path(job.name).name)


def check(listing: Listing, *, names: tuple[str, ...] = NAMES) -> None:
    assert pairs(listing, "train") == TRAIN
    assert pairs(listing, "val") == VAL
    assert listing.class_names == names
    assert any("3 of 1000 synsets" in note for note in listing.notes)
    check_bytes([*listing.splits["train"], *listing.splits["val"]])


def test_archives_and_devkit_in_data_raw(raw: Path) -> None:
    imagenet.write_train_tar(raw / "ILSVRC2012_img_train.tar")
    imagenet.write_val_tar(raw / "ILSVRC2012_img_val.tar")
    imagenet.write_devkit(raw)
    heard: list[tuple[str, int, int | None]] = []
    check(list_jobs(ImagenetSettings(), tell=lambda *told: heard.append(told)))
    train = [(done, total) for doing, done, total in heard if "train" in doing]
    assert train[0][0] == 0
    assert train[-1][0] == train[-1][1]


@pytest.mark.parametrize("where", ["here", "variable", "named"])
def test_places_that_are_looked_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    folder = tmp_path if where == "here" else tmp_path / "far"
    folder.mkdir(exist_ok=True)
    imagenet.write_train_tar(folder / "ILSVRC2012_img_train.tar")
    imagenet.write_val_tar(folder / "ILSVRC2012_img_val.tar")
    imagenet.write_devkit(folder)
    if where == "variable":
        monkeypatch.setenv("CAFFEFLOW_DATA", str(folder))
    check(list_jobs(ImagenetSettings(folder=folder if where == "named" else None)))


def test_folders_and_an_unpacked_devkit(raw: Path) -> None:
    imagenet.write_folders(raw)
    for name, data in imagenet.devkit_files().items():
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        (raw / name).write_bytes(data)
    listing = list_jobs(ImagenetSettings())
    check(listing)
    assert listing.splits["val"][0].location == File(raw / "val" / val_name(1))


def test_a_folder_of_archives(raw: Path) -> None:
    imagenet.write_folders(raw)
    for synset in SYNSETS:
        folder = raw / "train" / synset
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        (raw / "train" / f"{synset}.tar").write_bytes(imagenet.tar_bytes(files))
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    imagenet.write_devkit(raw)
    check(list_jobs(ImagenetSettings()))


def test_archives_left_beside_their_folders_do_not_count_twice(raw: Path) -> None:
    imagenet.write_folders(raw)
    imagenet.write_devkit(raw)
    (raw / "train" / f"{SYNSETS[0]}.tar").write_bytes(b"left over")
    check(list_jobs(ImagenetSettings()))


def test_half_unpacked_is_an_error(raw: Path) -> None:
    imagenet.write_folders(raw)
    imagenet.write_devkit(raw)
    (raw / "train" / "n03000000.tar").write_bytes(b"")
    with pytest.raises(DataError, match=r"3 synsets are folders, and 1 are archives only.*n03000000\.tar"):
        list_jobs(ImagenetSettings())


def test_val_in_class_folders_needs_no_labels(raw: Path) -> None:
    imagenet.write_folders(raw, val=None)
    for number, synset in enumerate(VAL_SYNSETS, 1):
        (raw / "val" / synset).mkdir(parents=True, exist_ok=True)
        (raw / "val" / synset / val_name(number)).write_bytes(content(val_name(number)))
    listing = list_jobs(ImagenetSettings())
    assert sorted(pairs(listing, "val")) == sorted((f"{SYNSETS[label]}/{name}", label) for name, label in VAL)
    assert listing.class_names == SYNSETS
    check_bytes(list(listing.splits["val"]))
    (raw / "synset_words.txt").write_bytes(imagenet.caffe_files()["synset_words.txt"])
    assert list_jobs(ImagenetSettings()).class_names == NAMES


def test_caffes_archive_of_lists(raw: Path) -> None:
    imagenet.write_folders(raw)
    (raw / "caffe_ilsvrc12.tar.gz").write_bytes(gzip.compress(imagenet.tar_bytes(imagenet.caffe_files())))
    check(list_jobs(ImagenetSettings()))


def test_caffes_val_list_alone(raw: Path) -> None:
    imagenet.write_folders(raw)
    (raw / "val.txt").write_bytes(imagenet.caffe_files()["val.txt"])
    check(list_jobs(ImagenetSettings()), names=SYNSETS)


def test_the_kaggle_edition(raw: Path) -> None:
    imagenet.write_folders(raw, train="ILSVRC/Data/CLS-LOC/train", val="ILSVRC/Data/CLS-LOC/val")
    rows = [
        f"{val_name(n)[:-5]},{synset} 1 2 3 4 {synset} 5 6 7 8 \n" for n, synset in enumerate(VAL_SYNSETS, 1)
    ]
    (raw / "LOC_val_solution.csv").write_text("ImageId,PredictionString\n" + "".join(reversed(rows)))
    (raw / "LOC_synset_mapping.txt").write_bytes(imagenet.caffe_files()["synset_words.txt"])
    check(list_jobs(ImagenetSettings()))


def test_the_devkit_goes_before_lists(raw: Path) -> None:
    imagenet.write_folders(raw)
    imagenet.write_devkit(raw)
    (raw / "val.txt").write_text("".join(f"{name} 0\n" for name, _ in VAL))
    check(list_jobs(ImagenetSettings()))


def test_a_named_file_goes_before_all(raw: Path) -> None:
    imagenet.write_folders(raw)
    imagenet.write_devkit(raw)
    wrong = raw / "other.txt"
    wrong.write_text("".join(f"{name} {(label + 1) % 3}\n" for name, label in VAL))
    listing = list_jobs(ImagenetSettings(val_labels=wrong))
    assert pairs(listing, "val") == [(name, (label + 1) % 3) for name, label in VAL]


def test_a_part_of_the_synsets_leaves_the_val_pictures_of_others_out(raw: Path) -> None:
    imagenet.write_train_tar(raw / "ILSVRC2012_img_train.tar", synsets=SYNSETS[1:])
    imagenet.write_val_tar(raw / "ILSVRC2012_img_val.tar")
    imagenet.write_devkit(raw)
    listing = list_jobs(ImagenetSettings())
    assert listing.class_names == NAMES[1:]
    assert pairs(listing, "val") == [(name, label - 1) for name, label in VAL if label > 0]
    assert any("left out 2 images" in note for note in listing.notes)


def test_a_part_of_the_synsets_and_a_bare_list_cannot_be_matched(raw: Path) -> None:
    imagenet.write_train_tar(raw / "ILSVRC2012_img_train.tar", synsets=SYNSETS[1:])
    imagenet.write_val_tar(raw / "ILSVRC2012_img_val.tar")
    (raw / "val.txt").write_bytes(imagenet.caffe_files()["val.txt"])
    with pytest.raises(DataError, match=r"val\.txt: has labels up to 2, and 2 synsets are known"):
        list_jobs(ImagenetSettings())
    (raw / "synsets.txt").write_bytes(imagenet.caffe_files()["synsets.txt"])
    assert len(list_jobs(ImagenetSettings()).splits["val"]) == 3


def test_val_alone_takes_its_classes_from_the_devkit(raw: Path) -> None:
    imagenet.write_val_tar(raw / "ILSVRC2012_img_val.tar")
    imagenet.write_devkit(raw)
    listing = list_jobs(ImagenetSettings(only="val"))
    assert set(listing.splits) == {"val"}
    assert pairs(listing, "val") == VAL
    assert listing.class_names == NAMES


def test_train_alone_needs_no_labels(raw: Path) -> None:
    imagenet.write_train_tar(raw / "ILSVRC2012_img_train.tar")
    listing = list_jobs(ImagenetSettings(only="train"))
    assert set(listing.splits) == {"train"}
    assert pairs(listing, "train") == TRAIN


def test_nothing_there_says_what_to_get_and_where(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        list_jobs(ImagenetSettings(folder=tmp_path / "mine"))
    message = str(caught.value)
    for words in (
        "ILSVRC2012_img_train.tar  147,897,477,120 bytes  md5 1d675b47d978889d74fa0da5fadfb00e",
        "ILSVRC2012_img_val.tar  6,744,924,160 bytes  md5 29b22e2961454d5413ddabcf34fc5622",
        "ILSVRC2012_devkit_t12.tar.gz  2,568,145 bytes  md5 fa75699e90414af021442c21a62c3abf",
        "needs a login",
        "image-net.org",
        f"{tmp_path}/mine/, ./, data/raw/",
        "$CAFFEFLOW_DATA is not set",
    ):
        assert words in message
    assert caught.value.exit_code == 5


def test_only_what_is_missing_is_named(raw: Path) -> None:
    imagenet.write_train_tar(raw / "ILSVRC2012_img_train.tar")
    imagenet.write_devkit(raw)
    with pytest.raises(DataError) as caught:
        list_jobs(ImagenetSettings())
    assert "ILSVRC2012_img_val.tar" in str(caught.value)
    assert "ILSVRC2012_img_train.tar" not in str(caught.value)
    assert "devkit" not in str(caught.value)


def test_anybodys_train_folder_and_val_list_are_not_taken(raw: Path, tmp_path: Path) -> None:
    for name in ("train/cat", "train/dog", "val/cat"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "1.jpg").write_bytes(b"")
    (tmp_path / "val.txt").write_text("cat/1.jpg 0\n")
    imagenet.write_train_tar(raw / "ILSVRC2012_img_train.tar")
    imagenet.write_val_tar(raw / "ILSVRC2012_img_val.tar")
    imagenet.write_devkit(raw)
    check(list_jobs(ImagenetSettings()))


def test_faults_of_the_archives(raw: Path) -> None:
    imagenet.write_val_tar(raw / "ILSVRC2012_img_val.tar")
    imagenet.write_devkit(raw)
    train = raw / "ILSVRC2012_img_train.tar"
    whole = imagenet.write_train_tar(train).read_bytes()
    train.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"ILSVRC2012_img_train\.tar: ends at byte .* truncated"):
        list_jobs(ImagenetSettings())
    train.write_bytes(imagenet.tar_bytes({"readme.txt": b"x"}))
    with pytest.raises(DataError, match="at least two synsets, named like n01440764; found 0"):
        list_jobs(ImagenetSettings())
    train.write_bytes(imagenet.tar_bytes({"cats.tar": b"", "n00000001.tar": b""}))
    with pytest.raises(DataError, match="found one for 'cats'"):
        list_jobs(ImagenetSettings())
    empty = imagenet.tar_bytes({"readme.txt": b"x"})
    train.write_bytes(imagenet.tar_bytes({"n00000001.tar": empty, "n00000002.tar": empty}))
    with pytest.raises(DataError, match="n00000001 has no images"):
        list_jobs(ImagenetSettings())


def test_val_pictures_without_a_label_are_an_error(raw: Path) -> None:
    imagenet.write_folders(raw)
    imagenet.write_devkit(raw)
    (raw / "val" / val_name(6)).write_bytes(b"")
    with pytest.raises(DataError, match=r"ILSVRC2012_val_00000006\.JPEG' is not in .*devkit"):
        list_jobs(ImagenetSettings())


def test_a_named_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.tar: no such file or folder"):
        list_jobs(ImagenetSettings(train=tmp_path / "none.tar"))


BAD_LABELS: dict[str, tuple[str, bytes, str]] = {
    "word": (
        "x.txt",
        b"ILSVRC2012_val_00000001.JPEG cat\n",
        r"x\.txt:1: expected a path, a space and a label",
    ),
    "negative": ("x.txt", b"ILSVRC2012_val_00000001.JPEG -1\n", r"x\.txt:1: expected"),
    "no text": ("x.txt", b"\xff\xfe 1\n", r"x\.txt: is not text"),
    "csv": (
        "x.csv",
        b"ImageId,PredictionString\nILSVRC2012_val_00000001,dog 1 2 3 4\n",
        r"x\.csv:2: expected",
    ),
    "other tar": ("x.tar", imagenet.tar_bytes({"a": b""}), "has neither ILSVRC2012_validation_ground_truth"),
    "no table": (
        "x.tar",
        imagenet.tar_bytes({"ILSVRC2012_validation_ground_truth.txt": b"1\n"}),
        r"has no meta\.mat",
    ),
}


@pytest.mark.parametrize("case", BAD_LABELS)
def test_bad_labels_are_named(raw: Path, case: str) -> None:
    imagenet.write_folders(raw)
    name, data, message = BAD_LABELS[case]
    (raw / name).write_bytes(data)
    with pytest.raises(DataError, match=message):
        list_jobs(ImagenetSettings(val_labels=raw / name))


def test_a_ground_truth_with_an_unknown_number(raw: Path) -> None:
    imagenet.write_folders(raw)
    files = imagenet.devkit_files()
    files["ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"] = b"1\n2\n999\n"
    (raw / "x.tar").write_bytes(imagenet.tar_bytes(files))
    with pytest.raises(DataError, match=r"ground_truth\.txt:3: '999' is not the number of a class"):
        list_jobs(ImagenetSettings(val_labels=raw / "x.tar"))
