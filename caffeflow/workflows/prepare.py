"""Prepares a dataset: a source lists the images, the pipeline turns them into a dataset folder."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from caffeflow.data.build import BuildSettings, Forecast, Manifest, Progress, build
from caffeflow.data.coco_files import CocoSettings
from caffeflow.data.forecast import forecast
from caffeflow.data.kitti_files import has_image_sets, write_image_sets
from caffeflow.data.plan import arrange_listing, everything
from caffeflow.data.raw_files import Tell, tell_nobody
from caffeflow.data.sample import Listing
from caffeflow.data.sources import cifar, coco, folder, image_list, imagenet, kitti, voc
from caffeflow.data.sources.cifar import CifarSettings
from caffeflow.data.sources.folder import FolderSettings
from caffeflow.data.sources.image_list import ListSettings
from caffeflow.data.sources.imagenet import ImagenetSettings
from caffeflow.data.sources.kitti import KittiSettings
from caffeflow.data.sources.voc import VocSettings
from caffeflow.errors import StoppedError
from caffeflow.proto.labelmap import BACKGROUND, UNUSED_NAME, LabelMap
from caffeflow.system import usable_cores
from caffeflow.workflows.stop_signals import stop_request

Source: TypeAlias = (
    FolderSettings
    | ListSettings
    | CifarSettings
    | ImagenetSettings
    | VocSettings
    | CocoSettings
    | KittiSettings
)

DATA_DIR: Final = Path("data")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to prepare.

    Attributes:
        source: The source's settings; their class says which source it is.
        settings: How to prepare.
        out_dir: The dataset folder; None for `data/SOURCE`.
    """

    source: Source
    settings: BuildSettings
    out_dir: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Who is told what while it lasts.

    Attributes:
        tell: How far reading, fetching and unpacking of raw files are.
        on_note: A remark of the source.
        on_forecast: What is to be expected, before anything is written.
        on_progress: How far a split is.
    """

    tell: Tell = tell_nobody
    on_note: Callable[[str], None] = lambda _: None
    on_forecast: Callable[[Forecast], None] = lambda _: None
    on_progress: Callable[[Progress], None] = lambda _: None


@dataclass(frozen=True, kw_only=True)
class Report:
    """A dataset that stands.

    Attributes:
        out_dir: Its folder.
        manifest: What is in it.
        images_per_s: Images dealt with in a second; None if nothing was left to do.
    """

    out_dir: Path
    manifest: Manifest
    images_per_s: float | None


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a dataset would be; of a detection dataset `class_names` leaves the background out."""

    out_dir: Path
    counts: Mapping[str, int]
    class_names: tuple[str, ...]
    expected: Forecast


@dataclass
class _Clock:
    """Measures images a second; a resumed build is measured from its first report on."""

    begun: float = field(default_factory=time.monotonic)
    first: dict[str, int] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    is_fresh: bool = False

    def start(self) -> None:
        """Starts again: what came before was listing."""
        self.begun, self.is_fresh = time.monotonic(), True

    def see(self, progress: Progress) -> None:
        """Takes a report in."""
        if not self.done and not self.is_fresh:
            self.begun = time.monotonic()
            self.first[progress.split] = progress.done
        self.done[progress.split] = progress.done

    def rate(self) -> float | None:
        """Returns images a second, or None if there were none."""
        images = sum(self.done.values()) - sum(self.first.values())
        elapsed = time.monotonic() - self.begun
        return images / elapsed if images > 0 and elapsed > 0 else None


def prepare(request: Request, watch: Watch) -> Report:
    """Makes a dataset folder, or goes on with one that was stopped.

    Raises:
        DataError: Raw files are missing or damaged, the folder is in use, the disk is full.
        StoppedError: Ctrl-C; what was written is kept for `--resume`.
    """
    out_dir = out_dir_of(request)
    clock = _Clock()

    def list_jobs() -> Listing:
        listing = list_source(request.source, tell=watch.tell, should_stop=stop)
        for note in listing.notes:
            watch.on_note(note)
        return listing

    def on_forecast(expected: Forecast) -> None:
        watch.on_forecast(expected)
        clock.start()
        stop.arm()

    def on_progress(progress: Progress) -> None:
        stop.arm()
        clock.see(progress)
        watch.on_progress(progress)

    with stop_request() as stop, _no_empty_parents(out_dir):
        try:
            manifest = build(
                list_jobs,
                request.settings,
                out_dir,
                source=name_of(request.source),
                origin=_origin(request.source),
                on_progress=on_progress,
                should_stop=stop,
                on_forecast=on_forecast,
            )
        except KeyboardInterrupt:
            raise StoppedError(f"{out_dir}: stopped; if records were written, --resume goes on") from None
    if isinstance(request.source, KittiSettings):
        _keep_split(request.source, out_dir, force=request.settings.force)
    return Report(out_dir=out_dir, manifest=manifest, images_per_s=clock.rate())


def preview(request: Request, watch: Watch) -> Preview:
    """Lists the images and says what a dataset of them would be; writes and fetches nothing."""
    with tempfile.TemporaryDirectory() as scratch:
        source = request.source
        if isinstance(source, CifarSettings):  # its archive is gzipped, so it can only be seen unpacked
            source = replace(source, raw_dir=Path(scratch), download=False)
        listing = list_source(source, tell=watch.tell)
        for note in listing.notes:
            watch.on_note(note)
        arranged = arrange_listing(listing, request.settings)
        names = listing.class_names
        if listing.label_map is not None:
            names = _object_names(listing.label_map)
        workers = request.settings.workers or usable_cores()
        return Preview(
            out_dir=out_dir_of(request),
            counts={split: len(jobs) for split, jobs in arranged.items()},
            class_names=names,
            expected=forecast(everything(arranged), request.settings, workers=workers),
        )


def _object_names(label_map: LabelMap) -> tuple[str, ...]:
    """Returns the names of the classes that boxes have: without background and unused numbers."""
    return tuple(
        entry.display_name
        for entry in label_map.labels
        if entry.label != BACKGROUND and entry.name != UNUSED_NAME
    )


def list_source(
    source: Source, *, tell: Tell = tell_nobody, should_stop: Callable[[], bool] = lambda: False
) -> Listing:
    """Asks the source for its jobs."""
    match source:
        case FolderSettings():
            return folder.list_jobs(source)
        case ListSettings():
            return image_list.list_jobs(source)
        case CifarSettings():
            return cifar.list_jobs(source, tell=tell, should_stop=should_stop)
        case ImagenetSettings():
            return imagenet.list_jobs(source, tell=tell)
        case VocSettings():
            return voc.list_jobs(source, tell=tell)
        case CocoSettings():
            return coco.list_jobs(source, tell=tell)
        case KittiSettings():
            return kitti.list_jobs(source, tell=tell)


def name_of(source: Source) -> str:
    """Returns the source's name on the command line."""
    match source:
        case FolderSettings():
            return "folder"
        case ListSettings():
            return "list"
        case CifarSettings():
            return source.edition
        case ImagenetSettings():
            return "imagenet"
        case VocSettings():
            return "voc"
        case CocoSettings():
            return "coco"
        case KittiSettings():
            return "kitti"


def out_dir_of(request: Request) -> Path:
    """Returns the dataset folder."""
    return request.out_dir if request.out_dir is not None else DATA_DIR / name_of(request.source)


def _keep_split(source: KittiSettings, out_dir: Path, *, force: bool) -> None:
    """Writes the lists of KITTI's split beside the dataset, unless a run before this one has."""
    if has_image_sets(out_dir) and not source.write_sets:
        return
    files, split = kitti.split_of(source)
    write_image_sets(out_dir, split, force=True)
    if source.write_sets:
        write_image_sets(files.root, split, force=force)


@contextmanager
def _no_empty_parents(out_dir: Path) -> Iterator[None]:
    """Removes the folders above a dataset again, if they were made for it and it came to nothing."""
    made = [parent for parent in out_dir.parents if not parent.exists()]
    try:
        yield
    finally:
        for parent in made:
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()


def _origin(source: Source) -> dict[str, Any]:
    """Returns the source's settings as plain values, paths resolved; how to fetch is not part of them."""
    passing = {"download", "check_md5", "raw_dir", "edition", "seed", "write_sets"}
    return {name: _plain(value) for name, value in asdict(source).items() if name not in passing}


def _plain(value: Any) -> Any:
    """Returns a setting as JSON has it; a path in full, so that it is the same from everywhere."""
    if isinstance(value, Path):
        return str(value.resolve())
    return [_plain(each) for each in value] if isinstance(value, tuple) else value
