"""The loops over time of RNN and LSTM, forward and back, with all that can wait done for all steps at once.

Autograd would keep a node for each operation of each step, which costs more than the arithmetic of a small
net, and would add up the gradient of the weights step by step; here it is one product at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from caffeflow.layers.recurrent import GATES


def lstm_steps(gates: Tensor, cont: Tensor, weight: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the outputs and the cells of every step of an LSTM.

    Args:
        gates: What x brings to the gates, (T, N, 4H).
        cont: 0 where a stream begins anew, (T, N, 1).
        weight: What the state brings to them, (4H, H).
        h: The state before, (N, H), a constant to the gradient.
        c: The cells before, likewise.
    """
    made: tuple[Tensor, Tensor] = _LstmSteps.apply(gates, cont, weight, h, c)  # type: ignore[no-untyped-call]
    return made


def rnn_steps(sums: Tensor, cont: Tensor, weight: Tensor, h: Tensor) -> Tensor:
    """Returns the state after every step of an RNN.

    Args:
        sums: What x brings to the state, (T, N, H).
        cont: 0 where a stream begins anew, (T, N, 1).
        weight: What the state brings to the next, (H, H).
        h: The state before, (N, H), a constant to the gradient.
    """
    states: Tensor = _RnnSteps.apply(sums, cont, weight, h)  # type: ignore[no-untyped-call]
    return states


class _LstmSteps(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, gates: Tensor, cont: Tensor, weight: Tensor, h: Tensor, c: Tensor
    ) -> tuple[Tensor, Tensor]:
        size = weight.shape[1]
        sums = torch.empty_like(gates)
        outputs, cells, kept_h, kept_c = (gates.new_empty(*gates.shape[:2], size) for _ in range(4))
        enters, stays, leaves, candidates = sums.chunk(GATES, dim=2)
        weight_t = weight.t()
        for of_x, goes_on, all_four, squashed, enter, stay, leave, candidate, h_on, c_on, cell, output in zip(
            gates.unbind(), cont.unbind(), sums.unbind(), sums[..., : 3 * size].unbind(),
            enters.unbind(), stays.unbind(), leaves.unbind(), candidates.unbind(),
            kept_h.unbind(), kept_c.unbind(), cells.unbind(), outputs.unbind(), strict=True,
        ):  # fmt: skip
            torch.mul(h, goes_on, out=h_on)
            torch.mul(c, goes_on, out=c_on)
            torch.addmm(of_x, h_on, weight_t, out=all_four)
            squashed.sigmoid_()
            candidate.tanh_()
            torch.mul(stay, c_on, out=cell)
            cell.addcmul_(enter, candidate)
            torch.tanh(cell, out=output)
            output.mul_(leave)
            h, c = output, cell
        ctx.save_for_backward(sums, cells, kept_h, kept_c, cont, weight)
        ctx.mark_non_differentiable(cells)
        return outputs, cells

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        sums, cells, kept_h, kept_c, cont, weight = ctx.saved_tensors
        enters, stays, leaves, candidates = sums.chunk(GATES, dim=2)
        squashed = torch.tanh(cells)
        # What the gradient of c takes on its way to input, forget and candidate, and that of h to output.
        slopes = torch.stack(
            (
                candidates * enters * (1 - enters),
                kept_c * stays * (1 - stays),
                squashed * leaves * (1 - leaves),
                enters * (1 - candidates * candidates),
            ),
            dim=2,
        )
        to_cell = leaves * (1 - squashed * squashed)
        to_before = stays * cont
        found = torch.empty_like(slopes)
        of_h, of_c = torch.zeros_like(cells[0]), torch.zeros_like(cells[0])
        arrays = (grads[0], slopes, to_cell, to_before, cont, found)
        for grad, slope, cell, before, goes_on, found_one in _backwards(*arrays):
            of_h = grad + of_h
            of_c = torch.addcmul(of_c, of_h, cell)
            torch.mul(slope, of_c.unsqueeze(1), out=found_one)
            torch.mul(slope[:, 2], of_h, out=found_one[:, 2])
            of_c = of_c * before
            of_h = torch.mm(found_one.flatten(1), weight).mul_(goes_on)
        of_gates = found.flatten(2)
        return of_gates, None, _of_weight(of_gates, kept_h), None, None


class _RnnSteps(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, sums: Tensor, cont: Tensor, weight: Tensor, h: Tensor) -> Tensor:
        states, kept = torch.empty_like(sums), torch.empty_like(sums)
        weight_t = weight.t()
        for of_x, goes_on, h_on, state in zip(
            sums.unbind(), cont.unbind(), kept.unbind(), states.unbind(), strict=True
        ):
            torch.mul(h, goes_on, out=h_on)
            h = torch.addmm(of_x, h_on, weight_t, out=state).tanh_()
        ctx.save_for_backward(states, kept, cont, weight)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        states, kept, cont, weight = ctx.saved_tensors
        slopes = 1 - states * states
        found = torch.empty_like(states)
        of_h = torch.zeros_like(states[0])
        for grad, slope, goes_on, found_one in _backwards(grads[0], slopes, cont, found):
            torch.mul(grad + of_h, slope, out=found_one)
            of_h = torch.mm(found_one, weight).mul_(goes_on)
        return found, None, _of_weight(found, kept), None


def _backwards(*arrays: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yields what the arrays hold for a step, from the last step to the first."""
    return zip(*(reversed(array.unbind()) for array in arrays), strict=True)


def _of_weight(found: Tensor, states: Tensor) -> Tensor:
    """Returns the gradient of the weights: the sum over steps and streams."""
    # found: (T, N, K), states: (T, N, H) -> (K, H)
    return found.flatten(0, 1).t() @ states.flatten(0, 1)
