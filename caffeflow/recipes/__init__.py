"""Training recipes: files that say how a published accuracy was reached, beside the templates.

One file is for one net on one dataset. `render` takes its variables, `train` its options, which are those
that Caffe's files have no words for. What a file says in epochs becomes iterations where they use it.
"""
