"""The `source` step: the model's files into the store, and what they say of themselves."""

from __future__ import annotations

import hashlib
import http.client
import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlpipe.errors import MlpipeError, RecipeError, SourceUnreadable
from mlpipe.model_files.placeholder import refuse_placeholders
from mlpipe.recipe.schema.source import Source
from mlpipe.sources.table import file_name, model_path, module_of, with_modules_in
from mlpipe.steps.step import StepRequest, StepResult

_CHUNK_BYTES = 1 << 20
_SCHEMES = ("http", "https", "file")
_TIMEOUT_SECONDS = 60


def run(request: StepRequest) -> StepResult:
    """Write `model/` and description.json.

    Errors: SourceUnreadable where the model cannot be fetched, has another checksum, or cannot be loaded.
    """
    source = Source.model_validate(request.parameters["source"])
    module = module_of(source)
    folder = request.output / "model"
    folder.mkdir()
    if "://" in source.location:
        _download(source, folder / file_name(source), request)
    else:
        _copy(source, request.files["model"], folder)
    try:
        refuse_placeholders(folder)
        description = module.describe(with_modules_in(source, request.folder), model_path(source, request.output))
    except MlpipeError as error:
        _name_files_as_given(error, folder)
        raise
    (request.output / "description.json").write_text(json.dumps(description, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return StepResult(values={"description": description})


def _name_files_as_given(error: MlpipeError, folder: Path) -> None:
    """Take the place of the copy that was read out of an error's names of files."""
    for part in ("where", "why"):
        text = getattr(error, part)
        if isinstance(text, str):
            setattr(error, part, text.replace(f"{folder}/", ""))


def _copy(source: Source, files: tuple[Path, ...], folder: Path) -> None:
    """Copy a file, a folder, or the several files of a checkpoint."""
    if not files:
        raise SourceUnreadable("there is no such model", where=file_name(source))
    if source.sha256 is not None and (len(files) > 1 or files[0].is_dir()):
        raise RecipeError("source.sha256: only a single file has a checksum", where=file_name(source), fix="remove it: the content is part of the build's key")
    for path in files:
        if path.is_dir():
            shutil.copytree(path, folder / path.name)
        else:
            shutil.copyfile(path, folder / path.name)
            if source.sha256 is not None:
                _check(source.sha256, hashlib.sha256(path.read_bytes()).hexdigest(), path.name)


def _download(source: Source, target: Path, request: StepRequest) -> None:
    """Fetch a URL. The checksum is what makes it safe to take the file from anywhere."""
    url = source.location
    if urlsplit(url).scheme not in _SCHEMES:
        raise RecipeError(f"source.{source.kind}: {url} is no URL that mlpipe fetches", fix=f"use one of {', '.join(_SCHEMES)}")
    assert source.sha256 is not None, "the schema demands it"
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response, target.open("wb") as file:  # noqa: S310 (the scheme is checked above)
            total, done = int(response.headers.get("Content-Length") or 0), 0
            for chunk in _chunks(response):
                file.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                request.progress(done, total, f"downloading {target.name}")
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise SourceUnreadable("the model cannot be downloaded", where=url, why=str(error)) from error
    if total and done != total:
        raise SourceUnreadable("the download broke off", where=url, why=f"{done} of {total} bytes came", fix="run again")
    _check(source.sha256, digest.hexdigest(), url)


def _chunks(response: Any) -> Iterator[bytes]:
    while chunk := response.read(_CHUNK_BYTES):
        yield chunk


def _check(expected: str, actual: str, where: str) -> None:
    if actual != expected:
        fix = "if the change is wanted, write the new checksum into the recipe"
        raise SourceUnreadable("the model is not the one that the recipe names", where=where, why=f"its sha256 is {actual}, not {expected}", fix=fix)
