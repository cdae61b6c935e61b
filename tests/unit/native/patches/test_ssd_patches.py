"""SSD's sampler on a function of its shape, run before and after."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from caffeflow.native.patching import apply, plan, status
from caffeflow.native.tree import open_tree
from tests.support.trees import SSD, write_files

SAMPLER = "src/caffe/util/sampler.cpp"
# The same arithmetic as a sampler's: a scale of almost 1 and a ratio at the end of its range.
DRAW = """#include <algorithm>
#include <math.h>  // its sqrt of a float is a float
#include <cstdio>

static void caffe_rng_uniform(int, float a, float b, float* out) {
  std::printf("%s %.9g %.9g\\n", a <= b ? "holds" : "fails", a, b);
  *out = a;
}

void Draw(float scale, float aspect_ratio, float* left, float* top) {
  float bbox_width = scale * sqrt(aspect_ratio);
  float bbox_height = scale / sqrt(aspect_ratio);
  caffe_rng_uniform(1, 0.f, 1 - bbox_width, left);
  caffe_rng_uniform(1, 0.f, 1 - bbox_height, top);
}

int main() {
  float left, top;
  Draw(0.5f, 0.25f, &left, &top);
  for (int i = 1; i < 2000; ++i) {
    float scale = 0.3f + i * 0.00035f;
    Draw(scale, std::min<float>(1e9f, 1 / std::pow(scale, 2.)), &left, &top);
    Draw(scale, std::max<float>(0.f, std::pow(scale, 2.)), &left, &top);
  }
}
"""


def patched(root: Path, text: str) -> str:
    tree = open_tree(write_files(root, dict(SSD) | {SAMPLER: text}))
    apply(tree, plan(tree, only=["ssd-sampled-box"]))
    return tree.read(SAMPLER)


def run(source: str, folder: Path) -> list[str]:
    (folder / "draw.cpp").write_text(source)
    subprocess.run(["g++", "-O0", "-o", folder / "draw", folder / "draw.cpp"], check=True)
    done = subprocess.run([folder / "draw"], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++ here")
def test_the_bound_mends_the_draws_that_fail_and_leaves_the_others(tmp_path: Path) -> None:
    before = run(DRAW, tmp_path)
    after = run(patched(tmp_path / "tree", DRAW), tmp_path)
    failing = [line for line in before if line.startswith("fails")]
    assert failing, "rounding makes some sides longer than 1"
    assert len(before) == len(after) == 2 * 3999
    for was, now in zip(before, after, strict=True):
        assert now == ("holds 0 0" if was.startswith("fails") else was)


@pytest.mark.parametrize(
    "mended",
    [
        "  bbox_width = std::min(bbox_width, 1.f);\n  bbox_height = std::min<float>(bbox_height, 1.f);\n",
        "  if (bbox_width < 1.f && bbox_height < 1.f)\n",
    ],
)
def test_a_sampler_that_its_owner_mended_is_done(tmp_path: Path, mended: str) -> None:
    text = DRAW.replace(
        "  caffe_rng_uniform(1, 0.f, 1 - bbox_width", f"{mended}  caffe_rng_uniform(1, 0.f, 1 - bbox_width"
    )
    assert patched(tmp_path, text) == text


def test_a_side_that_is_declared_elsewhere_cannot_be_bounded(tmp_path: Path) -> None:
    text = DRAW.replace("float bbox_height", "auto bbox_height")
    tree = open_tree(write_files(tmp_path, dict(SSD) | {SAMPLER: text}))
    [state] = [state for state in status(tree) if state.id == "ssd-sampled-box"]
    assert state.state == "cannot"
    assert "the declaration of bbox_height" in state.why_not
