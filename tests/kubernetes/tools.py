"""What the tests of the chart run, built once per machine: a control plane, simulated nodes, helm and kubeconform.

Knows versions and commands; runs nothing but builds.
"""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path

from infermeter.assets import asset
from infermeter.cli.stack.build import build, cached_binary
from infermeter.cli.stack.go_toolchain import find_go
from infermeter.cli.stack.recipes import PROMETHEUS_VERSION, Recipe
from infermeter.cli.stack.reporting import Reporter, SilentReporter

KUBERNETES_VERSION = "1.36.3"
HELM_VERSION = "3.22.0"
ETCD_VERSION = "3.6.5"
KWOK_VERSION = "0.7.0"
KUBECONFORM_VERSION = "0.8.0"
OPERATOR = "github.com/prometheus-operator/prometheus-operator"
OPERATOR_VERSION = "0.85.0"
OPERATOR_SUM = "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s="

_HERE = Path(__file__).parent / "recipes"
_MAJOR, _MINOR, _ = KUBERNETES_VERSION.split(".")
_HELM = "helm.sh/helm/v3"
_HELM_SYMBOLS = {
    f"{_HELM}/internal/version.version": f"v{HELM_VERSION}",
    # Which Kubernetes a chart is rendered for where there is no cluster; a plain build says 1.20.
    **{
        f"{_HELM}/pkg/{package}.k8sVersion{part}": number
        for package in ("chartutil", "lint/rules")
        for part, number in (("Major", _MAJOR), ("Minor", _MINOR))
    },
}
_VERSION = "k8s.io/component-base/version"
_KUBERNETES_SYMBOLS = {
    f"{_VERSION}.gitVersion": f"v{KUBERNETES_VERSION}",
    f"{_VERSION}.gitMajor": _MAJOR,
    f"{_VERSION}.gitMinor": _MINOR,
}


def _recipe(
    name: str,
    title: str,
    version: str,
    packages: dict[str, str],
    expectation: str,
    *,
    folder: Path | None = None,
    symbols: dict[str, str] | None = None,
    tags: str = "",
    steps: int = 1000,
) -> Recipe:
    source = folder or _HERE / name.partition("_")[0]
    flags = " ".join(["-s -w", *(f"-X {symbol}={value}" for symbol, value in (symbols or {}).items())])
    return Recipe(
        name=name,
        title=title,
        version=version,
        sources={file: (source / file).read_bytes() for file in ("go.mod", "go.sum")},
        commands=tuple(
            ("go", "build", "-v", "-p", "{workers}", "-trimpath", "-tags", tags, "-ldflags", flags,
             "-o", f"{{bin}}/{binary}", package)
            for binary, package in packages.items()
        ),
        binaries=tuple(packages),
        steps=steps,
        expectation=expectation,
    )  # fmt: skip


@cache
def recipes() -> tuple[Recipe, ...]:
    """Return how everything is built, what most tests need first."""
    command = "k8s.io/kubernetes/cmd"
    control = ("kube-controller-manager", "kube-scheduler")
    return (
        _recipe("helm", "helm", HELM_VERSION, {"helm": f"{_HELM}/cmd/helm"}, "2 minutes on 2 cores",
                symbols=_HELM_SYMBOLS),
        _recipe("kubeconform", "kubeconform", KUBECONFORM_VERSION,
                {"kubeconform": "github.com/yannh/kubeconform/cmd/kubeconform"}, "half a minute", steps=200),
        _recipe("etcd", "etcd", ETCD_VERSION, {"etcd": "go.etcd.io/etcd/server/v3"}, "a minute on 2 cores", steps=500),
        _recipe("kubernetes", "Kubernetes' API server and kubectl", KUBERNETES_VERSION,
                {name: f"{command}/{name}" for name in ("kube-apiserver", "kubectl")}, "6 minutes on 2 cores",
                symbols=_KUBERNETES_SYMBOLS, steps=2200),
        _recipe("kubernetes_controllers", "Kubernetes' controllers and scheduler", KUBERNETES_VERSION,
                {name: f"{command}/{name}" for name in control}, "3 minutes on 2 cores after the API server",
                symbols=_KUBERNETES_SYMBOLS, steps=700),
        _recipe("kwok", "kwok", KWOK_VERSION, {"kwok": "sigs.k8s.io/kwok/cmd/kwok"}, "2 minutes on 2 cores"),
        _recipe("prometheus_kubernetes", "Prometheus with its discovery of pods", PROMETHEUS_VERSION,
                {"prometheus": "github.com/prometheus/prometheus/cmd/prometheus"}, "3 minutes on 2 cores",
                folder=asset("deploy/local/recipes/prometheus"), tags="netgo,remove_all_sd,enable_kubernetes_sd",
                symbols={"github.com/prometheus/common/version.Version": PROMETHEUS_VERSION}, steps=1500),
    )  # fmt: skip


def build_all(reporter: Reporter) -> None:
    """Build what this machine does not have yet."""
    for recipe in recipes():
        _built(recipe, reporter)


@cache
def tool(name: str) -> Path:
    """Return the path of a binary; builds it where it is missing, and raises if it cannot."""
    recipe = next(recipe for recipe in recipes() if name in recipe.binaries)
    _built(recipe, SilentReporter())
    binary = cached_binary(recipe, name)
    assert binary is not None
    return binary


def _built(recipe: Recipe, reporter: Reporter) -> None:
    if any(cached_binary(recipe, name) is None for name in recipe.binaries):
        build(recipe, find_go(), reporter)


@cache
def operator_crds() -> tuple[Path, ...]:
    """Return the files of the Prometheus operator's custom resources, from its Go module."""
    go = find_go()
    told = subprocess.run(
        [go.binary, "mod", "download", "-json", f"{OPERATOR}@v{OPERATOR_VERSION}"],
        env=go.environment(1), cwd=Path(__file__).parent, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    module = json.loads(told)
    assert module["Sum"] == OPERATOR_SUM, "another text under the same version"
    files = tuple(sorted(Path(module["Dir"], "example/prometheus-operator-crd").glob("*.yaml")))
    assert files
    return files
