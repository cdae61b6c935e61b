"""RNN, LSTM and LSTMUnit on PyTorch: what depends on x alone in one product, then the steps one by one.

Steps are computed in single precision, even where autocast has the products in a smaller one.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from caffeflow.engine.modules.recurrent_steps import lstm_steps, rnn_steps
from caffeflow.engine.modules.registry import LayerModule, Setup, at_least_single, module
from caffeflow.layers.recurrent import RecurrentParams

_log: Final = logging.getLogger(__name__)


class Recurrent(LayerModule):
    """What RNN and LSTM share: the bottoms, and the state from one forward to the next."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: RecurrentParams = setup.params
        for name in self.carried:
            zeros = torch.zeros(setup.bottoms[0][1], self.params.num_output)
            self.register_buffer(name, zeros, persistent=False)
        if self.params.debug_info:
            _log.warning(
                "layer '%s': debug_info in recurrent_param has no effect, there is no inner net to show",
                setup.layer.name,
            )

    def forward(self, x: Tensor, cont: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        """Returns the outputs of all steps, and the state after the last one if it is exposed."""
        # x: (T, N, rest…), cont: (T, N), static: (N, rest…), states: (1, N, H) -> (T, N, H), (1, N, H)…
        gates = self._of_x(x.flatten(2))
        if self.params.has_static:
            gates = gates + F.linear(others[0].flatten(1), self.learned[2])
            others = others[1:]
        if self.params.expose_hidden:
            before = tuple(at_least_single(state[0].detach()) for state in others)
        else:
            before = self._carried(streams=x.shape[1])
        gates = at_least_single(gates).contiguous()
        with _without_autocast(gates.device.type):
            outputs, after = self._run(gates, cont.to(gates.dtype).unsqueeze(2), before)
        after = tuple(state.detach().clone() for state in after)  # whatever becomes of the top
        if self.params.expose_hidden:
            return (outputs, *(state.unsqueeze(0) for state in after))
        for name, state in zip(self.carried, after, strict=True):
            setattr(self, name, state)
        return (outputs,)

    def _of_x(self, x: Tensor) -> Tensor:
        return F.linear(x, self.learned[0], self.learned[1])

    @property
    def carried(self) -> tuple[str, ...]:
        """Names of the states, which stay behind unless bottoms and tops have them."""
        return ("state_h", "state_c")[: self.params.states]

    def _carried(self, *, streams: int) -> tuple[Tensor, ...]:
        """Returns the state that the last forward left; zeros where it had another number of streams."""
        kept = tuple(getattr(self, name) for name in self.carried)
        if kept[0].shape[0] != streams:
            return tuple(state.new_zeros(streams, self.params.num_output) for state in kept)
        # A test's states are made in inference mode, and autograd may not keep such.
        return tuple(state.clone() if state.is_inference() else state for state in kept)

    def _run(
        self, gates: Tensor, cont: Tensor, before: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Returns the outputs of all steps and the state after them.

        Args:
            gates: What comes from x and the static input, (T, N, rows).
            cont: (T, N, 1)
            before: The state before the first step, each (N, H).
        """
        raise NotImplementedError


def _without_autocast(device_type: str) -> AbstractContextManager[object]:
    if torch.amp.is_autocast_available(device_type) and torch.is_autocast_enabled(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()


@module("RNN")
class RNN(Recurrent):
    """h = tanh(W_hh h + what x gives); the output is tanh(W_ho h + b_o)."""

    W_hh: Tensor
    W_ho: Tensor
    b_o: Tensor

    def _run(
        self, gates: Tensor, cont: Tensor, before: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        states = rnn_steps(gates, cont, self.W_hh, *before)
        return torch.tanh(F.linear(states, self.W_ho, self.b_o)), (states[-1],)


@module("LSTM")
class LSTM(Recurrent):
    """c = forget * c + input * candidate; h, which is the output, = output * tanh(c)."""

    W_hc: Tensor

    def _run(
        self, gates: Tensor, cont: Tensor, before: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        outputs, cells = lstm_steps(gates, cont, self.W_hc, *before)
        return outputs, (outputs[-1], cells[-1])


@module("LSTMUnit")
class LSTMUnit(LayerModule):
    """One step of an LSTM whose gates other layers have summed up."""

    def forward(self, c: Tensor, gates: Tensor, cont: Tensor) -> tuple[Tensor, Tensor]:
        """Returns c and h after the step."""
        # c: (1, N, H), gates: (1, N, 4H), cont: (1, N) -> (1, N, H), (1, N, H)
        size = c.shape[2]
        squashed, candidate = torch.split(gates, [3 * size, size], dim=2)
        enters, stays, leaves = torch.sigmoid(squashed).chunk(3, dim=2)
        c = torch.addcmul(stays * (c * cont.detach().unsqueeze(2)), enters, torch.tanh(candidate))
        return c, leaves * torch.tanh(c)
