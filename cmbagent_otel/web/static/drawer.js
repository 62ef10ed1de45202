// The drawer: all that is known of the chosen node, as the server writes it for the node's own page.

import { h } from "./dom.js";

export class Drawer {
  /** @param fetchPart asks for the part of a node as HTML that the server has escaped */
  constructor(element, view, fetchPart) {
    this.element = element;
    this.view = view;
    this.fetchPart = fetchPart;
    this.tab = "";
    this.shown = "";
    element.addEventListener("click", (event) => this.click(event));
  }

  /** Show a node; again, if it has changed since, without moving what is read. */
  async show(id, again = false) {
    if (!id || (id === this.shown && !again)) return;
    const before = this.shown === id ? this.element.querySelector(".db")?.scrollTop : 0;
    this.shown = id;
    this.asked?.abort();
    this.asked = new AbortController();
    let text;
    try {
      text = await this.fetchPart(id, this.asked.signal);
    } catch (problem) {
      if (problem.name !== "AbortError") this.say(problem.message);
      return;
    }
    // A document without scripts or styles of its own comes of this: markup of ours, what the run said escaped in it.
    const parsed = new DOMParser().parseFromString(text, "text/html");
    this.element.replaceChildren(...parsed.body.childNodes);
    this.tabs();
    enhance(this.element);
    const body = this.element.querySelector(".db");
    if (body) body.scrollTop = before ?? 0;
  }

  say(text) {
    this.element.replaceChildren(h("div", { class: "dh" }, h("p", { class: "dim" }, text)));
  }

  /** The sections as tabs; the one that was open stays open from node to node. */
  tabs() {
    const sections = [...this.element.querySelectorAll("[data-tab]")];
    const open = sections.find((section) => section.dataset.tab === this.tab) ?? sections[0];
    if (!open) return;
    const bar = h("div", { class: "tabs", role: "tablist" });
    const choose = (section) => {
      this.tab = section.dataset.tab;
      for (const one of sections) one.hidden = one !== section;
      for (const button of bar.children) button.setAttribute("aria-selected", String(button.dataset.for === section.dataset.tab));
    };
    for (const section of sections) {
      const { tab, count } = section.dataset;
      section.setAttribute("role", "tabpanel");
      bar.append(h("button", { type: "button", role: "tab", "data-for": tab, onclick: () => choose(section) }, tab, count && h("i", null, ` ${count}`)));
    }
    this.element.querySelector(".db").before(bar);
    const kept = this.tab;
    choose(open);
    this.tab = kept;
  }

  click(event) {
    const link = event.target.closest("a[data-id]");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
      event.preventDefault();
      this.view.select(link.dataset.id, { from: "drawer" });
    }
    if (event.target.closest("[data-more]")) this.element.querySelector('[data-for="Messages"]')?.click();
  }
}

/** What pages and drawer can do more with JavaScript: copy a text, copy the link. */
export function enhance(root) {
  if (!navigator.clipboard) return; // only there on secure origins, of which this machine is one
  const copies = (button, text) => {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(text());
      const before = button.textContent;
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = before), 1200);
    });
  };
  for (const button of root.querySelectorAll("[data-copy]")) {
    const pre = button.parentNode.nextElementSibling;
    copies(button, () => [...pre.querySelectorAll("code")].map((line) => line.textContent).join(""));
  }
  for (const button of root.querySelectorAll("[data-link]")) copies(button, () => location.href);
}
