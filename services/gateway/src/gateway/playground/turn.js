// One question and its answer on the page: where it stands, the seconds, the text as it arrives.

import { Problem } from "./api.js";
import { TERMINAL, follow } from "./events.js";

const LOOK_MS = 2_000;

export class Turn {
  // `ended` is called with the turn and its record when nothing can change any more, `removed` when it is deleted.
  constructor(api, { id, question, began }, { ended, removed }) {
    Object.assign(this, { api, id, question, began, ended, removed });
    this.element = document.querySelector("#turn").content.cloneNode(true).firstElementChild;
    this.answer = this.part(".answer");
    this.part(".question").textContent = question;
    this.part(".cancel").addEventListener("click", () => this.cancel());
    this.part(".delete").addEventListener("click", () => this.delete());
    this.following = new AbortController();
    this.attempt = 0;
    this.brokeOff = "";
    this.show("queued", "Submitted");
  }

  // Follow the job to its end; what goes wrong is shown.
  async run() {
    const ticking = setInterval(() => this.tick(), 250);
    const looking = setInterval(() => this.look(), LOOK_MS);
    try {
      for await (const event of follow(this.api, this.id, this.following.signal, (problem) => this.trouble(problem))) {
        this.on(event);
      }
    } catch (problem) {
      this.fail(problem);
    } finally {
      clearInterval(ticking);
      clearInterval(looking);
    }
  }

  on({ event, data }) {
    if (event === "delta") this.part(".text").append(data.text);
    else if (TERMINAL.has(event)) this.end(data);
    else if (event === "status" && data.status === "in_progress") this.begin(data.attempt);
    else if (event === "status") this.wait(data.queue);
  }

  wait(queue) {
    if (!queue) return this.show("queued", "Waiting");
    const place = queue.position === 1 ? "next in line" : `number ${queue.position} in line`;
    const seconds = queue.estimated_start_s;
    const start = seconds === null || seconds === undefined ? "" : `, begins in about ${duration(seconds)}`;
    this.show("queued", `Waiting: ${place}${start}`);
  }

  begin(attempt) {
    const isAgain = this.attempt > 0 && attempt > this.attempt;
    this.attempt = attempt;
    this.part(".text").textContent = "";
    this.show("in_progress", attempt > 1 ? `Writing, attempt ${attempt}` : "Writing");
    if (isAgain) this.brokeOff = "The attempt before broke off; what it had written is gone.";
    this.note(this.brokeOff);
  }

  end(record) {
    this.answer.setAttribute("aria-busy", "false");
    this.part(".text").textContent = record.output_text ?? "";
    this.took = record.completed_at - record.created_at;
    this.brokeOff = "";
    this.note("");
    const words = { completed: "Answered", failed: "Failed", cancelled: "Cancelled" };
    this.show(record.status, words[record.status]);
    if (record.status === "failed") this.problem(inWords(record.error));
    this.part(".cancel").hidden = true;
    this.part(".delete").hidden = false;
    this.ended(this, record);
  }

  // The place in line moves without an event.
  async look() {
    if (this.status !== "queued") return;
    const record = await this.api.result(this.id, this.following.signal).catch(() => null);
    if (record?.status === "queued" && this.status === "queued") this.wait(record.queue);
  }

  async cancel() {
    this.part(".cancel").disabled = true;
    try {
      await this.api.cancel(this.id);
    } catch (problem) {
      this.problem(`Not cancelled. ${inWords(problem)}`);
      this.part(".cancel").disabled = false;
    }
  }

  async delete() {
    this.part(".delete").disabled = true;
    try {
      await this.api.delete(this.id);
      this.leave();
      this.removed(this);
    } catch (problem) {
      this.problem(`Not deleted. ${inWords(problem)}`);
      this.part(".delete").disabled = false;
    }
  }

  leave() {
    this.following.abort();
    this.element.remove();
  }

  // It cannot be followed any more: it expired, say, or the key is wrong.
  fail(problem) {
    this.answer.setAttribute("aria-busy", "false");
    this.part(".cancel").hidden = true;
    this.note("");
    this.show("failed", "Not to be had");
    this.problem(inWords(problem));
    this.ended(this, null);
  }

  trouble(problem) {
    this.note(problem ? `${problem.message} Trying again.` : this.brokeOff);
  }

  show(status, words) {
    this.status = status;
    this.answer.dataset.status = status;
    if (this.part(".words").textContent !== words) this.part(".words").textContent = words;
    this.tick();
  }

  tick() {
    const seconds = this.took ?? Math.floor((Date.now() - this.began) / 1000);
    this.part(".seconds").textContent = duration(seconds);
  }

  note(text) {
    const note = this.part(".note");
    note.textContent = text;
    note.hidden = !text;
  }

  problem(text) {
    const problem = this.part(".problem");
    problem.textContent = text;
    problem.hidden = !text;
  }

  part(selector) {
    return this.element.querySelector(selector);
  }
}

export function inWords(problem) {
  if (!(problem instanceof Problem) && !problem?.code) return "Something went wrong on this page.";
  const about = problem.param ? ` (${problem.param})` : "";
  const again = problem.retryAfter ? ` Try again in ${duration(problem.retryAfter)}.` : "";
  return `${problem.message}${about}${again}`;
}

function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
