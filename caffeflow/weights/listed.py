"""Lists of caffemodels as users write them: names with commas between them, in the order of copying."""

from __future__ import annotations

from collections.abc import Iterable

from caffeflow.errors import WeightsError


def split_files(entries: Iterable[str]) -> list[str]:
    """Returns the files of all entries, each a name or several with commas.

    Raises:
        WeightsError: A name is missing between two commas, which Caffe cannot open either.
    """
    files = []
    for entry in entries:
        names = [name.strip() for name in entry.split(",")]
        if not all(names):
            raise WeightsError(
                f"weights '{entry}': a file's name is missing; expected names with commas between"
            )
        files += names
    return files
