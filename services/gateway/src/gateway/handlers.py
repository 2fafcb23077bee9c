"""The gateway's routes."""

import re

import orjson
from aiohttp import web

from common import metrics
from common.auth import Clients
from common.errors import BrokerUnavailable, CacheUnavailable, ErrorCode, QueueFull, ServiceError
from common.estimates import Estimates
from common.replies import Reply, error_reply
from common.requests import Asked
from common.web import REQUEST_ID, json_body
from gateway.acceptance import Acceptance, Accepted, Origin
from gateway.once_only import REPLAYED_HEADER, OnceOnly, read_key
from gateway.schemas import Submission, read_predict_start, read_submission
from gateway.settings import GatewaySettings

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Handlers:
    """One method a route."""

    def __init__(
        self,
        settings: GatewaySettings,
        clients: Clients,
        acceptance: Acceptance,
        once_only: OnceOnly,
        estimates: Estimates,
    ) -> None:
        self._clients = clients
        self._max_deadline_s = settings.job_deadline_s
        self._max_timeout_s = settings.job_timeout_s
        self._acceptance = acceptance
        self._once_only = once_only
        self._estimates = estimates
        for route in ("jobs", "predict"):
            metrics.accepted(route)  # counted from 0
            metrics.REPEATED.labels(route)
        for code in (ErrorCode.QUEUE_FULL, ErrorCode.BROKER_UNAVAILABLE, ErrorCode.CACHE_UNAVAILABLE):
            metrics.REFUSED.labels(code)

    def routes(self) -> list[web.RouteDef]:
        """The paths that an ingress sends here."""
        return [web.post("/v1/jobs", self.submit), web.post("/predict/start", self.predict_start)]

    async def submit(self, request: web.Request) -> web.Response:
        """`POST /v1/jobs`: what `accept` does, for who may."""
        self._clients.of(request.headers.get("Authorization"))  # before the body is read
        return (await self.accept(await _asked(request))).response()

    async def accept(self, asked: Asked) -> Reply:
        """202 and the record of the accepted job; 200 if it was submitted before."""
        client = self._clients.of(asked.headers.get("Authorization"))
        submission = read_submission(asked.body, self._max_deadline_s, self._max_timeout_s)
        accepted = await self._accept("jobs", submission, client, asked)
        told = self._estimates.told(accepted.record)
        headers = {"Location": f"/v1/results/{accepted.job_id}", **_replayed(accepted)}
        if not accepted.record.is_terminal:
            headers["Retry-After"] = str(told.retry_after_s)
        return Reply(told.body, 202 if accepted.is_new else 200, headers)

    async def predict_start(self, request: web.Request) -> web.Response:
        """`POST /predict/start`: what `start` does."""
        try:
            self._clients.of_predict()  # before the body is read
            asked = await _asked(request)
        except ServiceError as error:
            return _refusal(error, request[REQUEST_ID]).response()
        return (await self.start(asked)).response()

    async def start(self, asked: Asked) -> Reply:
        """The original's call, in the original's envelope."""
        try:
            client = self._clients.of_predict()
            accepted = await self._accept("predict", read_predict_start(asked.body), client, asked)
        except ServiceError as error:
            return _refusal(error, asked.request_id)
        envelope = {"isOk": True, "model": {"reqId": accepted.job_id}}
        return Reply(orjson.dumps(envelope), headers=_replayed(accepted))

    async def _accept(self, route: str, submission: Submission, client: str, asked: Asked) -> Accepted:
        deadline_s = submission.deadline_s or self._max_deadline_s
        traceparent = asked.headers.get("traceparent", "")
        origin = Origin(client, asked.request_id, traceparent if _TRACEPARENT.fullmatch(traceparent) else None)
        key = read_key(asked.headers)
        try:
            if key is None:
                accepted = await self._acceptance.accept(submission, deadline_s, origin)
            else:
                accepted = await self._once_only.accept(key, submission, deadline_s, origin)
        except (BrokerUnavailable, QueueFull, CacheUnavailable) as error:
            metrics.REFUSED.labels(error.code).inc()
            raise
        if accepted.is_new:
            metrics.accepted(route).inc()
        else:
            metrics.REPEATED.labels(route).inc()
        return accepted


def _replayed(accepted: Accepted) -> dict[str, str]:
    return {} if accepted.is_new else {REPLAYED_HEADER: "true"}


async def _asked(request: web.Request) -> Asked:
    """The request with its body; raises ServiceError 413, 415."""
    return Asked(request.headers, request[REQUEST_ID], body=await json_body(request))


def _refusal(error: ServiceError, request_id: str) -> Reply:
    # The client sent the inputs bare.
    error.param = error.param and error.param.removeprefix("inputs.")
    message = f"{error.param}: {error.message}" if error.param else error.message
    return error_reply(error, request_id, envelope={"isOk": False, "model": {}, "errMsg": message})
