"""`caffeflow weights fetch`: a published model from the first of its addresses that gives the right file.

A file is at its place only after it was checked: by a published checksum, or, where there is none, by its
layers. What is fetched and is not the model lies beside it as `<name>.wrong`, which nothing reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Final

from caffeflow.download import AddressError, Fetch, download
from caffeflow.errors import DataError, StoppedError, UsageError, WeightsError
from caffeflow.files import write_atomically
from caffeflow.weights.zoo import ZooModel, zoo_models
from caffeflow.weights.zoo_readme import read_readme
from caffeflow.workflows.stop_signals import StopRequest, stop_request
from caffeflow.workflows.zoo import known_model
from caffeflow.workflows.zoo_files import find_local, problem_of, zoo_dir

_PAGE: Final = ".md"
_PIECE: Final = 1 << 20


@dataclass(frozen=True, kw_only=True)
class FetchRequest:
    """What to fetch.

    Attributes:
        what: A name of the zoo, a net, or a Model Zoo page (`readme.md`, or its folder).
        out_dir: Where to; None: `$CAFFEFLOW_ZOO`, else the cache folder; for a page, its own folder.
        force: Put another file of the same name aside.
        timeout_s: How long a silent server is waited for.
        tries: Attempts in a row that bring nothing, at each address.
    """

    what: str
    out_dir: Path | None = None
    force: bool = False
    timeout_s: float = 20.0
    tries: int = 2


@dataclass(frozen=True, kw_only=True)
class FetchReport:
    """A model that is here.

    Attributes:
        model: What is known of it.
        path: The file.
        was_here: Nothing had to be fetched.
        checked: How it is known to be right, in words.
    """

    model: ZooModel
    path: Path
    was_here: bool
    checked: str


def fetch(
    request: FetchRequest,
    *,
    tell: Callable[[str, int, int | None], None] = lambda _doing, _done, _total: None,
    on_note: Callable[[str], None] = lambda _: None,
) -> FetchReport:
    """Fetches a model, unless it is here already, and returns where it is.

    Args:
        request: What, and where to.
        tell: Hears what is being fetched, bytes done, and bytes in all if they are known.
        on_note: Hears why an address was given up.

    Raises:
        WeightsError: There is no such model, no address gives it, or it cannot be written.
        UsageError: Another file has its name.
        StoppedError: The user stopped it; the same command goes on.
    """
    page = _find_page(request.what)
    model = known_model(request.what) if page is None else _with_mirrors(read_readme(page))
    # Caffe: its script puts the file beside the page (scripts/download_model_binary.py).
    target = (request.out_dir or (zoo_dir() if page is None else page.parent)) / model.file
    if _is_there(target, model, request):
        return _report(model, target, was_here=True)
    # Of a page without a checksum nothing but the name is known, and that is not enough to take a file.
    local = find_local(model) if model.checksums or model.net else None
    if local is not None:
        if request.out_dir is None:
            return _report(model, local, was_here=True)
        _copy(local, target)
        return _report(model, target, was_here=True)
    try:
        with stop_request() as stop:
            _from_addresses(model, target, request, tell=tell, on_note=on_note, stop=stop)
    except KeyboardInterrupt:
        raise StoppedError(f"{target}: stopped; what has come is kept, the same command goes on") from None
    return _report(model, target, was_here=False)


def _find_page(what: str) -> Path | None:
    """Returns the Model Zoo page that is meant, by its file or, as Caffe's script has it, by its folder."""
    path = Path(what)
    if path.suffix.lower() == _PAGE:
        return path
    page = path / f"readme{_PAGE}"
    return page if page.is_file() else None


def _with_mirrors(model: ZooModel) -> ZooModel:
    """Adds what the table knows of a page's model, if the checksum says that it is the same file."""
    sha1 = model.checksums.get("sha1")
    for known in zoo_models():
        if sha1 is not None and known.checksums.get("sha1") == sha1:
            addresses = tuple(dict.fromkeys([*model.addresses, *known.addresses]))
            return replace(
                model, addresses=addresses, size=known.size, net=known.net, settings=known.settings
            )
    return model


def _is_there(target: Path, model: ZooModel, request: FetchRequest) -> bool:
    """Tells whether the right file is at its place already; another one goes aside if the user says so."""
    if not target.exists():
        return False
    problem = problem_of(target, model)
    if not problem:
        return True
    old = next(name for name in _old_names(target) if not name.exists())
    if not request.force:
        raise UsageError(
            f"{target}: is there already, and {problem}; --force puts it aside as {old.name}, --out names"
            " another folder"
        )
    target.replace(old)
    return False


def _old_names(target: Path) -> Iterator[Path]:
    yield target.with_name(f"{target.name}.old")
    yield from (target.with_name(f"{target.name}.old{number}") for number in count(2))


def _from_addresses(
    model: ZooModel,
    target: Path,
    request: FetchRequest,
    *,
    tell: Callable[[str, int, int | None], None],
    on_note: Callable[[str], None],
    stop: StopRequest,
) -> None:
    reasons = []
    for address in model.addresses:
        fetch_one = Fetch(
            url=address, checksums=model.checksums, size=model.size,
            timeout_s=request.timeout_s, tries=request.tries,
        )  # fmt: skip
        # Without a checksum only the layers tell; until they are seen the file has a name that nobody reads.
        arrived = target if model.checksums else target.with_name(f"{target.name}.unchecked")
        try:
            download(
                fetch_one,
                arrived,
                on_bytes=lambda done, total: tell(f"fetching {model.file}", done, total),
                should_stop=stop,
            )
            if arrived != target:
                _settle(arrived, target, model, address)
        except AddressError as error:
            reasons.append(str(error))
            if len(reasons) < len(model.addresses):
                on_note(f"{error}; the next address is tried")
        except (DataError, OSError) as error:
            raise WeightsError(str(error)) from error
        else:
            return
    raise _by_hand(model, target, reasons)


def _settle(arrived: Path, target: Path, model: ZooModel, address: str) -> None:
    """Gives a file of unknown checksum its name if its layers are the net's."""
    problem = problem_of(arrived, model)
    if problem:
        arrived.replace(_aside(target))
        raise AddressError(f"{address}: what was fetched is kept aside as {_aside(target)}: {problem}")
    arrived.replace(target)


def _by_hand(model: ZooModel, target: Path, reasons: list[str]) -> WeightsError:
    """Returns the error when no address gives the file: how to get it by hand."""
    size = f"  {model.size:,} bytes" if model.size else ""
    few = "its address does not give it" if len(reasons) == 1 else "none of its addresses gives it"
    lines = [
        f"{model.name}: {few}:",
        *(f"  {reason}" for reason in reasons),
        f"Get {model.file}{size} by hand and put it into {target.parent}/:",
        *_sums(model),
        *(f"  {address}" for address in model.addresses),
    ]
    return WeightsError("\n".join(lines))


def _sums(model: ZooModel) -> Iterator[str]:
    if not model.checksums:
        yield "  checksum unknown: the file's structure is checked against the net instead"
    for name, value in model.checksums.items():
        yield f"  {name} {value}"


def _copy(source: Path, target: Path) -> None:
    def pieces() -> Iterator[bytes]:
        with source.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, pieces())
    except (DataError, OSError) as error:
        raise WeightsError(str(error)) from error


def _report(model: ZooModel, path: Path, *, was_here: bool) -> FetchReport:
    if model.checksums:
        checked = "its checksum is the published one"
    elif model.net:
        checked = f"checksum unknown; its layers are those of {model.net}"
    else:
        checked = "checksum unknown; it is a caffemodel"
    return FetchReport(model=model, path=path, was_here=was_here, checked=checked)


def _aside(target: Path) -> Path:
    return target.with_name(f"{target.name}.wrong")
