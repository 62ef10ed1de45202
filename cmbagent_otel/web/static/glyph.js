// The visual grammar: a shape says what a node is, its colour and the mark in it how it went (templates/parts.html too).

import { svg } from "./dom.js";

const SHAPES = new Set(["llm", "agent", "tool", "code", "human"]);

export const KIND_WORDS = { llm: "model call", tool: "tool", code: "code run", human: "human input", agent: "agent turn" };

const use = (id, className) => svg("use", { href: `#${id}`, class: className });

/** A call's shape. `share` (0 to 1) colours it by its part of the dearest call's cost. */
export function glyph(shape, look, share) {
  const known = SHAPES.has(shape);
  const element = svg(
    "svg",
    { class: `glyph ${look}`, viewBox: "0 0 16 16", "aria-hidden": "true" },
    use(`g-${known ? shape : "other"}`),
    !known && svg("text", { x: 8, y: 11.2 }, shape),
    known && look === "completed" && shape === "code" && use("i-code", "in"),
    known && look !== "completed" && shape !== "agent" && use(`i-${look}`, "in"),
  );
  if (share !== undefined) {
    element.classList.add("heated");
    element.style.setProperty("--share", `${Math.round(12 + 88 * share)}%`);
  }
  return element;
}

/** A status alone. */
export function mark(look, label) {
  const role = label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
  return svg("svg", { class: `mark ${look}`, viewBox: "0 0 16 16", ...role }, use(`i-${look}`, "in"));
}
