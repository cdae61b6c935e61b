"""The loops over time of RNN and LSTM, forward and back, with all that can wait done for all steps at once.

Autograd would keep a node for each operation of each step, which costs more than the arithmetic of a small
net, and would add up the gradient of the weights step by step; here it is one product at the end. In small
nets each call counts, views included: the loops take as few as they can, run in inference mode, where a
call costs less, and leave out the factor where no stream begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
        ctx.factors = _factors(cont)
        sums, size, weight_t, before = torch.empty_like(gates), weight.shape[1], weight.t(), (h, c)
        of_outputs, of_cells, of_squashed = [], [], []
        with torch.inference_mode():
            now = torch.empty_like(gates[0])
            enter, stay, leave, candidate = now.chunk(GATES, dim=1)
            sigmoids = now[:, : 3 * size]
            for of_x, factor, kept in zip(gates.unbind(), ctx.factors, sums.unbind(), strict=True):
                if factor is not None:
                    h, c = h * factor, c * factor
                torch.addmm(of_x, h, weight_t, out=now)
                sigmoids.sigmoid_()
                candidate.tanh_()
                kept.copy_(now)
                c = torch.mul(stay, c).addcmul_(enter, candidate)
                squashed = torch.tanh(c)
                h = squashed * leave
                of_cells.append(c)
                of_squashed.append(squashed)
                of_outputs.append(h)
        outputs, cells, all_squashed = map(torch.stack, (of_outputs, of_cells, of_squashed))
        ctx.save_for_backward(sums, outputs, cells, all_squashed, *before, cont, weight)
        ctx.mark_non_differentiable(cells)
        return outputs, cells

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        sums, outputs, cells, squashed, h, c, cont, weight = ctx.saved_tensors
        enters, stays, leaves, candidates = sums.chunk(GATES, dim=2)
        # What the gradient of c takes on its way to input, forget and candidate, and that of h to output:
        # of a sigmoid s, s (1 - s); of the tanh g of the candidate, (1 + g) (1 - g).
        slopes = torch.cat((candidates, _states_before(cells, c, cont), squashed, enters), dim=2).mul_(sums)
        slopes[..., 3 * weight.shape[1] :].add_(enters)
        slopes.mul_(1 - sums)
        to_cell = torch.addcmul(leaves, outputs, squashed, value=-1)
        found = torch.empty_like(slopes)
        by_gate = slopes.view(*outputs.shape[:2], GATES, -1)
        arrays = (grads[0], by_gate, by_gate[:, :, 2], to_cell, stays, found)
        with torch.inference_mode():
            now = torch.empty_like(slopes[0])
            now_by_gate = now.view(len(now), GATES, -1)
            now_leave = now_by_gate[:, 2]
            of_h, of_c = torch.zeros_like(h), torch.zeros_like(c)
            of_c_by_gate = of_c.unsqueeze(1)
            for factor, (grad, slope, slope_of_leave, cell, stay, kept) in _backwards(ctx.factors, arrays):
                of_h.add_(grad)
                of_c.addcmul_(of_h, cell)
                torch.mul(slope, of_c_by_gate, out=now_by_gate)
                torch.mul(slope_of_leave, of_h, out=now_leave)
                kept.copy_(now)
                of_c.mul_(stay)
                torch.mm(now, weight, out=of_h)
                if factor is not None:
                    of_c.mul_(factor)
                    of_h.mul_(factor)
        return found, None, _of_weight(found, _states_before(outputs, h, cont)), None, None


class _RnnSteps(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, sums: Tensor, cont: Tensor, weight: Tensor, h: Tensor) -> Tensor:
        ctx.factors = _factors(cont)
        weight_t, before, of_states = weight.t(), h, []
        with torch.inference_mode():
            for of_x, factor in zip(sums.unbind(), ctx.factors, strict=True):
                h = torch.addmm(of_x, h if factor is None else h * factor, weight_t).tanh_()
                of_states.append(h)
        states = torch.stack(of_states)
        ctx.save_for_backward(states, before, cont, weight)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        states, h, cont, weight = ctx.saved_tensors
        slopes = 1 - states * states
        of_sums = []
        with torch.inference_mode():
            of_h = torch.zeros_like(h)
            for factor, (grad, slope) in _backwards(ctx.factors, (grads[0], slopes)):
                of_sum = of_h.add_(grad).mul_(slope)
                of_sums.append(of_sum)
                of_h = torch.mm(of_sum, weight)
                if factor is not None:
                    of_h.mul_(factor)
        found = torch.stack(of_sums[::-1])
        return found, None, _of_weight(found, _states_before(states, h, cont)), None


def _factors(cont: Tensor) -> list[Tensor | None]:
    """Returns what each step multiplies the state before by; None where that changes nothing.

    On a GPU nobody looks: that would wait for all that is under way there.
    """
    if cont.device.type != "cpu":
        return list(cont.unbind())
    goes_on = cont == 1
    if goes_on.all():
        return [None] * len(cont)
    return [
        None if all_go_on else step
        for step, all_go_on in zip(cont.unbind(), goes_on.flatten(1).all(1).tolist(), strict=True)
    ]


def _backwards(
    factors: Iterable[Tensor | None], arrays: Iterable[Tensor]
) -> Iterator[tuple[Tensor | None, tuple[Tensor, ...]]]:
    """Yields each step's factor and what the arrays hold for it, from the last step to the first."""
    steps: Iterable[tuple[Tensor, ...]] = zip(*(array.unbind() for array in arrays), strict=True)
    return reversed(list(zip(factors, steps, strict=True)))


def _states_before(states: Tensor, first: Tensor, cont: Tensor) -> Tensor:
    """Returns what each step found of the state: 0 where a stream began anew."""
    return torch.cat((first.unsqueeze(0), states[:-1])).mul_(cont)


def _of_weight(found: Tensor, states: Tensor) -> Tensor:
    """Returns the gradient of the weights: the sum over steps and streams."""
    # found: (T, N, K), states: (T, N, H) -> (K, H)
    return found.flatten(0, 1).t() @ states.flatten(0, 1)
