// Section 2: condition B is the film in the player with something changed. What is chosen becomes a text in the edit language, which the server
// reads and says back; what a person typed is set as text, never as markup.
(() => {
  "use strict";
  if (!window.CineglassPage || window.CineglassPage.experiment) return;
  window.CineglassPage.experiment = true;
  const { make, fill, button, problem } = window.CineglassPage.tools;

  const DOUBLE_MS = 400;
  const SEND_MS = 250; // typing and stepping a number are one change
  const GROUPS = ["Sound", "Picture", "Time", "Words", "Small changes that should not matter"];

  // ---- the language: a choice as text. The server reads it, and has the last word. ----

  const plain = /^[A-Za-z][A-Za-z0-9_-]*$/;
  const written = (value) => (typeof value === "number" || plain.test(value) ? String(value) : JSON.stringify(value));
  const statement = (name, values) => [name, ...Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined).map(([key, value]) => `${key}=${written(value)}`)].join(" ");

  /** One control for a parameter of an edit or a lesion, with its unit. */
  function control(param, value, clips, changed) {
    const frame = make("label", "cp-param");
    let field;
    if (param.kind === "choice" || param.kind === "clip") {
      field = make("select");
      const options = param.kind === "clip" ? clips.map(({ key, label }) => [key, label]) : param.choices.map((choice) => [choice, choice]);
      for (const [key, label] of options) {
        const option = make("option", "", label);
        option.value = key;
        field.append(option);
      }
      field.value = value;
    } else {
      field = make("input");
      field.type = param.kind === "number" ? "number" : "text";
      if (param.kind === "number") {
        field.step = param.whole ? 1 : "any";
        if (param.low !== null) field.min = param.low;
        if (param.high !== null) field.max = param.high;
      } else {
        field.maxLength = 500;
        field.spellcheck = false;
      }
      field.value = value ?? "";
    }
    frame.append(make("span", "cp-param-name", param.label), field, make("span", "cp-param-unit", param.unit || ""));
    const read = () => (param.kind !== "number" ? field.value : field.value === "" ? "" : Number(field.value));
    field.addEventListener("input", () => changed(read()));
    return { frame, set: (now) => document.activeElement !== field && (field.value = now ?? "") };
  }

  Object.assign(window.CineglassPage.tools, { control, statement }); // for whatever else is chosen by a table of the language

  // What most visits need not know comes last, below the stages of the comparison
  let lower = null;
  const early = [];
  const below = (nodes) => (lower ? lower.append(...nodes) : early.push(...nodes));
  window.CineglassPage.add("experiment-more", (root) => {
    root.classList.add("cp-experiment");
    lower = root;
    root.append(...early.splice(0));
    return () => {};
  });

  window.CineglassPage.add("experiment", (root, { trigger }) => {
    root.classList.add("cp-experiment");
    let known = {}; // the newest value
    let mine = { chain: [], words: "", lost: {}, band: true }; // what is chosen here, before and after the server has read it
    let typed = null; // a text that stands as it was typed, because it could not be read
    let seq = 0;
    let timer = 0;
    let stamp = "";
    let wasBusy = false;
    let follow = false; // whether the button is to come into sight once the server has read the change

    const lead = make("p", "cp-lead-line");
    const finished = button("cp-link cp-to-ready", "finished experiment", () => window.CineglassPage.tools.toPlace(".cp-ready-made"));
    const note = make("p", "cp-note");
    const quick = make("div", "cp-quick");
    quick.setAttribute("role", "group");
    quick.setAttribute("aria-label", "Change one thing");
    const more = make("select", "cp-more");
    more.setAttribute("aria-label", "More changes");
    const chain = make("ol", "cp-chain");
    const words = make("fieldset", "cp-reads");
    const lesions = make("details", "cp-lesions");
    const text = make("details", "cp-as-text");
    const band = make("label", "cp-band");
    const plan = make("details", "cp-cost");
    let pressed = -Infinity;
    /** The two buttons take each other's place: the second click of a double one is not meant for the other. */
    function tooSoon() {
      const soon = performance.now() - pressed < DOUBLE_MS;
      if (!soon) pressed = performance.now();
      return soon;
    }
    const go = button("cp-compare", "Compare A with B", () => {
      if (tooSoon()) return;
      flush();
      trigger("compare", asked());
      held = "go";
    });
    go.id = "cp-compare";
    const stop = button("cp-button cp-compare-stop", "Stop", () => {
      if (tooSoon()) return;
      trigger("stop", {});
      held = "stop";
    });
    stop.id = "cp-compare-stop";
    const why = make("p", "cp-note cp-compare-why");
    why.id = "cp-compare-why";
    why.setAttribute("role", "status");
    let held = ""; // which of the two buttons was pressed: it takes the focus to the other one
    const trouble = make("div", "cp-change-trouble");
    const ready = make("div", "cp-ready-made");
    root.append(lead, quick, more, chain, trouble, words, note, band, plan, go, stop, why);
    below([ready, lesions, text]);

    // ---- what goes to the server ----

    function editsText() {
      const statements = mine.chain.map(({ name, values }) => statement(name, values));
      if (mine.words) statements.push(statement("words", { policy: mine.words }));
      return statements.join("; ");
    }
    const lesionsText = () => Object.entries(mine.lost).map(([stream, { kind, values }]) => [stream, statement(kind, values)].join(" ")).join("; ");
    const asked = () => ({ ...(typed || { edits: editsText(), lesions: lesionsText() }), band: mine.band, seq });
    function flush() {
      clearTimeout(timer);
      timer = 0;
    }
    function send(wait) {
      seq += 1;
      clearTimeout(timer);
      timer = setTimeout(() => {
        timer = 0;
        trigger("choose", asked());
      }, wait ? SEND_MS : 0);
    }
    function changed(wait) {
      typed = null;
      send(wait);
      draw();
    }

    // ---- changes of the film ----

    const of = (name) => (known.menu || []).find((kind) => kind.name === name);
    function add(name) {
      const kind = of(name);
      if (!kind || kind.why_not) return;
      const values = Object.fromEntries(kind.params.map((param) => [param.name, param.default ?? (param.kind === "clip" && known.clips.length ? known.clips[0].key : "")]));
      mine.chain.push({ name, values });
      follow = true;
      changed(false);
    }
    // The button that comes next stays in sight of the click that made it possible
    function showButton() {
      const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
      if (go.getBoundingClientRect().bottom > window.innerHeight) go.scrollIntoView({ block: "end", behavior: still ? "auto" : "smooth" });
    }
    function showStages() {
      const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
      document.getElementById("cp-compare-status")?.scrollIntoView({ block: "nearest", behavior: still ? "auto" : "smooth" });
    }
    function remove(index) {
      mine.chain.splice(index, 1);
      if (!mine.chain.length) mine.words = "";
      changed(false);
    }
    more.addEventListener("change", () => {
      add(more.value);
      more.value = "";
    });

    let menuKey = "";
    function drawMenu() {
      const key = JSON.stringify([known.menu, known.quick]);
      if (key === menuKey) return;
      menuKey = key;
      fill(quick, known.quick.map((name) => {
        const kind = of(name);
        const one = button("cp-quick-one", kind.label, () => {
          const at = mine.chain.findIndex((edit) => edit.name === name);
          if (at < 0) add(name);
          else remove(at);
        });
        one.dataset.name = name;
        one.disabled = Boolean(kind.why_not);
        one.title = kind.why_not || kind.help;
        return one;
      }));
      const head = make("option", "", "More changes …");
      head.value = "";
      fill(more, [head, ...GROUPS.map((group) => {
        const kinds = known.menu.filter((kind) => kind.group === group);
        if (!kinds.length) return null;
        const set = make("optgroup");
        set.label = group;
        for (const kind of kinds) {
          const option = make("option", "", kind.why_not ? `${kind.label} (${kind.why_not})` : kind.label);
          option.value = kind.name;
          option.disabled = Boolean(kind.why_not);
          set.append(option);
        }
        return set;
      })]);
      more.value = "";
    }

    let rows = []; // one for each change: they stay while a person types into one
    function drawChain() {
      for (const one of quick.children) one.setAttribute("aria-pressed", String(mine.chain.some(({ name }) => name === one.dataset.name)));
      mine.chain.forEach((edit, index) => {
        const kind = of(edit.name);
        if (!kind) return;
        if (rows[index]?.name !== edit.name) {
          const row = make("li", "cp-change");
          const said = make("span", "cp-change-says");
          const drop = button("cp-remove", "×", () => remove(rows.findIndex((other) => other.row === row)));
          drop.setAttribute("aria-label", `Remove: ${kind.label}`);
          drop.title = "Remove this change";
          const fields = make("div", "cp-params");
          const controls = kind.params.map((param) => control(param, edit.values[param.name], known.clips, (now) => {
            mine.chain[rows.findIndex((other) => other.row === row)].values[param.name] = now;
            changed(true);
          }));
          fields.append(...controls.map(({ frame }) => frame));
          row.append(make("strong", "", kind.label), drop, said, fields);
          rows[index] = { name: edit.name, row, said, controls, params: kind.params };
        }
        const { said, controls, params } = rows[index];
        params.forEach((param, at) => controls[at].set(edit.values[param.name]));
        said.textContent = edit.says || "";
      });
      rows.length = mine.chain.length;
      chain.hidden = !rows.length;
      const nodes = rows.map(({ row }) => row);
      if (nodes.length !== chain.children.length || nodes.some((node, at) => node !== chain.children[at])) chain.replaceChildren(...nodes);
    }

    // ---- what the model reads ----

    const readings = new Map();
    words.append(make("legend", "", "Words the model reads in B"));
    const readSays = make("p", "cp-note");
    function drawWords() {
      const value = known.words;
      words.hidden = !value || !mine.chain.length;
      if (words.hidden) return;
      for (const { key, label } of value.options) {
        if (readings.has(key)) continue;
        const option = make("label");
        const field = make("input");
        field.type = "radio";
        field.name = "cp-reads";
        field.addEventListener("change", () => {
          mine.words = key;
          changed(false);
        });
        option.append(field, make("span", "", label));
        readings.set(key, field);
        words.append(option);
      }
      words.append(readSays);
      const now = mine.words || value.policy;
      for (const [key, field] of readings) {
        field.checked = key === now;
        field.disabled = Boolean(value.options.find((option) => option.key === key)?.why_not) && key !== now;
        field.parentElement.title = value.options.find((option) => option.key === key)?.why_not || "";
      }
      readSays.textContent = value.options.find(({ key }) => key === now)?.says || "";
    }

    // ---- lesions: their own colour, and never called an edit ----

    lesions.append(make("summary", "", "Model lesion"));
    const lesionRows = make("div", "cp-lesion-rows");
    lesions.append(make("p", "cp-note", "The film stays as it is; the model loses one of its streams. This tells what the model uses, not what a brain uses."), lesionRows);
    const lost = new Map();
    function drawLesions() {
      const value = known.lesions_menu;
      if (!value) return;
      for (const { stream, label } of value.streams) {
        if (lost.has(stream)) continue;
        const row = make("div", "cp-lesion");
        const pick = make("select");
        pick.setAttribute("aria-label", `Lesion of the ${label.toLowerCase()} stream`);
        for (const [key, words] of [["", "as it is"], ...value.kinds.map((kind) => [kind.name, kind.label])]) {
          const option = make("option", "", words);
          option.value = key;
          pick.append(option);
        }
        pick.addEventListener("change", () => {
          const kind = value.kinds.find(({ name }) => name === pick.value);
          if (kind) mine.lost[stream] = { kind: kind.name, values: Object.fromEntries(kind.params.map((param) => [param.name, param.default])) };
          else delete mine.lost[stream];
          changed(false);
        });
        const fields = make("div", "cp-params");
        const says = make("p", "cp-note");
        row.append(make("span", "cp-lesion-name", label), pick, fields, says);
        lost.set(stream, { row, pick, fields, says, drawn: "", controls: [] });
        lesionRows.append(row);
      }
      for (const { stream, why_not } of value.streams) {
        const one = lost.get(stream);
        const chosen = mine.lost[stream];
        const kind = chosen && value.kinds.find(({ name }) => name === chosen.kind);
        one.row.dataset.lost = String(Boolean(kind));
        one.pick.disabled = Boolean(why_not) && !kind;
        one.pick.value = kind ? kind.name : "";
        if (one.drawn !== (kind ? kind.name : "")) {
          one.drawn = kind ? kind.name : "";
          one.controls = kind ? kind.params.map((param) => control(param, chosen.values[param.name], [], (now) => {
            mine.lost[stream].values[param.name] = now;
            changed(true);
          })) : [];
          fill(one.fields, one.controls.map(({ frame }) => frame));
        }
        if (kind) kind.params.forEach((param, at) => one.controls[at].set(chosen.values[param.name]));
        one.says.textContent = kind ? [chosen.says || kind.help, chosen.note].filter(Boolean).join(" ") : why_not || "";
        one.says.hidden = !one.says.textContent;
      }
      if (Object.keys(mine.lost).length) lesions.open = true;
    }

    // ---- the same as text ----

    text.append(make("summary", "", "As text"));
    const editsField = make("textarea");
    const lesionsField = make("input");
    for (const [field, label] of [[editsField, "Changes of the film"], [lesionsField, "Model lesions"]]) {
      const frame = make("label", "cp-text-field");
      frame.append(make("span", "", label), field);
      field.spellcheck = false;
      field.addEventListener("input", () => {
        typed = { edits: editsField.value, lesions: lesionsField.value };
        send(true);
      });
      text.append(frame);
    }
    editsField.rows = 2;
    editsField.maxLength = 2000;
    lesionsField.maxLength = 500;
    editsField.placeholder = "mute; blur percent=2";
    lesionsField.placeholder = "text zero";
    text.append(make("p", "cp-note", "The language of the command line and of the API: statements in their order, with ; between them."));
    function drawText() {
      const now = typed || { edits: known.edits, lesions: known.lesions };
      if (document.activeElement !== editsField) editsField.value = now.edits ?? "";
      if (document.activeElement !== lesionsField) lesionsField.value = now.lesions ?? "";
      fill(trouble, known.error && known.error.code !== "missing_value" ? [problem(known.error)] : []); // what is not complete yet is said beside the button
    }

    // ---- finished experiments ----

    let readyKey = "";
    function drawReady() {
      const key = JSON.stringify(known.ready);
      if (key === readyKey) return;
      readyKey = key;
      ready.hidden = !known.ready.length;
      const list = make("ul");
      list.append(...known.ready.map(({ id, title, question }) => {
        const row = make("li");
        const one = button("cp-ready-one", "", () => {
          trigger("open", { id });
          window.CineglassPage.tools.toPlayer({ atOnce: true });
        });
        const place = `cineglass/comparisons/${id}`;
        one.dataset.place = place;
        one.setAttribute("aria-pressed", String(place === inPlayer));
        const words = make("span", "cp-example-words");
        words.append(make("strong", "", question), make("span", "cp-note", title));
        one.append(words);
        row.append(one);
        return row;
      }));
      fill(ready, [make("h3", "", "Finished experiments"), make("p", "cp-note", "Planted effects with their results: they open at once."), list]);
    }
    // Which of them is in the player, as with the examples
    let inPlayer = "";
    document.addEventListener("cineglass-shows", (event) => {
      inPlayer = event.detail;
      for (const one of ready.querySelectorAll(".cp-ready-one")) one.setAttribute("aria-pressed", String(one.dataset.place === inPlayer));
    });

    // ---- cost, and the buttons ----

    const bandField = make("input");
    bandField.type = "checkbox";
    bandField.id = "cp-noise-band";
    const bandWords = make("span");
    band.append(bandField, bandWords);
    bandField.addEventListener("change", () => {
      mine.band = bandField.checked;
      send(false);
    });
    const planLine = make("summary");
    const planRows = make("ul", "cp-cost-rows");
    plan.append(planLine, planRows);

    function drawCost() {
      const nothing = !mine.chain.length && !Object.keys(mine.lost).length && !typed;
      band.hidden = nothing;
      bandField.checked = mine.band;
      fill(bandWords, [make("strong", "", known.band ? known.band.label : ""), make("span", "cp-note", known.band ? known.band.says : "")]);
      plan.hidden = nothing || !known.plan;
      if (known.plan) {
        planLine.textContent = known.plan.summary;
        fill(planRows, known.plan.rows.map(({ what, how, cached }) => {
          const row = make("li");
          row.dataset.cached = String(cached);
          row.append(make("span", "", what), make("span", "cp-num", how));
          return row;
        }));
      }
    }

    function drawButtons() {
      const waits = known.seq !== undefined && seq > known.seq; // not read by the server yet
      const reason = waits ? "" : known.why_not || "";
      const busy = Boolean(known.working) && !known.band_left; // the small changes can be left for another comparison
      go.hidden = busy;
      stop.hidden = !known.working;
      stop.textContent = known.band_left ? "Stop the small changes" : "Stop";
      go.disabled = waits || Boolean(reason);
      go.classList.toggle("cp-ready", !go.disabled);
      if (follow && !waits) {
        follow = false;
        if (!go.disabled) showButton();
      }
      why.textContent = busy ? "" : reason;
      why.hidden = !why.textContent;
      go.setAttribute("aria-describedby", why.id);
      if (busy && !wasBusy) setTimeout(showStages, 300); // they stand below the button
      wasBusy = busy;
      if (held === "go" && busy && document.activeElement === document.body) stop.focus({ preventScroll: true });
      if (held === "stop" && !known.working && document.activeElement === document.body) go.focus({ preventScroll: true });
    }

    function draw() {
      if (!known.menu) return;
      fill(lead, known.base.title ? ["A is ", make("strong", "", known.base.title), ...(mine.chain.length || Object.keys(mine.lost).length ? [". B is the same with:"] : [". Change one thing to make B, or open a ", finished, ":"])] : ["Choose a clip first: it is A, and B is the same clip with something changed."]);
      drawMenu();
      drawChain();
      drawWords();
      drawLesions();
      drawText();
      const several = mine.chain.length + Object.keys(mine.lost).length > 1;
      fill(note, [several ? "Several things change at once: the difference will be of all of them together. " : "", known.base.note || ""].filter(Boolean));
      note.hidden = !note.textContent;
      drawCost();
      drawButtons();
      drawReady();
    }

    return (value) => {
      known = value;
      const fresh = Boolean(value.stamp) && value.stamp !== stamp; // another comparison was opened: what was chosen here is over
      if (value.seq >= seq || fresh) {
        if (fresh) {
          stamp = value.stamp;
          seq = value.seq;
          typed = null;
        }
        if (!value.error) {
          mine = {
            chain: (value.chain || []).map(({ name, values, says }) => ({ name, values: { ...values }, says })),
            words: value.words && value.words.chosen ? value.words.policy : "",
            lost: Object.fromEntries((value.lost || []).map(({ stream, kind, values, says, note }) => [stream, { kind, values: { ...values }, says, note }])),
            band: value.band ? value.band.on : true,
          };
          if (document.activeElement !== editsField && document.activeElement !== lesionsField) typed = null;
        }
      }
      draw();
    };
  });
})();
