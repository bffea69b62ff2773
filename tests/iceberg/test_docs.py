"""The snippets of docs/iceberg.md, as a reader copies them: they run, one after the other, on one repository."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "iceberg.md"


def snippets(language: str, warehouse) -> str:
    """All of a language, with the address, the repository and the key of this run."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert found, f"no snippet in {language}"
    key, secret = warehouse.credential.split(":", 1)
    text = "\n".join(found).replace("http://127.0.0.1:8000/iceberg", warehouse.uri)
    text = text.replace('warehouse="lake"', f'warehouse="{warehouse.name}"').replace("'lake'", f"'{warehouse.name}'")
    return text.replace("ID:SECRET", warehouse.credential).replace("'ID'", f"'{key}'").replace("'SECRET'", f"'{secret}'")


def test_the_snippets_run(warehouse):
    exec(compile(snippets("python", warehouse), str(PAGE), "exec"), {})
    assert warehouse.pyiceberg().load_table("sales.orders").scan().count() == 2
    # A connection that has only loaded the extensions, which packages bring here.
    with warehouse.duckdb() as duck:
        duck.execute("DETACH lake; DROP SECRET login")
        duck.execute(snippets("sql", warehouse))
        assert duck.fetchall() == [(13.75,)]
