// The tree: the rows at full width, with their figures in columns. For screen readers, and for those who like lists.

import { h } from "./dom.js";
import { rowMatches } from "./filters.js";
import { glyph, mark } from "./glyph.js";
import { RowList } from "./rows.js";
import { spoken } from "./timeline.js";
import { duration } from "./words.js";

export class Tree {
  constructor(view) {
    this.view = view;
    this.list = new RowList("Tree: phases, attempts and calls", 24, (row) => this.row(row), (id) => view.select(id, { from: "rows" }));
    this.list.element.addEventListener("click", (event) => {
      const twist = event.target.closest("[data-twist]");
      if (twist) view.toggle(twist.dataset.twist);
    });
    const heading = (text, className = "") => h("span", { class: `col ${className}` }, text);
    const head = h("div", { class: "tree-head", "aria-hidden": "true" }, h("span", { class: "l" }, "What"), heading("Status", "s"), heading("Time", "t"), heading("Tokens", "tok"), heading("Cost"));
    this.element = h("div", { class: "tree-view" }, head, this.list.element);
  }

  show(rows) {
    this.list.show(rows, this.view.selected);
  }

  row(row) {
    const { model, state, selected, hits } = this.view;
    const { item, kind } = row;
    const seconds = model.seconds(item);
    const flags = {
      selected: row.id === selected,
      open: state.open.has(row.id),
      dim: !rowMatches(state, model, row),
      hit: hits?.nodes.has(row.id) ?? false,
      time: seconds === null ? "" : duration(seconds),
    };
    return { signature: JSON.stringify([kind, row.level, item, flags]), element: () => this.draw(row, flags) };
  }

  draw(row, flags) {
    const { model } = this.view;
    const { item, kind, card } = row;
    const indent = h("span", { class: "level" });
    indent.style.width = `${10 + 18 * Math.min(14, row.level)}px`;
    const numbered = kind === "card" && item.number !== undefined && item.number !== null;
    const attempts = kind === "card" ? model.attempts(card).length : 0;
    const left = h(
      "div",
      { class: "l" },
      indent,
      kind === "card" ? h("button", { type: "button", class: "twist", tabindex: "-1", "data-twist": row.id, "aria-label": flags.open ? "Close" : "Open" }, flags.open ? "▾" : "▸") : h("span", { class: "twist" }),
      kind === "call" && item.shape && glyph(item.shape, item.look),
      h("span", { class: "nm", title: item.label }, numbered && h("span", { class: "num" }, `${item.number}  `), item.label, kind === "card" && item.hypothesis && h("small", null, `  ${item.why}: ${item.hypothesis}`)),
      attempts > 1 && h("span", { class: item.attempt > 1 ? "tag redo" : "tag" }, `attempt ${item.attempt}`),
      item.exit ? h("span", { class: "tag bad" }, `exit ${item.exit}`) : null,
      (item.notes ?? []).map((note) => h("span", { class: "tag redo" }, note)),
    );
    const status = h("span", { class: "col s" }, item.look && kind !== "wait" && mark(item.look), " ", kind === "card" && item.replaced ? `${item.status}, replaced` : item.status);
    const figure = (text, className = "") => h("span", { class: `col ${className}` }, text === "–" ? "" : text);
    return h(
      "div",
      {
        class: ["row", kind === "card" ? "card-row" : kind, flags.selected && "sel", flags.dim && "dimmed", flags.hit && "hit", card?.replaced && "old"].filter(Boolean).join(" "),
        id: `tree-${row.id}`,
        "data-id": kind === "wait" ? null : row.id,
        role: "treeitem",
        "aria-level": row.level + 1,
        "aria-expanded": kind === "card" ? String(flags.open) : null,
        "aria-selected": String(flags.selected),
        "aria-label": spoken(row, model),
      },
      left,
      status,
      figure(flags.time, "t"),
      figure(item.tokens, "tok"),
      figure(item.costs),
    );
  }
}
