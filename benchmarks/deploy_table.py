"""How far OpenCV's reading of a bundle is from the tested net: `python -m benchmarks.deploy_table`.

Every classifier of the catalogue is rendered at its full size with calibrated random weights and deployed:
layers of training gone, BatchNorm and Scale folded. Differences are shares of the largest score before
the Softmax, from the unfolded TEST net to the bundle, and from the bundle to OpenCV's importer.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.onnx_table import catalogue, random_weights
from caffeflow.proto.binary import write_caffemodel
from caffeflow.workflows.deploy import DeployReport, DeployRequest, deploy
from caffeflow.workflows.open_net import Ask
from caffeflow.workflows.render import Request, render_net
from caffeflow.workflows.same_outputs import TOLERANCE

MEAN_IMAGE = ("caffenet", "cifar10-quick")  # which is not there without its dataset
# A net whose usual form OpenCV does not read, and what of it is read instead.
NO_CHANGE: Mapping[str, str] = {}
READABLE = {"mobilenet-v2:paper": {"net.activation": "relu6"}}


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was found of one net."""

    net: str
    report: DeployReport
    seconds: float

    def cells(self) -> list[str]:
        """Returns the row of the table."""
        ours, opencv = (
            [check for check in self.report.checks if check.what.startswith(what)]
            for what in ("the", "OpenCV")
        )
        said = [f"{check.worst:.1e}" if check.worst is not None else check.reason for check in opencv]
        folded = len(self.report.folded) - len(self.report.stayed)
        stayed = f", {len(self.report.stayed)} stay" if self.report.stayed else ""
        worst = max(check.worst or 0.0 for check in ours)
        return [self.net, f"{folded}{stayed}", f"{worst:.1e}", "; ".join(said), f"{self.seconds:.0f}"]


def measure(name: str, assignments: Mapping[str, str], folder: Path) -> Row:
    """Renders, initialises and deploys a net."""
    begun = time.monotonic()
    net, _, variant = name.partition(":")
    model = folder / "net"
    given = dict(assignments) | ({"data.mean": "values"} if name in MEAN_IMAGE else {})
    render_net(
        Request(net=net, variant=variant or None, out_dir=model, assignments=given, command="a benchmark")
    )
    weights = folder / "net.caffemodel"
    write_caffemodel(weights, name=net, layers=random_weights(Ask(net=str(model / "deploy.prototxt"))))
    report = deploy(DeployRequest(subject=str(model), weights=weights, out=folder / "bundle"), lambda _: None)
    return Row(net=" ".join([name, *assignments.values()]), report=report, seconds=time.monotonic() - begun)


def main() -> int:
    """Prints the table; 1 if a net that OpenCV reads has another result there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "nets", nargs="*", help="names, such as resnet50:he; all classifiers if none are given"
    )
    parser.add_argument("--out", type=Path, help="a file for the table, beside the screen")
    asked = parser.parse_args()
    cases = [(name, NO_CHANGE) for name in asked.nets or catalogue("classification")]
    cases += [(name, READABLE[name]) for name, _ in cases if name in READABLE]
    lines = ["| net | folded | tested net to bundle | OpenCV | s |", "| --- | --- | --- | --- | --- |"]
    print("\n".join(lines), flush=True)
    for name, assignments in cases:
        with TemporaryDirectory(prefix="caffeflow-deploy-") as folder:
            row = measure(name, assignments, Path(folder).resolve())
        lines.append(f"| {' | '.join(row.cells())} |")
        print(lines[-1], flush=True)
    print(f"\nMore than {TOLERANCE:g} would have been refused.")
    if asked.out is not None:
        asked.out.write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
