from __future__ import annotations

from pathlib import Path

import pytest

from mlpipe.steps.labels import read_labels


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a\nb", ["a", "b"]),
        ("\ufeffa\r\n b \r\n\r\n", ["a", "b"]),
        ("zwölf Äpfel\nline\u2028separator\x0c!\n", ["zwölf Äpfel", "line\u2028separator\x0c!"]),
    ],
)
def test_a_label_is_a_line_as_editors_count_them(content: str, expected: list[str], tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes(content.encode())
    assert read_labels(tmp_path / "labels.txt", "key") == expected
