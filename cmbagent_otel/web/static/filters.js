// Who is meant by the filters: the others are dimmed, or with a second press hidden.

import { h } from "./dom.js";

const KIND_OF_SHAPE = { llm: "llm", tool: "tool", code: "code_exec", human: "approval", agent: "agent" };
const LOOKS = ["failed", "running", "waiting", "completed", "pending", "interrupted"];
const KINDS = { llm: "Model calls", tool: "Tools", code_exec: "Code runs", approval: "Human input" };
const TIMES = { 10: "10 s or longer", 60: "1 min or longer", 600: "10 min or longer", 3600: "1 h or longer" };
const COSTS = { 0.01: "$0.01 or more", 0.1: "$0.10 or more", 1: "$1 or more" };

export const filtering = (state) => Boolean(state.agent || state.status || state.kind || state.min || state.dollars);

/** Whether a call is meant: its agent, look, kind, seconds and cost. */
export function callMatches(state, agent, look, kind, seconds, cost) {
  if (state.agent && agent !== state.agent) return false;
  if (state.status && look !== state.status) return false;
  if (state.kind && kind !== state.kind) return false;
  if (state.min && !((seconds ?? 0) >= Number(state.min))) return false;
  return !(state.dollars && !((cost ?? 0) >= Number(state.dollars)));
}

export const shapeMatches = (state, agent, [, shape, look, , , cost], seconds) =>
  callMatches(state, agent, look, KIND_OF_SHAPE[shape] ?? "other", seconds, cost);

/** Whether anything on a card is meant, or the card itself by its own status. */
export function cardMatches(state, card) {
  if (!filtering(state)) return true;
  if (state.status && card.look === state.status && !state.agent && !state.kind && !state.min && !state.dollars) return true;
  return card.has.some(([agent, look, kind, , longest, dearest]) => callMatches(state, agent, look, kind, longest ?? Infinity, dearest));
}

/** Whether a row is meant; frames hold others and always are. */
export function rowMatches(state, model, row) {
  if (!filtering(state) || row.kind === "frame") return true;
  if (row.kind !== "call") return cardMatches(state, row.card);
  const { item } = row;
  return callMatches(state, item.agent, item.look, item.kind, model.seconds(item), item.cost);
}

/** The filters as controls; `change` is told what is asked for. */
export function filterBar(model, state, change) {
  const select = (name, label, any, options) =>
    h(
      "select",
      { class: "btn", "aria-label": label, "data-filter": name, onchange: (event) => change({ [name]: event.target.value }) },
      h("option", { value: "" }, any),
      Object.entries(options).map(([value, text]) => h("option", { value, selected: state[name] === value }, text)),
    );
  const same = (words) => Object.fromEntries(words.map((word) => [word, word]));
  const active = filtering(state);
  return [
    select("agent", "Filter by agent", "All agents", same([...model.agents].sort())),
    select("status", "Filter by status", "Any status", same(LOOKS)),
    select("kind", "Filter by kind of call", "All calls", KINDS),
    select("min", "Filter by duration", "Any time", TIMES),
    select("dollars", "Filter by cost", "Any cost", COSTS),
    active && h("button", { class: "btn", type: "button", "aria-pressed": String(Boolean(state.others)), onclick: () => change({ others: state.others ? "" : "hide" }) }, "Hide others"),
    active && h("button", { class: "btn", type: "button", onclick: () => change({ agent: "", status: "", kind: "", min: "", dollars: "", others: "" }) }, "Clear"),
  ];
}
