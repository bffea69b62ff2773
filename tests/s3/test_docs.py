"""The snippets of docs/s3.md, as a reader copies them: they run, one after the other, on one repository."""

import re
from pathlib import Path

from test_engines import duck

PAGE = Path(__file__).parents[2] / "docs" / "s3.md"


def snippets(language: str, lake) -> str:
    """All of a language, with the address, the repository and the key of this run."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert found, f"no snippet in {language}"
    text = "\n".join(found).replace("127.0.0.1:9000", lake.host)
    text = re.sub(r"(Bucket=|/|\"|')(lake)(?=[/\"'])", lambda match: match[1] + lake.name, text)
    for mark in "\"'":
        text = text.replace(f"{mark}ID{mark}", f"{mark}{lake.key}{mark}").replace(f"{mark}SECRET{mark}", f"{mark}{lake.secret}{mark}")
    return text


def test_the_snippets_run(lake):
    exec(compile(snippets("python", lake), str(PAGE), "exec"), {})
    # A connection that has only loaded the extension, which a package brings here.
    with duck(lake) as connection:
        connection.execute("DROP SECRET lake")
        connection.execute(snippets("sql", lake))
        assert connection.fetchall() == [(1,)]
    written = {key.split("/")[1] for key in lake.keys()}
    assert written == {"orders", "polars", "arrow", "tables", "duck"}
