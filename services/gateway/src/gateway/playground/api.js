// The service as the page uses it: every answer is JSON, every error has one shape.

export class Problem extends Error {
  constructor({ code, message, param = null, retryable = false }, retryAfter = null) {
    super(message);
    Object.assign(this, { code, param, retryable, retryAfter });
  }
}

const TRIES = 4;

export class Api {
  // `key` gives the API key of the moment, or nothing.
  constructor(resultsUrl, key) {
    this.resultsUrl = resultsUrl;
    this.key = key;
  }

  // However often it must be sent, it is one job: it bears a key of its own.
  async submit(body) {
    const once = [...crypto.getRandomValues(new Uint8Array(16))].map((n) => n.toString(16).padStart(2, "0")).join("");
    const request = {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "Content-Type": "application/json", "Idempotency-Key": once },
    };
    for (let tried = 1; ; tried += 1) {
      try {
        return await this.json("v1/jobs", request);
      } catch (problem) {
        if (problem.code !== "unreachable" || tried === TRIES) throw problem;
        await new Promise((resolve) => setTimeout(resolve, 300 * 2 ** tried));
      }
    }
  }

  result(id, signal) {
    return this.json(this.resultPath(id), { signal });
  }

  cancel(id) {
    return this.json(`v1/jobs/${encodeURIComponent(id)}/cancel`, { method: "POST" });
  }

  delete(id) {
    return this.json(`v1/jobs/${encodeURIComponent(id)}`, { method: "DELETE" });
  }

  resultPath(id) {
    return `${this.resultsUrl}v1/results/${encodeURIComponent(id)}`;
  }

  async json(path, request) {
    const response = await this.answer(path, request);
    return response.status === 204 ? null : response.json();
  }

  // An answer that is no error; throws Problem.
  async answer(path, { headers = {}, ...request } = {}) {
    const key = this.key();
    const known = key ? { ...headers, Authorization: `Bearer ${key}` } : headers;
    let response;
    try {
      response = await fetch(path, { ...request, headers: known, cache: "no-store" });
    } catch (error) {
      if (request.signal?.aborted) throw error;
      throw new Problem({ code: "unreachable", message: "The service cannot be reached.", retryable: true });
    }
    if (response.ok) return response;
    const retryAfter = Number(response.headers.get("Retry-After")) || null;
    const { error } = await response.json().catch(() => ({}));
    const unknown = {
      code: "unreachable",
      message: `The service cannot be reached: something on the way answered ${response.status}.`,
      retryable: response.status >= 500,
    };
    throw new Problem(error ?? unknown, retryAfter);
  }
}
