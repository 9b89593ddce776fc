"""The variables that Compose and Kubernetes set for the program, against those that it reads; and that a health check which
starts a JVM has not the heap of the server beside it.

Needs PyYAML (tests/deploy/requirements.txt).
"""

import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
OURS = re.compile(r"\b(?:COULOMB_[A-Z0-9_]+|DATABASE_URL|KAFKA_BROKERS|RUST_LOG)\b")
# Of nginx's template and of Compose itself: the image, and addresses that the template is given.
OTHERS = {"COULOMB_IMAGE", "COULOMB_RESOLVER", "COULOMB_COMMAND_SERVICE", "COULOMB_REALTIME_API", "COULOMB_OCPP_EDGE"}


def read():
    """What the command line of the program takes from the environment."""
    names = {"RUST_LOG"}
    for file in ROOT.glob("*/src/**/*.rs"):
        names.update(re.findall(r'env = "([A-Z0-9_]+)"', file.read_text()))
    return names


def heaps():
    """Of each service that runs Kafka's scripts for its health: how much memory that may take, in MB; none: as the server."""
    for name, service in yaml.safe_load((DOCKER / "compose.cluster.yaml").read_text())["services"].items():
        test = " ".join(service.get("healthcheck", {}).get("test", []))
        if "/opt/kafka/bin/" in test:
            found = re.search(r"KAFKA_HEAP_OPTS=-Xmx(\d+)m ", test)
            yield name, int(found[1]) if found else None


def main():
    names, problems, seen = read(), [], set()
    checked = dict(heaps())
    if not checked:
        problems.append("no node of Kafka has a health check")
    problems += [f"{name}: its health check may take as much as it does" for name, heap in checked.items() if (heap or 999) > 128]
    for file in [DOCKER / "Dockerfile", *DOCKER.glob("**/*.yaml"), *DOCKER.glob("**/*.example"), *DOCKER.glob("**/*.env")]:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            for name in OURS.findall(line.split("# ")[0]):
                seen.add(name)
                if name not in names | OTHERS and not name.endswith("_"):
                    problems.append(f"{file.relative_to(ROOT)}:{number}: the program reads no {name}")
    if len(seen) < 15:
        problems.append(f"only {len(seen)} variables were found: is this still how they are set?")
    if problems:
        sys.exit("\n".join(problems))
    print(f"settings: each of {len(seen)} variables is read by the program")


main()
