"""Runs what docs tell analysts: each ```sql block after a line `<!-- duckdb -->`, and the cells of a notebook.

Arguments: the document, the notebook. The export is in ./exports. The last line says what came of it, as JSON.
"""

import json
import sys

import recipes

document, notebook = (open(path, encoding="utf-8").read() for path in sys.argv[1:3])

count = recipes.run(document)

names = {}
for number, cell in enumerate(json.loads(notebook)["cells"]):
    if cell["cell_type"] == "code":
        code = compile("".join(cell["source"]), f"{sys.argv[2]}, cell {number}", "exec")
        exec(code, names)

sessions = [
    {"session_id": str(session_id), "charger": charger, "energy_kwh": float(energy), "cost": f"{cost:.2f}"}
    for session_id, charger, energy, cost in names["sessions"]
]
print(json.dumps({"recipes": count, "sessions": sessions}))
