// Follows a job by its events, over drops and restarts: server-sent ones, or JSON where those do not get through.

import { Problem } from "./api.js";

export const TERMINAL = new Set(["completed", "failed", "cancelled"]);
// The service says something every 10 s, be it a comment.
const SILENCE_MS = 15_000;
const HOLD_S = 20;
const LONGEST_PAUSE_MS = 5_000;

class NotStreamed extends Error {}

// Each event once, until the one that ends the job. `trouble` is told what keeps it from going on, and null once it does.
export async function* follow(api, id, signal, trouble) {
  let last = 0;
  let streamed = true;
  let pause = 200;
  while (!signal.aborted) {
    try {
      const source = streamed ? serverSent(api, id, last, signal) : asJson(api, id, last, signal);
      for await (const event of source) {
        trouble(null);
        pause = 200;
        // Of a job that waits the place changes, and the number does not.
        if (event.id > last || event.data.status === "queued") {
          last = Math.max(last, event.id);
          yield event;
        }
        if (TERMINAL.has(event.event)) return;
      }
    } catch (problem) {
      if (signal.aborted) return;
      if (problem instanceof NotStreamed) {
        streamed = false;
        continue;
      }
      if (last && problem.code === "invalid_request" && problem.param === "after") {
        last = 0; // what had been written is lost with a server, and is told anew
        continue;
      }
      if (!(problem instanceof Problem) || !problem.retryable) throw problem;
      trouble(problem);
      if (problem.retryAfter) pause = Math.max(pause, 1000 * problem.retryAfter);
    }
    await new Promise((resolve) => setTimeout(resolve, pause * (0.5 + Math.random() / 2)));
    pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
  }
}

async function* serverSent(api, id, after, signal) {
  const silence = new AbortController();
  const both = AbortSignal.any([signal, silence.signal]);
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  let heldBack = true;
  try {
    const response = await streamOf(api, id, after, both);
    const lines = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const incoming = new ServerSentEvents();
    for (;;) {
      const { value, done } = await lines.read();
      if (done) return;
      heldBack = false;
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      yield* incoming.feed(value);
    }
  } catch (error) {
    if (error instanceof Problem || error instanceof NotStreamed || signal.aborted) throw error;
    // A proxy on the way may hold back what is not complete.
    if (heldBack) throw new NotStreamed();
    throw new Problem({ code: "unreachable", message: "The connection was lost.", retryable: true });
  } finally {
    clearTimeout(timer);
    silence.abort();
  }
}

async function streamOf(api, id, after, signal) {
  let response;
  try {
    const headers = { Accept: "text/event-stream" };
    response = await api.answer(`${api.resultPath(id)}/stream${after ? `?after=${after}` : ""}`, { headers, signal });
  } catch (problem) {
    const isRefused = ["not_found", "method_not_allowed"].includes(problem.code);
    if (isRefused || (problem.code === "unreachable" && !problem.retryable)) throw new NotStreamed();
    throw problem;
  }
  if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) throw new NotStreamed();
  return response;
}

async function* asJson(api, id, after, signal) {
  for (;;) {
    const page = await api.json(`${api.resultPath(id)}/events?after=${after}&wait=${HOLD_S}`, { signal });
    after = page.after;
    yield* page.data;
  }
}

class ServerSentEvents {
  unfinished = "";
  fields = {};

  *feed(piece) {
    const lines = (this.unfinished + piece).split(/\r?\n/);
    this.unfinished = lines.pop();
    for (const line of lines) {
      if (line) {
        const [, name, value] = /^([^:]*)(?:: ?)?(.*)$/s.exec(line);
        this.fields[name] = name === "data" && "data" in this.fields ? `${this.fields.data}\n${value}` : value;
        continue;
      }
      const { id, event, data } = this.fields;
      this.fields = {};
      if (data !== undefined) yield { id: Number(id), event, data: JSON.parse(data) };
    }
  }
}
