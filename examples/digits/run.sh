#!/usr/bin/env bash
# From a folder of images to a tested caffemodel: handwritten digits, LeNet, under two minutes on two cores.
set -euo pipefail
checkout=$(cd "$(dirname "$0")/../.." && pwd)
PATH=$checkout/.venv/bin:$PATH
work=${1:-$checkout/demo}
rm -rf "$work" && mkdir -p "$work" && cd "$work"

say() { printf '\n$ %s\n' "$*"; "$@"; }

python "$checkout/examples/digits/make_images.py" digits
say caffeflow prepare folder digits --name digits --gray --resize 28x28
say caffeflow dataset show data/digits --sheet digits.png
say caffeflow render lenet --max-iter 1000 --test-interval 250 --snapshot 500
say caffeflow train
say caffeflow test
say caffeflow results
caffeflow test --json >test.json

python - test.json <<'PY'
import json, sys
accuracy = json.load(open(sys.argv[1]))["top1"]
print(f"\nheld-out accuracy {accuracy:.4f}; expected at least 0.97")
sys.exit(accuracy < 0.97)
PY
