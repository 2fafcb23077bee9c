"""Upstream: the model API as the workers meet it."""

from deploy.dashboards.grafana import Dashboard, Panel, Row, Series, number, quantiles

CALLS = "gpt_jobs_upstream_calls_total"
SECONDS = "gpt_jobs_upstream_call_seconds_bucket"
#: The failures that a client's request brings about, not the upstream.
THEIR_FAULT = "request_refused|context_too_long|content_filter|oversized_answer"
FAILED = f'result!~"completed|interrupted|{THEIR_FAULT}"'
COMPLETED = 'result="completed"'
RATE_LIMITED = 'result="rate_limit"'


def _rate(matchers: str = "", by: str = "") -> str:
    return f"sum{f' by ({by}) ' if by else ''}(rate({CALLS}{{{matchers}}}[$__rate_interval]))"


NOW = Row(
    "Now",
    (
        number("Calls", "Calls of the model that ended, per second.", _rate(), "suffix:/s", width=4),
        number(
            "Calls at once", "Jobs in the workers' hands; nearly all of them are in a call.",
            "sum(gpt_jobs_in_progress{})", width=4,
        ),
        number(
            "Failing", "The share of the calls that failed for a reason of the upstream's.",
            f"{_rate(FAILED)} / {_rate()}", "percentunit", width=4, orange=0.05, red=0.5,
        ),
        number(
            "Answered with 429", "The share of the calls that the upstream refused since they were too many.",
            f"{_rate(RATE_LIMITED)} / {_rate()}", "percentunit", width=4, orange=0.01, red=0.1,
        ),
        number(
            "Latency, p95", "19 of 20 good answers came within this time.",
            f'histogram_quantile(0.95, sum by (le) (rate({SECONDS}{{result="completed"}}[$__rate_interval])))',
            "s", width=4,
        ),
        number(
            "Tokens", "Tokens of completed calls per minute, in and out.",
            "60 * sum(rate(gpt_jobs_tokens_total{}[$__rate_interval]))", "suffix:/min", width=4,
        ),
    ),
)  # fmt: skip

CALLS_ROW = Row(
    "Calls",
    (
        Panel(
            "Calls by how they ended",
            "Per second. What each failure means: docs/architecture.md, what the upstream does.",
            (Series(f"{_rate(by='result')} > 0 or {_rate(COMPLETED, 'result')}", "{{result}}"),),
            "suffix:/s", stacked=True, width=12,
        ),
        Panel(
            "Calls by model",
            "Per second, by the model that was asked for; other: one that has never answered.",
            (Series(_rate(by="model"), "{{model}}"),), "suffix:/s", stacked=True, width=12,
        ),
        Panel(
            "Failing, by model",
            "The share of the calls that failed for a reason of the upstream's.",
            (Series(f"{_rate(FAILED, 'model')} / {_rate(by='model')}", "{{model}}"),),
            "percentunit", most=1, width=12,
        ),
        Panel(
            "Refused since the request cannot be answered",
            "Per second: refused as wrong, too long, or for its content. The client's to change, and not retried.",
            (Series(_rate(f'result=~"{THEIR_FAULT}"', "result"), "{{result}}"),), "suffix:/s", width=12,
        ),
    ),
)  # fmt: skip

LATENCY = Row(
    "Latency",
    (
        Panel(
            "Latency of good answers",
            "The time of one call. Time to answer on the Overview has waiting and retries besides.",
            quantiles(f'{SECONDS}{{result="completed"}}'), "s",
        ),
        Panel(
            "Latency by model, p95",
            "Of good answers.",
            (Series(f'histogram_quantile(0.95, sum by (le, model) (rate({SECONDS}{{result="completed"}}'
                    "[$__rate_interval])))", "{{model}}"),),
            "s",
        ),
        Panel(
            "Latency by how the call ended, mean",
            "Failures that take long hold a slot for as long.",
            (Series(
                "sum by (result) (rate(gpt_jobs_upstream_call_seconds_sum{}[$__rate_interval])) "
                "/ sum by (result) (rate(gpt_jobs_upstream_call_seconds_count{}[$__rate_interval]))",
                "{{result}}",
            ),),
            "s",
        ),
    ),
)  # fmt: skip

LIMITS = Row(
    "Limits",
    (
        Panel(
            "Answers 429, by model",
            "Calls per second that the upstream refused since they were too many. Fewer workers, or a smaller "
            "PREFETCH, or a higher limit.",
            (Series(_rate(RATE_LIMITED, "model"), "{{model}}"),), "suffix:/s",
        ),
        Panel(
            "Keys and quota",
            "Calls per second that ended since the last living key was refused, or its quota is used up.",
            (Series(_rate('result=~"quota|key_refused"', "result"), "{{result}}"),), "suffix:/s",
        ),
        Panel(
            "Attempts put off, and jobs given up",
            "Per second: jobs that wait for another attempt, and those that have none left.",
            (
                Series('sum(rate(gpt_jobs_deliveries_total{outcome="transient"}[$__rate_interval]))', "put off"),
                Series('sum(rate(gpt_jobs_deliveries_total{outcome="exhausted"}[$__rate_interval]))', "given up"),
            ),
            "suffix:/s",
        ),
    ),
)  # fmt: skip

TOKENS = Row(
    "Tokens",
    (
        Panel(
            "Tokens by model",
            "Per minute, of completed calls, by the model's name as the upstream gives it.",
            (Series("60 * sum by (model, direction) (rate(gpt_jobs_tokens_total{}[$__rate_interval]))",
                    "{{model}} {{direction}}"),),
            "suffix:/min", stacked=True,
        ),
        Panel(
            "Tokens of one answer, mean",
            "How long prompts and answers are.",
            (Series("sum by (direction) (rate(gpt_jobs_tokens_total{}[$__rate_interval])) / scalar("
                    f"{_rate(COMPLETED)})", "{{direction}}"),),
        ),
        Panel(
            "Tokens in 24 hours",
            "What was used, and paid for, in the day before each moment.",
            (Series("sum by (model, direction) (increase(gpt_jobs_tokens_total{}[24h]))",
                    "{{model}} {{direction}}"),),
        ),
    ),
)  # fmt: skip

UPSTREAM = Dashboard(
    "gpt-jobs-upstream",
    "gpt-jobs / Upstream",
    "The model API: calls, latency, refusals, tokens, by model.",
    (NOW, CALLS_ROW, LATENCY, LIMITS, TOKENS),
)
