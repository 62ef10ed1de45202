// The page of a run: one choice and one state, shared by the map, the timeline, the tree, the drawer and the address.

import * as address from "./address.js";
import { commands } from "./commands.js";
import { byId, h } from "./dom.js";
import { Drawer } from "./drawer.js";
import { filterBar, filtering, rowMatches } from "./filters.js";
import { glyph } from "./glyph.js";
import { KEYS, SIGNS, openHelp } from "./help.js";
import { listen } from "./keys.js";
import { Live } from "./live.js";
import { RunMap } from "./map.js";
import { Model } from "./model.js";
import { rowsOf } from "./rows.js";
import { Search } from "./search.js";
import { source } from "./source.js";
import { badgeOf, newsOf } from "./status.js";
import { summary, tabTitle } from "./summary.js";
import { Timeline } from "./timeline.js";
import { Tree } from "./tree.js";

const picture = JSON.parse(byId("picture").textContent);
const server = source(picture);

class View {
  constructor() {
    this.model = new Model(picture, (card) => server.card(card));
    this.state = address.read();
    const [id, card] = picture.chosen ?? [];
    if (card) this.model.cardOf.set(id, card);
    this.selected = id ?? this.usual();
    this.openAround(this.selected);
    this.map = new RunMap(this);
    this.timeline = new Timeline(this);
    this.tree = new Tree(this);
    this.drawer = new Drawer(byId("drawer"), this, (node, signal) => server.part(node, signal));
    this.connection = { state: server.urls ? "" : "file" };
  }

  /** Where a reader who asked for nothing looks first: at what runs, else at what failed last, else at the run. */
  usual() {
    const { head, order } = this.model;
    if (head.open && head.now.length) return head.now.at(-1)[0];
    return (head.look === "failed" && this.model.failures().at(-1)) || order[0];
  }

  openAround(id) {
    const card = this.model.cardOf.get(id);
    if (card) this.state.open.add(card);
    return card;
  }

  /** Choose a node; `from` says which view it was chosen in, which then keeps its place. */
  async select(id, { from = "", step = true } = {}) {
    if (!id) return;
    if (from !== "follow") this.gesture();
    if (!this.model.item(id) && !this.model.cardOf.has(id)) {
      const found = await server.place(id).catch(() => undefined);
      if (!found) return;
      if (found[1]) this.model.cardOf.set(id, found[1]);
    }
    this.selected = id;
    this.state.node = id;
    const card = this.openAround(id);
    if (card && card !== id) await this.model.open(card);
    address.write(this.state, { step });
    this.draw();
    if (from !== "map") this.map.reveal(card);
    this.reveal(from === "rows" ? "" : id);
    this.drawer.show(id);
  }

  reveal(id) {
    if (!id) return;
    this.timeline.list.reveal(id);
    this.tree.list.reveal(id);
  }

  /** Change the state: the view, the filters, the stretch of time. */
  update(change) {
    Object.assign(this.state, change);
    address.write(this.state);
    if ("old" in change || "view" in change) this.map.lay();
    this.draw();
    this.toolbar();
    if ("view" in change) this.reveal(this.selected);
  }

  toggle(id) {
    if (this.state.open.has(id)) this.state.open.delete(id);
    else if (this.model.cards[id]) this.state.open.add(id);
    address.write(this.state);
    this.draw();
  }

  /** The reader moves something: what runs is no longer followed. */
  gesture() {
    if (!this.state.follow) return;
    this.state.follow = "";
    address.write(this.state);
    this.status();
  }

  found(text, hits) {
    this.hits = hits;
    this.state.q = text;
    address.write(this.state);
    this.draw();
  }

  rows() {
    const rows = rowsOf(this.model, this.state);
    return filtering(this.state) && this.state.others ? rows.filter((row) => rowMatches(this.state, this.model, row)) : rows;
  }

  /** Draw all that can be seen, once in a frame however often it is asked for. */
  draw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.drawNow();
    });
  }

  drawNow() {
    const rows = this.rows();
    this.current = rows;
    try {
      if (this.state.view === "tree") this.tree.show(rows);
      else {
        this.map.draw();
        this.timeline.show(rows);
      }
    } catch (fault) {
      // The list works where the picture does not.
      console.error(fault);
      if (this.state.view !== "tree") this.update({ view: "tree" });
    }
    byId("summary").replaceChildren(...summary(this.model, (id) => this.select(id)));
    document.title = tabTitle(this.model.head);
  }

  resized() {
    this.map.lay();
    this.draw();
  }

  toolbar() {
    const { state } = this;
    const tree = state.view === "tree";
    document.body.classList.toggle("tree", tree);
    const press = (label, on, change, key) => h("button", { class: "btn", type: "button", "aria-pressed": String(Boolean(on)), title: key && `key ${key}`, onclick: () => this.update(change) }, label);
    const focused = this.tools?.contains(document.activeElement) ? document.activeElement.dataset.filter : "";
    const tools = h(
      "div",
      { class: "tools" },
      h("span", { class: "seg", role: "group", "aria-label": "View" }, press("Map", !tree, { view: "map" }, "t"), press("Tree", tree, { view: "tree" }, "t")),
      filterBar(this.model, state, (change) => this.update(change)),
      press("Hide replaced", state.old, { old: state.old ? "" : "hide" }, "o"),
      !tree && press("Cost heat", state.heat, { heat: state.heat ? "" : "cost" }, "h"),
    );
    if (this.tools) this.tools.replaceWith(tools);
    else this.main.prepend(tools);
    this.tools = tools;
    if (focused) tools.querySelector(`[data-filter="${focused}"]`)?.focus();
    this.map.pane.hidden = tree;
    this.tree.element.hidden = !tree;
    for (const part of this.extras) part.hidden = tree;
  }

  /** The badge and the news below: what the reader may rely on. */
  status() {
    const badge = byId("live");
    const { label, look } = badgeOf(this.model, this.connection, Boolean(this.state.follow));
    if (badge.textContent !== label) badge.textContent = label;
    badge.className = `live ${look}`;
    const news = byId("news");
    news.textContent = [newsOf(this.model, this.connection), picture.note].filter(Boolean).join(" · ");
    news.classList.toggle("amber", Boolean(this.connection.message));
  }

  begin() {
    this.main = byId("main");
    this.main.append(this.map.pane, this.tree.element);
    const zoom = h(
      "div",
      { class: "zoom" },
      h("button", { class: "btn icon", type: "button", "aria-label": "Larger", onclick: () => this.map.zoom(1.25) }, "+"),
      h("button", { class: "btn icon", type: "button", "aria-label": "Smaller", onclick: () => this.map.zoom(0.8) }, "−"),
      h("button", { class: "btn", type: "button", onclick: () => this.map.fit() }, "Fit"),
    );
    const legend = h("div", { class: "legend", "aria-hidden": "true" }, SIGNS.slice(0, 6).map(([shape, look, meaning]) => h("span", null, glyph(shape, look), meaning)), h("span", null, h("i", { class: "dash" }), "Done again"));
    this.extras = [zoom];
    this.main.append(zoom);
    byId("hints").before(legend);
    const timeline = byId("timeline");
    timeline.hidden = false;
    timeline.append(...this.timeline.element);
    byId("drawer").hidden = false;
    byId("hints").append(...[KEYS[1], KEYS[4], KEYS[5], KEYS[8], ["?", "all keys"]].map(([keys, meaning]) => h("span", null, keys.split(" ").map((key) => [h("kbd", null, key), " "]), meaning)));
    byId("help").hidden = false;
    byId("help").addEventListener("click", openHelp);
    this.toolbar();
    this.main.classList.toggle("flow", this.map.flowing);
    this.timeline.grow(this.rows().length + 12);
    this.map.lay();
    this.map.fit();
    this.drawNow();
    this.map.reveal(this.model.cardOf.get(this.selected));
    this.reveal(this.selected);
    this.drawer.show(this.selected);
    this.search = new Search((text) => server.search(text), this);
    listen(commands(this));
    this.listen();
    this.status();
  }

  listen() {
    this.model.addEventListener("inside", ({ detail }) => {
      this.drawNow();
      // Its row is only there now; the first time it is shown, not when it is read again while the reader is elsewhere.
      if (detail.first && this.model.cardOf.get(this.selected) === detail.id) this.reveal(this.selected);
    });
    this.model.addEventListener("change", ({ detail }) => {
      const before = this.model.cardOf.get(this.selected);
      this.map.lay();
      if (this.state.follow) this.follow();
      this.draw();
      this.toolbarIfAgentsChanged();
      if (detail.reset || detail.changed.has(before) || detail.changed.has(this.selected)) this.drawer.show(this.selected, true);
      this.status();
    });
    let width = innerWidth;
    new ResizeObserver(() => {
      this.main.classList.toggle("flow", this.map.flowing);
      this.map.lay();
      if (innerWidth !== width) this.map.fit();
      width = innerWidth;
      this.draw();
    }).observe(this.main);
    addEventListener("scroll", () => this.map.flowing && this.map.draw(), { passive: true });
    addEventListener("popstate", () => {
      this.state = address.read();
      this.toolbar();
      this.select(this.state.node || this.usual(), { step: false });
    });
    document.addEventListener("toggle", (event) => event.target.matches?.(".menu") && this.closeMenuOutside(event.target), true);
    if (server.urls && this.model.head.open) {
      this.live = new Live(server.urls, this.model, (news) => {
        this.connection = news;
        this.status();
      });
      this.live.start();
      setInterval(() => {
        if (document.hidden || !this.model.head.open) return;
        this.draw();
        this.status();
      }, 1000);
    }
  }

  closeMenuOutside(menu) {
    if (!menu.open) return;
    document.addEventListener("click", (event) => menu.contains(event.target) || (menu.open = false), { once: true });
  }

  toolbarIfAgentsChanged() {
    const names = [...this.model.agents].sort().join("\n");
    if (names !== this.names) this.toolbar();
    this.names = names;
  }

  follow() {
    const last = this.model.head.now.at(-1);
    if (last && last[0] !== this.selected) this.select(last[0], { from: "follow", step: false });
  }

}

new View().begin();
byId("plain").remove();
