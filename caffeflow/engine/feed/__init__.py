"""Feeds: what the data layers of a net hand to it, batch after batch.

Source (`database`, `listed`) -> `records` -> `transformer` -> `batches` -> `background` -> the net. A batch
depends on the seed, the layer and its place in the stream alone, never on threads or ranks. Begin to read
in `opening`; `sources` tells shape and number of records without torch, so nothing is imported here.
"""
