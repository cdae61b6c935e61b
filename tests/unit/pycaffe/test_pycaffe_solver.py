"""The solvers: what BVLC's own tests of them look at, and what scripts rely on beside."""

from __future__ import annotations

import gc
import re
from pathlib import Path

import numpy as np
import pytest

from caffeflow import pycaffe as caffe
from caffeflow.errors import CheckError, NetError, WeightsError
from tests.support.pycaffe_nets import write_solver


@pytest.fixture
def solver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> caffe.SGDSolver:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GLOG_minloglevel", "1")
    caffe.set_random_seed(3)
    made = caffe.SGDSolver(str(write_solver(tmp_path)))
    fill(made)
    return made


def fill(solver: caffe.SGDSolver) -> None:
    random = np.random.default_rng(5)
    for net in [solver.net, *solver.test_nets]:
        for blob in ("data", "target"):
            net.blobs[blob].data[...] = random.standard_normal(net.blobs[blob].data.shape)


def weights(solver: caffe.SGDSolver) -> list[float]:
    return [
        float(value) for blobs in solver.net.params.values() for blob in blobs for value in blob.data.flat
    ]


def test_solve_goes_to_max_iter(solver: caffe.SGDSolver) -> None:
    assert (solver.iter, solver.param.max_iter, len(solver.test_nets)) == (0, 9, 1)
    solver.net.forward()
    first = float(solver.net.blobs["loss"].data)
    solver.solve()
    assert solver.iter == 9
    solver.net.forward()
    assert float(solver.net.blobs["loss"].data) < first / 2


def test_the_learning_rate_follows_the_policy(solver: caffe.SGDSolver) -> None:
    assert solver.lr == solver.lr == pytest.approx(0.1)
    solver.step(4)
    assert solver.lr == pytest.approx(0.1 * (1 + 0.01 * 4) ** -0.75)


def test_apply_update_takes_the_diffs_as_they_are(solver: caffe.SGDSolver) -> None:
    blob = solver.net.layers[1].blobs[0]
    blob.data[...] = 0
    blob.diff[...] = 1
    solver.apply_update()
    np.testing.assert_allclose(blob.data, -0.1 / 2, rtol=1e-6)  # divided by iter_size
    np.testing.assert_allclose(blob.diff, 0.1 / 2, rtol=1e-6)  # the update, as Caffe leaves it
    assert solver.iter == 1


def test_the_test_net_uses_the_weights_of_the_train_net(solver: caffe.SGDSolver) -> None:
    held = solver.test_nets[0].params["hidden"][0].data
    solver.step(1)
    np.testing.assert_array_equal(held, solver.net.params["hidden"][0].data)


def test_a_layer_of_the_test_net_alone_begins_with_its_filler(tmp_path: Path) -> None:
    path = write_solver(tmp_path)
    with (tmp_path / "solved.prototxt").open("a") as net:
        net.write(
            'layer { name: "probe" type: "InnerProduct" bottom: "out" top: "probe" include { phase: TEST }'
            ' inner_product_param { num_output: 3 weight_filler { type: "constant" value: 0.25 } } }'
        )
    made = caffe.SGDSolver(str(path))
    assert made.test_nets[0].params["probe"][0].data.tolist() == [[0.25] * 2] * 3
    assert "probe" not in made.net.params


def test_callbacks_stand_around_the_gradients(solver: caffe.SGDSolver) -> None:
    heard: list[tuple[str, int, bool]] = []
    diff = solver.net.params["hidden"][0].diff

    def hear(what: str) -> None:
        heard.append((what, solver.iter, bool(diff.any())))

    solver.add_callback(lambda: hear("start"), lambda: hear("ready"))
    solver.step(2)
    assert heard == [("start", 0, False), ("ready", 0, True), ("start", 1, False), ("ready", 1, True)]


def test_nets_outlive_their_solver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = caffe.get_solver(str(write_solver(tmp_path, 'type: "Adam" momentum: 0.9')))
    assert isinstance(made, caffe.AdamSolver)
    nets = [made.net, *made.test_nets]
    del made
    gc.collect()
    assert all(np.isfinite(net.forward()["loss"]) for net in nets)


@pytest.mark.parametrize(("form", "ending"), [("BINARYPROTO", ""), ("HDF5", ".h5")])
def test_a_snapshot_is_gone_on_from(tmp_path: Path, solver: caffe.SGDSolver, form: str, ending: str) -> None:
    solver.param.snapshot_format = caffe.proto.caffe_pb2.SolverParameter.SnapshotFormat.Value(form)
    solver.step(3)
    solver.snapshot()
    assert (tmp_path / f"made_iter_3.caffemodel{ending}").is_file()
    solver.step(2)
    again = caffe.SGDSolver(str(tmp_path / "solver.prototxt"))
    fill(again)
    again.restore(f"made_iter_3.solverstate{ending}")
    assert again.iter == 3
    again.step(2)
    assert weights(again) == weights(solver)


def test_a_solver_begins_with_the_weights_that_it_names(solver: caffe.SGDSolver, tmp_path: Path) -> None:
    solver.step(2)
    solver.net.save("first.caffemodel")
    solver.step(2)
    solver.net.save("second.caffemodel")
    path = tmp_path / "solver.prototxt"
    path.write_text(path.read_text() + ' weights: "first.caffemodel, second.caffemodel"')
    assert weights(caffe.SGDSolver(str(path))) == weights(solver)
    path.write_text(path.read_text() + ' weights: "gone.caffemodel"')
    with pytest.raises(WeightsError, match=r"gone\.caffemodel"):
        caffe.SGDSolver(str(path))


def test_each_step_begins_to_smooth_anew(
    solver: caffe.SGDSolver, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown(path: str, counts: list[int]) -> list[float]:
        caffe.set_random_seed(3)
        made = caffe.SGDSolver(path)
        fill(made)
        capsys.readouterr()
        for count in counts:
            made.step(count)
        return [float(loss) for loss in re.findall(r"\] Iteration .*, loss = (\S+)", capsys.readouterr().err)]

    plain = Path("solver.prototxt").read_text().replace("display: 2", "display: 1")
    Path("plain.prototxt").write_text(plain)
    Path("shown.prototxt").write_text(f"{plain} average_loss: 3")
    monkeypatch.setenv("GLOG_minloglevel", "0")
    losses = shown("plain.prototxt", [4])
    smoothed = shown("shown.prototxt", [2, 2])
    assert smoothed == pytest.approx(
        [losses[0], (losses[0] + losses[1]) / 2, losses[2], (losses[2] + losses[3]) / 2], rel=1e-5
    )


def test_the_class_decides_the_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = str(write_solver(tmp_path, 'type: "Nix"'))
    assert caffe.AdaDeltaSolver(path).param.type == "AdaDelta"
    with pytest.raises(NetError, match="unknown solver type 'Nix'"):
        caffe.get_solver(path)


def test_shared_weights_are_trained_together(solver: caffe.SGDSolver, tmp_path: Path) -> None:
    other = caffe.Net(str(tmp_path / "solved.prototxt"), caffe.TRAIN)
    other.params["hidden"][0].data[...] = 0.5
    solver.share_weights(other)
    assert np.unique(solver.net.params["hidden"][0].data).tolist() == [0.5]
    solver.step(1)
    np.testing.assert_array_equal(other.params["hidden"][0].data, solver.net.params["hidden"][0].data)


def test_a_loss_that_is_no_number_moves_nothing(solver: caffe.SGDSolver) -> None:
    before = weights(solver)
    solver.net.blobs["target"].data[...] = np.nan
    with pytest.raises(CheckError, match="loss is nan at iteration 0"):
        solver.step(1)
    assert weights(solver) == before


def test_log_lines_go_to_stderr(
    solver: caffe.SGDSolver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    solver.step(1)
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("GLOG_minloglevel", "0")
    solver.step(2)
    assert "] Iteration 2 (" in capsys.readouterr().err
