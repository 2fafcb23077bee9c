"""The names and arguments of everything that we declare on the broker, and nothing that talks to it."""

from dataclasses import dataclass
from functools import cached_property

#: None stands for "declared with no arguments at all".
Arguments = dict[str, str | int]

#: Milliseconds that a message may wait in each of the wait queues: a quarter of a second, doubled up to 17 minutes.
WAIT_TIERS_MS = tuple(250 << k for k in range(13))

#: More looks at a dead letter than anybody will ever take.
_COUNTLESS = 1_000_000_000


@dataclass(frozen=True)
class Queue:
    """A durable queue as it is declared."""

    name: str
    arguments: Arguments | None = None


@dataclass(frozen=True)
class Topology:
    """The exchange that jobs are published to, and the queues around it.

    The job queue has no arguments, because publishers that are not ours declare it so and the broker
    refuses any difference; what can be tuned about it is a broker policy.
    """

    exchange: str = "chat-gpt-exchange"
    queue: str = "request-queue"

    @property
    def jobs(self) -> Queue:
        """Where jobs wait for a worker; its name is its routing key."""
        return Queue(self.queue)

    @property
    def dead(self) -> Queue:
        """Where messages end that cannot become an answer, each with its reason in the headers.

        Each look at a message counts as a delivery, and past the delivery limit a quorum queue drops it. No
        limit of its own means none on RabbitMQ 3.10 but 20 on RabbitMQ 4; -1 means none on RabbitMQ 4 but a
        drop after the first look on 3.10; a number that is never reached means the same on both.
        """
        return Queue(f"{self.queue}.dead", {"x-queue-type": "quorum", "x-delivery-limit": _COUNTLESS})

    def wait(self, tier_ms: int) -> Queue:
        """Where a job waits, without holding a worker's slot, before it comes back to the job queue.

        A message may have a delay of its own, shorter than the queue's. Since only the first in a queue can
        leave it, it may then wait longer than that for those before it, but never longer than the tier.
        """
        return Queue(
            f"{self.queue}.wait.{tier_ms}",
            {
                "x-queue-type": "quorum",
                "x-message-ttl": tier_ms,
                "x-dead-letter-exchange": self.exchange,
                "x-dead-letter-routing-key": self.queue,
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        )

    @cached_property
    def queues(self) -> tuple[Queue, ...]:
        """What is there from the start. The job queue is last, so that what others depend on is there before jobs."""
        return (self.dead, self.jobs)


def wait_tier_ms(delay_s: float) -> int:
    """The smallest tier that is no shorter than the delay; the largest if there is none."""
    return next((tier_ms for tier_ms in WAIT_TIERS_MS if tier_ms >= delay_s * 1000), WAIT_TIERS_MS[-1])
