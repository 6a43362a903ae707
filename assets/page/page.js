// The drawn parts of the page around the player. Everything a person typed or uploaded is set with textContent, never as markup.
(() => {
  "use strict";
  if (window.CineglassPage) return;

  const make = (tag, className, text) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined && text !== null) node.textContent = String(text);
    return node;
  };
  const fill = (node, children) => node.replaceChildren(...children.filter(Boolean));
  const seconds = (value) => (value < 60 ? `${value.toFixed(1)} s` : `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`);
  const clock = (value) => `${Math.floor(value / 60)}:${String(Math.floor(value % 60)).padStart(2, "0")}`;

  // A link that stays on this server: anything else in a value is dropped.
  const ownLink = (href) => (/^cineglass\/[\p{L}\p{M}\p{N}_.+/-]+$/u.test(href) && !href.includes("..") ? href : null); // names of files keep the letters of their language

  const MANY = 6; // examples, or models: a longer list scrolls by itself
  const AGAIN_AFTER_MS = 200;
  const LONE_AGAIN_AFTER_MS = 1500;
  const LONE_TRIES = 4; // what is refused is not heard either
  const OPENS_MS = 5000; // a page that was not answered by then works all the same
  const MOST_TRIES = 60;
  const HEAD_PX = 40; // of the player: its title is gone
  const HIDDEN_PX = 200; // of the player above the window: by then its film and brain are half gone

  // Gradio drops an event while the one before it is out, and for a moment after its answer: a choice is said again until the server has heard it.
  function teller(send) {
    let wanted = null;
    let known = null; // what the server heard last
    let timer = 0;
    let tries = 0;
    let pause = 0;
    const again = () => {
      if (wanted === null || tries >= MOST_TRIES) return;
      tries += 1;
      send(wanted);
      timer = setTimeout(again, pause);
    };
    return {
      say(choice) {
        clearTimeout(timer);
        const waits = wanted !== null && wanted !== choice;
        pause = waits ? AGAIN_AFTER_MS : LONE_AGAIN_AFTER_MS;
        wanted = choice;
        const least = choice === known ? 1 : LONE_TRIES; // the answer to what is chosen already looks like none
        tries = waits ? 0 : MOST_TRIES - least;
        if (waits) timer = setTimeout(again, pause); // two that leave at once may arrive in either order
        else again();
      },
      get idle() {
        return wanted === null;
      },
      heard(choice) {
        known = choice;
        if (choice === wanted) wanted = null;
      },
    };
  }

  const states = new Map(); // of the jobs: Run, and Compare

  // What the server says when the page is opened would undo a choice made a moment before: a choice waits for it.
  let opened = null;
  const opening = new Promise((resolve) => (opened = resolve));
  setTimeout(opened, OPENS_MS);

  const parts = {
    // name, clip, length, model
    top(root) {
      const brand = make("div", "cp-brand");
      brand.append(make("h1", "", "Cineglass"), make("p", "", "A film clip becomes four predicted brains"));
      const clip = make("div", "cp-top-clip");
      const badge = make("div", "cp-badge");
      fill(root, [brand, clip, badge, jumps()]);
      root.classList.add("cp-top");
      return (value) => {
        fill(clip, [
          make("strong", "", value.title || "No clip yet"),
          value.n_trs ? make("span", "cp-num", `${seconds(value.duration)} · ${value.n_trs} TRs (fMRI samples of ${value.tr} s)`) : null,
        ]);
        fill(badge, value.badge ? [make("span", "", value.badge)] : []);
        badge.dataset.kind = value.simulated === false ? "published" : "simulated";
        badge.title = value.badge_note || "";
      };
    },

    // nothing to see: what only this tab knows, so that a reloaded page may still delete what it brought here
    tab(root, { element }) {
      (element.closest(".block") || element).style.display = "none";
      return (value) => {
        if (value.key) opened();
        try {
          if (value.key) window.sessionStorage.setItem("cineglass-tab", value.key);
          if (value.list) window.localStorage.setItem("cineglass-runs", value.list);
        } catch {
          // a frame that may not keep anything
        }
      };
    },

    // examples with finished results
    gallery(root, { trigger }) {
      root.classList.add("cp-gallery");
      root.setAttribute("role", "group");
      root.setAttribute("aria-label", "Examples with finished results");
      const cards = new Map();
      const picked = teller((id) => trigger("pick", { id }));
      let shown = "";
      // A picture is fetched when its card comes into view, and never before the film in the player
      const films = new Map();
      const seen = new IntersectionObserver((entries) => {
        for (const entry of entries) {
          const load = entry.isIntersecting && films.get(entry.target);
          if (load) {
            films.delete(entry.target);
            seen.unobserve(entry.target);
            load();
          }
        }
      }, { rootMargin: "200px" });
      return (value) => {
        picked.heard(value.chosen);
        root.classList.toggle("cp-many", value.examples.length > MANY);
        for (const example of value.examples) {
          if (cards.has(example.id)) continue;
          const card = make("button", "cp-example");
          card.type = "button";
          const picture = make("span", "cp-thumb");
          const film = ownLink(example.film);
          if (film) {
            const video = make("video");
            video.muted = true;
            video.playsInline = true;
            video.preload = "none";
            video.tabIndex = -1;
            video.setAttribute("aria-hidden", "true");
            picture.append(video);
            films.set(picture, () => {
              video.preload = "metadata";
              video.src = `${film}#t=${example.still}`;
            });
            setTimeout(() => seen.observe(picture), 1200);
          }
          const words = make("span", "cp-example-words");
          words.append(make("strong", "", example.title), make("span", "cp-caption", example.caption));
          if (example.badge) words.append(make("span", "cp-made-by", example.badge));
          card.append(picture, words, make("span", "cp-num cp-length", clock(example.duration)));
          card.addEventListener("click", () => {
            picked.say(example.id);
            toPlayer();
          });
          cards.set(example.id, card);
          root.append(card);
        }
        for (const [id, card] of cards) card.setAttribute("aria-pressed", String(id === value.chosen));
        if (value.chosen && value.chosen !== shown && value.examples.length > MANY) {
          const card = cards.get(value.chosen);
          if (card && (card.offsetTop < root.scrollTop || card.offsetTop + card.offsetHeight > root.scrollTop + root.clientHeight)) {
            root.scrollTop = card.offsetTop - 8;
          }
        }
        shown = value.chosen;
      };
    },

    // the visitor's own clip
    clip(root) {
      root.classList.add("cp-clip");
      return (value) => {
        root.hidden = !value.name && !value.error;
        if (value.error) {
          fill(root, [problem(value.error), value.still ? make("span", "cp-note cp-still", `Run still takes ${value.still}.`) : null]);
          return;
        }
        if (value.busy) {
          const percent = Math.round(100 * (value.fraction || 0));
          const bar = make("div", "cp-bar");
          const filled = make("div", "cp-bar-fill");
          filled.style.width = `${percent}%`;
          bar.append(filled);
          fill(root, [make("strong", "", value.name), make("span", "cp-num cp-busy-line", `${value.busy} · ${percent} %`), bar]);
          return;
        }
        const facts = value.n_trs
          ? make("span", "cp-num", `${seconds(value.duration)} · ${value.n_trs} TRs · ${value.tracks}`)
          : null;
        fill(root, [make("strong", "", value.name), facts, ...(value.notices || []).map((text) => make("span", "cp-note", text))]);
      };
    },

    // one row per TR; the words can be changed
    words(root, { trigger }) {
      root.classList.add("cp-words");
      return (value) => {
        const body = (value.rows || []).map(([time, tr, text]) => {
          const row = make("li");
          const field = make("input");
          field.type = "text";
          field.value = text;
          field.disabled = !value.editable;
          field.setAttribute("aria-label", `Words of TR ${tr}`);
          field.spellcheck = false;
          field.addEventListener("change", () => trigger("edit", { row: tr, text: field.value }));
          row.append(make("span", "cp-num", time), make("span", "cp-num", String(tr)), field);
          return row;
        });
        const head = make("li", "cp-words-head");
        head.append(make("span", "", "Film time"), make("span", "", "TR"), make("span", "", "Words"));
        const list = make("ol");
        list.append(...(body.length ? [head, ...body] : []));
        fill(root, [list]);
        root.hidden = !body.length;
      };
    },

    // plain sentences under a control
    notes(root) {
      root.classList.add("cp-notes");
      return (value) => {
        root.hidden = !value.lines || !value.lines.length;
        fill(root, (value.lines || []).map((line) => make("p", line.warn ? "cp-note cp-warn" : "cp-note", line.text)));
      };
    },

    // stages with their times
    status(root) {
      root.classList.add("cp-status");
      const head = make("div", "cp-status-head");
      head.setAttribute("role", "status");
      head.setAttribute("aria-live", "polite");
      const bar = make("div", "cp-bar");
      bar.setAttribute("role", "progressbar");
      bar.setAttribute("aria-label", "Progress of the run");
      bar.setAttribute("aria-valuemin", "0");
      bar.setAttribute("aria-valuemax", "100");
      const filled = make("div", "cp-bar-fill");
      bar.append(filled);
      const list = make("ol", "cp-stages");
      const rows = new Map();
      root.append(head, bar, list);
      root.tabIndex = -1;
      const keepFocus = () => {
        const mine = root.closest("#cp-run-section") && ["cp-run", "cp-stop"].includes(focused); // section 2 moves the focus by itself
        if (document.activeElement === document.body && mine && !root.hidden) root.focus({ preventScroll: true });
      };
      let headKey = "";
      let before = "";
      let arrived = false;
      return (value) => {
        const there = value.state === "done" || Boolean(value.ready); // what was asked for is in the player, though more may come
        if (before === "working" && there && !arrived && !value.stays && onScreen(root.closest(".cp-section") || root)) toPlayer();
        arrived = there;
        before = value.state;
        root.dataset.state = value.state;
        root.hidden = value.state === "empty";
        setTimeout(keepFocus, 150); // by then the button that was pressed is gone
        states.set(root, value.state);
        document.documentElement.dataset.cineglass = [...states.values()].includes("working") ? "working" : value.state;
        const key = JSON.stringify([value.state, value.title, value.message, value.hint]);
        if (key !== headKey) {
          headKey = key;
          const isProblem = value.state === "failed" || value.state === "full";
          fill(head, isProblem ? [problem(value)] : [make("strong", "", value.title), value.message ? make("p", "cp-note", value.message) : null]);
        }
        bar.hidden = value.state !== "working";
        const percent = Math.round(100 * (value.fraction || 0));
        bar.setAttribute("aria-valuenow", String(percent));
        filled.style.width = `${percent}%`;
        const names = new Set(value.stages.map((stage) => stage.name));
        for (const [name, row] of rows) {
          if (!names.has(name)) {
            row.remove();
            rows.delete(name);
          }
        }
        for (const stage of value.stages) {
          let row = rows.get(stage.name);
          if (!row) {
            row = make("li");
            row.append(make("span", "cp-dot"), make("span", "cp-stage-name"), make("span", "cp-num"), make("span", "cp-stage-note"));
            rows.set(stage.name, row);
          }
          row.dataset.state = stage.state;
          row.children[1].textContent = stage.label;
          row.children[2].textContent = stage.state === "pending" ? "" : seconds(stage.seconds);
          row.children[3].textContent = stage.message;
          list.append(row);
        }
      };
    },

    // a place for a file: drop it, or click; the size is looked at before anything is sent
    drop(root, { trigger, upload, props }) {
      root.classList.add("cp-drop");
      const label = make("label", "cp-drop-area");
      const field = make("input", "cp-file");
      field.type = "file";
      const text = make("span");
      const line = make("p", "cp-note cp-warn");
      line.setAttribute("role", "alert");
      label.append(field, text);
      root.append(label, line);
      const take = async (file) => {
        if (!file) return;
        if (file.size > props.value.most_mb * 2 ** 20) {
          line.textContent = `This file has ${Math.round(file.size / 2 ** 20)} MB; at most ${props.value.most_mb} MB are taken.`;
          return;
        }
        line.textContent = "";
        text.textContent = "Sending …";
        label.classList.add("cp-busy");
        try {
          const sent = await upload(file);
          trigger("dropped", { path: sent.path, name: file.name });
        } catch {
          line.textContent = "The file could not be sent. Check the connection, then try again.";
        }
        label.classList.remove("cp-busy");
        text.textContent = props.value.text;
        field.value = "";
      };
      field.addEventListener("change", () => take(field.files[0]));
      for (const name of ["dragover", "dragleave", "drop"]) {
        label.addEventListener(name, (event) => {
          event.preventDefault();
          label.classList.toggle("cp-over", name === "dragover");
          if (name === "drop") take(event.dataTransfer.files[0]);
        });
      }
      return (value) => {
        label.classList.toggle("cp-slim", Boolean(value.slim));
        field.accept = value.accept || "";
        text.textContent = value.text;
        root.hidden = Boolean(value.hidden);
      };
    },

    // one of a few
    choice(root, { trigger }) {
      const set = make("fieldset", "cp-choice");
      root.append(set);
      const name = `choice-${Math.random().toString(36).slice(2)}`;
      return (value) => {
        fill(set, [
          make("legend", "", value.label),
          ...value.options.map(([label, key]) => {
            const option = make("label");
            const field = make("input");
            field.type = "radio";
            field.name = name;
            field.value = key;
            field.checked = key === value.chosen;
            field.addEventListener("change", () => trigger("choose", { key }));
            option.append(field, make("span", "", label));
            return option;
          }),
        ]);
      };
    },

    // headings, paragraphs, lists, tables and recovery bars
    article(root) {
      root.classList.add("cp-article");
      const draw = {
        h: (block) => make("h3", "", block.h),
        p: (block) => make("p", block.strong ? "cp-lead" : "", block.p),
        more: (block) => {
          const box = make("details");
          box.append(make("summary", "", block.more), draw.table(block));
          return box;
        },
        ul: (block) => {
          const list = make("ul");
          list.append(...block.ul.map((item) => make("li", "", item)));
          return list;
        },
        dl: (block) => {
          const list = make("dl");
          for (const [term, text] of block.dl) list.append(make("dt", "", term), make("dd", "", text));
          return list;
        },
        table: (block) => table(block.table),
        bars: (block) => {
          const frame = make("figure", "cp-bars");
          for (const bar of block.bars) {
            const row = make("div", "cp-bars-row");
            const track = make("div", "cp-track");
            const ceiling = make("div", "cp-ceiling");
            ceiling.style.width = `${100 * bar.ceiling}%`;
            const value = make("div", "cp-value");
            value.style.width = `${100 * Math.max(0, bar.value)}%`;
            track.append(ceiling, value);
            if (bar.baseline !== null) {
              const mark = make("div", "cp-mark");
              mark.style.left = `${100 * Math.max(0, bar.baseline)}%`;
              track.append(mark);
            }
            row.append(make("span", "", bar.label), track, make("span", "cp-num", bar.text));
            frame.append(row);
          }
          frame.append(make("figcaption", "cp-note", block.caption));
          return frame;
        },
      };
      return (value) => fill(root, (value.blocks || []).map((block) => {
        const kind = Object.keys(draw).find((name) => name in block);
        return kind ? draw[kind](block) : null;
      }));
    },
  };

  function table(value) {
    const grid = make("table", "cp-table");
    const head = make("tr");
    head.append(...value.head.map((text) => make("th", "", text)));
    const top = make("thead");
    top.append(head);
    const body = make("tbody");
    for (const cells of value.rows) {
      const row = make("tr");
      row.append(...cells.map((text, column) => make(column ? "td" : "th", "", text)));
      body.append(row);
    }
    grid.append(top, body);
    const frame = make("div", "cp-scroll");
    frame.append(grid);
    return frame;
  }

  // Sentences, and commands that can be copied, in the order in which they are to be read.
  function wayOut(pieces) {
    return (pieces || []).map((piece) => (piece.command ? commandBox(piece.command) : make("p", "", piece.text)));
  }

  function commandBox(text) {
    const box = make("div", "cp-command");
    const code = make("code", "", text);
    const button = make("button", "cp-link", "Copy");
    button.type = "button";
    button.setAttribute("aria-label", `Copy the command: ${text}`);
    button.addEventListener("click", async () => {
      button.textContent = (await copied(text, code)) ? "Copied" : "Press Ctrl+C";
      setTimeout(() => (button.textContent = "Copy"), 2000);
    });
    box.append(code, button);
    return box;
  }

  // Without https there is no clipboard to write to: the command is selected, and the browser asked to copy what is.
  async function copied(text, node) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const range = document.createRange();
      range.selectNodeContents(node);
      window.getSelection().removeAllRanges();
      window.getSelection().addRange(range);
      return document.execCommand("copy");
    }
  }

  // On a narrow screen the player is far above what starts it; on a wide one with many models it can be.
  function toPlayer({ atOnce = false } = {}) {
    const player = document.getElementById("cp-right");
    const narrow = window.matchMedia("(max-width: 900px)").matches;
    if (!player || (!narrow && player.getBoundingClientRect().top > (atOnce ? -HEAD_PX : -HIDDEN_PX))) return;
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    player.scrollIntoView({ block: "start", behavior: still ? "auto" : "smooth" });
  }

  // On a narrow screen, where all stands below the player: the way to what can be done.
  const PLACES = [["Examples", ".cp-gallery"], ["Finished experiments", ".cp-ready-made"], ["Change one thing", "#cp-experiment"], ["Run", "#cp-run-section"]];

  function jumps() {
    const bar = make("nav", "cp-jumps");
    bar.setAttribute("aria-label", "On this page");
    bar.append(...PLACES.map(([label, place]) => {
      const button = make("button", "cp-link", label);
      button.type = "button";
      button.addEventListener("click", () => toPlace(place));
      return button;
    }));
    return bar;
  }

  function toPlace(place) {
    const node = document.querySelector(place);
    if (!node) return;
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    (node.closest(".cp-section > *") || node).scrollIntoView({ block: "start", behavior: still ? "auto" : "smooth" });
    node.querySelector("button, input")?.focus({ preventScroll: true });
  }

  // Run and Stop take each other's place: who pressed one by keyboard goes on beside it, and not at the top of the page.
  let focused = "";
  document.addEventListener("focusin", (event) => (focused = event.target.id));

  function onScreen(node) {
    const box = node.getBoundingClientRect();
    return box.bottom > 0 && box.top < window.innerHeight;
  }

  function problem(value) {
    const box = make("div", "cp-problem");
    box.setAttribute("role", "alert");
    box.append(make("strong", "", value.message), ...(value.way_out ? wayOut(value.way_out) : [make("p", "", value.hint || "")]));
    return box;
  }

  const ASKING = ["words", "export", "measured", "designs", "runs"]; // parts beside the left column whose controls only ask the server
  const early = []; // parts that were mounted before their script had come
  window.CineglassPage = {
    tools: { toPlayer, toPlace, make, fill, problem, ownLink, onScreen, clock, table, teller, wayOut, MANY },
    add(kind, build) {
      parts[kind] = build;
      for (const tools of early.filter((waiting) => waiting.kind === kind)) this.mount(kind, tools);
    },
    mount(kind, tools) {
      if (!parts[kind]) {
        early.push({ ...tools, kind });
        return;
      }
      const root = tools.element.firstElementChild || tools.element;
      if (ASKING.includes(kind)) this.tools.asks(root);
      const trigger = (...said) => opening.then(() => tools.trigger(...said));
      const draw = parts[kind](root, { ...tools, trigger });
      const over = new Set(); // jobs whose end was told: news of their work may come after that, since only some of Gradio's answers wait in line
      const update = () => {
        const value = tools.props.value || {};
        if (value.state === "working" && over.has(value.job)) return;
        if (value.job && value.state !== "working") over.add(value.job);
        draw(value);
      };
      update();
      tools.watch("value", update);
    },
  };
})();
