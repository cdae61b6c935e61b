"""`Net`: a net whose blobs are numpy arrays, run from any layer to any layer.

Names, defaults and returned values are those of BVLC's pycaffe. Where it differs:
  * what several layers read needs no Split layer, so `layers` and `blobs` have none;
  * all is computed on the CPU;
  * what Caffe would abort the process for is an exception.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from caffeflow.engine.blob import Blob, BlobList, Floats
from caffeflow.engine.live_net import LiveNet
from caffeflow.engine.python_layers import allowed
from caffeflow.engine.snapshot_formats import shared_blobs
from caffeflow.errors import UsageError
from caffeflow.proto.binary import write_caffemodel
from caffeflow.proto.hdf5_weights import write_hdf5
from caffeflow.proto.net import NetRole, filter_net, net_state
from caffeflow.proto.text import located, read_net
from caffeflow.pycaffe import mode
from caffeflow.pycaffe.batches import Array, cut, joined
from caffeflow.pycaffe.callbacks import Callback, Callbacks
from caffeflow.pycaffe.layer import BuiltInLayer, Layer
from caffeflow.weights.formats import read_weights


class Net:
    """A net of one phase.

    `Net(file, phase)`, or in the old order `Net(file, weights, phase)`.

    Args:
        network_file: The prototxt.
        phase: `TRAIN` or `TEST`.
        level: What the layers' include and exclude rules are met with.
        stages: Likewise.
        weights: A caffemodel, or an HDF5 file of weights.

    Raises:
        NetError: The net is one that Caffe would refuse, or that cannot run here.
        WeightsError: The weights do not fit.
    """

    def __init__(
        self,
        network_file: str | Path,
        phase: int | str | Path,
        level: int = 0,
        stages: Iterable[str] | None = None,
        weights: str | Path | None = None,
    ) -> None:
        if isinstance(phase, str | Path):
            warnings.warn(
                "Net(file, weights, phase) is the old order; write Net(file, phase, weights=weights)",
                DeprecationWarning,
                stacklevel=2,
            )
            weights, phase, level = phase, level, 0
        if phase not in (mode.TRAIN, mode.TEST):
            raise UsageError(
                f"the phase of '{network_file}' is {phase!r}; expected caffe.TRAIN or caffe.TEST"
            )
        net_file = read_net(network_file)
        state = net_state("TRAIN" if phase == mode.TRAIN else "TEST", level=level, stages=stages or ())
        with located(net_file):
            net = filter_net(net_file.net, state)
        with allowed():
            self._adopt(LiveNet(NetRole(net_file, net, state, "net"), seed=mode.next_seed()))
        if weights is not None:
            self.copy_from(weights)

    @classmethod
    def of(cls, live: LiveNet) -> Self:
        """Returns the user's view of a net that runs already, such as a solver's."""
        net = cls.__new__(cls)
        net._adopt(live)
        return net

    def _adopt(self, live: LiveNet) -> None:
        self._live = live
        self._callbacks = Callbacks()
        self.blobs: OrderedDict[str, Blob] = OrderedDict(live.blobs)
        learned = [live.learned(number) for number in range(len(live.layer_names))]
        self.layers: list[Layer] = [
            live.find_python_layer(number) or BuiltInLayer(live.net.layers[number].type, blobs)
            for number, blobs in enumerate(learned)
        ]
        self.layer_dict: OrderedDict[str, Layer] = OrderedDict(
            zip(live.layer_names, self.layers, strict=True)
        )
        self.params: OrderedDict[str, BlobList] = OrderedDict(
            (name, blobs) for name, blobs in zip(live.layer_names, learned, strict=True) if blobs
        )

    @property
    def inputs(self) -> list[str]:
        """The blobs of the Input layers."""
        return self._live.inputs

    @property
    def outputs(self) -> list[str]:
        """The blobs that no layer reads, in the order of their names."""
        return self._live.outputs

    @property
    def top_names(self) -> OrderedDict[str, list[str]]:
        """Layer name to the blobs that it makes."""
        nodes = (layer.facts.node for layer in self._live.net.layers)
        return OrderedDict((node.name, [value.blob for value in node.tops]) for node in nodes)

    @property
    def bottom_names(self) -> OrderedDict[str, list[str]]:
        """Layer name to the blobs that it reads."""
        nodes = (layer.facts.node for layer in self._live.net.layers)
        return OrderedDict((node.name, [value.blob for value in node.bottoms]) for node in nodes)

    @property
    def blob_loss_weights(self) -> OrderedDict[str, float]:
        """Blob name to its weight in the loss."""
        return OrderedDict(self._live.loss_weights)

    def forward(
        self,
        blobs: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **inputs: Any,
    ) -> dict[str, Floats]:
        """Runs the net forward, and returns its outputs.

        Args:
            blobs: More blobs to return.
            start: The first layer to run; None: the net's first.
            end: The last one, whose tops are returned then instead of the outputs; None: the net's last.
            **inputs: Values of the inputs, all of them or none.

        Raises:
            UsageError: The inputs are others than the net's, or not of the size of its batch.
        """
        if inputs:
            self._fill_inputs(inputs)
        first = 0 if start is None else self._live.number(start)
        last = len(self.layers) - 1 if end is None else self._live.number(end)
        self._forward(first, last)
        wanted = self.outputs if end is None else self.top_names[end]
        return {name: self.blobs[name].data for name in dict.fromkeys([*wanted, *(blobs or ())])}

    def backward(
        self,
        diffs: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **top_diffs: Any,
    ) -> dict[str, Floats]:
        """Runs the net backward, and returns the diffs of its inputs; those of learned blobs add up.

        Args:
            diffs: More blobs whose diffs to return.
            start: The layer to begin with; None: the net's last.
            end: The layer to end with, whose bottoms' diffs are returned then; None: the net's first.
            **top_diffs: Diffs of the outputs, all of them or none.

        Raises:
            UsageError: The diffs are of others than the net's outputs, or not of the size of its batch.
        """
        if top_diffs:
            self._fill_top_diffs(top_diffs)
        first = len(self.layers) - 1 if start is None else self._live.number(start)
        last = 0 if end is None else self._live.number(end)
        self._backward(first, last)
        wanted = self.inputs if end is None else self.bottom_names[end]
        return {name: self.blobs[name].diff for name in dict.fromkeys([*wanted, *(diffs or ())])}

    def forward_all(self, blobs: Sequence[str] | None = None, **inputs: Any) -> dict[str, Array]:
        """Runs any number of inputs forward, batch by batch, and returns all outputs."""
        parts: dict[str, list[Array]] = {}
        for batch in self._batch(inputs):
            self._fill_inputs(batch)
            for name, value in self.forward(blobs=blobs).items():
                parts.setdefault(name, []).append(value.copy())
        return joined(parts, _count(inputs))

    def forward_backward_all(
        self, blobs: Sequence[str] | None = None, diffs: Sequence[str] | None = None, **values: Any
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Runs any number of inputs forward and backward; returns all outputs and all diffs.

        Args:
            blobs: More blobs to return.
            diffs: More blobs whose diffs to return.
            **values: Inputs, and diffs of the outputs.
        """
        inputs = {name: value for name, value in values.items() if name in self.inputs}
        tops = {name: value for name, value in values.items() if name not in inputs}
        outs: dict[str, list[Array]] = {}
        grads: dict[str, list[Array]] = {}
        top_batches = self._batch(tops)
        for batch in self._batch(inputs):
            self._fill_inputs(batch)
            for name, value in self.forward(blobs=blobs).items():
                outs.setdefault(name, []).append(value.copy())
            if tops:
                self._fill_top_diffs(next(top_batches))
            for name, value in self.backward(diffs=diffs).items():
                grads.setdefault(name, []).append(value.copy())
        return joined(outs, _count(inputs)), joined(grads, _count(inputs))

    def reshape(self) -> None:
        """Gives every blob the shape that follows from those of the inputs."""
        self._live.reshape()

    def set_input_arrays(self, data: Array, labels: Array) -> None:
        """Gives a net that begins with MemoryData its images and labels, whole batches of them."""
        self._live.give(np.asarray(data, np.float32), np.asarray(labels, np.float32))

    def clear_param_diffs(self) -> None:
        """Zeroes the diffs of the learned blobs."""
        self._live.clear_gradients()

    def copy_from(self, weights: str | Path) -> None:
        """Copies weights from a file, by layer name; what layers share may be left out of HDF5."""
        self._live.load(read_weights(weights, shared=shared_blobs(self._live.net)))

    def load_hdf5(self, path: str | Path) -> None:
        """Copies weights from an HDF5 file, by layer name."""
        self.copy_from(path)

    def share_with(self, other: Net) -> None:
        """Uses the learned blobs of another net, by layer name: what one writes the other sees."""
        self._live.share(other._live)

    def save(self, path: str | Path) -> None:
        """Writes the learned blobs into a caffemodel."""
        write_caffemodel(path, name=self._live.net.graph.name, layers=self._live.arrays())

    def save_hdf5(self, path: str | Path, write_diff: bool = False) -> None:
        """Writes the learned blobs into an HDF5 file, and their diffs if they are wanted too.

        BVLC's Python has no `write_diff`, only its C++ has (`Net::ToHDF5`); the file is as that writes it.
        """
        diffs = self._live.gradients() if write_diff else ()
        name = self._live.net.graph.name
        write_hdf5(Path(path), name=name, layers=self._live.arrays(), diffs=diffs)

    def before_forward(self, callback: Callback) -> None:
        """Calls a function with each layer's number before it runs forward."""
        self._watch().add_before("forward", callback)

    def after_forward(self, callback: Callback) -> None:
        """Calls a function with each layer's number after it ran forward."""
        self._watch().add_after("forward", callback)

    def before_backward(self, callback: Callback) -> None:
        """Calls a function with each layer's number before it runs backward."""
        self._watch().add_before("backward", callback)

    def after_backward(self, callback: Callback) -> None:
        """Calls a function with each layer's number after it ran backward."""
        self._watch().add_after("backward", callback)

    # What pycaffe calls private and scripts use all the same.

    @property
    def _layer_names(self) -> list[str]:
        return self._live.layer_names

    @property
    def _blob_names(self) -> list[str]:
        return list(self.blobs)

    @property
    def _blobs(self) -> list[Blob]:
        return list(self.blobs.values())

    @property
    def _blob_loss_weights(self) -> list[float]:
        return list(self._live.loss_weights.values())

    @property
    def _inputs(self) -> list[int]:
        return [self._blob_names.index(name) for name in self.inputs]

    @property
    def _outputs(self) -> list[int]:
        return [self._blob_names.index(name) for name in self.outputs]

    def _forward(self, start: int, end: int) -> float:
        return self._live.forward(start, end)

    def _backward(self, start: int, end: int) -> None:
        self._live.backward(start, end)

    def _batch(self, blobs: Mapping[str, Any]) -> Iterator[dict[str, Array]]:
        return cut(blobs, min((self.blobs[name].num for name in blobs), default=1))

    def _watch(self) -> Callbacks:
        self._live.watch(self._callbacks)
        return self._callbacks

    def _fill_inputs(self, given: Mapping[str, Any]) -> None:
        _check_names(given, self.inputs, "Input blob arguments do not match net inputs.")
        for name, values in given.items():
            _fill(self.blobs[name].data, values, f"Input is not batch sized: blob '{name}'")

    def _fill_top_diffs(self, given: Mapping[str, Any]) -> None:
        _check_names(given, self.outputs, "Top diff arguments do not match net outputs.")
        for name, values in given.items():
            _fill(self.blobs[name].diff, values, f"Diff is not batch sized: blob '{name}'")


def _check_names(given: Mapping[str, Any], names: list[str], what: str) -> None:
    if set(given) != set(names):
        raise UsageError(f"{what} Expected {', '.join(names) or 'none'}; found {', '.join(given)}")


def _fill(array: Floats, values: Any, what: str) -> None:
    found = np.shape(values)[:1]
    if found != array.shape[:1]:
        raise UsageError(f"{what} takes {array.shape[:1]} items; found {found}")
    array[...] = values


def _count(inputs: Mapping[str, Any]) -> int:
    return len(next(iter(inputs.values()), ()))
