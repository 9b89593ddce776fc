"""Rules and dashboards against the program: every metric that they name is one that the sources record; every query is one
that Prometheus can parse; every alert says what to do and has a test.

Needs PyYAML (tests/deploy/requirements.txt) and promtool.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
NAME = re.compile(r"\bcoulomb_[a-z0-9_]+")
# What Prometheus makes of a histogram or a summary.
PARTS = re.compile(r"_(bucket|sum|count)$")
# Which histograms have buckets (service-host/src/metrics.rs); the others are summaries.
BUCKETS = ("_seconds", "_size")

problems = []


def recorded():
    """The metrics of the sources: the names in string literals of code that is no test."""
    names = set()
    for file in ROOT.glob("*/src/**/*.rs"):
        if file.parts[len(ROOT.parts)] in ("tests", "cluster") or "tests" in file.parts:
            continue
        names.update(re.findall(r'"(coulomb_[a-z0-9_]+)"', file.read_text()))
    return names


def known(name, names):
    return name in names or (PARTS.search(name) and PARTS.sub("", name) in names)


def queries():
    """Every query, with where it stands."""
    for file in sorted((DOCKER / "prometheus/rules").glob("*.yml")):
        for group in yaml.safe_load(file.read_text())["groups"]:
            for rule in group["rules"]:
                yield f"{file.name}: {rule.get('alert') or rule['record']}", rule["expr"]
    for file in sorted((DOCKER / "grafana/dashboards").glob("*.json")):
        board = json.loads(file.read_text())
        for annotation in board["annotations"]["list"]:
            yield f"{file.name}: {annotation['name']}", annotation["expr"]
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                yield f"{file.name}: {panel['title']}", target["expr"]
    for file in sorted((DOCKER / "kubernetes").glob("**/adapter*.yaml")):
        for document in yaml.safe_load_all(file.read_text()):
            for rule in yaml.safe_load(document["data"]["config.yaml"])["rules"]:
                yield f"{file.name}: the series", rule["seriesQuery"]


def check_names(found):
    names = recorded()
    if len(names) < 40:
        problems.append(f"only {len(names)} metrics were found in the sources: has the way they are recorded changed?")
    for place, query in found:
        for name in sorted(set(NAME.findall(query))):
            if not known(name, names):
                problems.append(f"{place}: nothing records {name}")
            elif name.endswith("_bucket") and not name.removesuffix("_bucket").endswith(BUCKETS):
                problems.append(f"{place}: {name.removesuffix('_bucket')} has no buckets")


def check_syntax(found):
    """Prometheus' own parser, which takes rules: so each query is made one."""
    rules = [
        {"record": f"query_{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, (_, query) in enumerate(found)
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}, file)
        file.flush()
        checked = subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, text=True)
    if checked.returncode:
        places = ", ".join(f"query_{number} is {place}" for number, (place, _) in enumerate(found))
        problems.append(f"{checked.stdout}{checked.stderr}({places})")


def check_alerts():
    tests = (DOCKER / "prometheus/tests/alerts.yml").read_text()
    expected = set(re.findall(r"""alertname="(\w+)"}', value: 1""", tests))
    named = {test.get("name") for test in yaml.safe_load(tests)["tests"]}
    for file in sorted((DOCKER / "prometheus/rules").glob("*.yml")):
        for group in yaml.safe_load(file.read_text())["groups"]:
            for rule in group["rules"]:
                name = rule["alert"]
                if rule["labels"].get("severity") not in ("warning", "critical"):
                    problems.append(f"{name} has no severity")
                for part in ("summary", "action"):
                    if not rule["annotations"].get(part):
                        problems.append(f"{name} has no {part}")
                if name not in expected or name not in named:
                    problems.append(f"{name} has no test in which it fires")


def check_boards():
    sources = yaml.safe_load((DOCKER / "grafana/provisioning/datasources/prometheus.yaml").read_text())
    sources = {source["uid"] for source in sources["datasources"]}
    uids = set()
    for file in sorted((DOCKER / "grafana/dashboards").glob("*.json")):
        board = json.loads(file.read_text())
        if board["uid"] in uids:
            problems.append(f"{file.name}: another dashboard is called {board['uid']}")
        uids.add(board["uid"])
        ids, taken = set(), set()
        for panel in board["panels"]:
            place = f"{file.name}: {panel['title']}"
            if panel["id"] in ids:
                problems.append(f"{place}: another panel has its number")
            ids.add(panel["id"])
            at = panel["gridPos"]
            if at["x"] + at["w"] > 24:
                problems.append(f"{place}: reaches beyond the 24 columns")
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            if cells & taken:
                problems.append(f"{place}: lies upon another panel")
            taken |= cells
            if panel["type"] == "row":
                continue
            if not panel.get("description"):
                problems.append(f"{place}: says nothing of what it shows")
            if not panel.get("targets"):
                problems.append(f"{place}: shows nothing")
            for target in panel.get("targets", []):
                if target["datasource"]["uid"] not in sources:
                    problems.append(f"{place}: no data source is called {target['datasource']['uid']}")


def main():
    found = list(queries())
    check_names(found)
    check_syntax(found)
    check_alerts()
    check_boards()
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(found)} queries of rules and dashboards: every metric is recorded, every query parses")


main()
