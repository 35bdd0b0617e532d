"""The Python of the guide and of the README runs."""

import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("page", ["docs/src/python.md", "trainer/python/README.md"])
def test_every_snippet_runs(page, tmp_path, monkeypatch):
    pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    shutil.copy(ROOT / "firmware-example/model/pump.kgl", tmp_path)
    monkeypatch.chdir(tmp_path)
    snippets = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    assert snippets
    names = {}
    for snippet in snippets:
        exec(compile(snippet, page, "exec"), names)
