"""Outputs and artifacts that somebody edited, truncated, flipped a bit of or deleted are put right."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def flip_bit(path: Path) -> None:
    """Change one bit and set the times of access and modification back."""
    status = path.stat()
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    with path.open("r+b") as stream:
        stream.write(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_mtime_ns == status.st_mtime_ns
    assert path.stat().st_size == status.st_size


def edit(path: Path) -> None:
    path.write_text("something else")


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def replace_by_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(__file__)


@pytest.mark.parametrize(("output", "task"), [("q8.bin", "quantize:q8"), ("converted.package/weights/numbers.json", "convert")])
@pytest.mark.parametrize("flags", [(), ("snapshot",)], ids=["graph", "snapshot"])
def test_a_damaged_output_is_restored(demo, output, task, flags):
    demo.run(*flags)
    before = (demo.build / output).read_bytes()
    for damage in (edit, truncate, flip_bit, Path.unlink, replace_by_link):
        damage(demo.build / output)
        assert demo.outcomes(*flags) == {"restored": [task]}, damage
        assert (demo.build / output).read_bytes() == before
        assert not (demo.build / output).is_symlink()
    assert demo.outcomes(*flags) == {}


@pytest.mark.parametrize("flags", [(), ("snapshot",)], ids=["graph", "snapshot"])
def test_files_added_to_an_output_folder_and_deleted_folders(demo, flags):
    demo.run(*flags)
    package = demo.build / "converted.package"
    (package / "weights" / "extra.bin").write_text("not ours")
    assert demo.outcomes(*flags) == {"restored": ["convert"]}
    assert sorted(path.name for path in (package / "weights").iterdir()) == ["numbers.json"]
    shutil.rmtree(package)
    assert demo.outcomes(*flags) == {"restored": ["convert"]}
    package.rename(demo.build / "kept")
    package.write_text("a file in the place of a folder")
    assert demo.outcomes(*flags) == {"restored": ["convert"]}
    assert (package / "manifest.json").exists()


def test_outputs_of_a_variant_that_is_gone_are_taken_away_unless_somebody_edited_them(demo):
    demo.edit(bits=[8, 6, 4])
    demo.run()
    (demo.build / "q6.bin").write_text("edited by hand")
    demo.edit(bits=[8])
    demo.run("select=*:q8")
    assert (demo.build / "q4.bin").exists(), "a partial run says nothing of the rest"
    demo.run()
    assert sorted(path.name for path in demo.build.glob("*.bin")) == ["q6.bin", "q8.bin"]
    demo.edit(bits=[8, 4])
    assert demo.outcomes() == {"restored": ["quantize:q4", "predict:q4", "gate:q4"]}
    assert (demo.build / "q4.bin").exists()


def test_a_touched_output_with_the_same_bytes_is_left_alone(demo):
    demo.run()
    os.utime(demo.build / "q8.bin")
    inode = (demo.build / "q8.bin").stat().st_ino
    assert demo.outcomes() == {}
    assert (demo.build / "q8.bin").stat().st_ino == inode


def test_an_output_is_never_linked_to_the_store(demo):
    demo.run()
    stored = {path.stat().st_ino for path in (demo.cache / "artifacts").rglob("*")}
    assert all(path.stat().st_ino not in stored for path in demo.build.rglob("*"))
    edit(demo.build / "q8.bin")
    demo.run()
    assert (demo.build / "q8.bin").stat().st_mode & 0o200


def test_a_release_whose_gate_fails_now_is_taken_away(demo):
    demo.run()
    assert (demo.build / "release" / "release.bin").exists()
    demo.edit(bound=1e9)
    demo.run()
    assert not (demo.build / "release" / "release.bin").exists()
    assert demo.outcomes() == {}
    (demo.build / "release" / "release.bin").write_text("put there by hand")
    assert demo.outcomes() == {"restored": ["release"]}
    assert not (demo.build / "release" / "release.bin").exists()


@pytest.mark.parametrize("damage", [truncate, flip_bit, Path.unlink])
def test_a_damaged_artifact_is_a_miss_and_is_made_again(demo, damage):
    demo.run()
    stored = next(path for path in (demo.cache / "artifacts").rglob("model.bin") if path.read_bytes() == (demo.build / "q8.bin").read_bytes())
    before = stored.read_bytes()
    stored.chmod(0o644)
    damage(stored)
    found = demo.outcomes()
    assert "quantize:q8" in found["ran"], found
    assert stored.read_bytes() == before
    assert (demo.build / "q8.bin").read_bytes() == before
    assert demo.outcomes() == {}


def test_a_copied_store_is_as_good_as_the_original(demo, make_demo, tmp_path):
    demo.run()
    shutil.copytree(demo.cache, tmp_path / "copy", copy_function=shutil.copyfile)
    other = make_demo("elsewhere")
    other.cache = tmp_path / "copy"
    assert other.outcomes().keys() == {"restored"}
