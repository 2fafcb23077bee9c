"""Reads: what clients ask the result-reader, and where it finds the answers."""

from deploy.dashboards.grafana import Dashboard, Panel, Row, Series, number

SERVER_ERROR = ',status=~"5.."'
READS = 'route=~"/v1/results.*|/predict/query"'


def _polls(by: str = "") -> str:
    return f"sum{by}(rate(gpt_jobs_http_request_seconds_count{{{READS}}}[$__rate_interval]))"


def _by_status(matchers: str = "") -> str:
    return f"sum by (status) (rate(gpt_jobs_http_requests_total{{{READS}{matchers}}}[$__rate_interval]))"


def _lookups(answered_by: str = "") -> str:
    matchers = f'answered_by="{answered_by}"' if answered_by else ""
    return f"sum(rate(gpt_jobs_lookups_total{{{matchers}}}[$__rate_interval]))"


def _p95(by: str = "") -> str:
    buckets = f"gpt_jobs_http_request_seconds_bucket{{{READS}}}"
    return f"histogram_quantile(0.95, sum by (le{by}) (rate({buckets}[$__rate_interval])))"


NOW = Row(
    "Now",
    (
        number("Polls", "Requests to the result-reader, per second.", _polls(), "suffix:/s", width=4),
        number(
            "Held polls", "Requests that are held until their job is terminal.", "sum(gpt_jobs_held_polls{})",
            width=4,
        ),
        number(
            "Hit ratio", "The share of the look-ups that the cache answered.",
            f"{_lookups('cache')} / {_lookups()}", "percentunit", width=4,
        ),
        number(
            "From the store", "The share of the look-ups that the store answered.",
            f"{_lookups('store')} / {_lookups()}", "percentunit", width=4, orange=0.05, red=0.5,
        ),
        number("Time, p95", "Time of a request, waiting with `wait` included.", _p95(), "s", width=4),
        number(
            "Not answered", "The share of the requests that ended with 503, since nothing could be known.",
            f"(sum({_by_status(SERVER_ERROR)}) or vector(0)) / {_polls()}", "percentunit", width=4,
            orange=0.001, red=0.01,
        ),
    ),
)  # fmt: skip

POLLS = Row(
    "Polls",
    (
        Panel("Polls by route", "Requests per second.", (Series(_polls(" by (route) "), "{{route}}"),), "suffix:/s",
              stacked=True),
        Panel(
            "Polls by status",
            "Per second. 304: nothing new for a client that asks with an ETag; 404: no such job; 410: expired; "
            "503: neither cache nor store could tell.",
            (Series(_by_status(), "{{status}}"),), "suffix:/s", stacked=True,
        ),
        Panel("Time by route, p95", "A poll with `wait` may take its 25 s.", (Series(_p95(", route"), "{{route}}"),),
              "s"),
    ),
)  # fmt: skip

WHERE = Row(
    "Where they are answered",
    (
        Panel(
            "Look-ups by where they were answered",
            "Per second. A held poll looks up several times; none: neither had a record, so the id alone was judged.",
            (Series("sum by (answered_by) (rate(gpt_jobs_lookups_total{}[$__rate_interval]))", "{{answered_by}}"),),
            "suffix:/s", stacked=True, width=12,
        ),
        Panel(
            "Hit ratio",
            "The share of the look-ups that the cache answered. If it falls, results live shorter in the cache than "
            "clients ask for them, or the cache is away.",
            (Series(f"{_lookups('cache')} / {_lookups()}", "cache"),), "percentunit", most=1, width=12,
        ),
    ),
)  # fmt: skip

HELD = Row(
    "Held polls",
    (
        Panel("Held polls", "Requests that are held now, by pod.",
              (Series("sum by (pod) (gpt_jobs_held_polls{}) and on (pod) sum by (pod) (gpt_jobs_lookups_total{})",
                      "{{pod}}"),)),
        Panel(
            "Jobs that became terminal",
            "Per second. Each is announced, and answers the polls that are held for it.",
            (Series("sum(rate(gpt_jobs_finished_total{}[$__rate_interval]))", "finished"),), "suffix:/s",
        ),
        Panel(
            "Subscriptions renewed",
            "Per minute, and whether cache and store answer. While the subscription is lost, held polls look up in "
            "turn.",
            (Series('60 * sum(rate(gpt_jobs_watchdog_total{watch="subscription"}[$__rate_interval]))', "renewed"),
             Series('min by (server) (gpt_jobs_server_up{server=~"cache|store"})', "{{server}} answers")),
        ),
    ),
)  # fmt: skip

READS_DASHBOARD = Dashboard(
    "gpt-jobs-reads",
    "gpt-jobs / Reads",
    "What clients ask the result-reader, and where it finds the answers.",
    (NOW, POLLS, WHERE, HELD),
)
