"""MultiBoxLoss by loops: the loss and its gradients, one image, one prior, one box at a time.

Overlaps are rounded as the bottoms are: a box around several priors of one size overlaps them equally, and
rounding decides which is its best. Give float32 to decide as Caffe does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tests.support.oracles.ssd_boxes import area, decode, encode, leaves_image, overlap

FLT_MIN = float(np.finfo(np.float32).tiny)


@dataclass
class Settings:
    """The fields of the message, with Caffe's defaults."""

    classes: int
    share: bool = True
    background: int = 0
    match: str = "PER_PREDICTION"
    threshold: float = 0.5
    by_priors: bool = True
    within_image: bool = False
    difficult: bool = True
    mining: str = "MAX_NEGATIVE"
    ratio: float = 3
    neg_overlap: float = 0.5
    sample_size: int = 64
    nms: tuple | None = None  # (threshold, top_k)
    nms_by_priors: bool = False
    conf_loss: str = "SOFTMAX"
    loc_loss: str = "SMOOTH_L1"
    loc_weight: float = 1
    code: str = "CORNER"
    variance_in_target: bool = False
    bp_inside: bool = False
    agnostic: bool = False
    normalization: str = "VALID"
    counts: tuple = (True, True)

    @property
    def coding(self):
        return {"code": self.code, "variance_in_target": self.variance_in_target}


def read_truth(rows, s):
    """Image -> its (label, box) in the order of the rows."""
    truth = {}
    for row in rows:
        item, label = int(row[0]), int(row[1])
        if item == -1 or (row[7] and not s.difficult):
            continue
        truth.setdefault(item, []).append((label, tuple(row[3:7])))
    return truth


def match(boxes, candidates, s):
    """(for each candidate: its box, -1 or -2; for each candidate: its largest overlap)."""
    aside = [s.within_image and leaves_image(candidate) for candidate in candidates]
    overlaps = np.zeros((len(candidates), len(boxes)))
    for i, j in np.ndindex(*overlaps.shape):
        value = overlap(candidates[i], boxes[j])
        overlaps[i, j] = value if value > 1e-6 and not aside[i] else 0
    found = match_one_by_one(overlaps)
    if s.match == "PER_PREDICTION":
        for i in range(len(candidates)):
            if found[i] == -1:
                found[i] = nearest(overlaps[i], s.threshold)
    found = [-2 if aside[i] else j for i, j in enumerate(found)]
    return found, [max(row, default=0.0) for row in overlaps]


def match_one_by_one(overlaps):
    """The largest overlap of all, over and over; the first of equal ones."""
    count, boxes = overlaps.shape
    found = [-1] * count
    for _ in range(boxes):
        best, chosen = 0.0, None
        for i, j in np.ndindex(count, boxes):
            if found[i] == -1 and j not in found and overlaps[i, j] > best:
                best, chosen = overlaps[i, j], (i, j)
        if chosen:
            found[chosen[0]] = chosen[1]
    return found


def nearest(overlaps, threshold):
    best, found = 0.0, -1
    for j, value in enumerate(overlaps):
        if value >= threshold and value > best:
            best, found = value, j
    return found


def match_image(boxes, loc, priors, variances, s):
    """Loc class -> (matches among the image's boxes, overlaps); loc: [P][L][4]."""
    if s.by_priors:
        found, largest = match([box for _, box in boxes], priors, s)
        if s.share:
            return {0: (found, largest)}
        by_class = {}
        for c in range(s.classes):
            if c != s.background:
                mine = [j if j > -1 and boxes[j][0] == c else -1 for j in found]
                by_class[c] = (mine, largest)
        return by_class
    by_class = {}
    for c in range(1 if s.share else s.classes):
        if not s.share and c == s.background:
            continue
        wanted = [j for j, (label, _) in enumerate(boxes) if s.share or label == c]
        predicted = [decode(priors[i], variances[i], loc[i][c], **s.coding) for i in range(len(priors))]
        found, largest = match([boxes[j][1] for j in wanted], predicted, s)
        if not wanted:
            found = [-1] * len(priors)
        by_class[c] = ([wanted[j] if j > -1 else j for j in found], largest)
    return by_class


def softmax(row):
    exps = [math.exp(x - max(row)) for x in row]
    return [e / sum(exps) for e in exps]


def cross_entropy(row, label):
    return -math.log(max(softmax(row)[label], FLT_MIN))


def sigmoid_cross_entropy(row, targets):
    total = 0.0
    for x, t in zip(row, targets, strict=True):
        total -= x * (t - (x >= 0)) - math.log(1 + math.exp(x - 2 * x * (x >= 0)))
    return total


def one_hot(label, classes):
    return [1.0 if c == label else 0.0 for c in range(classes)]


def coordinate_loss(d, s):
    if s.loc_loss == "L2":
        return 0.5 * d * d
    return 0.5 * d * d if abs(d) < 1 else abs(d) - 0.5


def coordinate_gradient(d, s):
    return d if s.loc_loss == "L2" or abs(d) < 1 else float(np.sign(d))


def suppressed(candidates, losses, boxes, threshold, top_k):
    """Candidates by falling loss, without those that overlap an earlier one."""
    ranked = sorted(candidates, key=lambda m: -losses[m])
    ranked = ranked[:top_k] if top_k > -1 else ranked
    kept = []
    for m in ranked:
        if area(boxes[m]) < 1e-5:
            continue
        if all(not overlap(boxes[k], boxes[m]) > threshold for k in kept):
            kept.append(m)
    return kept


def mine_image(found, largest, losses, nms_boxes, s):
    """(matches that are left, negatives) of one image."""
    hard = s.mining == "HARD_EXAMPLE"
    candidates = [m for m in range(len(found)) if hard or (found[m] == -1 and largest[m] < s.neg_overlap)]
    matched = sum(j > -1 for j in found)
    wanted = s.sample_size if hard else int(np.float32(matched) * np.float32(s.ratio))
    wanted = min(wanted, len(candidates))
    if s.nms and s.nms[0] > 0:
        chosen = suppressed(candidates, losses, nms_boxes, *s.nms)[:wanted]
    else:
        chosen = sorted(candidates, key=lambda m: -losses[m])[:wanted]
    negatives = [m for m in range(len(found)) if found[m] == -1 and m in chosen]
    left = [-1 if hard and j > -1 and m not in chosen else j for m, j in enumerate(found)]
    return left, negatives


class Batch:
    """The bottoms as nested lists: locs[image][prior][loc class], scores[image][prior]."""

    def __init__(self, loc, conf, priors, truth, s):
        self.s = s
        self.images, self.count = loc.shape[0], priors.size // 8
        self.loc_classes = 1 if s.share else s.classes
        self.locs = loc.reshape(self.images, self.count, self.loc_classes, 4).tolist()
        self.scores = conf.reshape(self.images, self.count, s.classes).tolist()
        self.boxes = [tuple(box) for box in priors.reshape(2, self.count, 4)[0]]
        self.variances = priors.reshape(2, self.count, 4)[1].tolist()
        self.truth = read_truth(truth.reshape(-1, 8), s)

    def predicted(self, i, p, c):
        return decode(self.boxes[p], self.variances[p], self.locs[i][p][c], **self.s.coding)

    def differences(self, i, p, c, box):
        """Of one matched prior, coordinate by coordinate, and whether they count."""
        s, prior, variance = self.s, self.boxes[p], self.variances[p]
        target = encode(prior, variance, box, **s.coding)
        seen = prior if s.by_priors or not s.bp_inside else self.predicted(i, p, c)
        for k in range(4):
            d = self.locs[i][p][c][k] - target[k]
            if s.variance_in_target:
                d = self.locs[i][p][c][k] / variance[k] - target[k] / variance[k]
            is_free = s.bp_inside and (seen[k] < 0 or seen[k] > 1)
            yield 0.0 if is_free else d

    def mining_loss(self, i, p, j):
        s = self.s
        label, box = self.truth[i][j] if j > -1 else (s.background, None)
        if s.conf_loss == "SOFTMAX":
            loss = cross_entropy(self.scores[i][p], label)
        else:
            loss = sigmoid_cross_entropy(self.scores[i][p], one_hot(label, s.classes))
        if s.mining == "HARD_EXAMPLE" and j > -1:
            loss += sum(coordinate_loss(d, s) for d in self.differences(i, p, 0, box))
        return loss

    def mine(self, i, found, largest):
        losses = [self.mining_loss(i, p, j) for p, j in enumerate(found)]
        boxes = self.boxes
        if self.s.nms and not self.s.nms_by_priors:
            boxes = [self.predicted(i, p, 0) for p in range(self.count)]
        return mine_image(found, largest, losses, boxes, self.s)

    def pairs(self):
        """((image, loc class, prior, label, box) of what is matched, (image, prior) of what is mined)."""
        pairs, negatives = [], []
        for i in range(self.images):
            if i not in self.truth:
                continue
            by_class = match_image(self.truth[i], self.locs[i], self.boxes, self.variances, self.s)
            for c, (found, largest) in sorted(by_class.items()):
                left = found
                if self.s.mining != "NONE":
                    left, mined = self.mine(i, found, largest)
                    negatives += [(i, p) for p in mined]
                pairs += [(i, c, p, *self.truth[i][j]) for p, j in enumerate(left) if j > -1]
        return pairs, negatives


def multibox(loc, conf, priors, truth, s):
    """(loss, gradient of loc, gradient of conf) for a loss weight of 1."""
    batch = Batch(loc, conf, priors, truth, s)
    pairs, negatives = batch.pairs()
    z = {
        "FULL": batch.images * batch.count,
        "VALID": len(pairs),
        "BATCH_SIZE": batch.images,
        "NONE": 1,
    }[s.normalization]
    z = max(z, 1)
    loc_loss, loc_gradient = 0.0, np.zeros((batch.images, batch.count, batch.loc_classes, 4))
    for i, c, p, _, box in pairs:
        for k, d in enumerate(batch.differences(i, p, c, box)):
            loc_loss += coordinate_loss(d, s)
            loc_gradient[i, p, c, k] = s.loc_weight * coordinate_gradient(d, s) / z
    rows = mined_rows(pairs, negatives, s) if s.mining != "NONE" else all_rows(batch, pairs, s)
    conf_loss, conf_gradient = confidence(batch.scores, rows, s)
    loss = s.loc_weight * loc_loss / z * s.counts[0] + conf_loss / z * s.counts[1]
    return np.array(loss), loc_gradient.reshape(loc.shape), (conf_gradient / z).reshape(conf.shape)


def label_of(label, s):
    return s.background + 1 if s.agnostic else label


def target_of(label, s):
    """A label for SOFTMAX; for LOGISTIC a target a class, of which Caffe fills in the background's id first."""
    if s.conf_loss == "SOFTMAX":
        return label
    return [1.0 if c == label else float(s.background) for c in range(s.classes)]


def mined_rows(pairs, negatives, s):
    """(image, prior, target) of what costs confidence."""
    rows = [(i, p, target_of(label_of(label, s), s)) for i, _, p, label, _ in pairs]
    return rows + [(i, p, target_of(s.background, s)) for i, p in negatives]


def all_rows(batch, pairs, s):
    """(image, prior, target) of all priors."""
    places = list(np.ndindex(batch.images, batch.count))
    if s.conf_loss == "SOFTMAX":
        labels = {(i, p): label_of(label, s) for i, _, p, label, _ in pairs}
        return [(i, p, labels.get((i, p), s.background)) for i, p in places]
    # Images after the first begin P values further on, not P rows.
    flat = [float(s.background)] * (len(places) * s.classes)
    for i, _, p, label, _ in pairs:
        flat[i * batch.count + p * s.classes + label_of(label, s)] = 1.0
    return [(*place, flat[n * s.classes : (n + 1) * s.classes]) for n, place in enumerate(places)]


def confidence(scores, rows, s):
    """(loss, gradient), neither divided."""
    total, gradient = 0.0, np.zeros((len(scores), len(scores[0]), s.classes))
    for i, p, target in rows:
        row = scores[i][p]
        if s.conf_loss == "SOFTMAX":
            total += cross_entropy(row, target)
            gradient[i, p] = np.array(softmax(row)) - one_hot(target, s.classes)
        else:
            total += sigmoid_cross_entropy(row, target)
            gradient[i, p] = [1 / (1 + math.exp(-x)) - t for x, t in zip(row, target, strict=True)]
    return total, gradient
