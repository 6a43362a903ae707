// Designs: two changes crossed, or a set of clips, put together here and checked by the server; and what came of it, as tables and small plots.
// Titles of clips are anybody's text and set as text, never as markup.
(() => {
  "use strict";
  if (!window.CineglassPage || window.CineglassPage.designs) return;
  window.CineglassPage.designs = true;
  const { make, fill, button, sizedFile, control, statement } = window.CineglassPage.tools;
  const SEND_MS = 200;

  function choices(name, label, options, chosen, changed) {
    const set = make("fieldset", "cp-design-choice");
    set.append(make("legend", "", label));
    for (const [value, text] of options) {
      const field = make("input");
      field.type = "radio";
      field.name = name;
      field.value = value;
      field.checked = value === chosen;
      field.addEventListener("change", () => changed(value));
      const frame = make("label");
      frame.append(field, make("span", "", text));
      set.append(frame);
    }
    return set;
  }

  function select(label, groups, chosen, changed) {
    const frame = make("label", "cp-design-select");
    const field = make("select");
    for (const [title, options] of groups) {
      const into = title ? make("optgroup") : field;
      if (title) into.label = title;
      for (const [value, text, off] of options) {
        const option = make("option", "", text);
        option.value = value;
        option.disabled = Boolean(off);
        into.append(option);
      }
      if (title) field.append(into);
    }
    field.value = chosen;
    field.addEventListener("change", () => changed(field.value));
    frame.append(make("span", "", label), field);
    return frame;
  }

  const grouped = (clips) => [...new Set(clips.map(({ group }) => group))].map((group) => [group, clips.filter((clip) => clip.group === group).map(({ key, title }) => [key, title])]);

  window.CineglassPage.add("designs", (root, { trigger }) => {
    root.classList.add("cp-designs");
    const mine = { mode: "design", cross: "edits", pairs: "change", one: "here", other: "", clips: [], a: [], b: [], paired: false };
    const changes = {}; // "first", "second", "change": { key, values }
    let known = null;
    let seq = 0;
    let timer = 0;
    let drawn = "";

    const kinds = make("div", "cp-design-kinds");
    const form = make("div", "cp-design-form");
    const go = button("cp-compare", "", () => {
      clearTimeout(timer);
      trigger("start", asked());
    });
    go.id = "cp-design-start";
    const stop = button("cp-button", "Stop", () => trigger("stop", {}));
    stop.id = "cp-design-stop";
    const says = make("p", "cp-note");
    says.id = "cp-design-says";
    says.setAttribute("role", "status");
    const line = make("div", "cp-design-go");
    line.append(go, stop, says);
    root.append(kinds, form, line);

    function written(which) {
      const { key, values } = changes[which];
      const item = listOf(which).find((one) => one.key === key);
      if (!item) return "";
      return [statement(item.name, values), item.more].filter(Boolean).join("; ");
    }
    const listOf = (which) => (which === "change" ? known.set_changes : known.changes);
    function asked() {
      return { ...mine, first: written("first"), second: written("second"), change: written("change"), seq };
    }
    function send(wait) {
      seq += 1;
      clearTimeout(timer);
      timer = setTimeout(() => trigger("choose", asked()), wait ? SEND_MS : 0);
    }
    function changed() {
      send(false);
      draw();
    }
    function set(name, value) {
      mine[name] = value;
      changed();
    }
    function choose(which, key) {
      const item = listOf(which).find((one) => one.key === key);
      changes[which] = { key, values: Object.fromEntries(item.params.map((param) => [param.name, param.default])) };
    }

    /** A change with its values. */
    function changer(which, label) {
      const row = make("div", "cp-design-row");
      const options = listOf(which).map((one) => [one.key, one.why_not ? `${one.label} (${one.why_not})` : one.label, one.why_not]);
      row.append(select(label, [["", options]], changes[which].key, (key) => {
        choose(which, key);
        changed();
      }));
      const item = listOf(which).find((one) => one.key === changes[which].key);
      for (const param of item ? item.params : []) {
        row.append(control(param, changes[which].values[param.name], [], (value) => {
          changes[which].values[param.name] = value;
          send(true);
        }).frame);
      }
      return row;
    }

    /** The four conditions, so that nobody need guess what is crossed. */
    function grid() {
      const label = (which) => listOf(which).find((one) => one.key === changes[which].key)?.label || "";
      const rows = mine.cross === "edits" ? ["as it is", label("first")] : films().map((name) => `picture of ${name}`);
      const columns = mine.cross === "edits" ? ["as it is", label("second")] : films().map((name) => `sound of ${name}`);
      const [one, other] = mine.cross === "films" ? films() : [];
      const names = mine.cross === "films" ? [[one, "new film"], ["new film", other]] : [["the clip", "second change"], ["first change", "both"]];
      const table = make("table", "cp-design-grid");
      const head = make("tr");
      head.append(make("td"), ...columns.map((text) => Object.assign(make("th", "", text), { scope: "col" })));
      table.append(head, ...rows.map((text, i) => {
        const row = make("tr");
        const side = make("th", "", text);
        side.scope = "row";
        row.append(side, ...columns.map((_, j) => make("td", "", names[i][j])));
        return row;
      }));
      table.setAttribute("aria-label", "The four conditions");
      return table;
    }
    const titleOf = (key) => (key === "here" ? known.title || "the clip in the player" : known.clips.find((clip) => clip.key === key)?.title || "…");
    const films = () => [titleOf(mine.one), titleOf(mine.other)];

    function designForm() {
      const parts = [choices("cp-design-cross", "What is crossed", [["edits", "Two changes of this clip"], ["films", "Two pictures by two sound tracks"]], mine.cross, (value) => set("cross", value))];
      if (mine.cross === "edits") {
        parts.push(make("p", "cp-design-clip", known.title ? `Clip: ${known.title}` : "No clip yet"), changer("first", "First change"), changer("second", "Second change"));
      } else {
        const here = [["", [["here", known.title ? `${known.title} (in the player)` : "the clip in the player"]]], ...grouped(known.clips)];
        parts.push(select("First clip", here, mine.one, (value) => set("one", value)));
        parts.push(select("Second clip", [["", [["", "Choose …"]]], ...grouped(known.clips)], mine.other, (value) => set("other", value)));
        parts.push(make("p", "cp-note", "The longer film is cut to the length of the shorter one. Words are heard anew in each sound."));
      }
      const left = make("div", "cp-design-parts");
      left.append(...parts);
      return [left, grid()];
    }

    /** Clips to tick, or to put into A or B. */
    function picker() {
      const box = make("div", "cp-design-clips");
      for (const [group, clips] of grouped(known.clips)) {
        box.append(make("strong", "", group));
        for (const [key, title] of clips) {
          const row = make("div", "cp-design-clip-row");
          if (mine.pairs === "change") {
            const field = make("input");
            field.type = "checkbox";
            field.checked = mine.clips.includes(key);
            field.addEventListener("change", () => set("clips", field.checked ? [...mine.clips, key] : mine.clips.filter((one) => one !== key)));
            const frame = make("label");
            frame.append(field, make("span", "", title));
            row.append(frame);
          } else {
            for (const side of ["a", "b"]) {
              const at = mine[side].indexOf(key);
              const put = button("cp-design-side", mine.paired && at >= 0 ? `${side.toUpperCase()}${at + 1}` : side.toUpperCase(), () => set(side, at < 0 ? [...mine[side], key] : mine[side].filter((one) => one !== key)));
              put.setAttribute("aria-pressed", String(at >= 0));
              put.setAttribute("aria-label", `${title} in ${side.toUpperCase()}`);
              row.append(put);
            }
            row.append(make("span", "", title));
          }
          box.append(row);
        }
      }
      return box;
    }

    function setForm() {
      const left = make("div", "cp-design-parts");
      left.append(choices("cp-design-pairs", "What is compared", [["change", "One change of all clips (pairs)"], ["lists", "Two lists of clips"]], mine.pairs, (value) => set("pairs", value)));
      if (mine.pairs === "change") left.append(changer("change", "Change"));
      else {
        const field = make("input");
        field.type = "checkbox";
        field.checked = mine.paired;
        field.addEventListener("change", () => set("paired", field.checked));
        const frame = make("label", "cp-design-paired");
        frame.append(field, make("span", "", "A1 belongs to B1, A2 to B2, … (in the order they were put there)"));
        left.append(frame);
      }
      left.append(make("p", "cp-note", "The clip is what is counted, so take clips of different films: two pieces of one film are no two samples. Your own clips come here as soon as they are uploaded in section 1."));
      return [left, picker()];
    }

    function draw() {
      if (!known) return;
      const focused = root.contains(document.activeElement) ? [...root.querySelectorAll("button, input, select")].indexOf(document.activeElement) : -1;
      const scrolled = form.querySelector(".cp-design-clips")?.scrollTop || 0;
      const finished = known.ready.map((one) => {
        const node = button("cp-link", one.title, () => trigger("open", { id: one.id }));
        node.title = one.question;
        return node;
      });
      const ready = make("p", "cp-design-ready");
      if (finished.length) ready.append("Finished, to look at: ", ...finished);
      fill(kinds, [choices("cp-design-mode", "Kind of experiment", [["design", "Two-by-two design"], ["set", "Set of clips, with p-values"]], mine.mode, (value) => set("mode", value)), ready]);
      fill(form, mine.mode === "design" ? designForm() : setForm());
      const list = form.querySelector(".cp-design-clips");
      if (list) list.scrollTop = scrolled;
      const texts = [known.why_not, known.says, known.cost].filter(Boolean);
      says.textContent = seq === known.seq ? texts.join(" ") : says.textContent;
      says.classList.toggle("cp-warn", Boolean(known.why_not) && !known.working);
      go.textContent = mine.mode === "design" ? "Run the four conditions" : "Run the set";
      go.disabled = Boolean(known.why_not) || seq !== known.seq;
      go.hidden = known.working;
      stop.hidden = !known.working;
      if (focused >= 0) [...root.querySelectorAll("button, input, select")][focused]?.focus({ preventScroll: true });
    }

    return (value) => {
      if (!value.changes) return;
      const key = JSON.stringify(value);
      if (key === drawn) return;
      drawn = key;
      const first = known === null;
      known = value;
      if (first) for (const [which, name] of Object.entries(value.usual)) choose(which, name);
      const there = new Set(value.clips.map((clip) => clip.key));
      for (const name of ["clips", "a", "b"]) mine[name] = mine[name].filter((one) => there.has(one));
      const typing = document.activeElement?.matches("input[type=number], input[type=text]") && form.contains(document.activeElement);
      if (typing && seq !== value.seq) return;
      draw();
    };
  });

  // ---- what came of it ----

  const SVG = "http://www.w3.org/2000/svg";
  function draw(tag, attributes, text) {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
    if (text !== undefined) node.textContent = text;
    return node;
  }
  const number = (value, digits = 2) => {
    if (value === null || value === undefined) return "–";
    const text = Math.abs(value).toFixed(digits);
    return value < 0 && Number(text) !== 0 ? `−${text}` : text;
  };
  const signed = (value) => (value >= 0.005 ? `+${number(value)}` : number(value));
  const percent = (value) => (value === null ? "–" : `${Math.round(100 * value)} %`);
  const chance = (value) => (value === null ? "–" : value < 0.001 ? "< 0.001" : value.toFixed(3));

  /** Round numbers between two ends. */
  function ticks(low, high, about) {
    const span = high - low || 1;
    const raw = span / about;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = power * ([1, 2, 5, 10].find((one) => one * power >= raw) || 10);
    const found = [];
    for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-6; at += step) found.push(Math.abs(at) < step * 1e-6 ? 0 : at);
    return { found, digits: Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)) };
  }

  /** A plot with labelled axes; `about` gives its words, `to` places for numbers. */
  function plot(about) {
    const { width, height, low, high, label, name, simulated } = about;
    const box = { left: 52, right: width - (about.right || 12), top: simulated ? 24 : 12, bottom: height - 44 };
    const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": name, class: "cp-plot" });
    const pad = (high - low) * 0.08 || 0.1;
    const [from, till] = [low - pad, high + pad];
    const y = (value) => box.bottom - ((value - from) / (till - from)) * (box.bottom - box.top);
    const marks = ticks(from, till, 4);
    for (const at of marks.found) {
      svg.append(draw("line", { x1: box.left, x2: box.right, y1: y(at), y2: y(at), class: at === 0 ? "cp-plot-zero" : "cp-plot-grid" }));
      svg.append(draw("text", { x: box.left - 6, y: y(at) + 4, "text-anchor": "end" }, number(at, marks.digits)));
    }
    svg.append(draw("text", { transform: `translate(13 ${(box.top + box.bottom) / 2}) rotate(-90)`, "text-anchor": "middle", class: "cp-plot-label" }, label));
    if (simulated) svg.append(draw("text", { x: box.right, y: 14, "text-anchor": "end", class: "cp-plot-simulated" }, "SIMULATED"));
    return { svg, box, y };
  }

  const WIDE = 460; // of the time courses; less on a phone, so that their words stay readable
  const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

  function cellsPlot(value, row, what) {
    const numbers = row[what];
    const unit = what === "cells" ? "mean predicted BOLD (z)" : "SD over time (z)";
    const { svg, box, y } = plot({ width: 330, height: 240, low: Math.min(...numbers), high: Math.max(...numbers), label: unit, right: 16, name: `${row.label}: ${unit} of the four conditions`, simulated: value.simulated });
    const x = [0, 1].map((i) => box.left + (box.right - box.left) * (0.22 + 0.56 * i));
    [0, 1].forEach((j) => {
      const [first, second] = [numbers[j], numbers[2 + j]];
      svg.append(draw("line", { x1: x[0], x2: x[1], y1: y(first), y2: y(second), class: `cp-plot-line cp-plot-${j}` }));
      [first, second].forEach((at, i) => svg.append(draw("circle", { cx: x[i], cy: y(at), r: 4.5, class: `cp-plot-dot cp-plot-${j}` })));
    });
    [0, 1].forEach((i) => svg.append(draw("text", { x: x[i], y: box.bottom + 16, "text-anchor": "middle" }, short(value.levels[0][i], 24))));
    svg.append(draw("text", { x: (box.left + box.right) / 2, y: box.bottom + 34, "text-anchor": "middle", class: "cp-plot-label" }, short(value.factors[0], 40)));
    return svg;
  }

  function decoded(courses) {
    const bytes = Uint8Array.from(atob(courses.data), (letter) => letter.charCodeAt(0));
    return new Int16Array(bytes.buffer);
  }

  function coursesPlot(value, row, numbers, subject, width) {
    const { curves, scale } = value.courses;
    const [rows, people] = [value.valid.length, value.subjects.length];
    const at = curves.indexOf(row.curve);
    const course = (cell) => Array.from(numbers.subarray(((cell * curves.length + at) * people + subject) * rows, ((cell * curves.length + at) * people + subject + 1) * rows), (one) => one * scale);
    const four = [0, 1, 2, 3].map(course);
    const all = four.flat();
    const { svg, box, y } = plot({ width, height: 240, low: Math.min(...all), high: Math.max(...all), label: "predicted BOLD (z)", name: `${row.label}: the four conditions over time`, simulated: value.simulated });
    const seconds = rows * value.tr;
    const x = (time) => box.left + (time / seconds) * (box.right - box.left);
    for (let k = 0; k < rows; k += 1) {
      if (value.valid[k]) continue;
      const from = k;
      while (k + 1 < rows && !value.valid[k + 1]) k += 1;
      const end = k + 1 === rows ? box.right : x((k + 1) * value.tr);
      svg.insertBefore(draw("rect", { x: x(from * value.tr), width: end - x(from * value.tr), y: box.top, height: box.bottom - box.top, class: "cp-plot-invalid" }), svg.firstChild);
    }
    const marks = ticks(0, seconds, 6);
    for (const time of marks.found) svg.append(draw("text", { x: x(time), y: box.bottom + 16, "text-anchor": "middle" }, number(time, marks.digits)));
    svg.append(draw("text", { x: (box.left + box.right) / 2, y: box.bottom + 34, "text-anchor": "middle", class: "cp-plot-label" }, "film time (s)"));
    four.forEach((values, cell) => {
      const path = values.map((one, k) => `${k ? "L" : "M"}${x((k + 0.5) * value.tr).toFixed(1)} ${y(one).toFixed(1)}`).join("");
      svg.append(draw("path", { d: path, class: `cp-plot-course cp-plot-${cell % 2}${cell > 1 ? " cp-plot-changed" : ""}` }));
    });
    return svg;
  }

  /** Where a mean and its interval lie, on one scale for the whole table. */
  function whisker(low, mean, high, most) {
    const svg = draw("svg", { viewBox: "0 0 100 14", class: "cp-whisker", "aria-hidden": "true" });
    const x = (value) => 50 + (value / (most || 1)) * 48;
    svg.append(draw("line", { x1: 50, x2: 50, y1: 0, y2: 14, class: "cp-plot-zero" }));
    if (low !== null) svg.append(draw("line", { x1: x(low), x2: x(high), y1: 7, y2: 7, class: "cp-whisker-line" }));
    svg.append(draw("circle", { cx: x(mean), cy: 7, r: 3, class: "cp-whisker-dot" }));
    return svg;
  }

  const EFFECTS = ["first", "second", "interaction"];
  const whole = (rows) => rows.filter((row) => !row.curve.includes("-"));

  /** A table whose rows are curves; a click chooses one for the plots. A heading is a text, or a text and its class. */
  function table(rows, heads, cells, chosen, pick, name) {
    const frame = make("div", "cp-scroll");
    const node = make("table", "cp-table cp-design-table");
    node.setAttribute("aria-label", name);
    const head = make("tr");
    head.append(...["Network or group", ...heads].map((one) => {
      const [text, name = ""] = [one].flat();
      return Object.assign(make("th", name, text), { scope: "col" });
    }));
    const top = make("thead");
    top.append(head);
    const body = make("tbody");
    for (const row of rows) {
      const line = make("tr");
      line.dataset.curve = row.curve;
      line.dataset.kind = row.kind;
      const side = make("th");
      side.scope = "row";
      const press = button("cp-link", row.label, () => pick(row.curve));
      press.setAttribute("aria-pressed", String(row.curve === chosen));
      side.append(press);
      line.append(side, ...cells(row));
      body.append(line);
    }
    node.append(top, body);
    frame.append(node);
    return frame;
  }

  const cell = (...parts) => {
    const node = make("td");
    node.append(...parts);
    return node;
  };

  function effectTables(value, rows, chosen, pick) {
    const heads = [`Main effect of ${value.factors[0]}`, `Main effect of ${value.factors[1]}`, "Interaction"];
    const most = Math.max(...rows.flatMap((row) => EFFECTS.flatMap((name) => [row[name], row[`${name}_low`], row[`${name}_high`]].map((one) => Math.abs(one || 0)))));
    const means = (row) => EFFECTS.map((name) => {
      const [low, high] = [row[`${name}_low`], row[`${name}_high`]];
      const box = make("div", "cp-effect");
      box.append(make("span", "cp-effect-mean", signed(row[name])), whisker(low, row[name], high, most), make("span", "cp-note", low === null ? "no interval" : `${number(low)} to ${number(high)}`), make("span", "cp-note", `size ${percent(row[`${name}_size`])}`));
      return cell(box);
    });
    if (value.calibrated === "yes") return [table(rows, heads.map((head) => `${head} (z)`), means, chosen, pick, "Main effects and interaction")];
    const sizes = (row) => EFFECTS.map((name) => cell(percent(row[`${name}_size`])));
    const more = make("details", "cp-design-uncalibrated");
    more.append(make("summary", "", "Uncalibrated: mean differences"), make("p", "cp-note", "This model's offset and gain are not known to be right, so these means are no sizes, and ranks no network."), table(rows, heads, means, chosen, pick, "Uncalibrated mean differences"));
    return [table(rows, heads.map((head) => `${head}: change in time course`), sizes, chosen, pick, "Main effects and interaction"), more];
  }

  function legend(value) {
    const line = make("p", "cp-note cp-plot-legend");
    value.levels[1].forEach((level, j) => {
      const one = make("span");
      one.append(make("i", `cp-key cp-key-${j}`), `${value.factors[1]}: ${level}`);
      line.append(one);
    });
    line.append(make("span", "", `Over time: solid, ${value.factors[0]} ${value.levels[0][0]}; dashed, ${value.levels[0][1]}. Grey: rows that do not count.`));
    return line;
  }

  function clipsPlot(value, row, at) {
    const unit = value.statistic === "mean" ? "mean predicted BOLD (z)" : "log SD over time";
    const sides = value.sizes.map((clips) => clips.map((clip) => clip[at]));
    const all = sides.flat().filter((one) => one !== null);
    const { svg, box, y } = plot({ width: 330, height: 240, low: Math.min(...all), high: Math.max(...all), label: unit, right: 16, name: `${row.label}: every clip in A and in B`, simulated: value.simulated });
    const x = [0, 1].map((i) => box.left + (box.right - box.left) * (0.25 + 0.5 * i));
    const there = (one) => one !== null;
    const named = (shape, text) => {
      shape.append(draw("title", {}, text));
      return shape;
    };
    if (value.paired) sides[0].forEach((one, k) => there(one) && there(sides[1][k]) && svg.append(named(draw("line", { x1: x[0], x2: x[1], y1: y(one), y2: y(sides[1][k]), class: "cp-plot-pair" }), value.names[0][k])));
    sides.forEach((side, i) => side.forEach((one, k) => there(one) && svg.append(named(draw("circle", { cx: x[i], cy: y(one), r: 4, class: `cp-plot-dot cp-plot-${i}` }), `${value.names[i][k]}: ${number(one)}`))));
    sides.forEach((side, i) => {
      const known = side.filter(there);
      const mean = known.reduce((sum, one) => sum + one, 0) / known.length;
      const from = x[i] + (i ? 14 : -34);
      svg.append(named(draw("line", { x1: from, x2: from + 20, y1: y(mean), y2: y(mean), class: `cp-plot-mean cp-plot-${i}` }), `mean of ${"AB"[i]}: ${number(mean)}`));
    });
    const names = value.change ? ["A: as it is", `B: ${short(value.change, 22)}`] : [`A: ${value.names[0].length} clips`, `B: ${value.names[1].length} clips`];
    names.forEach((name, i) => svg.append(draw("text", { x: x[i], y: box.bottom + 16, "text-anchor": "middle" }, name)));
    svg.append(draw("text", { x: (box.left + box.right) / 2, y: box.bottom + 34, "text-anchor": "middle", class: "cp-plot-label" }, value.paired ? `a line is a clip (n = ${sides[0].length}), a bar the mean` : `a dot is a clip (n = ${sides[0].length}, ${sides[1].length}), a bar the mean`));
    return svg;
  }

  function setTables(value, chosen, pick) {
    const readable = value.statistic !== "mean" || value.calibrated === "yes";
    const unit = value.statistic === "mean" ? "z" : "log SD";
    const tested = (row) => [row.t === null ? "–" : number(row.t), chance(row.p), chance(row.p_max), chance(row.q_fdr)].map((text, k) => {
      const node = cell(text);
      if (k === 2 && row.p_max !== null && row.p_max <= 0.05) node.classList.add("cp-found");
      return node;
    });
    const means = (row) => [number(row.a), number(row.b), signed(row.difference)].map((text, k) => {
      const node = cell(text);
      if (k < 2) node.classList.add("cp-wide");
      return node;
    });
    const heads = [[`A (${unit})`, "cp-wide"], [`B (${unit})`, "cp-wide"], `A − B (${unit})`]; // a phone leaves A and B to the plot
    const tests = ["t", "p", "p_max", "q_fdr"];
    if (readable) return [table(value.rows, [...heads, ...tests], (row) => [...means(row), ...tested(row)], chosen, pick, "A against B over clips")];
    const more = make("details", "cp-design-uncalibrated");
    more.append(make("summary", "", "Uncalibrated: means"), table(value.rows, heads, means, chosen, pick, "Uncalibrated means"));
    return [table(value.rows, tests, tested, chosen, pick, "A against B over clips"), more];
  }

  /** What the p-values rest on, in one line. */
  function testLine({ test, paired }) {
    const n = paired ? `n = ${test.n_a} pairs of clips` : `n = ${test.n_a} and ${test.n_b} clips`;
    const ways = test.exact ? `exact: all ${test.relabellings} relabellings` : `${test.relabellings} random relabellings, seed ${test.seed}`;
    return `${n} · ${ways} · smallest p ${chance(test.smallest_p)} · bold: p_max ≤ 0.05`;
  }

  window.CineglassPage.add("design-result", (root) => {
    root.classList.add("cp-design-result");
    let value = {};
    let subject = "mean";
    let curve = "";
    let numbers = null;
    let drawnKey = "";
    let drawnWide = 0;

    function files() {
      const line = make("p", "cp-design-files");
      line.append(...value.files.map((file) => sizedFile(file)).filter(Boolean));
      return line;
    }

    function head() {
      const parts = [make("h3", "", value.title)];
      if (value.simulated) parts.push(make("p", "cp-simulated", "SIMULATED: four simulated subjects, no brain was measured. The files say so too."));
      else parts.push(make("p", "cp-note", "Predicted; nobody was measured with these clips."));
      parts.push(...value.lines.map((text) => make("p", "cp-design-line", text)));
      return parts;
    }

    function pick(id) {
      curve = id;
      show();
    }

    function showDesign() {
      const place = Math.max(0, value.subjects.findIndex((one) => one.id === subject));
      const rows = whole(value.tables[value.subjects[place].id]);
      if (!rows.some((row) => row.curve === curve)) curve = rows[0].curve;
      const row = rows.find((one) => one.curve === curve);
      const who = choices("cp-design-subject", "Brains", value.subjects.map(({ id, label }) => [id, id === "mean" ? "mean of all" : label]), value.subjects[place].id, (id) => {
        subject = id;
        show();
      });
      const contrast = ([usual, changed], k) => `Main effect of ${value.factors[k]}: ${changed.replace(/\.$/, "")}, less ${usual}.`;
      const says = make("p", "cp-note", value.says.map(contrast).join(" "));
      const plots = make("div", "cp-plots");
      const means = value.calibrated === "yes";
      plots.append(cellsPlot(value, row, means ? "cells" : "spread"), coursesPlot(value, row, numbers, place, drawnWide));
      const figure = make("figure");
      figure.append(make("figcaption", "", row.label), plots, legend(value));
      fill(root, [...head(), says, who, ...effectTables(value, rows, curve, pick), figure, make("p", "cp-note cp-design-caption", value.caption), files()]);
    }

    function showSet() {
      if (!value.rows.some((row) => row.curve === curve)) curve = value.rows[0].curve;
      const at = value.rows.findIndex((row) => row.curve === curve);
      const figure = make("figure");
      const plots = make("div", "cp-plots");
      plots.append(clipsPlot(value, value.rows[at], at));
      figure.append(make("figcaption", "", value.rows[at].label), plots);
      const [a, b] = value.names.map((side) => side.join(", "));
      const what = value.change ? `A: ${a}. B: the same clips, changed. ${value.says}` : `A: ${a}. B: ${b}.`;
      const tested = make("p", "cp-design-test", testLine(value));
      fill(root, [...head(), make("p", "cp-note cp-design-names", what), tested, ...setTables(value, curve, pick), figure, make("p", "cp-note cp-design-caption", value.caption), files()]);
    }

    const wide = () => Math.max(300, Math.min(WIDE, root.clientWidth || WIDE));
    new ResizeObserver(() => value.kind === "design" && wide() !== drawnWide && show()).observe(root);

    function show() {
      drawnWide = wide();
      const held = root.contains(document.activeElement) ? document.activeElement : null;
      const again = held && (held.closest("tr")?.dataset.curve || held.value);
      const open = Boolean(root.querySelector("details")?.open);
      (value.kind === "design" ? showDesign : showSet)();
      const more = root.querySelector("details");
      if (more) more.open = open;
      if (again) (root.querySelector(`tr[data-curve="${CSS.escape(again)}"] button`) || root.querySelector(`input[value="${CSS.escape(again)}"]`))?.focus({ preventScroll: true });
    }

    return (given) => {
      const key = JSON.stringify([given.title, given.files]);
      if (key === drawnKey) return;
      drawnKey = key;
      root.hidden = !given.kind;
      if (!given.kind) return;
      value = given;
      numbers = value.kind === "design" ? decoded(value.courses) : null;
      show();
    };
  });
})();
