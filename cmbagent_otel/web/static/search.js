// Searching a run: the server looks through names, agents, messages, code and errors; here its hits are walked.

import { byId } from "./dom.js";

const PAUSE_MS = 220;

export class Search {
  /** @param ask asks the server  @param view is told when the hits have changed */
  constructor(ask, view) {
    this.ask = ask;
    this.view = view;
    this.hits = [];
    this.at = -1;
    this.input = byId("q");
    this.output = byId("hits");
    byId("find").hidden = false;
    byId("find").addEventListener("submit", (event) => {
      event.preventDefault();
      this.step(1);
    });
    this.input.value = view.state.q;
    this.input.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.find(this.input.value.trim()), PAUSE_MS);
    });
    if (view.state.q) this.find(view.state.q);
  }

  async find(text) {
    const number = (this.number = (this.number ?? 0) + 1);
    this.at = -1;
    const found = text.length < 2 ? { hits: [], more: false } : await this.ask(text).catch(() => ({ hits: [], more: false }));
    if (number !== this.number) return; // a later search has begun
    this.hits = found.hits;
    this.more = found.more;
    this.text = text;
    this.say();
    for (const hit of this.hits) if (hit.card && !this.view.model.cardOf.has(hit.node)) this.view.model.cardOf.set(hit.node, hit.card);
    const cards = new Set(this.hits.map((hit) => hit.card).filter(Boolean));
    this.view.found(text, this.hits.length ? { nodes: new Set(this.hits.map((hit) => hit.node)), cards } : undefined);
  }

  /** Go to the next hit, or the previous one. */
  step(by) {
    if (!this.hits.length) return;
    this.at = (this.at + by + this.hits.length) % this.hits.length;
    if (this.at < 0) this.at = 0;
    this.say();
    this.view.select(this.hits[this.at].node, { from: "search" });
  }

  clear() {
    this.input.value = "";
    this.find("");
  }

  say() {
    const many = `${this.hits.length}${this.more ? "+" : ""}`;
    if (!this.text || this.text.length < 2) this.output.textContent = "";
    else this.output.textContent = !this.hits.length ? "nothing" : this.at < 0 ? many : `${this.at + 1} of ${many}`;
  }
}
