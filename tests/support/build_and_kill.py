"""Builds a dataset in processes of their own, which kill themselves with SIGKILL at chosen moments.

Run as a script: `build_and_kill.py KIND IMAGES OUT MOMENT...` forks a build into OUT/<moment> for each
moment; the build dies at its moment-th touch of the file system (as Python's audit events tell them), or
after so many seconds if the moment has a decimal point. Prints a line `<moment> killed|finished` each.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from caffeflow.data.sample import Listing

TOUCHES = frozenset(
    ["open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "shutil.rmtree", "os.listdir"]
)


def settings_for(kind: str) -> dict[str, object]:
    """Returns the settings of a kind of dataset: a backend, `boxes`, or `copies`."""
    from caffeflow.augmentation import Augmentation

    backend = "imagedata" if kind == "imagedata" else "lmdb"
    settings = {"backend": backend, "resize": (7, 5), "encode": "png", "workers": 2}
    if kind == "copies":
        settings |= {"augmentation": Augmentation(augment="inception", color_jitter=0.4), "augment_copies": 1}
    return settings


def listing_for(kind: str, images: Path) -> Listing:
    """Returns the images that are there already."""
    from tests.support import boxed_images, mixed_images

    return (boxed_images if kind == "boxes" else mixed_images).read_listing(images)


def run_build(kind: str, images: Path, out: Path, *, resume: bool) -> None:
    from caffeflow.data import pipeline, writer
    from caffeflow.data.build import BuildSettings, build

    writer.COMMIT_RECORDS = 4  # type: ignore[misc]
    pipeline.CHUNK = 3  # type: ignore[misc]
    settings = BuildSettings(resume=resume, **settings_for(kind))
    build(lambda: listing_for(kind, images), settings, out, source="folder")


def die_at_touch(number: int, folder: str) -> None:
    left = number

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in TOUCHES and any(str(argument).startswith(folder) for argument in arguments[:2]):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def main(kind: str, images: Path, out: Path, moments: list[str]) -> None:
    import caffeflow.data.build  # noqa: F401 - loaded once, before the forks

    for moment in moments:
        child = os.fork()
        if child == 0:
            if "." in moment:
                timer = threading.Timer(float(moment), os.kill, (os.getpid(), signal.SIGKILL))
                timer.daemon = True
                timer.start()
            else:
                die_at_touch(int(moment), str(out / moment))
            run_build(kind, images, out / moment / "dataset", resume=False)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            print(moment, "killed", flush=True)
        else:
            print(moment, "finished" if os.WEXITSTATUS(status) == 0 else "failed", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
