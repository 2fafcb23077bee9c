"""Every metric that a service exports, in one list. No label ever holds an id or anything a client chose freely."""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

_LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_JOB_BUCKETS = (0.1, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)

HTTP_REQUESTS = Counter(
    "gpt_jobs_http_requests", "HTTP requests, by route and status.", ["route", "method", "status"]
)
HTTP_SECONDS = Histogram(
    "gpt_jobs_http_request_seconds", "Time to answer an HTTP request.", ["route"], buckets=_LATENCY_BUCKETS
)

SHORTCUTS = Counter(
    "gpt_jobs_http_shortcuts", "HTTP requests that were answered past the application, by route.", ["route"]
)

ACCEPTED = Counter("gpt_jobs_accepted", "Jobs that the broker confirmed for the gateway, by route.", ["route"])
REPEATED = Counter(
    "gpt_jobs_repeated", "Submissions that their Idempotency-Key led to a job that was there, by route.", ["route"]
)
REFUSED = Counter("gpt_jobs_refused", "Valid submissions that did not become a job, by error code.", ["code"])
RECOVERED = Counter("gpt_jobs_recovered", "Messages that were gone from the broker and were published again.")
QUEUE_DEPTH = Gauge("gpt_jobs_queue_depth", "Messages ready in a queue of the broker.", ["queue"])
QUEUE_CONSUMERS = Gauge("gpt_jobs_queue_consumers", "Consumers of a queue of the broker.", ["queue"])
OLDEST_WAITING = Gauge(
    "gpt_jobs_oldest_waiting_seconds", "How long the job that is due for longest has waited for a worker.", ["queue"]
)

ESTIMATED_WAIT = Gauge(
    "gpt_jobs_estimated_wait_seconds",
    "How long a job that is submitted now is expected to wait for a worker; NaN while that is not known.",
)

SERVER_UP = Gauge("gpt_jobs_server_up", "Whether a server answered this process when it was asked last.", ["server"])
READY = Gauge("gpt_jobs_ready", "Whether this process can serve, as /readyz says.")
LOOP_LAG = Histogram(
    "gpt_jobs_event_loop_lag_seconds",
    "How late the event loop comes to what is due, sampled ten times a second.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)

FINISHED = Counter("gpt_jobs_finished", "Jobs that became terminal, by status and error code.", ["status", "code"])
DELIVERIES = Counter("gpt_jobs_deliveries", "Deliveries from the queue, by what became of them.", ["outcome"])
ATTEMPTS = Counter("gpt_jobs_attempts", "Attempts that were started.")
QUEUE_SECONDS = Histogram(
    "gpt_jobs_queue_wait_seconds", "Time from acceptance to the first attempt.", buckets=_JOB_BUCKETS
)
ANSWER_SECONDS = Histogram(
    "gpt_jobs_answer_seconds",
    "Time from acceptance until the job became terminal, with all waiting and every attempt.",
    ["status"],
    buckets=_JOB_BUCKETS,
)
UPSTREAM_CALLS = Counter("gpt_jobs_upstream_calls", "Calls of the model, by how they ended.", ["model", "result"])
UPSTREAM_SECONDS = Histogram(
    "gpt_jobs_upstream_call_seconds",
    "Time in the call of the model, by how it ended.",
    ["model", "result"],
    buckets=_JOB_BUCKETS,
)
IN_PROGRESS = Gauge("gpt_jobs_in_progress", "Jobs in this worker's hands.")
WATCHDOG = Counter("gpt_jobs_watchdog", "Times that a watchdog found something stopped and renewed it.", ["watch"])
SLOTS = Gauge("gpt_jobs_slots", "How many jobs this worker runs at once (its prefetch).")
TOKENS = Counter("gpt_jobs_tokens", "Tokens as the upstream counted them.", ["model", "direction"])

LOOKUPS = Counter("gpt_jobs_lookups", "Look-ups of a job, by where they were answered.", ["answered_by"])
HELD_POLLS = Gauge("gpt_jobs_held_polls", "Requests that are held until their job is terminal.")
STREAMS = Gauge("gpt_jobs_streams", "Requests that follow what a job writes.")

# To find the child of some labels costs several times as much as to count with it.
http_seconds = cache(HTTP_SECONDS.labels)
accepted = cache(ACCEPTED.labels)
lookups = cache(LOOKUPS.labels)
finished = cache(FINISHED.labels)
deliveries = cache(DELIVERIES.labels)
answer_seconds = cache(ANSWER_SECONDS.labels)
upstream_calls = cache(UPSTREAM_CALLS.labels)
upstream_seconds = cache(UPSTREAM_SECONDS.labels)
tokens = cache(TOKENS.labels)

MAX_MODELS = 50
_seen_models: set[str] = set()


def model_label(model: str) -> str:
    """The model as a label: a client may ask for any name, so those past the first 50 are `other`."""
    if model in _seen_models or len(_seen_models) < MAX_MODELS:
        _seen_models.add(model)
        return model
    return "other"


def asked_model_label(model: str) -> str:
    """The model of a call that may have failed: one that never answered may be any name, and is `other`."""
    return model if model in _seen_models else "other"
