"""Values that are wrong are refused, and the message names the key."""

from typing import Any

import pytest

from tests.chart.rendering import EXTERNAL, RenderError, overlaid, render

HPA = {"mode": "hpa"}

#: What is wrong, and what the message must have in it.
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a misspelt component": ({"wroker": {}}, "wroker"),
    "a misspelt key of a component": ({"worker": {"replica": 3}}, "replica"),
    "a misspelt key deep below": ({"worker": {"autoscaling": {"maxReplica": 3}}}, "maxReplica"),
    "a misspelt setting": ({"settings": {"JOB_TIMEOUT": 60}}, "JOB_TIMEOUT"),
    "a setting in lower case": ({"settings": {"prefetch": 60}}, "prefetch"),
    "a misspelt resource": ({"gateway": {"resources": {"limit": {"memory": "1Gi"}}}}, "limit"),
    "a misspelt probe": ({"defaults": {"livenessProbe": {"periodSecond": 5}}}, "periodSecond"),
    "a misspelt image": ({"reader": {"image": {"repo": "x"}}}, "repo"),
    "a misspelt network": ({"networkPolicy": {"monitor": []}}, "monitor"),
    "a misspelt server": ({"external": {"mongo": {}}}, "mongo"),
    "a misspelt switch": ({"monitoring": {"podMonitors": {"enabled": True}}}, "podMonitors"),
    "a number as text": ({"worker": {"replicas": "3"}}, "/worker/replicas"),
    "a fraction of a pod": ({"worker": {"replicas": 1.5}}, "/worker/replicas"),
    "fewer than no pods": ({"worker": {"replicas": -1}}, "/worker/replicas"),
    "text for a number": ({"settings": {"JOB_TIMEOUT_S": "5m"}}, "JOB_TIMEOUT_S"),
    "a timeout of nothing": ({"settings": {"JOB_TIMEOUT_S": 0}}, "JOB_TIMEOUT_S"),
    "a timeout of a week": ({"settings": {"JOB_TIMEOUT_S": 604800}}, "JOB_TIMEOUT_S"),
    "a level that there is not": ({"settings": {"LOG_LEVEL": "TRACE"}}, "LOG_LEVEL"),
    "a URL without a scheme": ({"settings": {"OPENAI_BASE_URL": "model:8000"}}, "OPENAI_BASE_URL"),
    "a timeout that is taken away": ({"settings": {"JOB_TIMEOUT_S": None}}, "JOB_TIMEOUT_S"),
    "a mode that there is not": ({"worker": {"autoscaling": {"mode": "cpu"}}}, "/worker/autoscaling/mode"),
    "keda for a service without a queue": (
        {"gateway": {"autoscaling": {"mode": "keda"}}},
        "gateway.autoscaling.mode",
    ),
    "least above most": (
        {"reader": {"autoscaling": {**HPA, "minReplicas": 5, "maxReplicas": 2}}},
        "reader.autoscaling.minReplicas",
    ),
    "nothing with hpa": ({"reader": {"autoscaling": {**HPA, "minReplicas": 0}}}, "reader.autoscaling.minReplicas"),
    "yes in quotes": ({"ingress": {"enabled": "yes"}}, "/ingress/enabled"),
    "a tag that is a number": ({"worker": {"image": {"tag": 1.2}}}, "/worker/image/tag"),
    "a digest without its kind": ({"worker": {"image": {"digest": "abc"}}}, "/worker/image/digest"),
    "a policy for pulling": ({"defaults": {"image": {"pullPolicy": "Sometimes"}}}, "/defaults/image/pullPolicy"),
    "a quantity with a space": ({"worker": {"resources": {"limits": {"memory": "1 GB"}}}}, "limits/memory"),
    "a mapping for a list": ({"imagePullSecrets": {"name": "x"}}, "imagePullSecrets"),
    "an ingress without a host": ({"ingress": {"enabled": True}}, "ingress.host"),
    "a route without a gateway": ({"httpRoute": {"enabled": True, "hostnames": ["h"]}}, "httpRoute.parentRefs"),
    "a route without a host": (
        {"httpRoute": {"enabled": True, "parentRefs": [{"name": "g"}]}},
        "httpRoute.hostnames",
    ),
    "a route shorter than a poll": ({"httpRoute": {"timeoutS": 10}}, "/httpRoute/timeoutS"),
    "no server at all": ({"redis": {"enabled": False}}, "external.redis.existingSecret"),
    "a server twice": ({"external": {"mongodb": {"existingSecret": "s"}}}, "external.mongodb.existingSecret"),
    "a dependency's switch as text": ({"rabbitmq": {"enabled": "true"}}, "/rabbitmq/enabled"),
    "what the services cannot follow": ({"redis": {"tls": {"enabled": True}}}, "redis.tls.enabled"),
    "sentinels": ({"redis": {"sentinel": {"enabled": True}}}, "redis.sentinel.enabled"),
    "two users": ({"mongodb": {"auth": {"usernames": ["a", "b"]}}}, "mongodb.auth.usernames"),
    "a setting of another service": (
        {"worker": {"settings": {"MAX_QUEUE_DEPTH": 5}}},
        "worker.settings.MAX_QUEUE_DEPTH",
    ),
    "a service for those who serve nobody": ({"worker": {"service": {"type": "NodePort"}}}, "worker.service"),
    "a setting as an extra variable": ({"worker": {"extraEnv": [{"name": "PREFETCH", "value": "1"}]}}, "PREFETCH"),
    "a secret as an extra variable": ({"gateway": {"extraEnv": [{"name": "OPENAI_API_KEY"}]}}, "OPENAI_API_KEY"),
    "no key and no server of one's own": ({"openai": {"existingSecret": ""}}, "openai.existingSecret"),
    "a delivery limit that workers pass": ({"brokerPolicy": {"deliveryLimit": 8}}, "/brokerPolicy/deliveryLimit"),
    "a queue shorter than gateways take it for": ({"brokerPolicy": {"maxLength": 10}}, "brokerPolicy.maxLength"),
    "a network that is none": ({"external": {"redis": {"cidrs": ["10.0.0.1"]}}}, "/external/redis/cidrs/0"),
    "keda without the management API": (
        overlaid(
            EXTERNAL,
            {
                "external": {"rabbitmq": {"management": {"existingSecret": ""}}},
                "worker": {"autoscaling": {"mode": "keda"}},
            },
        ),
        "external.rabbitmq.management.existingSecret",
    ),
}


@pytest.mark.parametrize(("values", "key"), BAD.values(), ids=list(BAD))
def test_it_is_refused(values: dict[str, Any], key: str) -> None:
    with pytest.raises(RenderError) as refused:
        render(values)
    assert key in str(refused.value)


def test_a_release_name_that_two_servers_take_for_theirs_is_refused() -> None:
    with pytest.raises(RenderError, match="fullnameOverride"):
        render(release="my-redis-mongodb")
    assert render({"redis": {"fullnameOverride": "cache"}}, release="my-redis-mongodb")


@pytest.mark.parametrize("key", ["rabbitmq", "redis", "mongodb", "global", "tags"])
def test_what_is_not_ours_is_left_to_its_owner(key: str) -> None:
    assert render({key: {"whatever": {"they": "like"}}})
