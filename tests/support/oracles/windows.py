"""WindowData's batches by loops over pixels; resizing is handed in, as it is OpenCV's business."""

from __future__ import annotations

import numpy as np


def _half_up(value):
    """C's round: halves away from zero."""
    return int(np.floor(abs(value) + 0.5)) * (1 if value >= 0 else -1)


def crop_window(
    image, window, crop, *, resize, context_pad=0, square=False, mirror=False, mean=None, scale=1.0
):
    """(H, W, 3), (x1, y1, x2, y2) -> (3, crop, crop); mean: three numbers, or a function of (c, y, x)."""
    f = np.float32
    height, width = image.shape[:2]
    x1, y1, x2, y2 = window
    rows = columns = crop
    above = beside = 0
    if context_pad or square:
        factor = f(crop) / f(crop - 2 * context_pad)
        half_h, half_w = f(y2 - y1 + 1) / f(2), f(x2 - x1 + 1) / f(2)
        middle_x, middle_y = f(x1) + half_w, f(y1) + half_h
        if square:
            half_h = half_w = max(half_h, half_w)
        x1, x2 = _half_up(middle_x - half_w * factor), _half_up(middle_x + half_w * factor)
        y1, y2 = _half_up(middle_y - half_h * factor), _half_up(middle_y + half_h * factor)
        scale_x, scale_y = f(crop) / f(x2 - x1 + 1), f(crop) / f(y2 - y1 + 1)
        left, right = max(0, -x1), max(0, x2 - width + 1)
        top, bottom = max(0, -y1), max(0, y2 - height + 1)
        x1, x2, y1, y2 = x1 + left, x2 - right, y1 + top, y2 - bottom
        columns = _half_up(f(x2 - x1 + 1) * scale_x)
        rows = _half_up(f(y2 - y1 + 1) * scale_y)
        above = _half_up(f(top) * scale_y)
        beside = _half_up(f(right if mirror else left) * scale_x)
        rows, columns = min(rows, crop - above), min(columns, crop - beside)
    cut = resize(image[y1 : y2 + 1, x1 : x2 + 1], rows, columns)
    out = np.zeros((3, crop, crop), np.float32)
    for y in range(rows):
        for x in range(columns):
            for c in range(3):
                pixel = f(cut[y, columns - 1 - x if mirror else x, c])
                if callable(mean):
                    pixel -= f(mean(c, y + above, x + beside))
                elif mean is not None:
                    pixel -= f(mean[c])
                out[c, y + above, x + beside] = pixel * f(scale)
    return out
