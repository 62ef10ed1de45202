// The keyboard. Off while something is typed, and with Ctrl, Cmd or Alt, which are the browser's.

/** @param actions by the name of the key; each gets the event */
export function listen(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const typing = event.target.closest("input, select, textarea, [contenteditable]");
    if (typing) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.target.closest("dialog")) return;
    // Links and buttons have these keys already; a card is a button by its role alone.
    if ((event.key === "Enter" || event.key === " ") && !event.target.matches("[role=button]")) return;
    // Arrows move inside a text that can be scrolled, and from tab to tab.
    if (event.key.startsWith("Arrow") && event.target.closest("pre, [role=tablist], .grip")) return;
    const name = event.shiftKey && event.key.startsWith("Arrow") ? `Shift+${event.key}` : event.key;
    const action = actions[name];
    if (!action) return;
    event.preventDefault();
    action(event);
  });
}
