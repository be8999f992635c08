"""The Kubernetes overlays as `kubectl kustomize` renders them, and the parts of them that tests look at."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import pytest
import yaml

from deploy.repository import REPOSITORY
from tests.unit.deploy.known_settings import SETTINGS

OVERLAYS: Final = ("dev", "prod")

Resource = dict[str, Any]

with_kubectl = pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="there is no kubectl here, which renders kustomize's overlays"
)
each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


@cache
def resources(overlay: str) -> list[Resource]:
    """Return everything that an overlay applies."""
    done = subprocess.run(
        ["kubectl", "kustomize", REPOSITORY / "k8s" / "overlays" / overlay],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(overlay: str, *kinds: str) -> dict[str, Resource]:
    """Return the resources of these kinds, by name."""
    return {one["metadata"]["name"]: one for one in resources(overlay) if one["kind"] in kinds}


@dataclass(frozen=True)
class Workload:
    """One of our Deployments or StatefulSets, and what its only container is told."""

    name: str
    overlay: str
    spec: Resource

    @property
    def pod(self) -> Resource:
        """The pod's specification."""
        found: Resource = self.spec["template"]["spec"]
        return found

    @property
    def labels(self) -> Mapping[str, str]:
        """The pod's labels."""
        found: Mapping[str, str] = self.spec["template"]["metadata"]["labels"]
        return found

    @property
    def container(self) -> Resource:
        """The only container."""
        (found,) = self.pod["containers"]
        return dict(found)

    @property
    def service(self) -> str:
        """The service that it runs: a folder of the code."""
        (service,) = self.container["args"]
        return str(service)

    @property
    def env(self) -> dict[str, Any]:
        """Its variables: a value, or where it comes from."""
        from_maps = (source["configMapRef"]["name"] for source in self.container["envFrom"])
        maps = of_kind(self.overlay, "ConfigMap")
        found: dict[str, Any] = {}
        for name in from_maps:
            found |= maps[name]["data"]
        own = {one["name"]: one.get("value", one.get("valueFrom")) for one in self.container.get("env", [])}
        return found | own

    @property
    def ports(self) -> dict[str, int]:
        """Its named ports."""
        return {port["name"]: port["containerPort"] for port in self.container["ports"]}


def workloads(overlay: str) -> Iterator[Workload]:
    """Yield our Deployments and StatefulSets."""
    for name, one in of_kind(overlay, "Deployment", "StatefulSet").items():
        yield Workload(name, overlay, one["spec"])


def workload(overlay: str, name: str) -> Workload:
    """Return one of our workloads."""
    return next(one for one in workloads(overlay) if one.name == name)


def said(one: Workload, setting: str) -> Any:
    """Return what a setting is in a workload: what it is told, or the default."""
    default = SETTINGS[one.service].model_fields[setting].get_default()
    return one.env.get(setting.upper(), default)


def most(overlay: str, name: str) -> int:
    """Return how many pods a workload can have."""
    for one in of_kind(overlay, "ScaledObject").values():
        if one["spec"]["scaleTargetRef"]["name"] == name:
            return int(one["spec"]["maxReplicaCount"])
    return int(workload(overlay, name).spec["replicas"])
