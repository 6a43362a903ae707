// Make a stimulus: a kind of the table becomes a statement of the language, which the server reads. Words and file names are set as text, never as markup.
(() => {
  "use strict";
  if (!window.CineglassPage || window.CineglassPage.making) return;
  window.CineglassPage.making = true;
  const { make, fill, button, problem, control, statement } = window.CineglassPage.tools;

  const seconds = (value) => (value < 60 ? `${Number(value.toFixed(1))} s` : `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`);
  const MADE = "Made. It is your clip now: press Run, or change one thing in section 2.";
  const FORMS = "image/png,image/jpeg,image/webp";

  window.CineglassPage.add("making", (root, { trigger, upload }) => {
    root.classList.add("cp-making", "cp-experiment");
    let known = { kinds: [] };
    let chosen = "";
    let drawn = "";
    const values = {}; // of every kind: they stay while another one is looked at
    const previews = [null, null]; // of the person's own files, shown from where they are

    const fold = make("details");
    const kinds = make("fieldset", "cp-reads cp-making-kinds");
    const help = make("p", "cp-note");
    const said = make("textarea");
    const words = make("label", "cp-text-field");
    const pictures = make("div", "cp-making-pictures");
    const params = make("div", "cp-making-params");
    const length = make("p", "cp-note cp-num");
    const trouble = make("div", "cp-making-trouble");
    const go = button("cp-button cp-making-go", "Make it", () => {
      const kind = current();
      trigger("make", { text: statement(kind.name, values[kind.name]), words: kind.words ? said.value : null });
    });
    go.id = "cp-make";
    go.title = "Make the stimulus and take it as the clip";
    const bar = make("div", "cp-bar");
    const filled = make("div", "cp-bar-fill");
    bar.append(filled);
    const line = make("p", "cp-note");
    line.setAttribute("role", "status");
    fold.append(make("summary", "", "Make a stimulus"), kinds, help, words, pictures, params, length, trouble, go, bar, line);
    root.append(fold);

    said.rows = 3;
    said.placeholder = "Type or paste what the model is to read";
    words.append(make("span", "", "Words"), said);
    said.addEventListener("input", changed);
    trouble.setAttribute("role", "alert");

    const current = () => known.kinds.find(({ name }) => name === chosen) || known.kinds[0];

    // ---- which kind, and its values ----

    const radios = new Map();
    kinds.append(make("legend", "cp-making-legend", "Kind of stimulus"));
    function drawKinds() {
      for (const kind of known.kinds) {
        if (radios.has(kind.name)) continue;
        const option = make("label");
        const field = make("input");
        field.type = "radio";
        field.name = "cp-making-kind";
        field.addEventListener("change", () => {
          chosen = kind.name;
          known = { ...known, made: "" };
          fill(trouble, []); // it was about another kind
          draw();
        });
        option.append(field, make("span", "", kind.label));
        radios.set(kind.name, field);
        kinds.append(option);
        values[kind.name] = Object.fromEntries(kind.params.map((param) => [param.name, param.default]));
      }
      for (const [name, field] of radios) field.checked = name === current().name;
    }

    function drawParams(kind) {
      fill(params, kind.params.map((param) => {
        const { frame } = control(param, values[kind.name][param.name], [], (now) => {
          values[kind.name][param.name] = now;
          changed();
        });
        return frame;
      }));
    }

    function changed() {
      known = { ...known, made: "" }; // what stands here now is another stimulus
      drawLength();
    }

    /** How long the clip will be, in TRs: nobody should have to try. */
    function drawLength() {
      const kind = current();
      if (!kind) return;
      const { start = 0, seconds: lasts = 0, rate } = values[kind.name];
      let whole = Number(start) + Number(lasts);
      let lead = "";
      if (kind.words) {
        const count = said.value.split(/\s+/).filter(Boolean).length;
        const spoken = rate > 0 ? (count * 60) / rate : 0;
        whole = Math.max(Number(start) + spoken + known.after_s, known.least_trs * known.tr);
        lead = `${count} word${count === 1 ? "" : "s"} in ${seconds(spoken)}; `;
      }
      const rows = Math.floor(whole / known.tr + 1e-6);
      const off = rows < known.least_trs ? `: at least ${known.least_trs} are needed` : whole > known.longest_s ? `: at most ${seconds(known.longest_s)} are allowed` : "";
      length.textContent = `${lead}${lead ? "the" : "The"} clip lasts ${seconds(whole)}, ${rows} TRs${off}.`;
      length.classList.toggle("cp-warn", Boolean(off));
      ready();
    }

    // ---- pictures ----

    async function send(place, file, area) {
      if (!file) return;
      if (file.size > known.most_mb * 2 ** 20) {
        fill(trouble, [problem({ message: `This picture has ${Math.round(file.size / 2 ** 20)} MB; at most ${known.most_mb} MB are taken.`, hint: "Save it smaller: 1280 x 720 is all that is used." })]);
        return;
      }
      area.classList.add("cp-busy");
      try {
        const sent = await upload(file);
        if (previews[place]) URL.revokeObjectURL(previews[place]);
        previews[place] = URL.createObjectURL(file);
        trigger("dropped", { place, path: sent.path, name: file.name });
      } catch {
        fill(trouble, [problem({ message: "The picture could not be sent.", hint: "Check the connection, then try again." })]);
      }
      area.classList.remove("cp-busy");
    }

    function place(number, name, several) {
      const frame = make("div", "cp-making-picture");
      const title = several ? `Picture ${number + 1}` : "Picture";
      if (name) {
        const shown = make("img");
        shown.alt = "";
        shown.hidden = !previews[number];
        if (previews[number]) shown.src = previews[number];
        shown.addEventListener("error", () => (shown.hidden = true));
        const drop = button("cp-remove", "×", () => trigger("remove", { place: number }));
        drop.setAttribute("aria-label", `Remove ${title.toLowerCase()}`);
        frame.append(shown, make("span", "cp-making-name", name), drop);
        return frame;
      }
      const area = make("label", "cp-drop-area cp-slim");
      const field = make("input", "cp-file");
      field.type = "file";
      field.accept = FORMS;
      field.setAttribute("aria-label", title);
      area.append(field, make("span", "", `${title}: drop it here, or click`));
      field.addEventListener("change", () => send(number, field.files[0], area));
      for (const event of ["dragover", "dragleave", "drop"]) {
        area.addEventListener(event, (what) => {
          what.preventDefault();
          area.classList.toggle("cp-over", event === "dragover");
          if (event === "drop") send(number, what.dataTransfer.files[0], area);
        });
      }
      frame.classList.add("cp-drop");
      frame.append(area);
      return frame;
    }

    // ---- the button, and what came of it ----

    /** Why nothing can be made yet; "" when it can. */
    function lacks(kind) {
      if (kind.words && !said.value.trim()) return "Write some words first.";
      const missing = known.pictures.slice(0, kind.pictures).filter((name) => !name).length;
      if (missing) return missing === 1 ? "Add a picture first: PNG, JPEG or WebP." : "Add two pictures first: PNG, JPEG or WebP.";
      return "";
    }

    function ready() {
      const reason = lacks(current());
      go.disabled = Boolean(reason || known.busy);
      bar.hidden = !known.busy;
      filled.style.width = `${Math.round(100 * (known.fraction || 0))}%`;
      line.textContent = known.busy || (known.made ? MADE : reason);
      line.classList.toggle("cp-making-made", Boolean(!known.busy && known.made));
    }

    function draw() {
      if (!known.kinds.length) return;
      drawKinds();
      const kind = current();
      const key = JSON.stringify([kind.name, known.pictures]);
      if (key !== drawn) {
        drawn = key;
        help.textContent = kind.rests ? `${kind.help} ${known.rest}` : kind.help;
        words.hidden = !kind.words;
        pictures.hidden = !kind.pictures;
        fill(pictures, known.pictures.slice(0, kind.pictures).map((name, number) => place(number, name, kind.pictures > 1)));
        drawParams(kind);
      }
      drawLength();
    }

    return (value) => {
      known = value;
      said.maxLength = value.most_chars;
      fill(trouble, value.error ? [problem(value.error)] : []);
      trouble.dataset.about = value.error ? value.error.about : "";
      const beside = { words, pictures }[trouble.dataset.about] || length; // the control that it is about
      beside.after(trouble);
      draw();
    };
  });
})();
