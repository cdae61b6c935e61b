"""`--allow-python-layers`: the code that a net's Python layers name runs only if the user says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from caffeflow.cli import console

if TYPE_CHECKING:
    from caffeflow.engine.python_layers import RunningLayer
    from caffeflow.proto.caffe_pb2 import LayerParameter


def _allow(context: click.Context, _option: click.Parameter, is_given: bool) -> None:
    if is_given:
        from caffeflow.layers.python import python_layers

        context.with_resource(python_layers(_open))


def _open(message: LayerParameter) -> RunningLayer:
    from caffeflow.engine.python_layers import open_layer
    from caffeflow.pycaffe import alias

    alias.install()  # what the layer's module means by `import caffe`
    return open_layer(message, tell=console.note, is_told=True)


allow_python_layers = click.option(
    "--allow-python-layers",
    is_flag=True,
    expose_value=False,
    callback=_allow,
    help="Run the code of Python layers, which can do anything; modules are found through PYTHONPATH.",
)
