"""The recurrent nets that are timed: one layer between sequences of constants and a loss.

The small ones are such as the interpreter shows in; in the large ones arithmetic is nearly everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.text import format_message

_RANGE: Final = 0.08  # of the initial weights


@dataclass(frozen=True, kw_only=True)
class RecurrentNet:
    """A net as it is timed; `size` is that of a step's values and of the state."""

    type: str
    steps: int
    streams: int
    size: int
    iterations: int

    @property
    def name(self) -> str:
        """What the net is called."""
        return f"{self.type} of {self.size}, {self.steps} steps of {self.streams} streams"

    def text(self) -> str:
        """Returns the training net; no stream begins anew on the way."""
        net = NetParameter(name=self.type)
        net.layer.append(self._sequences())
        layer = LayerParameter(name="memory", type=self.type, bottom=["x", "cont"], top=["h"])
        layer.recurrent_param.num_output = self.size
        filler = layer.recurrent_param.weight_filler
        filler.type, filler.min, filler.max = "uniform", -_RANGE, _RANGE
        net.layer.append(layer)
        net.layer.add(name="loss", type="EuclideanLoss", bottom=["h", "wanted"], top=["loss"])
        return format_message(net)

    def _sequences(self) -> LayerParameter:
        dummy = LayerParameter(name="sequences", type="DummyData", top=["x", "cont", "wanted"])
        for shape in ((self.size,), (), (self.size,)):
            dummy.dummy_data_param.shape.add(dim=(self.steps, self.streams, *shape))
            dummy.dummy_data_param.data_filler.add(type="constant", value=1)
        return dummy


RECURRENT: Final = tuple(
    RecurrentNet(type=name, steps=steps, streams=streams, size=size, iterations=iterations)
    for steps, streams, size, iterations in ((10, 5, 32, 500), (20, 16, 256, 30))
    for name in ("RNN", "LSTM")
)
