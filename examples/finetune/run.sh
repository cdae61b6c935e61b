#!/usr/bin/env bash
# A trained net for other classes: LeNet learns the digits 0 to 4, then 5 to 9 from eight pictures of each, with
# all layers but the last taken over. About a minute on two cores. (Digits are so easy that LeNet would learn them
# from scratch as well; benchmarks/finetune_cifar.py shows what is gained on photos.)
set -euo pipefail
checkout=$(cd "$(dirname "$0")/../.." && pwd)
PATH=$checkout/.venv/bin:$PATH
work=${1:-$checkout/demo/finetune}
rm -rf "$work" && mkdir -p "$work" && cd "$work"

say() { printf '\n$ %s\n' "$*"; "$@"; }

python "$checkout/examples/finetune/make_images.py" digits
say caffeflow prepare folder digits/many --name many --gray --resize 28x28
say caffeflow prepare folder digits/few --name few --gray --resize 28x28

say caffeflow render lenet --data data/many --max-iter 300 --test-interval 300 --snapshot 300 --out models/many
say caffeflow train --solver models/many/solver.prototxt

say caffeflow finetune --from models/many/train_val.prototxt --weights models/many/snapshots/lenet_iter_300.caffemodel \
  --data data/few --batch-size 20 --max-iter 60 --test-interval 60 --out models/few
say caffeflow train --solver models/few/solver.prototxt
say caffeflow results

python - <<'PY'
import json, sys
from pathlib import Path

run = json.loads(Path("runs/few-001/run.json").read_text())
(copies,) = run["weights"].values()
accuracy = run["results"]["test accuracy"]["last"]
print(f"\ncopied {', '.join(copies['copied'])}; new {', '.join(copies['new'])}")
print(f"5 to 9 from eight pictures of each: {accuracy:.1%} of those held out; expected at least 70%")
sys.exit(copies["new"] != ["ip2_few"] or accuracy < 0.7)
PY
