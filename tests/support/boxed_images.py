"""A small detection dataset of every kind that the pipeline meets: images with boxes, good, odd and broken."""

from __future__ import annotations

from pathlib import Path

from caffeflow.data.boxes import Annotation, Box
from caffeflow.data.sample import NO_LABEL, SPLITS, File, Job, Listing, Omission, SplitName
from caffeflow.proto.labelmap import LabelMap, label_map_of
from tests.support.mixed_images import file_bytes, picture
from tests.support.oracles.convert_annoset import Item

CLASSES = ("ant", "bee", "cat")
LABEL_MAP: LabelMap = label_map_of(CLASSES)

SOUND_BOXES = (
    (3, 1.0, 2.0, 7.0, 11.0, False),
    (1, 0.0, 0.0, 13.0, 9.0, True),
    (3, 2.5, 3.25, 8.125, 10.5, False),
    (2, 5.0, 1.0, 6.0, 2.0, False),
)
OUTSIDE_BOX = (2, -3.0, 5.0, 40.0, 60.0, True)
FLAT_BOX = (1, 4.0, 4.0, 4.0, 9.0, False)
OMISSIONS = (Omission(split="val", name="set/1.jpg", reason="unknown class", detail="'dog'", is_box=True),)


def annotation(
    boxes: list[tuple[int, float, float, float, float, bool]], size: tuple[int, int] | None, file: str = ""
) -> Annotation:
    """Returns boxes (label, xmin, ymin, xmax, ymax, difficult) as a source would."""
    height, width = size or (0, 0)
    made = tuple(
        Box(label=label, xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax, is_difficult=difficult)
        for label, xmin, ymin, xmax, ymax, difficult in boxes
    )
    return Annotation(boxes=made, height=height, width=width, file=file)


def items(count: int, *, broken: bool = True) -> list[Item]:
    """Returns images of several sizes, kinds and numbers of boxes; some say how large they were annotated.

    With `broken`, every eleventh is truncated, every fifth has a box that is flat, and every seventh one
    that reaches outside.
    """
    made = []
    for number in range(count):
        height, width = 11 + number % 5, 13 + number % 7
        boxes = list(SOUND_BOXES[: number % 5])
        if broken and number % 5 == 2:
            boxes.insert(1, FLAT_BOX)
        if broken and number % 7 == 3:
            boxes.append(OUTSIDE_BOX)
        kind = "png" if number % 3 == 2 else "jpg"
        content = file_bytes(picture(number, height=height, width=width), kind)
        if broken and number % 11 == 5:
            content = content[: len(content) // 2]
        annotated = (height, width) if number % 2 else None
        made.append(Item(f"set/{number}.{kind}", content, boxes, annotated))
    return made


def write_items(root: Path, made: list[Item]) -> list[Job]:
    """Writes the images below `root`, and returns their jobs."""
    for item in made:
        path = root / item.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(item.content)
    return [job_of(root, item) for item in made]


def job_of(root: Path, item: Item) -> Job:
    """Returns the job of an image below `root`."""
    path = root / item.name
    boxes = annotation(item.boxes, item.annotated, f"notes/{path.stem}.xml")
    return Job(name=item.name, label=NO_LABEL, location=File(path), annotation=boxes)


def read_listing(root: Path) -> Listing:
    """Returns the listing of images that `boxed_listing` wrote, and a box that was left out."""
    splits: dict[SplitName, list[Job]] = {}
    for split in SPLITS:
        paths = sorted((root / split).glob("set/*"), key=lambda path: int(path.stem))
        jobs = [job_of(root / split, item) for item in items(len(paths))]
        assert [job.location for job in jobs] == [File(path) for path in paths]
        splits[split] = jobs
    return Listing(splits=splits, label_map=LABEL_MAP, omissions=OMISSIONS)


def boxed_listing(
    root: Path, *, train: int = 31, val: int = 13, broken: bool = True, omissions: tuple[Omission, ...] = ()
) -> Listing:
    """Returns a listing of newly written images in `root/train` and `root/val`."""
    splits: dict[SplitName, list[Job]] = {
        "train": write_items(root / "train", items(train, broken=broken)),
        "val": write_items(root / "val", items(val, broken=broken)),
    }
    return Listing(splits=splits, label_map=LABEL_MAP, omissions=omissions)
