"""RabbitMQ, Redis and MongoDB as their exporters tell of them: all that are in the chosen namespaces.

RabbitMQ's are those of its own plugin, by queue from /metrics/detailed (queue_coarse_metrics, queue_consumer_count);
Redis' those of oliver006/redis_exporter; MongoDB's those of percona/mongodb_exporter 0.40 and newer.
"""

from deploy.dashboards.grafana import THEIRS, Panel, Row, Series


def _of(expr: str, legend: str) -> Series:
    return Series(expr, legend, THEIRS)


def _rate(counter: str, legend: str) -> Series:
    return _of(f"sum(rate({counter}{{}}[$__rate_interval]))", legend)


RABBITMQ = Row(
    "RabbitMQ",
    (
        Panel(
            "Messages ready, by queue",
            "What waits in each queue, as the broker's own plugin counts it.",
            (_of("sum by (queue) (rabbitmq_detailed_queue_messages_ready{})", "{{queue}}"),),
        ),
        Panel(
            "Messages unacknowledged, by queue",
            "What consumers hold: for the job queue, the jobs in the workers' hands.",
            (_of("sum by (queue) (rabbitmq_detailed_queue_messages_unacked{})", "{{queue}}"),),
        ),
        Panel(
            "Consumers, by queue",
            "One for each worker on the job queue; none on the others.",
            (_of("sum by (queue) (rabbitmq_detailed_queue_consumers{})", "{{queue}}"),),
        ),
        Panel(
            "Messages",
            "Per second. Redelivered ones came back from workers that died or lost their connection.",
            (
                _rate("rabbitmq_global_messages_received_total", "published"),
                _rate("rabbitmq_global_messages_delivered_total", "delivered"),
                _rate("rabbitmq_global_messages_acknowledged_total", "acknowledged"),
                _rate("rabbitmq_global_messages_redelivered_total", "redelivered"),
            ),
            "suffix:/s",
        ),
        Panel(
            "Memory",
            "Above the limit the broker blocks all publishers, and the gateway answers 503.",
            (
                _of("max(rabbitmq_process_resident_memory_bytes{})", "used"),
                _of("min(rabbitmq_resident_memory_limit_bytes{})", "limit"),
            ),
            "bytes",
        ),
        Panel(
            "Disk",
            "Below the limit the broker blocks all publishers, and the gateway answers 503.",
            (
                _of("min(rabbitmq_disk_space_available_bytes{})", "free"),
                _of("max(rabbitmq_disk_space_available_limit_bytes{})", "limit"),
            ),
            "bytes",
        ),
        Panel(
            "Connections and channels",
            "Each process of ours has two connections, and opens a channel for each look at a queue.",
            (
                _of("sum(rabbitmq_connections{})", "connections"),
                _of("sum(rabbitmq_channels{})", "channels"),
            ),
            width=12,
        ),
        Panel(
            "Alarms",
            "1 while a node blocks publishers, for want of memory or of disk.",
            (
                _of("max(rabbitmq_alarms_memory_used_watermark{})", "memory"),
                _of("max(rabbitmq_alarms_free_disk_space_watermark{})", "disk"),
            ),
            most=1,
            width=12,
        ),
    ),
)

REDIS = Row(
    "Redis",
    (
        Panel(
            "Up and clients",
            "Nodes that answer their exporter, and connections to them.",
            (_of("sum(redis_up{})", "up"), _of("sum(redis_connected_clients{})", "clients")),
        ),
        Panel(
            "Memory",
            "At its limit Redis, which must not evict, refuses to write; 0 is no limit.",
            (_of("max(redis_memory_used_bytes{})", "used"), _of("max(redis_memory_max_bytes{})", "limit")),
            "bytes",
        ),
        Panel(
            "Commands",
            "Per second.",
            (_rate("redis_commands_processed_total", "commands"),),
            "suffix:/s",
        ),
        Panel(
            "Time in commands",
            "Seconds that Redis works in each second, by command; it has one thread for them.",
            (
                _of(
                    "topk(5, sum by (cmd) (rate(redis_commands_duration_seconds_total{}[$__rate_interval])))",
                    "{{cmd}}",
                ),
            ),
            "percentunit",
            stacked=True,
        ),
        Panel(
            "Keys",
            "Records of jobs, and a few more, by database.",
            (_of("max by (db) (redis_db_keys{}) > 0", "{{db}}"),),
        ),
        Panel(
            "Keys expired and evicted",
            "Per second. Evicted must be 0: a lease that is gone may have a job called twice.",
            (_rate("redis_expired_keys_total", "expired"), _rate("redis_evicted_keys_total", "evicted")),
            "suffix:/s",
        ),
    ),
)

MONGODB = Row(
    "MongoDB",
    (
        Panel(
            "Up and connections",
            "Nodes that answer their exporter, and connections to them that are open and at work.",
            (
                _of("sum(mongodb_up{})", "up"),
                _of('sum by (conn_type) (mongodb_ss_connections{conn_type=~"current|active"})', "{{conn_type}}"),
            ),
        ),
        Panel(
            "Operations",
            "Per second, by kind.",
            (_of("sum by (legacy_op_type) (rate(mongodb_ss_opcounters{}[$__rate_interval]))", "{{legacy_op_type}}"),),
            "suffix:/s",
            stacked=True,
        ),
        Panel(
            "Operations that wait",
            "For a lock, readers and writers. More than a few for long: the disk or the memory does not suffice.",
            (
                _of(
                    'sum by (count_type) (mongodb_ss_globalLock_currentQueue{count_type=~"readers|writers"})',
                    "{{count_type}}",
                ),
            ),
        ),
        Panel(
            "Cache",
            "WiredTiger's cache. It fills up to about 80 % of the most, and then gives back.",
            (
                _of("max(mongodb_ss_wt_cache_bytes_currently_in_the_cache{})", "used"),
                _of("max(mongodb_ss_wt_cache_maximum_bytes_configured{})", "most"),
            ),
            "bytes",
        ),
        Panel(
            "Memory",
            "Resident memory of the largest node.",
            (_of("max(mongodb_ss_mem_resident{}) * 1024 * 1024", "resident"),),
            "bytes",
        ),
        Panel(
            "Results deleted",
            "Documents that the TTL index removed, per second: results that have expired.",
            (_rate("mongodb_ss_metrics_ttl_deletedDocuments", "deleted"),),
            "suffix:/s",
        ),
    ),
)
