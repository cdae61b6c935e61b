"""Nets written in Python: `NetSpec`, `layers` (mostly called L), `params` (P) and `to_proto`.

    n = NetSpec()
    n.data = layers.Input(shape=dict(dim=[1, 3, 32, 32]))
    n.conv = layers.Convolution(n.data, num_output=5, kernel_size=3)
    print(n.to_proto())

The rule to know: a layer is called as its first top is. A top has the name that it was given in the
NetSpec, or else its layer's type and a number, counted up by type in the order in which layers are
written: what a layer reads stands before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from google.protobuf.message import Message

from caffeflow.proto import caffe_pb2
from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.own_settings import OWN_SETTINGS

Names = dict["Top | Function", str]


class UnknownTopError(KeyError, AttributeError):
    """A name that was not given to any top; both a KeyError, as Caffe's, and what `hasattr` expects."""

    def __str__(self) -> str:
        return str(self.args[0])


class Top:
    """One output of a layer.

    Attributes:
        fn: The layer.
        n: Which of its tops, from 0.
    """

    def __init__(self, fn: Function, n: int) -> None:
        self.fn = fn
        self.n = n

    def to_proto(self) -> NetParameter:
        """Returns a net of all layers that this top needs."""
        return to_proto(self)


class Function:
    """A layer: its type, what it reads and how it is set.

    Attributes:
        type_name: The layer's type.
        inputs: The tops it reads.
        params: Its settings, as they were given; without `ntop` and `in_place`.
        ntop: How many tops it has.
        in_place: Whether its tops are its bottoms.
        tops: What it makes.
    """

    def __init__(self, type_name: str, inputs: tuple[Top, ...], params: dict[str, Any]) -> None:
        for index, given in enumerate(inputs):
            if not isinstance(given, Top):
                raise TypeError(f"{type_name} input {index} is not a Top (type is {type(given)})")
        self.type_name = type_name
        self.inputs = inputs
        self.params = params
        self.ntop: int = params.pop("ntop", 1)
        self.in_place: bool = params.pop("in_place", False)
        self.tops = tuple(Top(self, n) for n in range(self.ntop))

    def to_proto(self) -> NetParameter:
        """Returns a net of this layer and all that it needs; for layers without tops."""
        return to_proto(self)


class NetSpec:
    """Tops by name, in the order in which they were given; `n.conv1` and `n["conv/1"]` both work."""

    tops: dict[str, Top | Function]

    def __init__(self) -> None:
        super().__setattr__("tops", {})

    def __setattr__(self, name: str, value: Top | Function) -> None:
        self.tops[name] = value

    def __getattr__(self, name: str) -> Any:
        # Through __dict__, since copies ask before there is any.
        tops = self.__dict__.get("tops", {})
        if name not in tops:
            raise UnknownTopError(f"'{name}' was not given to any top of this NetSpec")
        return tops[name]

    def __delattr__(self, name: str) -> None:
        self.__getattr__(name)
        del self.tops[name]

    def __setitem__(self, name: str, value: Top | Function) -> None:
        self.__setattr__(name, value)

    def __getitem__(self, name: str) -> Any:
        return self.__getattr__(name)

    def to_proto(self) -> NetParameter:
        """Returns a net of all layers that the named tops need.

        Raises:
            TypeError: A name was given to something else than a top.
        """
        for name, top in self.tops.items():
            if not isinstance(top, (Top, Function)):
                raise TypeError(f"'{name}' is not a Top (type is {type(top)})")
        return _write(self.tops.values(), {top: name for name, top in self.tops.items()})


class Layers:
    """Makes layers: an attribute's name is the layer's type."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def make(*inputs: Top, **settings: Any) -> Top | Function | tuple[Top, ...]:
            layer = Function(name, inputs, settings)
            if layer.ntop == 0:
                return layer
            return layer.tops[0] if layer.ntop == 1 else layer.tops

        make.__name__ = make.__qualname__ = name
        return make


class Parameters:
    """Values of the settings' enums: `params.Pooling.MAX`."""

    def __getattr__(self, name: str) -> Any:
        message = getattr(caffe_pb2, f"{name}Parameter", None)
        if message is None:
            raise AttributeError(f"there is no message '{name}Parameter' with values to choose from")
        return message


def to_proto(*tops: Top | Function) -> NetParameter:
    """Returns a net of all layers that these tops need, none of them named."""
    return _write(tops, {})


def assign_proto(message: Message, name: str, value: Any) -> None:
    """Sets a field as Python says it: dicts are messages, lists repeated, a single value a list of one.

    Raises:
        AttributeError: The message has no such field.
        TypeError, ValueError: The value does not fit.
    """
    field = getattr(message, name)
    if hasattr(field, "extend"):
        _extend(field, list(value) if isinstance(value, (list, tuple)) else [value])
    elif isinstance(value, Mapping):
        for key, each in value.items():
            assign_proto(field, key, each)
    else:
        setattr(message, name, value)


def _extend(field: Any, values: list[Any]) -> None:
    if values and isinstance(values[0], Mapping):
        for value in values:
            entry = field.add()
            for key, each in value.items():
                assign_proto(entry, key, each)
    else:
        field.extend(values)


def _write(tops: Iterable[Top | Function], names: Names) -> NetParameter:
    written: dict[Function, LayerParameter] = {}
    counts: Counter[str] = Counter()
    for top in tops:
        for layer in _in_order(top if isinstance(top, Function) else top.fn, written):
            written[layer] = _write_layer(layer, written, names, counts)
    net = NetParameter()
    net.layer.extend(written.values())
    return net


def _in_order(last: Function, written: Mapping[Function, LayerParameter]) -> list[Function]:
    """Returns what a layer needs and it itself, without what is written; by a stack, since nets are deep."""
    order: dict[Function, None] = {}
    stack: list[tuple[Function, bool]] = [(last, False)]
    while stack:
        layer, has_inputs = stack.pop()
        if layer in written or layer in order:
            continue
        if has_inputs:
            order[layer] = None
        else:
            stack.append((layer, True))
            stack += [(top.fn, False) for top in reversed(layer.inputs)]
    return list(order)


def _write_layer(
    layer: Function, written: Mapping[Function, LayerParameter], names: Names, counts: Counter[str]
) -> LayerParameter:
    def name_of(what: Top | Function) -> str:
        if what not in names:
            counts[layer.type_name] += 1
            names[what] = f"{layer.type_name}{counts[layer.type_name]}"
        return names[what]

    bottoms = [written[top.fn].top[top.n] for top in layer.inputs]
    message = LayerParameter(type=layer.type_name, bottom=bottoms)
    message.top.extend(bottoms if layer.in_place else [name_of(top) for top in layer.tops])
    message.name = names.get(layer) or name_of(layer.tops[0] if layer.tops else layer)
    for key, value in layer.params.items():
        _set(message, key, value)
    return message


def _set(layer: LayerParameter, name: str, value: Any) -> None:
    """Sets a layer's field, or one of its type's own settings, which come first where both have the name."""
    own = OWN_SETTINGS.get(layer.type)
    if own and not name.endswith("param"):
        settings = getattr(layer, own)
        if name in settings.DESCRIPTOR.fields_by_name:
            assign_proto(settings, name, value)
            return
    if name not in layer.DESCRIPTOR.fields_by_name:
        place = f"neither {own} nor a layer" if own else "a layer without settings of its own has not"
        raise AttributeError(
            f"{layer.type} (layer '{layer.name}'): {place} the field '{name}'; settings of another"
            " message are given as a dict, such as convolution_param=dict(num_output=5)"
        )
    assign_proto(layer, name, value)


layers: Final = Layers()
params: Final = Parameters()
