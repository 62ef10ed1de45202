// The head of the page: alive and where, how long, how much, what went wrong.

import { h } from "./dom.js";
import { duration, plural } from "./words.js";

/** The figures; `select` is called with a node that was clicked. */
export function summary(model, select) {
  const { head } = model;
  const elapsed = head.end ?? model.now();
  const active = Math.max(0, elapsed - head.waiting);
  const { llm, tool, code, human } = head.calls;
  const figure = (label, value, more, className = "") =>
    h("div", { class: "k" }, h("small", null, label), h("span", { class: `v ${className}` }, value), more && h("em", null, more));
  const others = [[llm, "model"], [code, "code"], [tool, "tool"], [human, "human"]].filter(([number]) => number).map(([number, word]) => plural(number, word, word));
  return [
    where(model, select),
    figure("Elapsed", duration(elapsed), head.waiting >= 60 ? `active ${duration(active)}` : ""),
    figure("Cost", head.cost, head.cost_replaced ? `${head.cost_replaced} in replaced attempts` : ""),
    figure("Tokens", `${head.tokens_at_least ? "at least " : ""}${head.tokens_in} in`, `${head.tokens_out} out`),
    figure("Redos", head.redos || "none", "", head.redos ? "redo" : "dim"),
    figure("Errors", head.errors || "none", "", head.errors ? "bad" : "dim"),
    figure("Calls", (llm + tool + code + human).toLocaleString("en"), others.join(" · ")),
  ];
}

function where(model, select) {
  const { head } = model;
  const strip =
    head.strip.length > 0 &&
    h(
      "span",
      { class: "strip", role: "img", "aria-label": `${head.done} of ${plural(head.steps, "step")} done` },
      head.strip.map(([id, look, attempt], place) => h("i", { class: look + (attempt > 1 ? " again" : ""), "data-id": id, title: `Step ${place + 1}: ${look}${attempt > 1 ? `, attempt ${attempt}` : ""}`, onclick: () => select(id) })),
    );
  const done = head.steps ? `${head.done} of ${plural(head.steps, "step")} done` : plural(head.nodes, "node");
  if (!head.now.length || !head.open) {
    return h("div", { class: "k" }, h("small", null, done), strip || h("span", { class: "v" }, head.status));
  }
  const last = head.now.at(-1);
  const item = model.item(last[0]);
  const time = item ? duration(model.seconds(item)) : "";
  const path = head.now.map(([, name]) => name);
  const before = path.slice(0, -1).join(" › ");
  return h(
    "div",
    { class: "k" },
    h("button", { class: "now", type: "button", onclick: () => select(last[0]), title: `${path.join(" › ")}: go there` }, `${head.look === "stale" ? "Last seen" : "Now"}: ${before}${before ? " › " : ""}`, h("b", null, `${path.at(-1)} ${time}`)),
    strip || h("small", null, done),
  );
}

/** What the browser's tab says: how far the run is, before its name. */
export function tabTitle(head) {
  const sign = { running: "●", stale: "○", waiting: "‖", failed: "✗", completed: "✓" }[head.look] ?? "·";
  const progress = head.steps ? ` ${head.done}/${head.steps}` : "";
  return `${sign}${progress} ${head.title} – cmbagent·otel`;
}
