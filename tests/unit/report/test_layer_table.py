from __future__ import annotations

import json

import pytest

from caffeflow.cli.main import run
from caffeflow.layers.spec import SPECS
from caffeflow.layers.unsupported import UNSUPPORTED
from caffeflow.report.layer_table import families, layer_entries, layers_page, split_docstring


def test_every_type_is_listed_once() -> None:
    types = [entry.type for entry in layer_entries()]
    assert sorted(types) == sorted([*SPECS, *UNSUPPORTED])
    assert len(types) == len(set(types))
    assert types[: len(SPECS)] == sorted(SPECS)


def test_counts_are_in_words() -> None:
    found = {entry.type: (entry.bottoms, entry.tops) for entry in layer_entries()}
    assert found["Convolution"] == ("1 or more", "one a bottom")
    assert found["Pooling"] == ("1", "1 or 2")
    assert found["Input"] == ("0", "1 or more")
    assert found["Silence"] == ("1 or more", "0")


def test_the_page_holds_every_type_and_every_family() -> None:
    page = layers_page()
    assert all(f"| `{name}` |" in page for name in [*SPECS, *UNSUPPORTED])
    names = [family.__name__.rsplit(".", 1)[-1] for family in families()]
    assert {"pooling", "batch_norm", "losses"} <= set(names)
    assert not {"spec", "params", "inference", "unsupported"} & set(names)
    for family in families():
        title, text = split_docstring(family)
        assert f"### {title}\n" in page
        assert text in page


def test_layers_prints_what_runs_and_why_others_do_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["layers"]) == 0
    printed = capsys.readouterr().out
    assert f"{len(SPECS)} layer types run" in printed
    assert "STOCHASTIC" in printed
    assert run(["layers", "--json"]) == 0
    entries = {entry["type"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert entries["VideoData"]["runs"] is False
    assert entries["VideoData"]["note"] == UNSUPPORTED["VideoData"]
