// The player's elements. Made once; nothing in a value ever becomes markup.

/** An element with properties; "text" becomes its text, everything else an attribute. */
function h(name, properties, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties || {})) {
    if (key === "text") made.textContent = value;
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

const ICONS = {
  play: "M8 5v14l11-7z",
  pause: "M7 5h4v14H7zM13 5h4v14h-4z",
  back: "M7 6h2v12H7zM18 6v12l-8-6z",
  on: "M15 6h2v12h-2zM6 6v12l8-6z",
  check: "M5 13l4.5 4.5L19 7",
  link: "M10 14a4 4 0 0 0 6 .5l3-3a4 4 0 0 0-5.7-5.7l-1.2 1.2M14 10a4 4 0 0 0-6-.5l-3 3a4 4 0 0 0 5.7 5.7l1.2-1.2",
  sound: "M4 9v6h4l5 4V5L8 9zM16 8a5 5 0 0 1 0 8M18.5 5.5a9 9 0 0 1 0 13",
  mute: "M4 9v6h4l5 4V5L8 9zM16 9l5 6M21 9l-5 6",
};

function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", "0 0 24 24");
  drawing.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  drawing.append(path);
  return drawing;
}

function iconButton(name, label) {
  return h("button", { type: "button", class: "cg-icon", "aria-label": label, title: label }, icon(name));
}

function setIcon(button, name, label) {
  if (button.dataset.icon === name) return;
  button.dataset.icon = name;
  button.replaceChildren(icon(name));
  button.setAttribute("aria-label", label);
  button.title = label;
}

/** One of several, as a row of buttons. */
function segments(label, options, onChoose) {
  const group = h("div", { class: "cg-segments", role: "radiogroup", "aria-label": label });
  const buttons = new Map();
  group.setOptions = (list) => {
    buttons.clear();
    for (const { id, label: text, title, disabled } of list) {
      const button = h("button", { type: "button", role: "radio", "aria-checked": "false", tabindex: -1, title, text, disabled });
      button.addEventListener("click", () => onChoose(id));
      buttons.set(id, button);
    }
    group.replaceChildren(...buttons.values());
  };
  group.choose = (id) => {
    for (const [key, button] of buttons) {
      button.setAttribute("aria-checked", String(key === id));
      button.tabIndex = key === id ? 0 : -1;
    }
  };
  group.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const keys = [...buttons.keys()].filter((key) => !buttons.get(key).disabled);
    const now = keys.findIndex((key) => buttons.get(key).getAttribute("aria-checked") === "true");
    const next = keys[(now + step + keys.length) % keys.length];
    onChoose(next);
    buttons.get(next).focus();
  });
  group.setOptions(options);
  return group;
}

/** Tabs with their panels; one that has nothing to show for a result is not offered. `usual` is open unless another is chosen. */
function tabs(list, usual, onShow) {
  const bar = h("div", { class: "cg-tabs", role: "tablist" });
  const offered = () => list.filter(({ button }) => !button.hidden);
  const show = (chosen) => {
    for (const tab of list) {
      tab.button.setAttribute("aria-selected", String(tab === chosen));
      tab.button.tabIndex = tab === chosen ? 0 : -1;
      tab.panel.hidden = tab !== chosen;
    }
    onShow(chosen.id);
  };
  for (const tab of list) {
    const name = `cg-${tab.id}-${Math.random().toString(36).slice(2, 8)}`;
    tab.button = h("button", { type: "button", role: "tab", id: `${name}-tab`, "aria-controls": name, text: tab.label, hidden: Boolean(tab.hidden) });
    tab.panel.id = name;
    tab.panel.setAttribute("role", "tabpanel");
    tab.panel.setAttribute("aria-labelledby", `${name}-tab`);
    tab.button.addEventListener("click", () => show(tab));
    tab.button.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const here = offered();
      const next = here[(here.indexOf(tab) + step + here.length) % here.length];
      show(next);
      next.button.focus();
    });
    bar.append(tab.button);
  }
  return {
    bar,
    /** Ids of the tabs that are offered. */
    get ids() {
      return offered().map(({ id }) => id);
    },
    /** Show a tab by its id, if it is offered. */
    choose: (id = usual) => {
      const tab = offered().find((one) => one.id === id);
      if (tab) show(tab);
    },
    /** Offer a tab, or take it away; the usual one takes its place if it was open. */
    offer: (id, on) => {
      const tab = list.find((one) => one.id === id);
      tab.button.hidden = !on;
      if (!on && !tab.panel.hidden) show(list.find((one) => one.id === usual));
    },
  };
}

/** Where rings are drawn over a brain. */
function marks() {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("class", "cg-marks");
  drawing.setAttribute("aria-hidden", "true");
  return drawing;
}

/** Words that a reader meets and may not know; what a fold says can be read by keyboard and by finger. */
const WORDS = [
  ["TR", "One sample of the scanner: 1.49 s of film. They are counted from 0."],
  ["BOLD", "What the scanner measures: oxygen in the blood. It follows brain activity, about 5 s later."],
  ["Parcel", "One of 1000 patches of the cortex. Each has one value for each TR."],
  ["z", "How far a value lies from the parcel's own average in training: 0 is that average, 1 is one standard deviation above it."],
  ["Sensitivity to small changes", "How far the prediction moves when the film changes so little that it should not matter: grey behind A − B. What stays inside the grey says nothing about the film."],
];

function glossary() {
  const rows = WORDS.flatMap(([word, meaning]) => [h("dt", { text: word }), h("dd", { text: meaning })]);
  return h("details", { class: "cg-glossary" }, h("summary", { text: "What TR, BOLD, parcel and z mean" }), h("dl", {}, ...rows));
}

/** All parts of the player by name; `root` holds them. */
function buildView(host) {
  const part = {};
  part.title = h("h2", { class: "cg-title" });
  part.badge = h("span", { class: "cg-badge", hidden: true });
  part.absent = h("span", { class: "cg-absent" });
  part.caption = h("p", { class: "cg-caption" });
  part.subjects = segments("Whose brain", [], (id) => part.onSubject(id));
  const head = h("header", { class: "cg-head" },
    h("div", { class: "cg-names" }, h("div", { class: "cg-heading" }, part.title, part.badge, part.absent), part.caption),
    h("div", { class: "cg-who" }, part.subjects));

  part.message = h("span", { class: "cg-message" });
  part.hint = h("span", { class: "cg-hint" });
  part.progress = h("i", { class: "cg-progress" });
  part.status = h("div", { class: "cg-status", role: "status", "aria-live": "polite", hidden: true }, part.message, part.hint, part.progress);

  part.video = h("video", { playsinline: true, preload: "auto", tabindex: -1, "aria-label": "Film" });
  part.video.muted = true;
  part.video.defaultMuted = true;
  part.video.disablePictureInPicture = true;
  part.soundText = h("span", { class: "cg-nopicture-text" });
  part.soundWave = h("div", { class: "cg-wave", "aria-hidden": "true" }, ...Array.from({ length: 31 }, (_, i) => h("i", { style: `height:${Math.round(18 + 62 * Math.abs(Math.sin(i * 1.7) * Math.cos(i * 0.43)))}%` })));
  part.soundPicture = h("div", { class: "cg-nopicture", hidden: true }, part.soundWave, part.soundText);
  part.subtitles = h("div", { class: "cg-subtitles", "aria-hidden": "true" });
  part.filmNote = h("p", { class: "cg-filmnote", hidden: true });
  part.filmTag = h("span", { class: "cg-filmtag", hidden: true });
  part.screen = h("div", { class: "cg-screen" }, part.video, part.soundPicture, part.subtitles, part.filmTag, part.filmNote);
  part.back = iconButton("back", "One TR back (left arrow)");
  part.play = iconButton("play", "Play (space)");
  part.play.classList.add("cg-play");
  part.on = iconButton("on", "One TR on (right arrow)");
  part.sound = iconButton("mute", "Sound on");
  part.rate = h("select", { class: "cg-rate", "aria-label": "Speed", title: "Speed ([ and ])" }, ...RATES.map((rate) => h("option", { value: rate, text: `${rate}×` })));
  part.rate.value = "1";
  part.keysButton = h("button", { type: "button", class: "cg-icon cg-keysbutton", "aria-label": "Keys (?)", title: "Keys (?)", text: "?" });
  part.keys = keyList();
  part.filmTime = h("span", { class: "cg-num" });
  part.rowText = h("span", { class: "cg-num" });
  part.boldTime = h("span", { class: "cg-num" });
  part.rowNote = h("span", { class: "cg-rownote" });
  const reading = (label, output, title) => h("div", { class: "cg-reading", title }, h("small", { text: label }), output);
  const film = h("section", { class: "cg-film", "aria-label": "Film" },
    part.screen,
    h("div", { class: "cg-transport" }, part.back, part.play, part.on, part.sound, part.rate, part.keysButton,
      h("div", { class: "cg-readings" },
        reading("Film", part.filmTime, "Film time, min:s"),
        reading("TR", part.rowText, "Row shown, counted from 0, of all rows; one row is 1.49 s"),
        reading("BOLD", part.boldTime, "Time of the response shown, min:s"))),
    part.rowNote,
    glossary());

  part.brain = h("canvas", { class: "cg-brain", role: "img", "aria-label": "Glass brain: predicted response of 1000 parcels, seen from left, behind, right and top" });
  part.surface = h("canvas", { class: "cg-surface", role: "img", "aria-label": "Cortical surface: predicted response of 1000 parcels on the inflated left and right hemisphere, lateral and medial" });
  part.glassMarks = marks();
  part.surfaceNote = h("p", { class: "cg-panenote", hidden: true, text: "The surface views could not be loaded. They are asked for again with the next result." });
  part.glassPane = h("div", { class: "cg-pane" }, part.brain, part.glassMarks);
  part.surfacePane = h("div", { class: "cg-pane" }, part.surface, part.surfaceNote);
  part.tip = h("div", { class: "cg-tip", role: "tooltip", hidden: true });
  part.tipName = h("b");
  part.tipWhere = h("span");
  part.tipValue = h("span", { class: "cg-num" });
  part.tipMore = h("span", { class: "cg-num" });
  part.tip.append(part.tipName, part.tipWhere, part.tipValue, part.tipMore);
  part.panes = h("div", { class: "cg-panes", "data-view": "both" }, part.glassPane, part.surfacePane, part.tip);
  part.bar = h("canvas", { class: "cg-colourbar", role: "img" });
  part.views = segments("View of the brain", [
    { id: "glass", label: "Glass", title: "Glass brain (key g)" },
    { id: "surface", label: "Surface", title: "Cortical surface, inflated (key s)" },
    { id: "both", label: "Both", title: "Both brains (key b)" },
  ], (id) => part.onView(id));
  part.shown = segments("Condition", [], (id) => part.onShown(id));
  part.shown.classList.add("cg-shown");
  part.shown.hidden = true;
  part.layer = h("select", { class: "cg-layer", "aria-label": "Shown on the brains" });
  part.layerField = h("label", { class: "cg-layerfield", hidden: true }, h("span", { text: "Shown on the brains" }), part.layer);
  part.layerNote = h("p", { class: "cg-layernote", hidden: true });
  part.maximum = h("button", { type: "button", class: "cg-button", title: "Goes to the moment and the parcel farthest from zero in the whole film (key m)", text: "Go to maximum" });
  part.largest = h("p", { class: "cg-brainnote cg-num" });
  const brain = h("section", { class: "cg-brainbox", "aria-label": "Predicted response" },
    h("div", { class: "cg-brainbar" }, part.shown, part.views, part.layerField, part.maximum),
    part.layerNote, part.panes, part.bar,
    part.largest);

  part.threshold = h("input", { type: "range", min: 0, max: 1, step: 0.01, value: 0, "aria-label": "Threshold in z: weaker values fade" });
  part.thresholdNumber = h("input", { type: "number", min: 0, step: 0.1, value: 0, "aria-label": "Threshold in z" });
  part.range = h("input", { type: "number", min: 0.05, step: 0.1, "aria-label": "Colour range in z" });
  part.rangeAuto = h("button", { type: "button", class: "cg-link", text: "auto: 98th percentile", title: "98th percentile of |z| over the valid rows, never below the model's floor" });
  part.lag = segments("BOLD delay", [
    { id: "0", label: "with BOLD delay", title: "The response measured at the film's time; it answers to the film about 5 s before" },
    { id: "1", label: "shifted back 5\u00a0s", title: "The response 5 s later, placed beside the moment that caused it" },
  ], (id) => part.onLag(id === "1"));
  part.map = h("select", { "aria-label": "Colour map" }, h("option", { value: "auto", text: "blue to red" }), h("option", { value: "classic", text: "classic cold/hot" }));
  const field = (label, ...parts) => h("div", { class: "cg-field" }, h("span", { class: "cg-label", text: label }), h("div", { class: "cg-controls" }, ...parts));
  const settings = h("div", { class: "cg-settings", role: "group", "aria-label": "Brain settings" },
    field("Response", part.lag),
    field("Threshold", part.threshold, part.thresholdNumber),
    field("Range ±", part.range, part.rangeAuto),
    field("Colours", part.map));

  part.chips = CURVES.map((curve, number) => {
    const chip = h("button", { type: "button", class: "cg-chip", "data-curve": curve.id, "aria-pressed": "false", title: [curve.note, curve.source, curve.kind === "network" ? `key ${number + 1}` : ""].filter(Boolean).join(". ") },
      h("i", { class: "cg-swatch", "data-kind": curve.kind }), h("span", { text: curve.label }), h("small", { text: `n ${curve.indices.length}` }));
    const note = curve.kind === "network" ? curve.note : /^within \w+/.exec(curve.note);
    if (note) chip.append(h("small", { class: "cg-chipnote", text: String(note) }));
    return chip;
  });
  const networkChips = h("div", { class: "cg-chips", role: "group", "aria-label": "Networks" }, ...part.chips.slice(0, 7));
  const groupChips = h("div", { class: "cg-chips", role: "group", "aria-label": "Parcel groups, not Yeo networks" }, h("b", { text: "Not Yeo networks" }), ...part.chips.slice(7));
  part.split = h("input", { type: "checkbox" });
  part.locked = h("input", { type: "checkbox" });
  part.bandBox = h("input", { type: "checkbox", checked: true });
  part.bandCheck = h("label", { class: "cg-check", hidden: true, title: "How far the checkpoints of this ensemble differ; no confidence interval" }, part.bandBox, "spread between checkpoints");
  part.palette = h("select", { "aria-label": "Colours of the curves" }, h("option", { value: "yeo", text: "Yeo colours" }), h("option", { value: "okabe-ito", text: "Okabe-Ito colours" }));
  part.curves = h("canvas", { class: "cg-curves", "aria-hidden": "true" });
  part.dots = h("canvas", { class: "cg-dots", "aria-hidden": "true" });
  part.band = h("i", { class: "cg-band" });
  part.head = h("i", { class: "cg-playhead" });
  part.ghost = h("i", { class: "cg-ghost", hidden: true });
  part.ghostText = h("span", { class: "cg-num" });
  part.ghost.append(part.ghostText);
  part.plot = h("div", { class: "cg-plot", tabindex: 0, role: "slider", "aria-label": "Film time", "aria-valuemin": 0, "aria-valuenow": 0 }, part.band, part.curves, part.dots, part.ghost, part.head);
  part.noHead = h("span", { class: "cg-nohead", hidden: true, text: "no prediction here" });
  part.plot.append(part.noHead);
  part.secondName = h("b");
  part.secondNote = h("span", { class: "cg-secondnote" });
  part.secondViews = segments("Second series", [
    { id: "beside", label: "Beside", title: "Its curves dashed beside the predicted ones" },
    { id: "residual", label: "Residual", title: "This series minus the prediction, row by row" },
    { id: "off", label: "Off", title: "The prediction alone" },
  ], (id) => part.onSecond(id));
  part.secondBox = h("div", { class: "cg-second", hidden: true }, h("div", {}, part.secondName, " ", part.secondNote), part.secondViews);
  part.pins = new Pins((parcel) => part.onUnpin(parcel));
  part.bandText = h("span");
  part.bandNote = h("p", { class: "cg-foot cg-bandnote", hidden: true }, h("i", { class: "cg-bandswatch", "aria-hidden": "true" }), part.bandText);
  part.shownSwatch = h("i", { class: "cg-shownswatch", "aria-hidden": "true" });
  part.shownText = h("span");
  part.shownNote = h("p", { class: "cg-foot cg-shownnote", hidden: true }, part.shownSwatch, part.shownText);
  const curves = h("section", { class: "cg-curvebox", "aria-label": "Network curves" },
    h("div", { class: "cg-curvebar" }, networkChips, groupChips,
      h("div", { class: "cg-curvetools" }, h("label", { class: "cg-check" }, part.split, "left and right apart"), part.bandCheck,
        h("label", { class: "cg-check", title: "The axis has the range of the brains' colours; without, the curves fill it and the axis says so" }, part.locked, "scale of the brains"), part.palette)),
    part.secondBox,
    part.plot,
    part.shownNote,
    part.pins.root,
    part.bandNote,
    h("p", { class: "cg-foot" }, h("i", { class: "cg-hatch", "aria-hidden": "true" }), "Hatched: rows without a full past, or at the end; left out of the colour range. Red is above, blue below the parcel's own average in training."));

  const networks = h("ol", { class: "cg-ranks" });
  const parcels = h("ol", { class: "cg-ranks cg-parcels" });
  part.ranking = new Ranking(networks, parcels, { point: (parcel) => part.onPoint(parcel), pick: (parcel) => part.onPick(parcel) });
  part.scatter = new Scatter((parcel) => part.onPoint(parcel), (parcel, whole) => part.onPick(parcel, whole));
  part.nowViews = segments("Shown at the playhead", [
    { id: "ranked", label: "Ranked", title: "Networks and parcels in the order of their values" },
    { id: "scatter", label: "Every parcel", title: "Every parcel's value, in a strip for its network" },
  ], (id) => part.onScatter(id === "scatter"));
  part.nowViews.choose("ranked");
  part.lists = h("div", { class: "cg-now" },
    h("div", {}, h("h3", { text: "Networks and groups, highest first" }), networks),
    h("div", {}, h("h3", { text: "Parcels farthest from zero" }), parcels));
  const now = h("div", { class: "cg-panel" }, h("div", { class: "cg-nowbar" }, part.nowViews), part.lists, part.scatter.root);
  part.words = h("div", { class: "cg-words", tabindex: 0, "aria-label": "Words of the film" });
  part.wordsNote = h("p", { class: "cg-note" });
  const script = h("div", { class: "cg-panel" }, part.wordsNote, part.words);
  part.compare = new Compare();
  part.sideBySide = new Subjects();
  part.conditions = h("section", { class: "cg-conditions", "aria-label": "Conditions", hidden: true });
  part.tabs = tabs([{ id: "compare", label: "Compare A/B", panel: part.compare.root, hidden: true }, { id: "subjects", label: "Subjects", panel: part.sideBySide.root }, { id: "now", label: "Networks now", panel: now }, { id: "transcript", label: "Transcript", panel: script }], "now", (id) => part.onTab(id));
  part.live = h("p", { class: "cg-unseen cg-live", role: "status", "aria-live": "polite" });
  part.warnings = h("ul", { class: "cg-warnings", hidden: true });
  part.emptyText = h("p");
  part.empty = h("div", { class: "cg-empty" }, part.emptyText);
  part.body = h("div", { class: "cg-body", hidden: true }, head, part.conditions,
    h("div", { class: "cg-main" }, film, brain, settings), part.warnings, curves, h("section", { class: "cg-tabbox", "aria-label": "Details" }, part.tabs.bar, part.compare.root, part.sideBySide.root, now, script), part.live, part.keys.dialog);
  host.append(part.status, part.empty, part.body);
  return part;
}
