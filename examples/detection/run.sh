#!/usr/bin/env bash
# From annotated pictures to a net that finds digits in scenes: a small SSD, under five minutes on two cores.
set -euo pipefail
checkout=$(cd "$(dirname "$0")/../.." && pwd)
PATH=$checkout/.venv/bin:$PATH
work=${1:-$checkout/demo-detection}
trained=${TRAINED:-1000} tested=${TESTED:-200} iterations=${ITERATIONS:-800} expected=${EXPECTED:-0.8}
rm -rf "$work" && mkdir -p "$work" && cd "$work"

say() { printf '\n$ %s\n' "$*"; "$@"; }

python "$checkout/examples/detection/make_scenes.py" scenes "$trained" "$tested"
say caffeflow prepare voc scenes --name scenes
say caffeflow dataset show data/scenes --sheet scenes.png --count 12
say caffeflow render ssd-small --max-iter "$iterations" --test-interval 200
say caffeflow train
say caffeflow test
say caffeflow results
find scenes/JPEGImages -name 'test_000*.jpg' | sort | xargs caffeflow detect --out pictures
caffeflow test --json >test.json

python - test.json "$expected" <<'PY'
import json, sys
found, expected = json.load(open(sys.argv[1]))["map"], float(sys.argv[2])
print(f"\nmean average precision {found:.4f}; expected at least {expected}")
sys.exit(found < expected)
PY
