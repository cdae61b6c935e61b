"""`caffeflow weights merge`: trained weights for a deploy net that lacks BatchNorms of the net that trained.

What follows which convolution is read from the training net, and what the deploy net still has from that
one; so nothing hangs on layer names, and BatchNorms that the deploy net kept are copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from caffeflow.errors import WeightsError
from caffeflow.proto.binary import LayerArrays
from caffeflow.weights.backbone import Mapped, map_backbone, norms_of
from caffeflow.weights.formats import read_weights
from caffeflow.workflows.open_net import Ask, OpenedNet, open_net
from caffeflow.workflows.weights_out import check_out, write_out

_ENDING: Final = "_deploy.caffemodel"
# Weights do not depend on the size of records.
_ANY_RECORD: Final = (3, 300, 300)


@dataclass(frozen=True, kw_only=True)
class MergeRequest:
    """What is to be merged.

    Attributes:
        weights: The caffemodel that was trained.
        to: The deploy prototxt, or the folder that it is in.
        trained: The prototxt that was trained; None: the one in the folder of `to`.
        out: The caffemodel to write; None: beside the weights, its name with `_deploy`.
        force: Replace a file that is there.
    """

    weights: Path
    to: Path
    trained: Path | None = None
    out: Path | None = None
    force: bool = False


def merge(request: MergeRequest) -> tuple[Path, Mapped]:
    """Writes the weights of a deploy net; returns the file and where its layers come from.

    Raises:
        UsageError: The file is there already, or a folder without the prototxts is named.
        WeightsError: The weights are not those of the training net, or do not fit the deploy net.
    """
    out = request.out or request.weights.with_name(request.weights.stem + _ENDING)
    check_out(out, force=request.force)
    folder = request.to if request.to.is_dir() else request.to.parent
    deploy = open_net(Ask(net=str(request.to), record=_ANY_RECORD))
    trained = open_net(Ask(net=str(request.trained or folder), phase="TRAIN", record=_ANY_RECORD))
    source = read_weights(request.weights)
    try:
        mapped = merged(trained, deploy, source)
    except WeightsError as error:
        raise WeightsError(f"{request.weights}: {error}") from error
    write_out(out, name=deploy.net.name, layers=mapped.layers)
    return out, mapped


def merged(trained: OpenedNet, deploy: OpenedNet, source: Sequence[LayerArrays]) -> Mapped:
    """Returns a training net's weights as those of its deploy net.

    Raises:
        WeightsError: A layer of the deploy net is not in the file, or does not fit.
    """
    norms = norms_of(deploy.graph)
    following = {name for norm in norms.values() for name in (norm.batch_norm, norm.scale)}
    shapes = deploy.shapes()
    names = [facts.name for facts in shapes.layers if facts.blobs and facts.name not in following]
    present = {layer.name for layer in source}
    missing = [name for name in names if name not in present]
    if missing:
        raise WeightsError(
            f"has no layer '{missing[0]}', which {deploy.net_file.path} has ({len(missing)} of {len(names)}"
            " layers are missing); give the weights of the net that was trained"
        )
    return map_backbone(
        source,
        names={name: name for name in names},
        windows={},
        norms_there=norms_of(trained.graph),
        norms_here=norms,
        shapes=shapes,
    )
