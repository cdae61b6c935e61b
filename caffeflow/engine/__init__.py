"""The embedded engine: nets and solvers of Caffe, computed with PyTorch.

The way of the data: graph and shapes (`proto`, `layers`) -> `net` (modules and learned blobs) -> an
executor (`training`: fused, for speed; `stepwise`: layer by layer, for looking) -> `solver` (one
iteration in Caffe's order) -> `loop` (tests, displays, snapshots, signals).
"""
