// The list of runs: brought up to date in place, and two of them chosen to be compared.

import { byId } from "./dom.js";

const POLL_MS = 2000;
const root = document.documentElement.dataset.root;

const compare = byId("compare");
const chosen = () => [...document.querySelectorAll(".pick input:checked")].map((box) => box.value);

function offerCompare() {
  for (const cell of document.querySelectorAll(".pick")) cell.hidden = false;
  compare.hidden = document.querySelectorAll("#runs tbody tr").length < 2;
  compare.disabled = chosen().length !== 2;
}

document.addEventListener("change", (event) => event.target.closest(".pick") && offerCompare());
compare.addEventListener("click", () => {
  const [a, b] = chosen().reverse(); // the older one first
  location.href = `${root}/compare?a=${encodeURIComponent(a)}&b=${encodeURIComponent(b)}`;
});

/** Take what the page would be now: rows that differ are replaced, those that are chosen stay chosen. */
async function refresh() {
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href);
      if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      const table = byId("runs");
      const nextTable = next.getElementById("runs");
      if (!table || !nextTable) {
        if (Boolean(table) !== Boolean(nextTable)) location.reload();
      } else update(table.tBodies[0], nextTable.tBodies[0]);
      byId("news").textContent = "";
    } catch (problem) {
      byId("news").textContent = `Not up to date: ${problem.message}. Looking again.`;
    }
  }
  setTimeout(refresh, POLL_MS);
}

function update(body, next) {
  const picked = new Set(chosen());
  const present = new Map([...body.rows].map((row) => [row.dataset.id, row]));
  const rows = [...next.rows].map((row) => {
    const before = present.get(row.dataset.id);
    const cells = [...row.cells].slice(1);
    if (before && cells.every((cell, place) => cell.isEqualNode(before.cells[place + 1]))) return before;
    row.querySelector(".pick input").checked = picked.has(row.dataset.id);
    return document.adoptNode(row);
  });
  if (rows.length === body.rows.length && rows.every((row, place) => row === body.rows[place])) return;
  body.replaceChildren(...rows);
  offerCompare();
}

if (byId("runs")) offerCompare();
setTimeout(refresh, POLL_MS);
