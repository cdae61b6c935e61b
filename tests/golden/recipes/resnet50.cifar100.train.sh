#!/bin/sh
# Trains resnet50 with the plain caffe binary: $CAFFE, else caffe on the PATH.
# Made by caffeflow 0.1.0: caffeflow render resnet50 --recipe cifar100
# Of the recipe, plain Caffe has no words for --augment crop, --warmup for 1 epoch; this does it: caffeflow
#   train --solver models/resnet50/solver.prototxt --recipe cifar100
# More words go to caffe, for example: --gpu 0, --snapshot FILE.solverstate, --weights FILE.caffemodel
set -e
exec "${CAFFE:-caffe}" train --solver=/somewhere/models/resnet50/solver.prototxt "$@"
