"""The values that the chart is tried with: each of its switches, and the files that come with it."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.chart.rendering import CHART, EXTERNAL, render

DEV = CHART / "values-dev.yaml"
PRODUCTION = CHART / "values-production.yaml"

#: With secrets of one's own, two renderings are the same.
OWN_SECRETS: dict[str, Any] = {"credentials": {"create": False}, "jobIdKeys": {"existingSecret": "ids"}}

KEDA: dict[str, Any] = {"worker": {"autoscaling": {"mode": "keda", "minReplicas": 1, "maxReplicas": 20}}}
ROUTE: dict[str, Any] = {
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["gpt.example.com"]}
}
MONITORING: dict[str, Any] = {
    "monitoring": {
        "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
        "dashboards": {"enabled": True},
    }
}


@dataclass(eq=False)
class Case:
    """One set of values."""

    values: dict[str, Any] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    release: str = "x"

    @cached_property
    def documents(self) -> list[dict[str, Any]]:
        """The manifests, rendered once for all tests; for reading only."""
        return render(self.values, release=self.release, values_files=self.files)


CASES: dict[str, Case] = {
    "as it comes": Case(),
    "dev": Case(files=(DEV,)),
    "production": Case(files=(PRODUCTION,)),
    "external": Case(EXTERNAL),
    "external, keda": Case({**EXTERNAL, **KEDA}),
    "keda": Case(KEDA),
    "hpa": Case({"defaults": {"autoscaling": {"mode": "hpa"}}}),
    "replicas": Case({"defaults": {"replicas": 3}}),
    "own secrets": Case(OWN_SECRETS),
    "keys": Case({"apiKeys": {"existingSecret": "{{ .Release.Name }}-keys"}, "settings": {"PREDICT_CLIENT": "app"}}),
    "a model of one's own": Case(
        {"openai": {"existingSecret": ""}, "settings": {"OPENAI_BASE_URL": "https://model.example.com/v1"}}
    ),
    "every setting": Case(
        {
            "settings": {
                "LOG_LEVEL": "DEBUG",
                "HTTP_HOST": "::",
                "PREDICT_CLIENT": "app",
                "FOREIGN_IDS": False,
                "AMQP_EXCHANGE": "e",
                "AMQP_QUEUE": "q.1",
                "REDIS_PREFIX": "p:",
                "BROKER_TIMEOUT_S": 2.5,
                "CACHE_TIMEOUT_S": 1,
                "STORE_TIMEOUT_S": 4,
                "PREFETCH": 3,
                "MAX_QUEUE_DEPTH": 1000000,
                "JOB_TIMEOUT_S": 60.5,
                "JOB_DEADLINE_S": 2000000,
                "MAX_ATTEMPTS": 2,
                "RETRY_DELAY_S": 0.001,
                "RETRY_MAX_DELAY_S": 10,
                "RECOVERY_GRACE_S": 30,
                "RESULT_CACHE_TTL_S": 60,
                "RESULT_STORE_TTL_S": 86400,
                "CONVERSATION_TTL_S": 0,
                "CONTEXT_TOKENS": 128000,
                "OPENAI_BASE_URL": "https://model/v1",
                "OPENAI_MODEL": "m",
                "OPENAI_KEY_REST_S": 60,
                "PLAYGROUND": True,
                "PLAYGROUND_RESULTS_URL": "https://results.example.com",
                "CORS_ORIGINS": "https://gpt.example.com,http://[::1]:8080",
            }
        }
    ),
    "one service's own": Case(
        {
            "worker": {
                "settings": {"LOG_LEVEL": "DEBUG", "PREFETCH": 2},
                "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
                "podLabels": {"team": "a"},
                "podAnnotations": {"note": "b"},
                "nodeSelector": {"disk": "fast"},
                "tolerations": [{"key": "gpu", "operator": "Exists"}],
                "affinity": {"nodeAffinity": {}},
                "priorityClassName": "low",
            }
        }
    ),
    "no pod is spread, none budgeted": Case({"defaults": {"spreadOver": [], "disruptionBudget": {"enabled": False}}}),
    "no network policies": Case({"networkPolicy": {"enabled": False}}),
    "no peers": Case({"networkPolicy": {"ingressControllers": [], "monitoring": []}}),
    "no broker policy": Case({"brokerPolicy": {"enabled": False}}),
    "ingress": Case({"ingress": {"enabled": True, "host": "gpt.example.com", "className": "traefik"}}),
    "route": Case(ROUTE),
    "monitoring": Case(MONITORING),
    "images from elsewhere": Case(
        {
            "global": {"imageRegistry": "registry.example.com"},
            "imagePullSecrets": [{"name": "registry"}],
            "worker": {"image": {"digest": "sha256:" + "0" * 64}},
        }
    ),
    "replica set": Case({"mongodb": {"architecture": "replicaset", "replicaCount": 3}}),
    "names of one's own": Case(
        {
            "redis": {"fullnameOverride": "cache"},
            "mongodb": {"nameOverride": "store"},
            "rabbitmq": {"nameOverride": "broker", "auth": {"existingPasswordSecret": "mine"}},
        }
    ),
    "no password in front of the cache": Case({"redis": {"auth": {"enabled": False}}}),
    **{
        f"release {release}": Case(files=(PRODUCTION,), release=release)
        for release in ("gpt-jobs", "my-redis-rel", "rabbitmq", "a" * 53, "mongodb-gpt-jobs", "42")
    },
}
