#!/bin/sh
# Trains regnetx-800mf with the plain caffe binary: $CAFFE, else caffe on the PATH.
# Made by caffeflow 0.1.0: caffeflow render regnetx-800mf --recipe imagenet
# Of the recipe, plain Caffe has no words for --augment inception, --lr-policy cosine, --warmup for 5 epochs;
#   this does it: caffeflow train --solver models/regnetx-800mf/solver.prototxt --recipe imagenet
# More words go to caffe, for example: --gpu 0, --snapshot FILE.solverstate, --weights FILE.caffemodel
set -e
exec "${CAFFE:-caffe}" train --solver=/somewhere/models/regnetx-800mf/solver.prototxt "$@"
