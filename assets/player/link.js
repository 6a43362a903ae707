// The address of what is shown: read when the page opens, kept while it is used, copied when asked for.

const LINK_KEYS = ["example", "run", "comparison", "model", "subject", "t", "view", "shown", "tab", "threshold", "range", "lag", "curves", "pins", "layer", "map", "rate"];
const GRADIO_VIEWS = ["api", "api-recorder", "settings"]; // Gradio opens its own pages with the same word
const BRAINS = ["glass", "surface", "both"];
const MOST_CURVES = 60;
const NUMBER = /^\d{1,6}(\.\d{1,6})?$/;
const PLACE = /^cineglass\/(example|run|comparison)s\/([a-z0-9-]{1,100})$/;
const NONE = "none";
const COPY = "Copy link";
const KEEP_MS = 1000;
const OPEN_MS = 10_000;
const SAY_MS = 2500;
const SPACES = "https://huggingface.co"; // tells its own address from what a page inside it says

/** Address of the result that a query names, as a value's run_id is; "" when it names none. */
function placeIn(search) {
  const query = new URLSearchParams(search);
  const run = query.get("run") || "";
  const comparison = query.get("comparison") || "";
  const example = query.get("example") || "";
  if (/^[0-9a-f]{32}$/.test(run)) return `cineglass/runs/${run}`;
  if (/^[a-z0-9-]{1,100}$/.test(comparison)) return `cineglass/comparisons/${comparison}`;
  return /^[a-z0-9-]{1,100}$/.test(example) ? `cineglass/examples/${example}` : "";
}

/**
 * Settings that a query asks for. Each value is checked by itself; what is unknown, out of range or no number is left out.
 * @param {string} search
 * @param {{duration: number, subjects: string[], layers: string[], shown: string[], tabs: string[]}} known what the result in the player has
 */
function readLink(search, known) {
  const query = new URLSearchParams(search);
  const text = (key) => query.get(key) || "";
  const list = (key) => text(key).slice(0, 4000).split(",");
  const number = (key, least, most) => {
    const value = NUMBER.test(text(key)) ? Number(text(key)) : NaN;
    return value >= least && value <= most ? value : undefined;
  };
  const among = (value, allowed) => (allowed.includes(value) ? value : undefined);
  const asked = {
    subject: among(text("subject"), known.subjects),
    time: number("t", 0, known.duration),
    view: among(text("view"), BRAINS),
    shown: among(text("shown"), known.shown),
    tab: among(text("tab"), known.tabs),
    threshold: number("threshold", 0, 100),
    range: number("range", 0.05, 100),
    lag: among(number("lag", 0, LAG_S), [0, LAG_S]),
    layer: among(text("layer"), known.layers),
    map: among(text("map"), ["classic"]),
    rate: among(number("rate", 0, 10), RATES),
  };
  const curves = list("curves").slice(0, MOST_CURVES).filter((id) => CURVES.some((curve) => curve.id === splitId(id)[0]));
  if (curves.length || text("curves") === NONE) asked.curves = curves;
  const pins = list("pins").filter((id) => /^\d{1,4}$/.test(id)).map(Number).filter((id) => id >= 1 && id <= PARCELS);
  if (pins.length) asked.pins = [...new Set(pins)].slice(0, MOST_PINS).map((id) => id - 1);
  return Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined));
}

/** What differs from the way the result opens by itself: pairs of key and value, in a fixed order. */
function linkOf(state) {
  const [, kind, id] = PLACE.exec(state.run || "") || [];
  const round = (value) => String(Number(value.toFixed(3)));
  // down to a hundredth, so that the row stays the same: a row begins at a whole number of them
  const time = Math.floor(state.time * 100 + 1e-6) / 100;
  const ids = (visible, split) => [...visible].sort().flatMap((curve) => (split ? [`${curve}-L`, `${curve}-R`] : [curve])).join(",") || NONE;
  const opens = state.opensWith.map(splitId);
  const curves = ids(state.visible, state.split);
  const pairs = {
    [kind || "example"]: id,
    model: state.model,
    subject: state.subject !== state.firstSubject && state.subject,
    t: time > 0 && time < state.duration - 0.05 && String(time),
    view: state.view,
    shown: state.shown !== "a" && state.shown,
    tab: state.tab !== state.usualTab && state.tab,
    threshold: state.threshold > 0 && round(state.threshold),
    range: state.rangeTyped && round(state.range),
    lag: state.lag > 0 && String(state.lag),
    curves: curves !== ids(new Set(opens.map(([curve]) => curve)), opens.some(([, side]) => side)) && curves,
    pins: state.pins.length > 0 && state.pins.map((parcel) => parcel + 1).join(","),
    layer: state.layer !== "response" && state.layer,
    map: state.mapChoice !== "auto" && state.mapChoice,
    rate: state.rate !== 1 && String(state.rate),
  };
  return LINK_KEYS.filter((key) => pairs[key]).map((key) => [key, pairs[key]]);
}

/** A query as text; commas and slashes may stand in one as they are. */
function queryText(pairs) {
  return pairs.map(([key, value]) => `${key}=${encodeURIComponent(value).replace(/%2C/g, ",").replace(/%2F/g, "/")}`).join("&");
}

class Link {
  constructor(player) {
    this.player = player;
    this.search = window.location.search;
    this.wants = placeIn(this.search);
    this.waiting = Boolean(this.wants);
    this.held = null;
    this.opened = false;
    this.used = false; // until the visitor does something, the address of the landing page stays plain
    this.local = window.location.protocol === "file:"; // nobody else could open such a link
    const { part } = player;
    part.notice = h("p", { class: "cg-notice", role: "status", hidden: true });
    player.host.prepend(part.notice);
    this.words = h("span", { text: COPY });
    part.copyLink = h("button", { type: "button", class: "cg-copy", title: "A link to this result at this moment, with these settings" }, icon("link"), this.words);
    part.copied = h("span", { class: "cg-unseen", role: "status" });
    part.linkField = h("input", { type: "text", class: "cg-linkfield", readonly: true, hidden: true, "aria-label": "The link, to copy by hand" });
    part.copyLink.hidden = this.local;
    part.subjects.parentNode.append(part.copyLink, part.copied, part.linkField);
    part.copyLink.addEventListener("click", () => this.copy());
    part.linkField.addEventListener("blur", () => {
      part.linkField.hidden = true;
      this.told("", COPY, "link");
    });
    this.onUse = () => {
      this.used = true;
    };
    for (const name of ["pointerdown", "keydown"]) document.addEventListener(name, this.onUse, { capture: true, once: true });
    this.timer = setInterval(() => this.keepAddress(), KEEP_MS);
  }

  dispose() {
    clearInterval(this.timer);
    clearTimeout(this.patience);
  }

  // ---- opening ----

  /** Whether a value is not to be drawn, because the server is about to send the one that the link names. */
  holds(value) {
    if (!this.waiting) return false;
    if (value && value.parcels && value.run_id !== this.wants && !value.notice) {
      this.held = value;
      if (!this.patience) this.patience = setTimeout(() => this.giveUp(), OPEN_MS);
      this.player.host.dataset.state = "working";
      this.player.showState("working", { message: "Opening the result of this link" });
      return true;
    }
    this.waiting = !(value && (value.parcels || value.message));
    if (!this.waiting) clearTimeout(this.patience);
    return false;
  }

  giveUp() {
    this.waiting = false;
    this.player.take(this.held);
  }

  /** Set what the link asks for, once, when its result is there; true when the film is to rest at the time of the link. */
  open(result) {
    if (this.opened) return false;
    this.used = this.used || Boolean(this.wants);
    if (this.wants && this.wants !== result.value.run_id) return false; // on a busy machine it may come after the page gave it up
    this.opened = true;
    const { player } = this;
    const known = { duration: result.duration, subjects: result.choices.map(({ id }) => id), layers: (result.layers || []).map(({ id }) => id), shown: player.conditions.offered, tabs: player.part.tabs.ids };
    const asked = readLink(this.search, known);
    this.used = this.used || Object.keys(asked).length > 0;
    this.restore({ ...result.value.look, ...asked });
    return asked.time !== undefined;
  }

  restore(asked) {
    const { player } = this;
    const set = {
      subject: (id) => player.setSubject(id),
      range: (range) => player.setRange(range, true),
      threshold: (threshold) => player.setThreshold(Math.min(threshold, player.settings.range)),
      lag: (lag) => player.setLag(lag),
      curves: (ids) => player.openWith(ids),
      view: (view) => player.setView(view),
      shown: (shown) => player.conditions.show(shown),
      tab: (id) => player.part.tabs.choose(id),
      pins: (parcels) => player.picking.setPins(parcels),
      layer: (id) => player.setLayer(id),
      map: (choice) => {
        player.part.map.value = choice;
        player.set({ mapChoice: choice }, "brain", "curves");
      },
      rate: (rate) => player.setRate(rate),
      time: (time) => player.clock.seek(time),
    };
    for (const [key, apply] of Object.entries(set)) {
      if (asked[key] !== undefined) apply(asked[key]);
    }
  }

  /** One sentence above the player, from the server. */
  say(text) {
    const { notice } = this.player.part;
    notice.textContent = text || "";
    notice.hidden = !text;
  }

  // ---- keeping ----

  get pairs() {
    const { base, settings, clock, tab, conditions } = this.player;
    const { value } = base;
    const opensWith = value.opens_with.length ? value.opens_with : ATLAS.network_keys;
    const about = { run: value.run_id, duration: conditions.resultOf(conditions.film).duration, firstSubject: base.choices[0].id, opensWith, tab, usualTab: conditions.on ? "compare" : "now" };
    return linkOf({ ...settings, ...about, time: clock.time, model: chosenModel() });
  }

  /** What else stands in the address: Gradio's own, as it is. */
  get others() {
    const parts = window.location.search.slice(1).split("&").filter(Boolean);
    return parts.filter((part) => {
      const [key, value] = part.split("=");
      return !LINK_KEYS.includes(key) || (key === "view" && GRADIO_VIEWS.includes(value));
    });
  }

  /** Write the state into the address bar, where it differs from what stands there. */
  keepAddress() {
    const { player } = this;
    if (!player.host.isConnected) {
      this.dispose();
      return;
    }
    if (!player.result || this.waiting || this.local) return;
    const { others } = this;
    const pairs = this.pairs.filter(([key]) => key !== "view" || !others.some((part) => part.startsWith("view=")));
    const says = pairs.some(([key]) => key !== "example" && (key !== "t" || !player.clock.playing));
    if (!this.used && !says) return;
    const query = [...others, queryText(pairs)].filter(Boolean).join("&");
    if (query === window.location.search.slice(1)) return;
    try {
      window.history.replaceState(window.history.state, "", `${window.location.pathname}${query ? `?${query}` : ""}${window.location.hash}`);
    } catch {
      this.local = true; // a frame without an address of its own
      return;
    }
    if (inSpaces()) window.parent.postMessage({ queryString: `?${queryText(pairs)}` }, SPACES);
  }

  // ---- copying ----

  /** A link to what is shown now. Words that begin with two underscores are the host's, some of them secret, and stay out. */
  get address() {
    const { origin, pathname } = window.location;
    const query = [...this.others.filter((part) => !part.startsWith("__") && !part.startsWith("view=")), queryText(this.pairs)].filter(Boolean).join("&");
    return `${origin}${pathname}${query ? `?${query}` : ""}`;
  }

  async copy() {
    const { part } = this.player;
    const link = this.address;
    if (await copyText(link)) {
      this.told("Link copied", "Copied", "check");
      clearTimeout(this.saying);
      this.saying = setTimeout(() => this.told("", COPY, "link"), SAY_MS);
      return;
    }
    part.linkField.value = link;
    part.linkField.hidden = false;
    part.linkField.focus();
    part.linkField.select();
    this.told("The browser does not let this page copy. The link is in the field.", "Copy it here", "link");
  }

  told(aloud, words, name) {
    const { part } = this.player;
    part.copied.textContent = aloud;
    this.words.textContent = words;
    part.copyLink.replaceChildren(icon(name), this.words);
  }
}

/** Key of the model that the next run takes, when it is not the usual one; the picker is a part of the page around the player. */
function chosenModel() {
  const { chosen, usual } = (document.querySelector(".cp-models") || { dataset: {} }).dataset;
  return chosen !== usual && chosen;
}

/** Whether this page is shown inside a Space's page, which says how it wants to be told of an address: hub documentation, "How to handle URL parameters in Spaces". */
function inSpaces() {
  if (window.parent === window) return false;
  const above = window.location.ancestorOrigins;
  if (above) return above[0] === SPACES;
  return document.referrer.startsWith(`${SPACES}/`);
}

/** Put text on the clipboard. A frame is seldom allowed the new way, and browsers complain of a mere attempt: there the old one is tried first. */
async function copyText(text) {
  const ways = [copyByApi, copyByCommand];
  if (window.parent !== window) ways.reverse();
  for (const way of ways) {
    if (await way(text)) return true;
  }
  return false;
}

async function copyByApi(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

function copyByCommand(text) {
  const before = document.activeElement;
  const field = h("textarea", { readonly: true, "aria-hidden": "true", style: "position:fixed;top:0;left:0;opacity:0" });
  field.value = text;
  document.body.append(field);
  field.select();
  let done = false;
  try {
    done = document.execCommand("copy");
  } catch {
    // the field to copy from comes next
  }
  field.remove();
  if (before instanceof HTMLElement) before.focus({ preventScroll: true });
  return done;
}
