"""Weights of PyTorch's nets as those of the nets that render knows.

A family (one file each) says which key goes to which layer, and reads off a file's shapes what the net
is; `recognise` chooses the family, `fit` says what does not fit, `convert` makes the arrays.
"""
