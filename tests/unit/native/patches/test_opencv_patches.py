"""The names of OpenCV 4 in files of a tree's shape."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.native.patching import apply, plan, status
from caffeflow.native.tree import Tree, open_tree
from tests.support.trees import SSD, write_files

TRANSFORMS = "src/caffe/util/im_transforms.cpp"
VIDEO = "src/caffe/layers/video_data_layer.cpp"
IO = "src/caffe/util/io.cpp"
FILES = {
    IO: "int flag = (colour ? CV_LOAD_IMAGE_COLOR :\n    CV_LOAD_IMAGE_GRAYSCALE);\n",
    TRANSFORMS: (
        "#if CV_VERSION_MAJOR == 3\n"
        "#define CV_BGR2GRAY cv::COLOR_BGR2GRAY\n"
        "#define CV_THRESH_OTSU cv::THRESH_OTSU\n"
        "#endif\n"
        "// CV_BGR2HSV in words\n"
        "cvtColor(a, b, CV_BGR2GRAY); cvtColor(a, b, CV_BGR2HSV);\n"
        "cvtColor(a, b, CV_HSV2BGR); cvtColor(a, b, CV_BGR2Lab); use(CV_THRESH_OTSU | CV_IMWRITE_JPEG_QUALITY);\n"
    ),
    VIDEO: "n = cap.get(CV_CAP_PROP_FRAME_COUNT);\ncap.set(CV_CAP_PROP_POS_FRAMES, 0);\n",
    "src/caffe/util/bbox_util.cpp": "box(CV_RGB(1, 2, 3), CV_FILLED);\nwrite(CV_FOURCC('A', 'B', 'C', 'D'));\n",
}


def patched(root: Path, files: dict[str, str]) -> Tree:
    tree = open_tree(write_files(root, dict(SSD) | files))
    apply(tree, plan(tree, only=[state.id for state in status(tree) if state.group == "opencv"]))
    return tree


def test_every_name_gets_its_cpp_form(tmp_path: Path) -> None:
    tree = patched(tmp_path, FILES)
    assert tree.read(IO) == "int flag = (colour ? cv::IMREAD_COLOR :\n    cv::IMREAD_GRAYSCALE);\n"
    assert (
        tree.read(VIDEO) == "n = cap.get(cv::CAP_PROP_FRAME_COUNT);\ncap.set(cv::CAP_PROP_POS_FRAMES, 0);\n"
    )
    assert tree.read("src/caffe/util/bbox_util.cpp") == (
        "box(CV_RGB(1, 2, 3), cv::FILLED);\nwrite(cv::VideoWriter::fourcc('A', 'B', 'C', 'D'));\n"
    )


def test_a_file_keeps_the_names_that_it_defines_and_its_aliases_reach_later_versions(tmp_path: Path) -> None:
    assert patched(tmp_path, FILES).read(TRANSFORMS) == (
        "#if CV_VERSION_MAJOR >= 3\n"
        "#define CV_BGR2GRAY cv::COLOR_BGR2GRAY\n"
        "#define CV_THRESH_OTSU cv::THRESH_OTSU\n"
        "#endif\n"
        "// CV_BGR2HSV in words\n"
        "cvtColor(a, b, CV_BGR2GRAY); cvtColor(a, b, cv::COLOR_BGR2HSV);\n"
        "cvtColor(a, b, cv::COLOR_HSV2BGR); cvtColor(a, b, cv::COLOR_BGR2Lab);"
        " use(CV_THRESH_OTSU | cv::IMWRITE_JPEG_QUALITY);\n"
    )


@pytest.mark.parametrize(
    ("path", "text", "patch"),
    [
        (
            IO,
            "#include <opencv2/imgcodecs/legacy/constants_c.h>\nread(CV_LOAD_IMAGE_COLOR);\n",
            "opencv-read-flags",
        ),
        (TRANSFORMS, '#include "opencv2/imgproc/types_c.h"\ncvtColor(a, b, CV_BGR2HSV);\n', "opencv-colours"),
        (VIDEO, "#define CV_CAP_PROP_POS_FRAMES 1\ncap.set(CV_CAP_PROP_POS_FRAMES, 0);\n", "opencv-video"),
        (IO, "read(cv::IMREAD_COLOR);\n", "opencv-read-flags"),
    ],
)
def test_a_tree_that_its_owner_mended_is_done(tmp_path: Path, path: str, text: str, patch: str) -> None:
    tree = open_tree(write_files(tmp_path, dict(SSD) | {path: text}))
    assert {state.id: state.state for state in status(tree)}[patch] == "done"


def test_ssd_patches_are_not_needed_where_there_is_no_ssd(tmp_path: Path) -> None:
    tree = open_tree(write_files(tmp_path, dict(SSD)))
    states = {state.id: state.state for state in status(tree)}
    for patch in ("opencv-aliases", "opencv-colours", "opencv-video", "ssd-sampled-box"):
        assert states[patch] == "not needed"
