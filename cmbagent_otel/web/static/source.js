// Where what is not on the page comes from: the server, or in an exported file the file itself.

/** @param picture the run's picture; with `inside` in it nothing is asked of anyone */
export function source(picture) {
  return picture.inside ? fromFile(picture) : fromServer(picture.head.id);
}

function fromServer(run) {
  const root = document.documentElement.dataset.root;
  const api = `${root}/api/runs/${encodeURIComponent(run)}`;
  const ask = async (path) => {
    const answer = await fetch(path);
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.message);
    return body;
  };
  return {
    urls: { events: `${api}/events`, delta: `${api}/delta` },
    card: async (id) => (await ask(`${api}/cards/${encodeURIComponent(id)}`)).rows,
    place: async (node) => (await ask(`${api}/nodes/${encodeURIComponent(node)}/place`)).chosen,
    search: (text) => ask(`${api}/search?q=${encodeURIComponent(text)}`),
    part: async (node, signal) => {
      const answer = await fetch(`${root}/runs/${encodeURIComponent(run)}/nodes/${encodeURIComponent(node)}?part=drawer`, { signal });
      if (!answer.ok) throw new Error(answer.status === 404 ? "This has not arrived yet." : "The server does not answer. It is asked again with the next choice.");
      return answer.text();
    },
  };
}

function fromFile(picture) {
  const cards = new Map();
  for (const [card, rows] of Object.entries(picture.inside)) for (const row of rows) cards.set(row.id, card);
  return {
    urls: undefined,
    card: async (id) => picture.inside[id] ?? [],
    place: async (node) => (cards.has(node) ? [node, cards.get(node)] : [node]),
    search: async (text) => {
      const wanted = text.toLowerCase();
      const hits = Object.entries(picture.texts)
        .filter(([, found]) => found.toLowerCase().includes(wanted))
        .map(([node]) => ({ node, card: cards.get(node) ?? (picture.cards[node] ? node : undefined) }));
      return { hits, more: false };
    },
    part: async (node) => picture.parts[node] ?? '<div class="dh"><p class="dim">This is not in the file.</p></div>',
  };
}
