"""`caffeflow-caffe`: takes the place of the `caffe` binary, on the embedded engine.

The one rule to know: flags, log lines, files and exit codes are Caffe's; what differs is listed in
`docs/drop-in.md`.
"""
