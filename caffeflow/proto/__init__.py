"""Caffe's messages: the schema, reading and writing, upgrading, filtering, and the graph of a net."""
