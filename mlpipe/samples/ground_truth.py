"""The true label of every sample, from a .csv or an array."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from mlpipe.errors import Location, SampleUnreadable
from mlpipe.samples.arrays import open_array


def read_ground_truth(path: Path, ids: Sequence[str], labels: Sequence[str] | None) -> dict[str, int]:
    """Return sample id -> index of its label, from a .csv with the columns `file` (or `index`) and `label`.

    A file is named as the sample is, or by a longer path that ends so. Labels are names of `labels`, or indices. Rows of other files are ignored.
    Errors: SampleUnreadable for samples without a row, two rows for one sample, unknown labels, other columns.
    """
    found: dict[str, int] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            columns = rows.fieldnames or []
            key = next((name for name in ("file", "index") if name in columns), None)
            if key is None or "label" not in columns:
                raise SampleUnreadable(
                    f"the columns are {', '.join(columns) or 'none'}", where=Location(path.name, 1), fix="have `file` (or `index`) and `label`"
                )
            wanted = set(ids)
            for row in rows:
                name = _sample_id((row[key] or "").strip(), wanted)
                if name is None:
                    continue
                where = Location(path.name, rows.line_num)
                index = label_index((row["label"] or "").strip(), labels, where)
                if name in found:
                    raise SampleUnreadable(f"a second row for sample {name}", where=where)
                found[name] = index
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SampleUnreadable("the ground truth cannot be read", where=path.name, why=str(error)) from error
    _all_there(path.name, ids, found)
    return found


def ground_truth_array(path: Path, key: str, ids: Sequence[str]) -> dict[str, int]:
    """Return sample id -> label index, from an array of indices whose first axis counts the samples.

    Errors: SampleUnreadable where it is no array of whole numbers or is too short.
    """
    array = open_array(path, key)
    if array.dtype.kind not in "iu" or int(np.prod(array.shape[1:], dtype=np.int64)) != 1:
        raise SampleUnreadable(f"{path.name}: {key} holds {array.dtype} of shape {list(array.shape)}", fix="ground truth is one whole number a sample")
    labels = {str(index): int(value.reshape(())) for index, value in enumerate(array.rows())}
    found = {name: labels[name] for name in ids if name in labels}
    _all_there(f"{path.name}: {key}", ids, found)
    return found


def label_index(text: str, labels: Sequence[str] | None, where: Location) -> int:
    """Return the index of a label that is written as its name or as its index; as its name alone where some names are numbers themselves.

    Errors: SampleUnreadable for one that is neither.
    """
    if labels is not None and text in labels:
        return labels.index(text)
    numbered = labels is not None and any(_is_number(label) for label in labels)
    if _is_number(text) and not numbered and (labels is None or int(text) < len(labels)):
        return int(text)
    known = (
        "there are no label names, so it must be an index"
        if labels is None
        else f"the labels are {', '.join(labels[:12])}{', ...' if len(labels) > 12 else ''}"
    )
    raise SampleUnreadable(f"unknown label {text!r}", where=where, why=known)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _sample_id(name: str, wanted: set[str]) -> str | None:
    """Return the sample that a row names: the name itself, or the longest end of it that is one."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    tails = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((tail for tail in tails if tail in wanted), None)


def _all_there(where: str, ids: Sequence[str], found: dict[str, int]) -> None:
    missing = [name for name in ids if name not in found]
    if missing:
        listed = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise SampleUnreadable(f"{len(missing)} sample(s) without a label: {listed}", where=where, fix="give every sample a row")
