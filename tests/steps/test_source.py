from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mlpipe.errors import MlpipeError, ModelFileInvalid, RecipeError, SourceUnreadable
from mlpipe.model_files.protobuf import model_pb2
from mlpipe.steps import source as source_step
from mlpipe.steps.step import StepRequest, StepResult


def tiny_model() -> bytes:
    """A Core ML file with one input, which needs no framework to be described."""
    spec = model_pb2().Model(specificationVersion=4)
    spec.description.input.add(name="x").type.multiArrayType.shape.extend([2])
    spec.neuralNetwork.SetInParent()
    return bytes(spec.SerializeToString(deterministic=True))


MODEL = tiny_model()
SHA256 = hashlib.sha256(MODEL).hexdigest()


def run(output: Path, section: dict[str, Any], *files: Path, progress: Any = None) -> StepResult:
    """Run the step into a new folder."""
    output.mkdir()
    keywords = {} if progress is None else {"progress": progress}
    return source_step.run(StepRequest("r:source", {"source": section}, {}, {}, {"model": files}, output.parent, output, **keywords))


class Handler(BaseHTTPRequestHandler):
    """Serves the model whole, and under /broken half of it, which it says is all."""

    def do_GET(self) -> None:
        if self.path.startswith("/gone"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(MODEL)))
        self.end_headers()
        self.wfile.write(MODEL[: len(MODEL) // 2] if self.path.startswith("/broken") else MODEL)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A web server on this machine."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_address[1]}"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def test_a_file_is_copied_and_described(tmp_path: Path) -> None:
    path = tmp_path / "Model.mlmodel"
    path.write_bytes(MODEL)
    result = run(tmp_path / "out", {"coreml": "Model.mlmodel", "sha256": SHA256}, path)
    assert sorted(str(file.relative_to(tmp_path / "out")) for file in (tmp_path / "out").rglob("*")) == ["description.json", "model", "model/Model.mlmodel"]
    assert (tmp_path / "out" / "model" / "Model.mlmodel").read_bytes() == MODEL
    text = (tmp_path / "out" / "description.json").read_text()
    assert result.values == {"description": json.loads(text)}
    assert json.loads(text)["inputs"] == [{"name": "x", "shape": [2], "dtype": "float32"}]
    assert str(tmp_path) not in text


def test_a_folder_is_copied_whole(tmp_path: Path) -> None:
    package = tmp_path / "Model.mlpackage"
    (package / "Data").mkdir(parents=True)
    (package / "Data" / "model.mlmodel").write_bytes(MODEL)
    manifest = {"itemInfoEntries": {"A": {"name": "model.mlmodel", "path": "model.mlmodel"}}, "rootModelIdentifier": "A"}
    (package / "Manifest.json").write_text(json.dumps(manifest))
    run(tmp_path / "out", {"coreml": "Model.mlpackage"}, package)
    assert (tmp_path / "out" / "model" / "Model.mlpackage" / "Data" / "model.mlmodel").read_bytes() == MODEL
    with pytest.raises(RecipeError, match="only a single file has a checksum"):
        run(tmp_path / "again", {"coreml": "Model.mlpackage", "sha256": SHA256}, package)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "^Model.mlmodel: the file is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n", "^Model.mlmodel: this is a git-lfs pointer.*git lfs pull"),
        (MODEL[:-1], "^Model.mlmodel: the file is damaged, truncated"),
    ],
)
def test_what_is_no_model_is_named_as_the_user_knows_it(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "Model.mlmodel"
    path.write_bytes(content)
    with pytest.raises(ModelFileInvalid, match=message):
        run(tmp_path / "out", {"coreml": "Model.mlmodel"}, path)


def test_a_pointer_inside_a_folder_is_found(tmp_path: Path) -> None:
    variables = tmp_path / "saved" / "variables"
    variables.mkdir(parents=True)
    (tmp_path / "saved" / "saved_model.pb").touch()  # read only where no pointer is found
    (variables / "variables.data-00000-of-00001").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelFileInvalid, match=r"^saved/variables/variables\.data-00000-of-00001: this is a git-lfs pointer"):
        run(tmp_path / "out", {"tensorflow": "saved"}, tmp_path / "saved")


def test_a_url_is_downloaded_with_progress(tmp_path: Path, server: str) -> None:
    seen: list[tuple[float, float, str]] = []
    run(tmp_path / "out", {"coreml": f"{server}/models/My%20Model.mlmodel?version=3", "sha256": SHA256}, progress=lambda *news: seen.append(news))
    assert (tmp_path / "out" / "model" / "My Model.mlmodel").read_bytes() == MODEL
    assert (len(MODEL), len(MODEL), "downloading My Model.mlmodel") in seen
    path = tmp_path / "Model.mlmodel"
    path.write_bytes(MODEL)
    run(tmp_path / "from_file", {"coreml": path.as_uri(), "sha256": SHA256})
    assert (tmp_path / "from_file" / "model" / "Model.mlmodel").read_bytes() == MODEL


@pytest.mark.parametrize(
    ("location", "sha256", "kind", "message"),
    [
        ("{server}/Model.mlmodel", "0" * 64, SourceUnreadable, f"its sha256 is {SHA256}, not 0000"),
        ("{server}/gone.mlmodel", SHA256, SourceUnreadable, "cannot be downloaded.*404"),
        ("{server}/broken.mlmodel", SHA256, SourceUnreadable, "broke off|cannot be downloaded"),
        ("http://127.0.0.1:9/Model.mlmodel", SHA256, SourceUnreadable, "cannot be downloaded"),
        ("ftp://127.0.0.1/Model.mlmodel", SHA256, RecipeError, "no URL that mlpipe fetches.*http, https, file"),
    ],
)
def test_downloads_that_fail_say_why(location: str, sha256: str, kind: type[MlpipeError], message: str, tmp_path: Path, server: str) -> None:
    with pytest.raises(kind, match=message):
        run(tmp_path / "out", {"coreml": location.format(server=server), "sha256": sha256})


def test_a_file_with_another_checksum_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "Model.mlmodel"
    path.write_bytes(MODEL)
    with pytest.raises(SourceUnreadable, match="not the one that the recipe names"):
        run(tmp_path / "out", {"coreml": "Model.mlmodel", "sha256": "0" * 64}, path)
    with pytest.raises(SourceUnreadable, match="there is no such model"):
        run(tmp_path / "none", {"coreml": "gone.mlmodel"})


def test_a_kind_without_a_module_says_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"")
    with pytest.raises(RecipeError, match="it reads: keras, tensorflow, coreml"):
        run(tmp_path / "out", {"onnx": "model.onnx"}, path)
