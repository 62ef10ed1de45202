// The list of keys and signs.

import { h } from "./dom.js";
import { glyph, mark } from "./glyph.js";

export const KEYS = [
  ["/", "search this run"],
  ["j k", "next and previous row"],
  ["→ ←", "open and close a row"],
  ["Shift ←", "close all rows"],
  ["e E", "next and previous error"],
  ["r", "the other attempt at this step"],
  ["c", "compare the attempts"],
  ["n N", "next and previous hit"],
  ["l", "follow what is running"],
  ["t", "tree or map"],
  ["z", "the time of this step, all time"],
  ["f", "fit the map"],
  ["+ −", "larger, smaller"],
  ["h", "colour calls by cost"],
  ["o", "hide replaced attempts"],
  ["y", "copy the link"],
  ["Esc", "back: search, filters, choice"],
  ["?", "this list"],
];

export const SIGNS = [
  ["llm", "completed", "Model call"],
  ["tool", "completed", "Tool"],
  ["code", "completed", "Code run"],
  ["human", "completed", "Human input"],
  ["llm", "running", "Running"],
  ["llm", "failed", "Failed"],
  ["llm", "waiting", "Waiting for a person"],
  ["llm", "pending", "Not started"],
  ["llm", "stale", "No news for minutes"],
  ["llm", "interrupted", "Interrupted"],
  ["llm", "skipped", "Skipped"],
];

export function openHelp() {
  const dialog = h(
    "dialog",
    { "aria-label": "Keys and signs" },
    h("h2", null, "Keys"),
    h("dl", { class: "keys" }, KEYS.map(([keys, meaning]) => h("div", null, h("dt", null, keys.split(" ").map((key) => [h("kbd", null, key), " "])), h("dd", null, meaning)))),
    h("div", { class: "signs" }, SIGNS.map(([shape, look, meaning]) => h("span", null, glyph(shape, look), meaning)), h("span", null, mark("redo"), "Done again")),
    h("form", { method: "dialog" }, h("button", { class: "btn", autofocus: true }, "Close")),
  );
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
}
