#!/usr/bin/env bash
# ImageNet pretraining, end to end.
#
#   examples/imagenet/run.sh            a small twin of the archives, made here: about a minute
#   examples/imagenet/run.sh /archives  the folder with ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar and
#                                       ILSVRC2012_devkit_t12.tar.gz (or val.txt): the real thing
set -euo pipefail
checkout=$(cd "$(dirname "$0")/../.." && pwd)
PATH=$checkout/.venv/bin:$PATH
work=${WORK:-$checkout/demo/imagenet}
rm -rf "$work" && mkdir -p "$work" && cd "$work"

if [ $# -gt 0 ]; then
  export CAFFEFLOW_DATA=$1
  recipe=()
else
  python "$checkout/examples/imagenet/make_small.py" data/raw
  recipe=(--input-size 64 --batch-size 40 --width 0.25 --max-iter 250 --base-lr 0.02 --display 50 --test-interval 50)
  small=(--resize 72x72)
fi

say() { printf '\n$ %s\n' "$*"; "$@"; }

say caffeflow prepare imagenet ${small[@]+"${small[@]}"}
say caffeflow dataset verify data/imagenet
say caffeflow render mobilenet-v1 ${recipe[@]+"${recipe[@]}"}
say caffeflow train
say caffeflow test
