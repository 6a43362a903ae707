// My runs: what this browser ran and compared, and capsules saved and opened. Titles are anybody's text and set as text, never as markup.
(() => {
  "use strict";
  if (!window.CineglassPage || window.CineglassPage.runs) return;
  window.CineglassPage.runs = true;
  const { make, fill, button, problem, ownLink, progressLine } = window.CineglassPage.tools;

  const SURE_MS = 4000;
  const SAY_MS = 2500;
  const LEAVE_MS = 300; // Gradio closes the stream of an event just after it, and complains of one that is cut off
  const TOKEN = /^[0-9a-f]{32}$/;
  const when = (seconds) => new Date(seconds * 1000).toLocaleString(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

  /** Address of the player's result and its settings, as the query of a link; what the server does not want of it it leaves out. */
  function playerNow() {
    const player = window.__cineglass;
    if (!player || !player.result) return null;
    const pairs = player.link.pairs.filter(([, value]) => value);
    const { value } = player.base; // that of A, whichever of two conditions is in sight
    return { place: value.run_id, title: value.title, state: new URLSearchParams(pairs).toString() };
  }

  window.CineglassPage.add("runs", (root, { trigger, upload }) => {
    root.classList.add("cp-runs");
    const about = make("p", "cp-note");
    const from = make("div", "cp-runs-from");
    const withFilm = make("input");
    withFilm.type = "checkbox";
    const film = make("label", "cp-runs-film");
    film.append(withFilm, " with the film in it");
    const file = make("input");
    file.type = "file";
    file.accept = ".zip";
    file.hidden = true;
    file.setAttribute("aria-label", "Capsule to open");
    const opener = button("cp-button", "Open a capsule", () => file.click());
    const saver = button("cp-button", "Save what the player shows as a capsule", () => {
      const now = playerNow();
      if (now) trigger("save", { ...now, film: withFilm.checked });
    });
    const copier = button("cp-link", "Copy the link to this list", copyLink);
    const doors = make("div", "cp-runs-doors");
    doors.append(saver, film, opener, file, copier);
    const capsule = make("p", "cp-note", "A capsule is one file with results, words, edits, seeds, figures and methods text. It opens here again on any machine, and python cli.py run runs it again and says what differs.");
    const trouble = make("div");
    trouble.setAttribute("role", "status");
    const pair = make("div", "cp-runs-pair");
    const list = make("ul", "cp-runs-list");
    root.append(about, from, doors, capsule, trouble, pair, list);
    let known = { entries: [] };

    file.addEventListener("change", async () => {
      const chosen = file.files[0];
      if (!chosen) return;
      opener.disabled = true;
      try {
        const sent = await upload(chosen);
        trigger("dropped", { path: sent.path, name: chosen.name });
      } catch {
        fill(trouble, [problem({ message: "The capsule could not be sent.", hint: "It may be too large for this page: save it without its film, or open it with python cli.py." })]);
      }
      file.value = "";
      opener.disabled = false;
    });

    async function copyLink() {
      const link = `${window.location.origin}${window.location.pathname}?runs=${known.id}`;
      try {
        await navigator.clipboard.writeText(link);
        copier.textContent = "Copied";
      } catch {
        copier.textContent = link;
      }
      setTimeout(() => (copier.textContent = "Copy the link to this list"), SAY_MS);
    }

    /** A name that becomes a field when it is to be changed. */
    function rename(entry, title) {
      const field = make("input", "cp-runs-name");
      field.type = "text";
      field.maxLength = 120;
      field.value = entry.title;
      field.setAttribute("aria-label", `New name of ${entry.title}`);
      let done = false;
      const end = (take) => {
        if (done) return;
        done = true;
        if (take && field.value.trim() && field.value !== entry.title) trigger("rename", { token: entry.token, title: field.value });
        field.replaceWith(title);
      };
      field.addEventListener("keydown", (event) => {
        if (event.key === "Enter") end(true);
        if (event.key === "Escape") end(false);
        event.stopPropagation();
      });
      field.addEventListener("blur", () => end(true));
      title.replaceWith(field);
      field.focus();
      field.select();
    }

    function remover(entry) {
      let sure = 0;
      const node = button("cp-link cp-runs-delete", "Delete", () => {
        if (!sure) {
          node.textContent = "Really delete";
          sure = setTimeout(() => {
            sure = 0;
            node.textContent = "Delete";
          }, SURE_MS);
          return;
        }
        clearTimeout(sure);
        node.disabled = true;
        trigger("remove", { token: entry.token });
      });
      node.setAttribute("aria-label", `Delete ${entry.title}`);
      return node;
    }

    function row(entry) {
      const item = make("li", "cp-runs-one");
      item.dataset.token = entry.token;
      const still = make("div", "cp-runs-still");
      const source = entry.picture && ownLink(entry.picture);
      if (source) {
        const picture = make("img");
        picture.loading = "lazy";
        picture.alt = "";
        picture.src = source;
        still.append(picture);
      }
      const title = button("cp-runs-title", entry.title, () => trigger("open", { token: entry.token }));
      title.title = "Show it in the player";
      const star = button("cp-runs-star", entry.starred ? "★" : "☆", () => trigger("star", { token: entry.token, starred: !entry.starred }));
      star.setAttribute("aria-pressed", String(entry.starred));
      star.setAttribute("aria-label", `Star ${entry.title}`);
      const words = make("div", "cp-runs-words");
      words.append(title, make("p", "cp-note", `${entry.kind === "comparison" ? "Comparison" : "Run"} · ${when(entry.made)} · ${entry.about}`));
      const acts = make("div", "cp-runs-acts");
      acts.append(
        button("cp-link", "Open", () => trigger("open", { token: entry.token })),
        button("cp-link", "Rename", () => rename(entry, title)),
        button("cp-link", "Save capsule", () => {
          const now = playerNow();
          const shown = now && now.place.endsWith(entry.token);
          trigger("save", { token: entry.token, film: withFilm.checked, state: shown ? now.state : "" });
        }),
        remover(entry),
      );
      words.append(acts);
      item.append(still, words, star);
      return item;
    }

    /** Which result of the list is A, and which is B. */
    function select(name, sides, chosen) {
      const frame = make("label", "cp-runs-side");
      const field = make("select");
      field.setAttribute("aria-label", `Condition ${name}`);
      for (const [value, text] of sides) {
        const option = make("option", "", text);
        option.value = value;
        option.selected = value === chosen;
        field.append(option);
      }
      frame.append(make("span", "", name), field);
      return { frame, field };
    }

    function compareTwo(entries) {
      const sides = entries.flatMap(({ kind, token, title, made }) => {
        const text = `${title} · ${when(made)}`; // two runs of one film have one name
        return kind === "comparison" ? [[`${token} a`, `A of ${text}`], [`${token} b`, `B of ${text}`]] : [[`${token} a`, text]];
      });
      pair.hidden = sides.length < 2;
      if (pair.hidden) return;
      const before = [...pair.querySelectorAll("select")].map((field) => field.value);
      const there = (value, other) => (sides.some(([id]) => id === value) ? value : other);
      const [newer, older] = entries.length > 1 ? [sides[0], sides.find(([id]) => id === `${entries[1].token} a`)] : [sides[1], sides[0]];
      const a = select("A", sides, there(before[0], older[0]));
      const b = select("B", sides, there(before[1], newer[0]));
      const go = button("cp-button", "Put A and B side by side", () => {
        const [first, second] = [a.field.value.split(" "), b.field.value.split(" ")];
        trigger("compare", { a: first[0], a_side: first[1], b: second[0], b_side: second[1] });
      });
      const settle = () => (go.disabled = a.field.value === b.field.value);
      [a, b].forEach(({ field }) => field.addEventListener("change", settle));
      settle();
      fill(pair, [make("strong", "", "Compare two of them"), a.frame, b.frame, go]);
    }

    /** Who passes the address of this page on passes on the result, and not a list of runs. */
    function hideList() {
      const query = new URLSearchParams(window.location.search);
      if (!query.has("runs")) return;
      query.delete("runs");
      window.history.replaceState(window.history.state, "", `${window.location.pathname}${query.size ? `?${query}` : ""}${window.location.hash}`);
    }

    return (value) => {
      known = value;
      if (value.id) hideList();
      const hours = value.hours === 1 ? "1 hour" : `${value.hours} hours`;
      about.textContent = `Kept for ${hours} on this machine, then deleted with their films. This list has an address that nobody can guess; whoever has its link can see and delete what is in it.`;
      fill(from, value.own ? [] : [make("span", "", "This list was opened by a link. What you run goes into your own."), button("cp-link", "Show my own list", () => trigger("own", {}))]);
      copier.hidden = !TOKEN.test(value.id || "") || !value.entries.length;
      fill(trouble, value.error ? [problem(value.error)] : []);
      compareTwo(value.entries);
      fill(list, value.entries.length ? value.entries.map(row) : [make("li", "cp-note", "Nothing here yet. What you run or compare is listed here.")]);
    };
  });

  // A link restores the player wholly, so an opened capsule is one. It is followed once the server has said all it had to say.
  let address = "";
  window.CineglassPage.follow = () => {
    const to = address;
    address = "";
    if (/^\?(run|comparison)=[0-9a-f]{32}(&|$)/.test(to)) setTimeout(() => window.location.assign(`${window.location.pathname}${to}`), LEAVE_MS);
  };

  // a capsule that is being saved or opened
  window.CineglassPage.add("capsule", (root, { trigger }) => {
    root.classList.add("cp-capsule");
    const { nodes, tell } = progressLine(() => trigger("stop", {}));
    root.append(...nodes);
    return (value) => {
      root.hidden = !value.state;
      tell(value);
      if (value.address) address = value.address;
    };
  });
})();
