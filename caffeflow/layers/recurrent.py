"""RNN, LSTM and LSTMUnit: sequences of T steps in N independent streams, x being [T, N, …].

Caffe builds a net of its own inside, one copy of the cell a step; here the steps are a loop. By its rules:
  * `cont` [T, N] is 0 where a stream begins anew: the state from before counts for nothing there;
  * the state after the last step of one forward is the state before the first of the next, in whatever
    phase and iteration, unless `expose_hidden` makes it bottoms and tops; no gradient crosses either way;
  * the four gates of an LSTM lie one after the other in the order input, forget, output, candidate;
  * the output of an RNN is tanh(W_ho h + b_o), not its state h;
  * the learned blobs are in the order in which the inner net comes upon them: those of x, of the static
    input if there is one, of the state, of the output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from caffeflow.errors import NetError
from caffeflow.layers.params import count, dims, filler
from caffeflow.layers.spec import Blob, LayerSpec, Shape, no_params, register
from caffeflow.proto.caffe_pb2 import FillerParameter, LayerParameter

GATES: Final = 4


@dataclass(frozen=True, kw_only=True)
class RecurrentParams:
    """The settings of RNN and LSTM.

    Attributes:
        states: How many blobs the state is made of: h of an RNN, h and c of an LSTM.
        expose_hidden: The last bottoms are the state before, the last tops that after.
        has_static: The third bottom is an input that each step gets.
        debug_info: Caffe shows the inner net's values.
    """

    num_output: int
    states: int
    expose_hidden: bool
    has_static: bool
    debug_info: bool
    weight_filler: FillerParameter | None
    bias_filler: FillerParameter | None

    @classmethod
    def read_rnn(cls, layer: LayerParameter) -> RecurrentParams:
        """Reads `recurrent_param` of an RNN."""
        return cls._read(layer, states=1)

    @classmethod
    def read_lstm(cls, layer: LayerParameter) -> RecurrentParams:
        """Reads `recurrent_param` of an LSTM."""
        return cls._read(layer, states=2)

    @classmethod
    def _read(cls, layer: LayerParameter, *, states: int) -> RecurrentParams:
        param = layer.recurrent_param
        if param.num_output < 1:
            raise NetError(f"num_output is {param.num_output} in recurrent_param; it must be at least 1")
        exposed = states * param.expose_hidden
        static = len(layer.bottom) - 2 - exposed
        if static not in (0, 1) or len(layer.top) != 1 + exposed:
            raise NetError(
                f"with expose_hidden: {'true' if exposed else 'false'} {layer.type} takes x, cont, a static"
                f" input if there is one{', ' + _STATES[states] if exposed else ''}, and makes {1 + exposed}"
                f" top(s); found {len(layer.bottom)} bottom(s) and {len(layer.top)} top(s)"
            )
        return cls(
            num_output=param.num_output,
            states=states,
            expose_hidden=param.expose_hidden,
            has_static=static == 1,
            debug_info=param.debug_info,
            weight_filler=filler(param, "weight_filler"),
            bias_filler=filler(param, "bias_filler"),
        )


_NOTE: Final = (
    "the state after a batch is that before the next; a run that goes on from a --snapshot begins with"
    " zeros, as in Caffe"
)
_STATES: Final = {1: "h_0", 2: "h_0, c_0"}


def shapes(params: RecurrentParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns [T, N, H], and [1, N, H] for each exposed state."""
    x, cont, *others = bottoms
    if len(x) < 3:
        raise NetError(f"x must have at least 3 axes, steps x streams x values; found {dims(x)}")
    if cont != x[:2]:
        raise NetError(f"cont must be {dims(x[:2])}, steps x streams as in x; found {dims(cont)}")
    if params.has_static:
        static = others.pop(0)
        if len(static) < 2 or static[0] != x[1]:
            raise NetError(
                f"the static input must be {x[1]} x …, a row for each stream; found {dims(static)}"
            )
    state = (1, x[1], params.num_output)
    for other in others:
        if other != state:
            raise NetError(f"a state must be {dims(state)}, 1 x streams x num_output; found {dims(other)}")
    return [(*x[:2], params.num_output), *(state for _ in others)]


def rnn_blobs(params: RecurrentParams, bottoms: Sequence[Shape]) -> list[Blob]:
    """Returns W_xh, b_h, W_xh_static, W_hh, W_ho and b_o."""
    hidden = params.num_output
    square = (hidden, hidden)
    return [
        *_input_blobs(params, bottoms, rows=hidden, to="h"),
        Blob(name="W_hh", shape=square, filler=params.weight_filler),
        Blob(name="W_ho", shape=square, filler=params.weight_filler),
        Blob(name="b_o", shape=(hidden,), filler=params.bias_filler),
    ]


def lstm_blobs(params: RecurrentParams, bottoms: Sequence[Shape]) -> list[Blob]:
    """Returns W_xc, b_c, W_xc_static and W_hc, each with rows for all four gates."""
    rows = GATES * params.num_output
    return [
        *_input_blobs(params, bottoms, rows=rows, to="c"),
        Blob(name="W_hc", shape=(rows, params.num_output), filler=params.weight_filler),
    ]


def _input_blobs(params: RecurrentParams, bottoms: Sequence[Shape], *, rows: int, to: str) -> list[Blob]:
    blobs = [
        Blob(name=f"W_x{to}", shape=(rows, count(bottoms[0][2:])), filler=params.weight_filler),
        Blob(name=f"b_{to}", shape=(rows,), filler=params.bias_filler),
    ]
    if params.has_static:
        shape = (rows, count(bottoms[2][1:]))
        blobs.append(Blob(name=f"W_x{to}_static", shape=shape, filler=params.weight_filler))
    return blobs


def _macs_of(
    blobs: Callable[[RecurrentParams, Sequence[Shape]], list[Blob]],
) -> Callable[[RecurrentParams, Sequence[Shape], Sequence[Shape]], int]:
    def macs(params: RecurrentParams, bottoms: Sequence[Shape], _tops: Sequence[Shape]) -> int:
        steps, streams = bottoms[0][:2]
        return sum(
            count(blob.shape) * streams * (1 if blob.name.endswith("_static") else steps)
            for blob in blobs(params, bottoms)
            if len(blob.shape) > 1
        )

    return macs


def unit_shapes(_params: None, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the shapes of c and h, [1, N, H], of c_prev, gates [1, N, 4H] and cont [1, N]."""
    state, gates, cont = bottoms
    if len(state) != 3 or state[0] != 1:
        raise NetError(f"c_prev must be 1 x streams x values; found {dims(state)}")
    wanted = ((1, state[1], GATES * state[2]), (1, state[1]))
    if (gates, cont) != wanted:
        raise NetError(
            f"for c_prev {dims(state)} the gates must be {dims(wanted[0])} and cont {dims(wanted[1])};"
            f" found {dims(gates)} and {dims(cont)}"
        )
    return [state, state]


register(
    LayerSpec(
        type="RNN",
        bottoms=(2, 4),
        tops=(1, 2),
        read=RecurrentParams.read_rnn,
        shapes=shapes,
        blobs=rnn_blobs,
        learns=("W_xh", "b_h", "W_xh_static", "W_hh", "W_ho", "b_o"),
        settings=("recurrent_param",),
        macs=_macs_of(rnn_blobs),
        note=_NOTE,
    )
)
register(
    LayerSpec(
        type="LSTM",
        bottoms=(2, 5),
        tops=(1, 3),
        read=RecurrentParams.read_lstm,
        shapes=shapes,
        blobs=lstm_blobs,
        learns=("W_xc", "b_c", "W_xc_static", "W_hc"),
        settings=("recurrent_param",),
        macs=_macs_of(lstm_blobs),
        note=_NOTE,
    )
)
register(LayerSpec(type="LSTMUnit", bottoms=3, tops=2, read=no_params, shapes=unit_shapes))
