"""Runs what a document tells to do with DuckDB: each ```sql block after a line `<!-- duckdb -->`.

Argument: the document. What the recipes read is in the working directory. The last line says what came of it, as JSON.
"""

import json
import re
import sys

import duckdb


def run(document):
    """Runs the recipes of a document's text. Answers how many there are."""
    recipes = re.findall(r"<!-- duckdb -->\s*```sql\n(.*?)```", document, re.DOTALL)
    connection = duckdb.connect()
    for recipe in recipes:
        for statement in duckdb.extract_statements(recipe):
            rows = connection.execute(statement).fetchall()
            print(len(rows), "rows:", recipe.strip().splitlines()[0])
            made = statement.type == duckdb.StatementType.CREATE
            assert rows or made, f"nothing came of: {recipe}"
    return len(recipes)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as document:
        print(json.dumps({"recipes": run(document.read())}))
