"""What `make run` says once everything runs."""

from collections.abc import Mapping
from pathlib import Path

from stack.plan import PORTS, Plan

QUESTION = "Why is the sky blue?"


def welcome(plan: Plan, environ: Mapping[str, str], directory: Path) -> str:
    gateway, reader, worker = plan["gateway"], plan["result-reader"], plan["gpt-worker"]
    if plan.stub:
        model = f"the stub at {plan.stub.url}; for a real model set OPENAI_API_KEY or OPENAI_BASE_URL"
    else:
        model = environ.get("OPENAI_BASE_URL") or "the OpenAI API"
    key = ' -H "Authorization: Bearer $API_KEY"' if environ.get("API_KEYS") else ""
    where = directory.relative_to(Path.cwd()) if directory.is_relative_to(Path.cwd()) else directory
    moved = "".join(f"{name}={environ[name]} " for name, _, _ in PORTS[:2] if environ.get(name))
    return f"""
Everything runs. Ctrl-C stops it.

  gateway         {gateway.url}    takes jobs        metrics {_metrics(gateway.environment)}
  result-reader   {reader.url}    gives answers     metrics {_metrics(reader.environment)}
  worker          asks the model           metrics {_metrics(worker.environment)}
  model           {model}
  RabbitMQ        {plan["rabbitmq"].url}
  Redis           {plan["redis"].url}
  MongoDB         {plan["mongodb"].url}
  logs, data      {where}/logs, {where}

Try it in a browser: {gateway.url}/

Or submit a job, then read its answer with the id that you got:

  curl -s {gateway.url}/v1/jobs{key} -H 'Content-Type: application/json' -d '{{"msg": "{QUESTION}"}}'
  curl -s '{reader.url}/v1/results/JOB_ID?wait=20'{key}

Both at once, and the text as it is written:

  {moved}make ask MSG="{QUESTION}"
"""


def _metrics(environment: Mapping[str, str]) -> str:
    return f"http://127.0.0.1:{environment['ADMIN_PORT']}/metrics"
