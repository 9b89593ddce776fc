"""What no schema knows of the manifests: that what refers to something finds it, that processes have the time that they need
to drain, that nothing runs with privileges, and that whoever must speak to somebody may.

Arguments: what kustomize has made, a file for each overlay.
"""

import re
import sys
from pathlib import Path

import yaml

# Made by hand beforehand, as docs/deploy.md says.
SECRETS = {
    "coulomb-database": {"url", "direct-url", "read-url"},
    "coulomb-keys": {"master-key"},
    "coulomb-operator": {"email", "password"},
    "coulomb-kafka": {"username", "password", "ca.crt"},
}
# For what is under way when the sockets are closed: FINISH_WAIT_MAX of coulomb/src/drain_args.rs.
FINISH_WAIT_MAX_S = 30
ROLES = {"command-service", "realtime-api", "projection-service", "relay", "ocpp-edge"}
ROOT = Path(__file__).resolve().parents[2]


class Overlay:
    def __init__(self, file):
        self.name = Path(file).name
        self.documents = [document for document in yaml.safe_load_all(Path(file).read_text()) if document]
        self.problems = []

    def of(self, *kinds):
        return [document for document in self.documents if document["kind"] in kinds]

    def named(self, kind, name):
        return next((document for document in self.of(kind) if document["metadata"]["name"] == name), None)

    def say(self, document, problem):
        self.problems.append(f"{self.name}: {document['kind']} {document['metadata']['name']}: {problem}")

    def pods(self, selector):
        """The workloads whose pods a selector finds."""
        return [
            workload
            for workload in self.of("Deployment", "StatefulSet", "Job")
            if selector.items() <= workload["spec"]["template"]["metadata"]["labels"].items()
        ]

    def settings(self, workload):
        """The environment of its first container, as far as it is no secret."""
        container = workload["spec"]["template"]["spec"]["containers"][0]
        found = {}
        for source in container.get("envFrom", []):
            map_ = self.named("ConfigMap", source["configMapRef"]["name"])
            if map_ is None:
                self.say(workload, f"there is no ConfigMap {source['configMapRef']['name']}")
                continue
            found.update(map_["data"])
        found.update({one["name"]: one["value"] for one in container.get("env", []) if "value" in one})
        return found

    def check(self):
        for workload in self.of("Deployment", "StatefulSet", "Job"):
            self.check_pod(workload)
        for role in ROLES | {"front"}:
            if not self.named("Deployment", role):
                self.problems.append(f"{self.name}: nothing runs {role}")
        self.check_selectors()
        self.check_scalers()
        self.check_front()
        self.check_end_of_front()
        self.check_network()
        return self.problems

    def check_pod(self, workload):
        pod = workload["spec"]["template"]["spec"]
        labels = workload["spec"]["template"]["metadata"]["labels"]
        if pod.get("automountServiceAccountToken") is not False:
            self.say(workload, "its pods are given a token for Kubernetes")
        if self.named("ServiceAccount", pod.get("serviceAccountName")) is None:
            self.say(workload, "its ServiceAccount is not there")
        context = pod.get("securityContext", {})
        if not context.get("runAsNonRoot") or context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            self.say(workload, "its pods are not restricted (runAsNonRoot, seccompProfile)")
        volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
        for volume in volumes.values():
            if "configMap" in volume and not self.named("ConfigMap", volume["configMap"]["name"]):
                self.say(workload, f"there is no ConfigMap {volume['configMap']['name']}")
            if "secret" in volume:
                keys = {item["key"] for item in volume["secret"].get("items", [])}
                self.check_secret(workload, volume["secret"]["secretName"], keys)
        for container in pod["containers"]:
            context = container.get("securityContext", {})
            if (
                context.get("allowPrivilegeEscalation") is not False
                or not context.get("readOnlyRootFilesystem")
                or context.get("capabilities", {}).get("drop") != ["ALL"]
            ):
                self.say(workload, f"the container {container['name']} is not restricted")
            if not {"requests", "limits"} <= container.get("resources", {}).keys():
                self.say(workload, f"the container {container['name']} has no requests or limits")
            if ":" not in container["image"] or container["image"].endswith(":latest"):
                self.say(workload, f"{container['image']} is not one version")
            for mount in container.get("volumeMounts", []):
                if mount["name"] not in volumes:
                    self.say(workload, f"there is no volume {mount['name']}")
            for one in container.get("env", []):
                reference = one.get("valueFrom", {}).get("secretKeyRef")
                if reference:
                    self.check_secret(workload, reference["name"], {reference["key"]})
                if re.search("PASSWORD|KEY|DATABASE_URL", one["name"]) and "value" in one:
                    self.say(workload, f"{one['name']} stands in the manifest")
            ports = {port["name"] for port in container.get("ports", [])}
            probes = [container.get(probe) for probe in ("livenessProbe", "readinessProbe")]
            if workload["kind"] != "Job" and not all(probes):
                self.say(workload, "a probe is missing")
            for probe in filter(None, probes):
                if probe["httpGet"]["port"] not in ports:
                    self.say(workload, f"a probe asks the port {probe['httpGet']['port']}, which it has not")
        if labels["app.kubernetes.io/name"] == "coulomb" and workload["kind"] != "Job":
            self.check_role(workload)

    def check_secret(self, workload, name, keys):
        if not keys <= SECRETS.get(name, set()):
            self.say(workload, f"docs/deploy.md does not say how the Secret {name} comes by {sorted(keys)}")

    def check_role(self, workload):
        pod, settings = workload["spec"]["template"]["spec"], self.settings(workload)
        container = pod["containers"][0]
        if container["args"] != [workload["metadata"]["name"]]:
            self.say(workload, f"it runs {container['args']}")
        http = next(port["containerPort"] for port in container["ports"] if port["name"] == "http")
        if settings["COULOMB_HTTP_LISTEN"] != f"0.0.0.0:{http}":
            self.say(workload, "it listens elsewhere than its probes ask")
        if workload["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"] != str(http):
            self.say(workload, "Prometheus is told another port")
        needed = int(settings["COULOMB_DRAIN_NOTICE_S"]) + int(settings["COULOMB_DRAIN_S"]) + FINISH_WAIT_MAX_S
        if pod["terminationGracePeriodSeconds"] <= needed:
            self.say(workload, f"it may need {needed} s to drain, and is killed before")

    def check_selectors(self):
        for service in self.of("Service"):
            for workload in self.pods(service["spec"]["selector"]) or [None]:
                if workload is None:
                    self.say(service, "no pod has its labels")
                    continue
                ports = workload["spec"]["template"]["spec"]["containers"][0]["ports"]
                known = {port["name"] for port in ports} | {port["containerPort"] for port in ports}
                for port in service["spec"]["ports"]:
                    if port.get("targetPort", port["port"]) not in known:
                        self.say(service, f"nobody listens on {port}")
        for budget in self.of("PodDisruptionBudget"):
            if len(self.pods(budget["spec"]["selector"]["matchLabels"])) != 1:
                self.say(budget, "its labels are not those of one workload")
        for name in ROLES | {"front"}:
            if not self.named("PodDisruptionBudget", name):
                self.problems.append(f"{self.name}: {name} has no PodDisruptionBudget")
        for scaler in self.of("HorizontalPodAutoscaler"):
            target = scaler["spec"]["scaleTargetRef"]
            scaled = self.named(target["kind"], target["name"])
            if scaled is None:
                self.say(scaler, "what it scales is not there")
            elif "replicas" in scaled["spec"]:
                self.say(scaler, "its workload sets `replicas`, which each apply would go back to")
            for metric in scaler["spec"]["metrics"]:
                source = metric.get("pods") or metric.get("external")
                if source and source["metric"]["name"] not in adapted():
                    self.say(scaler, f"the adapter gives no {source['metric']['name']}")

    def check_scalers(self):
        """Base goes by what Kubernetes has itself. Where the adapter's metrics are asked for, all of them are."""
        asked = set()
        for scaler in self.of("HorizontalPodAutoscaler"):
            kinds = [metric["type"] for metric in scaler["spec"]["metrics"]]
            if "Resource" not in kinds:
                self.say(scaler, "it does not go by processor time")
            for metric in scaler["spec"]["metrics"]:
                source = metric.get("pods") or metric.get("external")
                asked.update([source["metric"]["name"]] if source else [])
        wanted = set() if self.name == "base.yaml" else adapted()
        if asked != wanted:
            self.problems.append(f"{self.name}: autoscalers ask the adapter for {sorted(asked)}, not {sorted(wanted)}")

    def check_front(self):
        front = self.named("Deployment", "front")
        for name, value in self.settings(front).items():
            found = re.fullmatch(r"([\w-]+)\.([\w-]+)\.svc\.cluster\.local:(\d+)", value)
            if not found:
                continue
            service = self.named("Service", found[1])
            if service is None or service["metadata"]["namespace"] != found[2]:
                self.say(front, f"{name}: there is no Service {found[1]} in {found[2]}")
            elif int(found[3]) not in [port["port"] for port in service["spec"]["ports"]]:
                self.say(front, f"{name}: {found[1]} has no port {found[3]}")
            elif service["spec"].get("clusterIP") != "None":
                self.say(front, f"{name}: nginx must see the addresses of {found[1]}'s processes")
        for ingress in self.of("Ingress"):
            for rule in ingress["spec"]["rules"]:
                for path in rule["http"]["paths"]:
                    backend = path["backend"]["service"]
                    service = self.named("Service", backend["name"])
                    if not service or backend["port"]["name"] not in [port["name"] for port in service["spec"]["ports"]]:
                        self.say(ingress, f"there is no {backend}")

    def check_end_of_front(self):
        """Its sockets may end by themselves, and one that ends cuts few of all, apart from the next one."""
        front = self.named("Deployment", "front")
        process = self.named("ConfigMap", front["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"])
        cut_after = int(re.search(r"^worker_shutdown_timeout (\d+)s;", process["data"]["nginx.conf"], re.M)[1])
        pod = front["spec"]["template"]["spec"]
        stop = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1]
        forgotten, waits = (int(found) for found in re.findall(r"sleep (\d+)", stop))
        if cut_after < 300:
            self.say(front, f"sockets that are open are cut after {cut_after} s")
        if waits <= cut_after or pod["terminationGracePeriodSeconds"] <= forgotten + waits:
            self.say(front, f"it is ended before its workers have had their {cut_after} s")
        if front["spec"]["replicas"] < 3:
            self.say(front, f"each of {front['spec']['replicas']} that ends cuts a large part of all sockets")
        if front["spec"].get("minReadySeconds", 0) < 60:
            self.say(front, "in a rollout all of them end at nearly the same moment")

    def may(self, policies, direction, workload, peer, port):
        """Whether a policy lets a workload speak to another one (Egress), or be spoken to (Ingress)."""
        labels = workload["spec"]["template"]["metadata"]["labels"]
        for policy in policies:
            if not policy["spec"]["podSelector"].get("matchLabels", {}).items() <= labels.items():
                continue
            for rule in policy["spec"].get(direction.lower(), []):
                for other in rule.get("to" if direction == "Egress" else "from", []):
                    if "namespaceSelector" in other:
                        continue
                    wanted = other["podSelector"]["matchLabels"].items()
                    if wanted <= peer["spec"]["template"]["metadata"]["labels"].items() and any(
                        one["port"] == port for one in rule["ports"]
                    ):
                        return True
        return False

    def check_network(self):
        policies = self.of("NetworkPolicy")
        if not any(
            policy["spec"]["podSelector"] == {}
            and set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}
            and not policy["spec"].get("ingress")
            and not policy["spec"].get("egress")
            for policy in policies
        ):
            self.problems.append(f"{self.name}: no policy forbids what is not allowed")
        for policy in policies:
            selector = policy["spec"]["podSelector"].get("matchLabels", {})
            if not self.pods(selector):
                self.say(policy, "no pod has its labels")
        workloads = self.of("Deployment")
        front = self.named("Deployment", "front")
        wanted = {("front", "command-service", 8081), ("front", "realtime-api", 8082), ("front", "ocpp-edge", 9000)}
        for one in workloads:
            for other in workloads:
                for port in (8080, 8081, 8082, 8083, 8084, 9000, 9001):
                    allowed = self.may(policies, "Egress", one, other, port) and self.may(
                        policies, "Ingress", other, one, port
                    )
                    pair = (one["metadata"]["name"], other["metadata"]["name"], port)
                    if allowed != (pair in wanted):
                        self.say(front, f"{pair[0]} {'may' if allowed else 'may not'} speak to {pair[1]} on {port}")


def adapted():
    """The metrics that the adapter's rules give to autoscalers."""
    document = yaml.safe_load((ROOT / "docker/kubernetes/adapter.yaml").read_text())
    config = yaml.safe_load(document["data"]["config.yaml"])
    names = set()
    for rule in config["rules"] + config["externalRules"]:
        as_ = rule.get("name", {}).get("as")
        names.update([as_] if as_ else re.findall(r"\bcoulomb_\w+", rule["seriesQuery"]))
    return names


def main():
    problems, count = [], 0
    for file in sys.argv[1:]:
        overlay = Overlay(file)
        count += len(overlay.documents)
        problems += overlay.check()
    if problems:
        sys.exit("\n".join(problems))
    print(f"kubernetes: {count} manifests are valid, and what they refer to is there")


main()
