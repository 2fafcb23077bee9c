"""A client that follows a job's stream, and puts together what it is told."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientResponse, ClientSession, ClientTimeout
from yarl import URL

TERMINAL = {"completed", "failed", "cancelled"}


@dataclass(frozen=True)
class Told:
    """One event as it came."""

    id: int
    name: str
    data: Any


async def server_sent(response: ClientResponse) -> AsyncIterator[Told]:
    """The events of a response, read as the standard has them: one field a line, an empty line between two."""
    assert response.headers["Content-Type"].startswith("text/event-stream")
    fields: dict[str, str] = {}
    async for line in response.content:
        text = line.decode().rstrip("\n")
        if not text and fields:
            yield Told(int(fields["id"]), fields["event"], json.loads(fields["data"]))
            fields = {}
        elif text and not text.startswith(":"):
            name, _, value = text.partition(": ")
            fields[name] = value


@dataclass
class Follower:
    """Follows one job over any number of connections and readers."""

    http: ClientSession
    job_id: str
    told: list[Told] = field(default_factory=list)
    text: str = ""
    attempt: int = 0

    @property
    def last_id(self) -> int:
        return self.told[-1].id if self.told else 0

    @property
    def end(self) -> Any:
        """The terminal record, if it was told."""
        return self.told[-1].data if self.told and self.told[-1].name in TERMINAL else None

    async def follow(self, reader: URL, most: int = 10_000) -> Any:
        """Read from where the last connection ended, until the job ends or so many events have come."""
        url = reader.with_path(f"/v1/results/{self.job_id}/stream")
        headers = {"Last-Event-ID": str(self.last_id)} if self.told else {}
        async with self.http.get(url, headers=headers, timeout=ClientTimeout(total=60)) as response:
            assert response.status == 200, await response.text()
            async for event in server_sent(response):
                self.take(event)
                most -= 1
                if self.end or not most:
                    break
        return self.end

    def take(self, event: Told) -> None:
        assert event.id > self.last_id, "ids increase"
        self.told.append(event)
        if event.name == "status" and event.data["attempt"] != self.attempt:
            self.attempt, self.text = event.data["attempt"], ""
        elif event.name == "delta":
            self.text += event.data["text"]
