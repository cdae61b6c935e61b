"""What does not fit together is told before an engine starts, with what to do about it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from caffeflow.cli.main import run
from caffeflow.data.manifest import Manifest, Split, write_manifest
from caffeflow.errors import CaffeflowError, DataError, NativeError, NetError
from caffeflow.proto.net import test_nets_of as test_roles_of
from caffeflow.proto.net import train_net_of
from caffeflow.proto.text import read_solver
from caffeflow.workflows.preflight import preflight
from caffeflow.workflows.preflight_findings import Flight
from tests.support.detection_project import FIELDS, LABEL_MAP, DetectionProject, Scene, scenes, write_scenes
from tests.support.records import random_planes, write_raw_lmdb
from tests.support.training_project import runs
from tests.support.trees import BARE, write_files

SIZES = "".join(f"image{number} 42 54\n" for number in range(15))
SAMPLER = "src/caffe/util/sampler.cpp"
DRAWS = "float bbox_width = scale;\n  float x;\n  caffe_rng_uniform(1, 0.f, 1 - bbox_width, &x);\n"
EVALUATE = "evaluate_difficult_gt: false"


def fly(project: DetectionProject, *, engine: str = "torch", caffe: Path | None = None) -> list[str]:
    """Returns the notes of preflight."""
    parameters = read_solver(project.solver)
    roles = [
        train_net_of(parameters, solver_path=project.solver),
        *test_roles_of(parameters, solver_path=project.solver),
    ]
    notes: list[str] = []
    preflight(Flight(roles=roles, engine=engine, caffe=caffe, solver=parameters), notes.append)
    return notes


def fault_of(project: DetectionProject, kind: type[CaffeflowError], *, engine: str = "torch") -> str:
    with pytest.raises(kind) as caught:
        fly(project, engine=engine)
    return str(caught.value)


def test_what_fits_is_passed_in_silence() -> None:
    assert fly(DetectionProject()) == []


def test_faults_are_found_before_a_run_folder_is_made() -> None:
    project = DetectionProject()
    Path("labelmap.prototxt").write_text(LABEL_MAP + 'item { name: "cone" label: 3 display_name: "cone" }')
    with pytest.raises(NetError, match="has labels up to 3"):
        project.train()
    assert runs() == []


# Label map and num_classes


def test_a_label_map_with_more_classes_than_the_net() -> None:
    project = DetectionProject(classes=3)
    Path("labelmap.prototxt").write_text(LABEL_MAP + 'item { name: "cone" label: 3 display_name: "cone" }')
    text = fault_of(project, NetError)
    assert "models/tiny/train.prototxt:" in text
    assert "layer 'mbox_loss'" in text
    assert "num_classes is 3, but the label map 'labelmap.prototxt' has labels up to 3" in text
    assert "write num_classes: 4" in text


def test_a_label_map_with_fewer_classes_is_a_note() -> None:
    (note,) = fly(DetectionProject(classes=7))
    assert "num_classes is 7, but the label map 'labelmap.prototxt' names 3 with the background" in note


def test_layers_of_another_number_of_classes() -> None:
    project = DetectionProject()
    project.change("test", f"num_classes: 3 {EVALUATE}", f"num_classes: 4 {EVALUATE}")
    text = fault_of(project, NetError)
    assert "layer 'detection_eval': num_classes is 4, but 3 at models/tiny/train.prototxt:" in text


def test_a_class_in_the_place_of_the_background() -> None:
    project = DetectionProject()
    Path("labelmap.prototxt").write_text(
        'item { name: "ball" label: 0 display_name: "ball" } item { name: "cube" label: 1 display_name: "c" }'
        ' item { name: "cone" label: 2 display_name: "c" }'
    )
    assert "label 0 is 'ball', but 0 is the background" in fault_of(project, NetError)


def test_a_label_map_that_is_not_there_is_a_note_for_data_and_an_error_for_result_files() -> None:
    project = DetectionProject()
    Path("labelmap.prototxt").unlink()
    (note,) = fly(project)
    assert "label_map_file 'labelmap.prototxt' does not exist" in note
    Path("sizes.txt").write_text(SIZES)
    save = 'output_directory: "out" label_map_file: "no.prototxt" name_size_file: "sizes.txt"'
    project.change("test", "keep_top_k: 50", f"keep_top_k: 50 save_output_param {{ {save} }}")
    assert "no.prototxt: label map cannot be read" in fault_of(project, DataError)


# Boxes in the data


def relabelled(made: list[Scene], label: int) -> list[Scene]:
    made[5].boxes[0] = (label, *made[5].boxes[0][1:])
    return made


@pytest.mark.parametrize(
    ("label", "words"),
    [(3, ["label 3", "num_classes is 3 at", "write num_classes: 4"]), (0, ["the background's"])],
)
def test_boxes_with_labels_that_the_net_does_not_have(label: int, words: list[str]) -> None:
    project = DetectionProject()
    project.change("train", str(project.train_lmdb), "data/own_lmdb")
    write_scenes(Path("data/own_lmdb"), relabelled(scenes(32, seed=1), label))
    text = fault_of(project, DataError)
    for word in ["data/own_lmdb: 1 box has", *words]:
        assert word in text


def test_the_datasets_own_count_of_labels_is_taken_where_there_is_one() -> None:
    project = DetectionProject()
    write_dataset(project, labels={1: 20, 2: 13, 90: 4})
    text = fault_of(project, DataError)
    assert "4 boxes have label 90, but num_classes is 3" in text


def write_dataset(project: DetectionProject, *, labels: dict[int, int]) -> None:
    split = Split(
        path=project.train_lmdb.name, root=None, count=32, rejected={}, unusual={}, labels=labels,
        digest="sha256:0", boxes=37,
    )  # fmt: skip
    manifest = Manifest(
        name="scenes", source="voc", backend="lmdb", encode="png", channels=3, height=42, width=54, classes=3,
        class_names=("background", "ball", "cube"), splits={"train": split}, mean=None, settings={},
        task="detection", label_map=None,
    )  # fmt: skip
    write_manifest(project.train_lmdb.parent, manifest)


def test_data_without_a_box() -> None:
    project = DetectionProject()
    project.change("train", str(project.train_lmdb), "data/empty_lmdb")
    write_scenes(Path("data/empty_lmdb"), [Scene(one.image) for one in scenes(7)])
    assert "data/empty_lmdb has no boxes" in fault_of(project, DataError)


# Records and files


def test_records_of_another_kind() -> None:
    project = DetectionProject()
    project.change("train", str(project.train_lmdb), "data/plain_lmdb")
    write_raw_lmdb(Path("data/plain_lmdb"), random_planes(5, (3, 28, 36)))
    text = fault_of(project, DataError)
    assert "is an AnnotatedData layer, but 'data/plain_lmdb' holds Datums" in text
    assert "caffeflow prepare voc" in text
    project.change("train", "data/plain_lmdb", str(project.train_lmdb))
    project.change("train", '"AnnotatedData"', '"Data"')
    assert "is a Data layer, but 'data/scenes/train_lmdb' holds AnnotatedDatums" in fault_of(
        project, DataError
    )


def test_a_source_that_is_missing_and_one_without_a_backend() -> None:
    project = DetectionProject()
    project.change("test", str(project.val_lmdb), "data/nowhere")
    text = fault_of(project, DataError)
    assert "test.prototxt:" in text
    assert "data/nowhere: no such LMDB" in text
    project.change("test", " backend: LMDB", "")
    assert "write backend: LMDB" in fault_of(project, NetError)


def test_the_lines_of_a_size_file_must_be_as_many_as_the_images() -> None:
    project = DetectionProject()
    project.change("test", EVALUATE, f'{EVALUATE} name_size_file: "sizes.txt"')
    assert "sizes.txt: name_size_file cannot be read" in fault_of(project, DataError)
    Path("sizes.txt").write_text(SIZES)
    assert fly(project) == []
    Path("sizes.txt").write_text(SIZES + "one_more 42 54\n")
    text = fault_of(project, DataError)
    assert "'sizes.txt' has 16 lines for 15 test images" in text
    assert "test_name_size.txt" in text


def test_more_result_images_than_lines() -> None:
    project = DetectionProject()
    Path("sizes.txt").write_text(SIZES)
    save = 'output_directory: "out" label_map_file: "labelmap.prototxt" name_size_file: "sizes.txt"'
    project.change(
        "test", "keep_top_k: 50", f"keep_top_k: 50 save_output_param {{ {save} num_test_image: 20 }}"
    )
    assert "num_test_image is 20, but its name_size_file has 15 lines" in fault_of(project, NetError)


# Passes of the test net


@pytest.mark.parametrize(
    ("iterations", "found"),
    [
        (2, "= 10 for 15 test images: 5 images are not tested"),
        (4, "= 20 for 15 test images: 5 images are tested twice"),
    ],
)
def test_passes_that_are_not_the_number_of_images(iterations: int, found: str) -> None:
    project = DetectionProject(FIELDS.replace("test_iter: 3", f"test_iter: {iterations}"))
    (note,) = fly(project)
    assert f"test_iter {iterations} x batch_size 5 {found}" in note
    assert "write test_iter: 3 and batch_size: 5" in note


def test_the_advice_for_a_number_of_images_that_no_batch_divides() -> None:
    project = DetectionProject()
    project.change("test", "batch_size: 5", "batch_size: 4")
    (note,) = fly(project)
    assert "test_iter 3 x batch_size 4 = 12" in note
    assert "write test_iter: 5 and batch_size: 3" in note


def test_layers_that_share_name_and_source_hang_the_ssd_tree() -> None:
    project = DetectionProject(FIELDS.replace("test_iter: 3", "test_iter: 4"))
    project.change("test", str(project.val_lmdb), str(project.train_lmdb))
    project.change("test", "batch_size: 5", "batch_size: 8")
    text = fault_of(project, NetError, engine="caffe")
    assert "has the name and the source of models/tiny/train.prototxt:" in text
    assert "dies or waits forever" in text
    assert "rename one" in text
    (note,) = fly(project)
    assert "waits forever" in note
    project.change("test", 'name: "data" type: "AnnotatedData"', 'name: "data/test" type: "AnnotatedData"')
    assert fly(project, engine="caffe") == []


# Heads and outputs


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "num_output: 9", "num_output: 12",
            ["layer 'conv3_mbox_conf': num_output is 12", "'conv3_mbox_priorbox' makes 3 boxes", "must be 9"],
        ),
        (
            "num_output: 8 kernel_size: 3 pad: 1 stride: 1", "num_output: 16 kernel_size: 3 pad: 1 stride: 1",
            ["layer 'conv4_mbox_loc': num_output is 16", "4 values a box", "must be 8"],
        ),
        (
            "min_size: 15 max_size: 19", "min_size: 15 max_size: 19 aspect_ratio: 3",
            ["layer 'conv4_mbox_conf'", "'conv4_mbox_priorbox' makes 4 boxes", "2 things do not fit"],
        ),
        (' bottom: "conv4_mbox_priorbox"', "", ["2 branches of loc, 2 of conf and 1 of priors"]),
    ],
)  # fmt: skip
def test_the_head_that_does_not_fit_its_priors_is_named(old: str, new: str, words: list[str]) -> None:
    project = DetectionProject()
    project.change("train", old, new)
    text = fault_of(project, NetError)
    for word in ["models/tiny/train.prototxt:", *words]:
        assert word in text


def test_a_head_of_its_own_box_for_each_class() -> None:
    project = DetectionProject()
    for stage, layer in (("train", "multibox_loss_param"), ("test", "detection_output_param")):
        project.change(stage, f"{layer} {{", f"{layer} {{ share_location: false")
    text = fault_of(project, NetError)
    assert "layer 'conv3_mbox_loc': num_output is 12, but 'conv3_mbox_priorbox' makes 3 boxes" in text
    assert "12 values a box: it must be 36" in text


def test_eval_type_and_outputs_must_be_of_one_kind() -> None:
    project = DetectionProject(FIELDS.replace('eval_type: "detection"', ""))
    text = fault_of(project, NetError)
    assert "layer 'detection_eval'" in text
    assert 'write eval_type: "detection"' in text
    project.write_solver(FIELDS)
    spare = 'layer { name: "spare" type: "Split" bottom: "conv4" top: "spare" }'
    project.write("test", project.path("test").read_text() + spare.replace("Split", "ReLU"))
    assert "layer 'spare': top 'spare' is an output" in fault_of(project, NetError)


def test_all_faults_are_told_at_once() -> None:
    project = DetectionProject()
    project.change("train", "num_output: 9", "num_output: 12")
    project.change("test", str(project.val_lmdb), "data/nowhere")
    text = fault_of(project, DataError)
    assert text.startswith("2 things do not fit together:\n")
    assert "data/nowhere" in text
    assert "conv3_mbox_conf" in text


# The real caffe


def program(*types: str) -> Path:
    """Writes a program that answers for its layer types, and ends at once when it is to train."""
    path = Path("caffe").resolve()
    probe = (
        f"F1120 10:00:00.0 1 x.hpp:1] Unknown layer type: CaffeflowProbe (known types: {', '.join(types)})"
    )
    path.write_text(
        f'#!/bin/sh\nif [ "$1" = time ]; then echo "{probe}" >&2; kill -ABRT $$; fi\necho started > started.txt\n'
    )
    path.chmod(0o755)
    return path


BVLC = ("Concat", "Convolution", "Data", "Flatten", "ReLU", "Reshape", "Softmax")
SSD = ("AnnotatedData", "DetectionEvaluate", "DetectionOutput", "MultiBoxLoss", "Permute", "PriorBox")


def test_a_caffe_without_the_layers_is_told_with_the_tree_that_has_them() -> None:
    project = DetectionProject()
    with pytest.raises(
        NativeError, match=r"has no layer type 'AnnotatedData'; the SSD fork \(weiliu89/caffe"
    ):
        project.train(engine="caffe", caffe=program(*BVLC))
    assert runs() == []
    project.change("train", 'type: "ReLU" bottom: "conv1"', 'type: "ReLU6" bottom: "conv1"')
    with pytest.raises(NativeError, match="'ReLU6'; chuanqi305/ssd or jolibrain/caffe has it"):
        project.train(engine="caffe", caffe=program(*BVLC, *SSD))


def test_the_real_caffe_is_not_started_into_a_trap() -> None:
    project = DetectionProject()
    project.change("test", str(project.val_lmdb), str(project.train_lmdb))
    caffe = program(*BVLC, *SSD)
    with pytest.raises(NetError, match="dies or waits forever"):
        project.train(engine="caffe", caffe=caffe)
    assert not Path("started.txt").exists()
    assert runs() == []
    project.change("test", str(project.train_lmdb), str(project.val_lmdb))
    project.train(engine="caffe", caffe=caffe)
    assert Path("started.txt").exists()


def test_a_test_looks_before_it_starts(capsys: pytest.CaptureFixture[str]) -> None:
    project = DetectionProject()
    Path("models/tiny/a.caffemodel").write_bytes(b"")
    project.change("test", "num_output: 9", "num_output: 12")
    assert run(["test", "tiny"]) == 4
    assert "layer 'conv3_mbox_conf': num_output is 12" in capsys.readouterr().err


# Not preflight any more, but what the program's log becomes once it has started.

TRAINING = """\
I1120 10:00:00.000001  77 solver.cpp:294] Solving tiny
I1120 10:00:00.100000  77 solver.cpp:433] Iteration 0, Testing net (#0)
W1120 10:00:00.200000  77 solver.cpp:524] Missing true_pos for label: 1
I1120 10:00:00.200001  77 solver.cpp:540] class2: 0.5
I1120 10:00:00.200002  77 solver.cpp:546]     Test net output #0: detection_eval = 0.25
I1120 10:00:00.300000  77 solver.cpp:243] Iteration 0, loss = 4.75
I1120 10:00:00.300001  77 solver.cpp:259]     Train net output #0: mbox_loss = 4.75 (* 1 = 4.75 loss)
I1120 10:00:00.300002  77 sgd_solver.cpp:138] Iteration 0, lr = 0.01
I1120 10:00:01.000000  77 solver.cpp:433] Iteration 30, Testing net (#0)
I1120 10:00:01.100000  77 solver.cpp:540] class1: 0.125
I1120 10:00:01.100001  77 solver.cpp:540] class2: 0.0625
I1120 10:00:01.100002  77 solver.cpp:546]     Test net output #0: detection_eval = 0.09375
I1120 10:00:02.000000  77 solver.cpp:337] Optimization Done.
"""


def test_the_real_caffes_scores_are_kept_like_ours() -> None:
    project = DetectionProject()
    caffe = program(*BVLC, *SSD)
    Path("training.log").write_text(TRAINING)
    caffe.write_text(caffe.read_text().replace("echo started > started.txt", "cat training.log >&2"))
    report = project.train(engine="caffe", caffe=caffe)
    assert report.results["test detection_eval"] == {
        "best": 0.25, "best_iteration": 0, "last": 0.09375, "last_iteration": 30,
        "classes": [
            {"label": 1, "name": "a ball", "ap": 0.125}, {"label": 2, "name": "a cube", "ap": 0.0625},
        ],
    }  # fmt: skip
    with (report.run_dir / "metrics.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [(row["iteration"], row["test class1"], row["test detection_eval"]) for row in rows] == [
        ("0", "", "0.25"), ("0", "", ""), ("30", "0.125", "0.09375"),
    ]  # fmt: skip


# What SSD's own Caffe stumbles over


def test_a_loss_without_flags_stops_the_real_caffe_only() -> None:
    project = DetectionProject()
    flags = "  propagate_down: true propagate_down: true propagate_down: false propagate_down: false\n"
    project.change("train", flags, "")
    assert fly(project) == []
    assert "propagate_down is missing" in fault_of(project, NetError, engine="caffe")


def test_samplers_are_told_before_the_real_caffe_starts() -> None:
    project = DetectionProject()
    assert fly(project, engine="caffe") == []
    project.change("train", "annotated_data_param {", "annotated_data_param { batch_sampler { sampler { } }")
    assert fly(project) == []
    (note,) = fly(project, engine="caffe")
    assert "layer 'data': a batch_sampler draws boxes" in note
    assert "--augment none" in note
    assert "caffeflow caffe patch" in note

    # A program within a tree whose sampler is mended, and one within a tree whose is not.
    tree = write_files(Path("tree").absolute(), dict(BARE) | {SAMPLER: DRAWS, "build/tools/caffe": ""})
    assert len(fly(project, engine="caffe", caffe=tree / "build/tools/caffe")) == 1
    (tree / SAMPLER).write_text(
        DRAWS.replace("float x", "bbox_width = std::min(bbox_width, 1.f);\n  float x")
    )
    assert fly(project, engine="caffe", caffe=tree / "build/tools/caffe") == []
