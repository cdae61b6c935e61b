"""DetectionOutput by loops: one image, one label, one box after the other."""

from __future__ import annotations

import numpy as np

from tests.support.oracles.ssd_boxes import decode, overlap


def suppress(boxes, scores, *, threshold, nms, top_k, eta):
    """The priors that stay, best first."""
    order = [p for p in range(len(scores)) if scores[p] > threshold]
    order.sort(key=lambda p: -scores[p])  # stable
    if top_k > -1:
        order = order[:top_k]
    kept, limit = [], float(np.float32(nms))
    for p in order:
        if all(overlap(boxes[p], boxes[other]) <= limit for other in kept):
            kept.append(p)
            if eta < 1 and limit > 0.5:
                limit *= eta
    return kept


def detections(
    loc,
    conf,
    priors,
    *,
    classes,
    share=True,
    background=0,
    code="CORNER",
    variance_in_target=False,
    threshold=-np.inf,
    nms=0.3,
    top_k=-1,
    eta=1.0,
    keep=-1,
):
    count = priors.shape[2] // 4
    per_prior = 1 if share else classes
    loc = loc.reshape(len(loc), count, per_prior, 4)
    conf = conf.reshape(len(conf), count, classes)
    corners, variances = priors.reshape(2, count, 4)
    rows = []
    for i in range(len(loc)):
        found = []
        for c in range(classes):
            if c == background:
                continue
            boxes = [
                decode(
                    corners[p],
                    variances[p],
                    loc[i, p, 0 if share else c],
                    code=code,
                    variance_in_target=variance_in_target,
                )
                for p in range(count)
            ]
            stay = suppress(boxes, conf[i, :, c], threshold=threshold, nms=nms, top_k=top_k, eta=eta)
            found += [(c, float(conf[i, p, c]), boxes[p]) for p in stay]
        if -1 < keep < len(found):
            best = sorted(range(len(found)), key=lambda k: -found[k][1])[:keep]
            found = [found[k] for k in sorted(best)]
        rows += [[i, c, score, *box] for c, score, box in found]
    if not rows:
        rows = [[i, *[-1] * 6] for i in range(len(loc))]
    return np.array(rows, np.float64).reshape(1, 1, -1, 7)
