// The page: the form, the conversation, and what is remembered in this tab.

import { Api } from "./api.js";
import { Turn, inWords } from "./turn.js";

const KEY = "gpt-jobs.key";
const THREAD = "gpt-jobs.thread";

const $ = (selector) => document.querySelector(selector);
const told = (name) => $(`meta[name=${name}]`).content;
const resultsUrl = told("results-url");
const api = new Api(resultsUrl && `${resultsUrl}/`, () => $("#key").value.trim());
const form = $("#composer");

// Oldest first; the last one is what a follow-up continues.
const turns = [];

function begin(job) {
  const turn = new Turn(api, job, { ended, removed });
  turns.push(turn);
  $("#thread").append(turn.element);
  arrange();
  turn.run();
}

function ended(turn, record) {
  if (record?.status === "completed" && turn === turns.at(-1)) turn.canBeContinued = true;
  arrange();
}

function removed(turn) {
  turns.splice(turns.indexOf(turn), 1);
  remember();
  arrange();
}

// The form goes with the conversation: a first question, a follow-up, or nothing while one is being answered.
function arrange() {
  const parent = parentTurn();
  const isBusy = turns.some((turn) => turn.answer.getAttribute("aria-busy") === "true");
  $("#forms").hidden = Boolean(parent);
  if (parent) form.elements.form.value = "prompt";
  const isFortune = form.elements.form.value === "fortune";
  $("#prompt-form").hidden = isFortune;
  $("#fortune-form").hidden = !isFortune;
  // What is hidden must be neither sent nor wanted.
  for (const field of $("#prompt-form").querySelectorAll("textarea")) field.disabled = isFortune;
  for (const field of $("#fortune-form").querySelectorAll("input, select")) field.disabled = !isFortune;
  $("#prompt-label").textContent = parent ? "Your follow-up question" : "Your question";
  $("#prompt").placeholder = parent ? "And at night?" : "Why is the sky blue?";
  $("#anew").hidden = turns.length === 0 || isBusy;
  form.querySelector("[type=submit]").disabled = isBusy;
}

function parentTurn() {
  return turns.findLast((turn) => turn.canBeContinued);
}

function submission() {
  if (form.elements.form.value === "prompt") {
    const question = $("#prompt").value.trim();
    const parent = parentTurn();
    return { question, body: { msg: question, ...(parent && { options: { parent_id: parent.id } }) } };
  }
  const { name, gender, date, time } = Object.fromEntries(new FormData(form));
  const birth = time ? `${date} ${time}` : date;
  const inputs = { gender, birth, ...(name.trim() && { name: name.trim() }) };
  const question = `Fortune: ${[name.trim(), gender, birth].filter(Boolean).join(", ")}`;
  return { question, body: { template: "fortune", inputs } };
}

async function submit() {
  const { question, body } = submission();
  const button = form.querySelector("[type=submit]");
  button.disabled = true;
  refuse("");
  try {
    const { id } = await api.submit(body);
    begin({ id, question, began: Date.now() });
    remember();
    $("#prompt").value = "";
  } catch (problem) {
    button.disabled = false;
    refuse(inWords(problem));
    if (problem.code === "unauthenticated") askForKey();
  }
}

function refuse(text) {
  $("#refusal").textContent = text;
  $("#refusal").hidden = !text;
}

function askForKey() {
  $("#key-form").hidden = false;
  $("#key").focus();
}

function remember() {
  sessionStorage.setItem(THREAD, JSON.stringify(turns.map(({ id, question, began }) => ({ id, question, began }))));
  sessionStorage.setItem(KEY, $("#key").value.trim());
}

function recall() {
  $("#key").value = sessionStorage.getItem(KEY) ?? "";
  if (told("keys-wanted") === "yes" || $("#key").value) $("#key-form").hidden = false;
  for (const job of JSON.parse(sessionStorage.getItem(THREAD) ?? "[]")) begin(job);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
form.addEventListener("change", arrange);
$("#key").addEventListener("change", remember);
$("#prompt").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  if (!form.querySelector("[type=submit]").disabled) form.requestSubmit();
});
$("#anew").addEventListener("click", () => {
  for (const turn of turns.splice(0)) turn.leave();
  remember();
  arrange();
  $("#prompt").focus();
});

recall();
arrange();
