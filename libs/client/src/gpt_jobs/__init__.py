"""A client of gpt-jobs: asynchronous here, and the same with a synchronous face in `gpt_jobs.sync`."""

from gpt_jobs.client import GptJobs
from gpt_jobs.errors import ApiError, GptJobsError, JobFailed, Unreachable
from gpt_jobs.events import Delta, Ended, Event, Started, Waiting
from gpt_jobs.jobs import Job, JobError, QueuePlace, Usage
from gpt_jobs.submissions import Message, Submission

__all__ = [
    "ApiError",
    "Delta",
    "Ended",
    "Event",
    "GptJobs",
    "GptJobsError",
    "Job",
    "JobError",
    "JobFailed",
    "Message",
    "QueuePlace",
    "Started",
    "Submission",
    "Unreachable",
    "Usage",
    "Waiting",
]
