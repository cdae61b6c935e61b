#!/usr/bin/env bash
# MobileNetV2-SSDLite on COCO, end to end: a classification net's weights become the backbone of a detector.
#
#   examples/ssdlite/run.sh                          a small twin of COCO, made here: some minutes
#   examples/ssdlite/run.sh /coco [V2.caffemodel]    the folder with train2017.zip, val2017.zip and
#                                                    annotations_trainval2017.zip (or their content), and the
#                                                    weights of mobilenet-v2's variant paper: the real thing
set -euo pipefail
checkout=$(cd "$(dirname "$0")/../.." && pwd)
PATH=$checkout/.venv/bin:$PATH
work=${WORK:-$checkout/demo/ssdlite}
coco=${1:+$(realpath "$1")}
classifier=${2:+$(realpath "$2")}
rm -rf "$work" && mkdir -p "$work" && cd "$work"

say() { printf '\n$ %s\n' "$*"; "$@"; }

if [ -z "$coco" ]; then
  python "$checkout/examples/ssdlite/make_small.py" coco
  coco=coco
  recipe=(--input-size 160 --batch-size 8 --max-iter 60 --test-interval 30 --base-lr 0.002 --display 10)
  # Stands for a trained classifier: fillers, and statistics from some forward passes.
  say caffeflow weights init mobilenet-v2:paper --calibrate --out v2.caffemodel
  classifier=v2.caffemodel
fi

say caffeflow prepare coco "$coco"
say caffeflow dataset verify data/coco
say caffeflow render ssdlite-coco --activation relu6 --conv-engine caffe --bn ${recipe[@]+"${recipe[@]}"}
if [ -n "$classifier" ]; then
  say caffeflow weights backbone "$classifier" --to models/ssdlite-coco --out backbone.caffemodel
  say caffeflow train --weights backbone.caffemodel
else
  say caffeflow train
fi
say caffeflow test --metric coco
