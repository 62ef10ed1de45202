// What the keys do: walk the rows, find errors, go from attempt to attempt.

import * as address from "./address.js";
import { byId } from "./dom.js";
import { filtering } from "./filters.js";
import { openHelp } from "./help.js";

/** The actions by the name of their key. */
export function commands(view) {
  function walk(by) {
    const rows = view.current.filter((row) => row.kind !== "wait");
    const at = rows.findIndex((row) => row.id === view.selected);
    const next = rows[Math.min(rows.length - 1, Math.max(0, at + by))];
    if (next) view.select(next.id, { from: "keys", step: false });
  }

  function failure(by) {
    const failed = view.model.failures();
    if (!failed.length) return;
    const at = failed.indexOf(view.selected);
    if (at >= 0) {
      view.select(failed[(at + by + failed.length) % failed.length]);
      return;
    }
    // Not on one: the next from here, in the order of the run.
    const card = view.model.cardOf.get(view.selected);
    const place = view.model.order.indexOf(card ?? view.selected);
    const after = failed.filter((id) => view.model.order.indexOf(view.model.cardOf.get(id)) >= place);
    view.select(by > 0 ? (after[0] ?? failed[0]) : (failed[failed.length - after.length - 1] ?? failed.at(-1)));
  }

  function otherAttempt() {
    const card = view.model.cards[view.model.cardOf.get(view.selected)];
    if (!card) return;
    const attempts = view.model.attempts(card);
    if (attempts.length > 1) view.select(attempts[(attempts.indexOf(card) + 1) % attempts.length].id);
  }

  /** The stretch of time of the chosen step with some room, or all of it again. */
  function zoomTime() {
    const item = view.model.cards[view.model.cardOf.get(view.selected)] ?? view.model.item(view.selected);
    const seconds = item && view.model.seconds(item);
    if (view.state.t || seconds === null || seconds === undefined) view.update({ t: "" });
    else view.update({ t: `${Math.max(0, item.t0 - seconds * 0.05).toFixed(2)}..${(item.t0 + seconds * 1.05).toFixed(2)}` });
  }

  function compare() {
    byId("drawer").querySelector("[data-compare]")?.click();
  }

  function expand(open) {
    const card = view.model.cardOf.get(view.selected);
    if (!card) return;
    if (open && !view.state.open.has(card)) view.toggle(card);
    else if (!open && view.state.open.has(card)) {
      if (view.selected !== card) view.select(card, { step: false }).then(() => view.toggle(card));
      else view.toggle(card);
    }
  }

  function back() {
    if (view.hits) view.search.clear();
    else if (filtering(view.state)) view.update({ agent: "", status: "", kind: "", min: "", dollars: "", others: "" });
    else if (view.state.t) view.update({ t: "" });
    else view.select(view.model.cardOf.get(view.selected) ?? view.model.order[0]);
  }

  return {
    "/": () => view.search.input.focus(),
    j: () => walk(1),
    ArrowDown: () => walk(1),
    k: () => walk(-1),
    ArrowUp: () => walk(-1),
    ArrowRight: () => expand(true),
    ArrowLeft: () => expand(false),
    "Shift+ArrowLeft": () => {
      view.state.open.clear();
      view.update({});
    },
    e: () => failure(1),
    E: () => failure(-1),
    r: () => otherAttempt(),
    c: () => compare(),
    n: () => view.search.step(1),
    N: () => view.search.step(-1),
    l: () => {
      view.state.follow = view.state.follow ? "" : "1";
      address.write(view.state);
      view.status();
      if (view.state.follow) view.follow();
    },
    t: () => view.update({ view: view.state.view === "tree" ? "map" : "tree" }),
    z: () => zoomTime(),
    f: () => view.map.fit(),
    "+": () => view.map.zoom(1.25),
    "=": () => view.map.zoom(1.25),
    "-": () => view.map.zoom(0.8),
    h: () => view.update({ heat: view.state.heat ? "" : "cost" }),
    o: () => view.update({ old: view.state.old ? "" : "hide" }),
    y: () => navigator.clipboard?.writeText(location.href),
    "?": openHelp,
    Enter: (event) => view.select(event.target.dataset.id, { from: "map" }),
    " ": (event) => view.select(event.target.dataset.id, { from: "map" }),
    Escape: () => back(),
  };
}
