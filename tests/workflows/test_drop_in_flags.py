"""Command lines as gflags reads them, and what the stand-in for `caffe` says without an action."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffeflow.drop_in.command import run
from caffeflow.drop_in.flags import FLAGS, read_flags
from caffeflow.drop_in.gflags import FlagsError


@pytest.mark.parametrize(
    "words",
    [
        ["train", "-solver=a", "-iterations=3", "-logtostderr"],
        ["train", "--solver=a", "--iterations", "3", "--logtostderr=true"],
        ["-solver", "b", "--solver", "a", "train", "-iterations", "0x3", "-logtostderr=Y"],
        ["--logtostderr=0", "--logtostderr", "-iterations=3", "-solver=a", "--", "train"],
    ],
)
def test_flags_have_several_spellings(words: list[str]) -> None:
    line = read_flags(words, {})
    assert line.words == ("train",)
    assert (line.text("solver"), line.number("iterations")) == ("a", 3)
    assert line.switch("logtostderr")


def test_defaults_are_those_of_caffe() -> None:
    line = read_flags([], {})
    expected = {
        "gpu": "", "iterations": 50, "level": 0, "model": "", "phase": "", "sighup_effect": "snapshot",
        "sigint_effect": "stop", "snapshot": "", "solver": "", "stage": "", "weights": "",
        "alsologtostderr": True, "logtostderr": False, "minloglevel": 0, "stderrthreshold": 2,
    }  # fmt: skip
    assert {name: line.values[name] for name in expected} == expected
    assert not line.given


@pytest.mark.parametrize(("word", "value"), [("-noalsologtostderr", False), ("--alsologtostderr=no", False)])
def test_a_bool_is_switched_off_by_no(word: str, value: bool) -> None:
    assert read_flags([word], {}).switch("alsologtostderr") is value


def test_a_bool_takes_no_following_word() -> None:
    assert read_flags(["-logtostderr", "false"], {}).words == ("false",)


def test_a_single_dash_is_a_word_and_underscores_may_be_dashes() -> None:
    line = read_flags(["-", "--sigint-effect=none"], {})
    assert line.words == ("-",)
    assert line.text("sigint_effect") == "none"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nosuch", "train"], "unknown command line flag 'nosuch'"),
        (["-nosolver"], "boolean value (nosolver) specified for string command line flag"),
        (["-iterations", "abc"], "illegal value 'abc' specified for int32 flag 'iterations'"),
        (["-iterations=2147483648"], "illegal value '2147483648' specified for int32 flag 'iterations'"),
        (["-logtostderr=maybe"], "illegal value 'maybe' specified for bool flag 'logtostderr'"),
    ],
)
def test_what_gflags_refuses(words: list[str], message: str) -> None:
    with pytest.raises(FlagsError) as caught:
        read_flags(words, {})
    assert caught.value.messages == (message,)


def test_a_value_that_is_missing_is_told_with_what_the_flag_is_for() -> None:
    with pytest.raises(FlagsError, match="flag '--solver' is missing its argument; flag description: Solver"):
        read_flags(["train", "--solver"], {})


def test_all_mistakes_are_told_in_the_order_of_their_names() -> None:
    with pytest.raises(FlagsError) as caught:
        read_flags(["-zebra", "-iterations=x", "-ant=3"], {})
    assert [message.split("'")[1] for message in caught.value.messages] == ["ant", "x", "zebra"]


def test_flags_come_from_a_file_too(tmp_path: Path) -> None:
    inner = tmp_path / "inner.flags"
    inner.write_text("-weights=w\n")
    outer = tmp_path / "outer.flags"
    outer.write_text(f"# comment\n\n--model=from file\n-iterations=7\nno flag\n-flagfile={inner}\n")
    line = read_flags(["test", f"-flagfile={outer}", "-iterations=8"], {})
    assert (line.text("model"), line.number("iterations"), line.text("weights")) == ("from file", 8, "w")
    assert line.words == ("test",)


@pytest.mark.parametrize("text", [None, "-flagfile=round.flags\n"])
def test_a_flag_file_that_is_missing_or_names_itself_is_an_error(tmp_path: Path, text: str | None) -> None:
    if text:
        (tmp_path / "round.flags").write_text(text)
    with pytest.raises(FlagsError, match=r"round\.flags"):
        read_flags(["-flagfile=round.flags"], {})


def test_flags_of_glog_come_from_the_environment() -> None:
    environment = {
        "GLOG_minloglevel": "2",
        "GLOG_logtostderr": "1",
        "GLOG_alsologtostderr": "0",
        "GLOG_v": "x",
    }
    assert read_flags([], {"GLOG_minloglevel": "2"}).number("minloglevel") == 2
    assert read_flags(["-minloglevel=1"], {"GLOG_minloglevel": "2"}).number("minloglevel") == 1
    assert read_flags([], environment).switch("alsologtostderr")


@pytest.mark.parametrize("words", [[], ["train", "more"], ["-solver=x"]])
def test_without_one_action_the_usage_is_shown(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words, {}) == 0
    out, err = capsys.readouterr()
    assert out.startswith("caffe: command line brew")
    assert "usage: caffe <command> <args>" in out
    for name in ("train", "test", "device_query", "time", "-sighup_effect", "-weights"):
        assert f"  {name} " in out
    assert "-minloglevel" not in out
    assert err == ""


def test_help_shows_all_flags_with_their_values(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-help", "-gpu=3"], {}) == 1
    out, _ = capsys.readouterr()
    assert "-minloglevel" in out
    assert "-flagfile" in out
    assert 'currently: "3"' in out
    assert max(map(len, out.splitlines())) <= 80


def test_version_is_the_one_that_scripts_look_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"], {}) == 0
    assert capsys.readouterr().out.startswith("caffe version 1.0.0 ")


def test_refused_flags_end_with_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "-solver=x", "-nosuch"], {}) == 1
    assert capsys.readouterr().err == "ERROR: unknown command line flag 'nosuch'\n"


WORDS = st.one_of(
    st.text(max_size=20),
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["-", "--", "-no", "--no"]),
        st.sampled_from(sorted(FLAGS)),
        st.sampled_from(["=", ""]),
        st.text(alphabet="0x9-tf. é\0", max_size=30),
    ),
)


@given(words=st.lists(WORDS, max_size=5))
def test_any_words_are_read_or_refused(words: list[str]) -> None:
    try:
        line = read_flags(words, {})
    except FlagsError:
        return
    assert set(line.values) == set(FLAGS)
    assert line.given <= set(FLAGS)
