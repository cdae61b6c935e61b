"""RNN, LSTM and LSTMUnit by loops over steps, streams and cells."""

from __future__ import annotations

import math

import numpy as np


def _sigmoid(value):
    return 1 / (1 + math.exp(-value))


def _dot(row, values):
    return sum(float(a) * float(b) for a, b in zip(row, values, strict=True))


def lstm_cell(gates, c, cont):
    """(4H,), (H,), 0 or 1 -> (H,), (H,): c and h after one step of one stream."""
    size = len(c)
    after, out = np.zeros(size), np.zeros(size)
    for cell in range(size):
        enters = _sigmoid(gates[cell])
        stays = _sigmoid(gates[size + cell])
        leaves = _sigmoid(gates[2 * size + cell])
        candidate = math.tanh(gates[3 * size + cell])
        after[cell] = cont * stays * c[cell] + enters * candidate
        out[cell] = leaves * math.tanh(after[cell])
    return after, out


def lstm_unit(c, gates, cont):
    """(1, N, H), (1, N, 4H), (1, N) -> c and h, (1, N, H) each."""
    streams = [lstm_cell(gates[0, n], c[0, n], cont[0, n]) for n in range(c.shape[1])]
    return [np.array([[stream[part] for stream in streams]]) for part in range(2)]


def lstm(x, cont, w_x, b, w_h, *, static=None, w_static=None, h=None, c=None):
    """(T, N, …), (T, N) -> outputs (T, N, H), h (1, N, H), c (1, N, H)."""
    steps, streams = cont.shape
    size = w_h.shape[1]
    h = np.zeros((streams, size)) if h is None else h[0].copy()
    c = np.zeros((streams, size)) if c is None else c[0].copy()
    outputs = np.zeros((steps, streams, size))
    for t in range(steps):
        for n in range(streams):
            gates = _inputs(x[t, n], w_x, b, static, w_static, n)
            for row in range(4 * size):
                gates[row] += _dot(w_h[row], cont[t, n] * h[n])
            c[n], h[n] = lstm_cell(gates, c[n], cont[t, n])
            outputs[t, n] = h[n]
    return [outputs, h[None], c[None]]


def rnn(x, cont, w_x, b, w_h, w_o, b_o, *, static=None, w_static=None, h=None):
    """(T, N, …), (T, N) -> outputs (T, N, H), h (1, N, H)."""
    steps, streams = cont.shape
    size = w_h.shape[1]
    h = np.zeros((streams, size)) if h is None else h[0].copy()
    outputs = np.zeros((steps, streams, size))
    for t in range(steps):
        for n in range(streams):
            sums = _inputs(x[t, n], w_x, b, static, w_static, n)
            for row in range(size):
                sums[row] += _dot(w_h[row], cont[t, n] * h[n])
            h[n] = [math.tanh(value) for value in sums]
            for row in range(size):
                outputs[t, n, row] = math.tanh(_dot(w_o[row], h[n]) + b_o[row])
    return [outputs, h[None]]


def _inputs(x, w_x, b, static, w_static, stream):
    """What the step's input and the static one bring to each row."""
    sums = np.zeros(len(b))
    for row in range(len(b)):
        sums[row] = _dot(w_x[row], x.ravel()) + b[row]
        if static is not None:
            sums[row] += _dot(w_static[row], static[stream].ravel())
    return sums
