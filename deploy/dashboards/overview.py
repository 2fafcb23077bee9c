"""Overview: what whoever is on call looks at first. Our part; the servers are in servers.py."""

from deploy.dashboards import servers
from deploy.dashboards.grafana import Dashboard, Panel, Row, Series, number, quantiles

#: The job queue, but neither its wait queues nor its dead letters.
JOBS = 'queue!~".+[.](dead|wait[.].+)"'
DEAD = 'queue=~".+[.]dead"'

NOW = Row(
    "Now",
    (
        number(
            "Waiting", "Messages ready in the job queue.", f"sum(max by (queue) (gpt_jobs_queue_depth{{{JOBS}}}))",
        ),
        number(
            "Oldest waits",
            "How long the job that is due for longest has waited for a worker, of those that a gateway accepted.",
            "max(gpt_jobs_oldest_waiting_seconds{})", "s", orange=60, red=300,
        ),
        number(
            "Slots taken", "The share of the workers' slots that hold a job. At 100 % whatever comes waits.",
            "sum(gpt_jobs_in_progress{}) / sum(gpt_jobs_slots{})", "percentunit", orange=0.8, red=0.95,
        ),
        number(
            "Answer, p95", "19 of 20 jobs were answered within this time after they were accepted.",
            "histogram_quantile(0.95, sum by (le) "
            '(rate(gpt_jobs_answer_seconds_bucket{status="completed"}[$__rate_interval])))', "s",
        ),
        number(
            "Failed", "The share of the jobs that ended without an answer.",
            'sum(rate(gpt_jobs_finished_total{status="failed"}[$__rate_interval])) '
            "/ sum(rate(gpt_jobs_finished_total{}[$__rate_interval]))", "percentunit", orange=0.01, red=0.1,
        ),
        number(
            "Dead letters", "Messages that lie among the dead letters until somebody takes them out.",
            f"sum(max by (queue) (gpt_jobs_queue_depth{{{DEAD}}}))", red=1,
        ),
        number(
            "Consumers", "Workers that take jobs from the queue.",
            f"sum(min by (queue) (gpt_jobs_queue_consumers{{{JOBS}}}))",
        ),
        number(
            "Pods not ready", "Processes of ours that cannot serve, or do not answer the scrape.",
            "count(up{} == 0 or gpt_jobs_ready{} == 0) or vector(0)", red=1,
        ),
    ),
)  # fmt: skip

JOBS_ROW = Row(
    "Jobs",
    (
        Panel(
            "Queue depth",
            "Messages ready in each queue: the jobs, those that wait for another attempt (wait), and dead letters.",
            (Series("max by (queue) (gpt_jobs_queue_depth{})", "{{queue}}"),), width=12,
        ),
        Panel(
            "Age of the oldest waiting job",
            "How long the job that is due for longest has waited for a worker. No line while the cache is away.",
            (Series("max by (queue) (gpt_jobs_oldest_waiting_seconds{})", "{{queue}}"),), "s", width=12,
        ),
        Panel(
            "Accepted and finished",
            "Jobs per second. Accepted above finished: the queue grows. Jobs that were published straight to the "
            "broker are finished without having been accepted here.",
            (
                Series("sum(rate(gpt_jobs_accepted_total{}[$__rate_interval]))", "accepted"),
                Series("sum(rate(gpt_jobs_finished_total{}[$__rate_interval]))", "finished"),
                Series("sum(rate(gpt_jobs_refused_total{}[$__rate_interval]))", "refused"),
            ),
            "suffix:/s",
        ),
        Panel(
            "Time to answer",
            "From acceptance to the answer, of completed jobs: waiting, all attempts and the pauses between them.",
            quantiles('gpt_jobs_answer_seconds_bucket{status="completed"}'), "s",
        ),
        Panel(
            "Failures by code",
            "Jobs per second that ended without an answer, by the code that their clients read.",
            (Series('sum by (code) (rate(gpt_jobs_finished_total{status="failed"}[$__rate_interval])) > 0 '
                    "or sum by (code) (rate("
                    'gpt_jobs_finished_total{code="upstream_unavailable"}[$__rate_interval]))', "{{code}}"),),
            "suffix:/s", stacked=True,
        ),
    ),
)  # fmt: skip

WORKERS = Row(
    "Workers",
    (
        Panel(
            "Busy workers and slots",
            "Jobs in the workers' hands, and how many they take at once: their PREFETCH, summed.",
            (Series("sum(gpt_jobs_in_progress{})", "busy"), Series("sum(gpt_jobs_slots{})", "slots")),
        ),
        Panel(
            "Saturation",
            "The share of the slots that are taken: of all workers, and of the fullest one.",
            (
                Series("sum(gpt_jobs_in_progress{}) / sum(gpt_jobs_slots{})", "all workers"),
                Series("max(gpt_jobs_in_progress{} / (gpt_jobs_slots{} > 0))", "the fullest"),
            ),
            "percentunit", most=1,
        ),
        Panel(
            "Where the time goes, p95",
            "Waiting for the first attempt, and one call of the model. The rest of the time to answer is retries.",
            (
                Series("histogram_quantile(0.95, sum by (le) "
                       "(rate(gpt_jobs_queue_wait_seconds_bucket{}[$__rate_interval])))", "waiting"),
                Series("histogram_quantile(0.95, sum by (le) "
                       "(rate(gpt_jobs_upstream_call_seconds_bucket{}[$__rate_interval])))", "one call"),
            ),
            "s",
        ),
        Panel(
            "Deliveries by outcome",
            "What became of the deliveries from the queue, per second. Transient: there will be another attempt.",
            (Series("sum by (outcome) (rate(gpt_jobs_deliveries_total{}[$__rate_interval])) > 0 "
                    'or sum by (outcome) (rate(gpt_jobs_deliveries_total{outcome="completed"}[$__rate_interval]))',
                    "{{outcome}}"),),
            "suffix:/s", stacked=True, width=12,
        ),
        Panel(
            "Faults that were mended",
            "Messages that were published again since they were lost, and what watchdogs renewed, per minute.",
            (
                Series("60 * sum(rate(gpt_jobs_recovered_total{}[$__rate_interval]))", "messages recovered"),
                Series("60 * sum by (watch) (rate(gpt_jobs_watchdog_total{}[$__rate_interval]))", "{{watch}}"),
            ),
            "suffix:/min", width=12,
        ),
    ),
)  # fmt: skip

PODS = Row(
    "Pods",
    (
        Panel(
            "Servers that answer",
            "1 if every process of ours that uses the broker, the cache or the store got an answer from it.",
            (Series("min by (server) (gpt_jobs_server_up{})", "{{server}}"),), most=1,
        ),
        Panel(
            "Ready",
            "Processes that can serve, by service.",
            (Series("sum by (app_kubernetes_io_component) (gpt_jobs_ready{})", "{{app_kubernetes_io_component}}"),),
        ),
        Panel(
            "Memory",
            "Resident memory of the largest process of each service.",
            (Series("max by (app_kubernetes_io_component) (process_resident_memory_bytes{})",
                    "{{app_kubernetes_io_component}}"),),
            "bytes",
        ),
    ),
)  # fmt: skip

OVERVIEW = Dashboard(
    "gpt-jobs-overview",
    "gpt-jobs / Overview",
    "Whether jobs are answered, how long that takes, and what stands in the way.",
    (NOW, JOBS_ROW, WORKERS, PODS, servers.RABBITMQ, servers.REDIS, servers.MONGODB),
)
