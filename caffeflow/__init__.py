"""caffeflow: Caffe workflows on today's machines, with the real Caffe or without it."""

from __future__ import annotations

__version__ = "0.1.0"
