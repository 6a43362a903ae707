// Keys of the player: what each does, and the list of them.

const RATES = [0.5, 0.75, 1, 1.5, 2];

const KEYS = [
  ["space", "play or pause"],
  ["← →", "one TR back or on; with shift five"],
  ["1 to 7", "a network's curve on or off"],
  ["g s b", "glass brain, surface, both"],
  ["x", "of two conditions: A or B"],
  ["d", "of two conditions: A − B, and back"],
  ["m", "go to the film's maximum"],
  ["l", "with BOLD delay, or shifted back 5 s"],
  ["[ ]", "slower, faster"],
  ["+ − 0", "on the curves: closer, wider, whole film"],
  ["↑ ↓ enter", "in the list of parcels: move, pin or unpin"],
  ["?", "this list"],
];

/** The list as a dialog of the page; `toggle` opens and closes it. */
function keyList() {
  const close = h("button", { type: "button", class: "cg-button", text: "Close" });
  const rows = KEYS.flatMap(([keys, words]) => [h("dt", {}, ...keys.split(" ").flatMap((key, i) => {
    const shown = key === "to" ? key : h("kbd", { text: key });
    return i ? [" ", shown] : [shown];
  })), h("dd", { text: words })]);
  const dialog = h("dialog", { class: "cg-keys", "aria-label": "Keys" }, h("h3", { text: "Keys" }), h("dl", {}, ...rows), close);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside the list
  });
  return { dialog, toggle: () => (dialog.open ? dialog.close() : dialog.showModal()) };
}
