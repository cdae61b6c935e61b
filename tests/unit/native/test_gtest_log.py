"""What a test program of Caffe says, line by line."""

from __future__ import annotations

import pytest

from caffeflow.native.gtest import GtestLog, filter_option

LINES = """Note: Google Test filter = *-*GPU*
[==========] Running 5 tests from 4 test cases.
[----------] 2 tests from HeronTest/0, where TypeParam = caffe::CPUDevice<float>
[ RUN      ] HeronTest/0.TestForward
[       OK ] HeronTest/0.TestForward (12 ms)
[ RUN      ] HeronTest/0.TestGradient
E1120 15:00:00.000000    11 heron.cpp:5] no beak[       OK ] HeronTest/0.TestGradient (0 ms)
[----------] 2 tests from HeronTest/0 (12 ms total)
[ RUN      ] HeronTest/1.TestForward
src/caffe/test/test_heron.cpp:41: Failure
Expected: 2
[  FAILED  ] HeronTest/1.TestForward, where TypeParam = caffe::CPUDevice<double> (3 ms)
[ RUN      ] PelicanTest.TestForward
[       OK ] PelicanTest.TestForward (1 ms)
[ RUN      ] Rows/PelicanSizes.TestForward/0
[       OK ] Rows/PelicanSizes.TestForward/0 (1 ms)
[==========] 5 tests from 4 test cases ran. (20 ms total)
[  PASSED  ] 4 tests.
[  FAILED  ] 1 test, listed below:
[  FAILED  ] HeronTest/1.TestForward, where TypeParam = caffe::CPUDevice<double>
""".splitlines()


def test_tests_are_counted_by_fixture() -> None:
    log = GtestLog()
    assert [log.see(line) for line in LINES].count(True) == 5
    assert (log.total, log.done, log.running) == (5, 5, "")
    assert {each.name: (each.passed, each.failed) for each in log.fixtures.values()} == {
        "HeronTest": (2, 1),
        "PelicanTest": (1, 0),
        "PelicanSizes": (1, 0),
    }
    assert log.failed == ["HeronTest/1.TestForward"]


def test_the_test_that_it_died_in_is_known() -> None:
    log = GtestLog()
    for line in LINES[:6]:
        log.see(line)
    assert (log.running, log.done) == ("HeronTest/0.TestGradient", 1)


@pytest.mark.parametrize(
    ("wanted", "with_gpu", "option"),
    [
        ("*", True, "*"),
        ("*", False, "*-*GPU*"),
        ("Heron*:Pelican*", False, "Heron*:Pelican*-*GPU*"),
        ("Heron*-*Slow", True, "Heron*-*Slow"),
        ("Heron*-*Slow", False, "Heron*-*Slow:*GPU*"),
        ("-*Slow", False, "*-*Slow:*GPU*"),
    ],
)
def test_gpu_tests_are_left_out_without_losing_the_users_filter(
    wanted: str, with_gpu: bool, option: str
) -> None:
    assert filter_option(wanted, with_gpu=with_gpu) == f"--gtest_filter={option}"
