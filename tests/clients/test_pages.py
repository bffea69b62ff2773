"""What docs/sidecar.md shows of lakeFS's client, as a reader copies it."""

import os
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "sidecar.md"


def test_the_snippet_of_the_sdk_runs(monkeypatch, capsys):
    (snippet,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    monkeypatch.setenv("ONWARD_ACCESS_KEY_ID", os.environ["LAKECTL_CREDENTIALS_ACCESS_KEY_ID"])
    monkeypatch.setenv("ONWARD_SECRET_ACCESS_KEY", os.environ["LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY"])
    snippet = snippet.replace("http://127.0.0.1:8000", os.environ["LAKECTL_SERVER_ENDPOINT_URL"])
    exec(compile(snippet, str(PAGE), "exec"), {})
    assert "id,amount" in capsys.readouterr().out
