// What a person does: buttons, fields, keys, the pointer on the curves, and what happens to the page around.

const TYPED_IN = "input:not([type=checkbox], [type=radio], [type=range]), textarea, select, dialog, [contenteditable]";
const STEERED = "input, [role=radio], [role=tab]"; // arrows and the space bar are their own, letters are not

class Controls {
  constructor(player) {
    this.player = player;
    this.part = player.part;
    this.listen();
  }

  listen() {
    const { player, part } = this;
    part.onSubject = (id) => player.setSubject(id);
    part.onLag = (shifted) => player.setLag(shifted ? LAG_S : 0);
    part.onView = (view) => player.setView(view);
    part.onPoint = (parcel) => player.result && player.picking.point(parcel);
    part.onPick = (parcel, whole) => player.result && player.picking.pick(parcel, whole);
    part.onUnpin = (parcel) => player.picking.pick(parcel);
    part.onSecond = (second) => player.setSecond(second);
    part.layer.addEventListener("change", () => player.setLayer(part.layer.value));
    part.maximum.addEventListener("click", () => player.picking.goToMaximum());
    part.rate.addEventListener("change", () => player.setRate(Number(part.rate.value)));
    part.keysButton.addEventListener("click", () => part.keys.toggle());
    part.onScatter = (on) => player.showScatter(on);
    part.lag.choose("0");
    part.onTab = (id) => {
      player.tab = id;
      player.shown.word = -2;
      player.stale.brain = true;
      player.tick(player.clock.time);
    };
    part.play.addEventListener("click", () => player.clock.toggle());
    part.screen.addEventListener("click", () => player.clock.toggle());
    part.back.addEventListener("click", () => this.stepRows(-1));
    part.on.addEventListener("click", () => this.stepRows(1));
    part.sound.addEventListener("click", () => {
      part.video.muted = !part.video.muted;
    });
    part.threshold.addEventListener("input", () => player.setThreshold(Number(part.threshold.value)));
    part.thresholdNumber.addEventListener("change", () => player.setThreshold(Number(part.thresholdNumber.value)));
    part.range.addEventListener("change", () => {
      const typed = Number(part.range.value);
      if (typed >= 0.05 && typed <= 100) player.setRange(typed, true);
      else player.setRange(player.settings.range, player.settings.rangeTyped);
    });
    part.rangeAuto.addEventListener("click", () => player.setRange(player.result.value.range, false));
    part.map.addEventListener("change", () => player.set({ mapChoice: part.map.value }, "brain", "curves"));
    part.palette.addEventListener("change", () => {
      player.set({ palette: part.palette.value }, "curves");
      player.paintChips();
    });
    part.split.addEventListener("change", () => player.set({ split: part.split.checked }, "curves"));
    part.locked.addEventListener("change", () => player.set({ locked: part.locked.checked }, "curves"));
    part.bandBox.addEventListener("change", () => {
      player.set({ band: part.bandBox.checked }, "curves");
      player.showBand();
    });
    part.chips.forEach((chip) => chip.addEventListener("click", () => player.toggle(chip.dataset.curve)));
    this.listenToPointer();
    this.onKey = (event) => this.hotkey(event);
    document.addEventListener("keydown", this.onKey);
    this.onVisible = () => player.playWhenSeen();
    document.addEventListener("visibilitychange", this.onVisible);
    this.resized = new ResizeObserver(() => {
      const [brain, plot] = player.size || [];
      if (part.body.hidden || (brain === part.panes.clientWidth && plot === part.plot.clientWidth)) return;
      player.redraw();
    });
    this.resized.observe(player.host);
    this.seen = new IntersectionObserver((entries) => {
      player.onScreen = entries[entries.length - 1].isIntersecting;
      if (player.onScreen) player.tick(player.clock.time);
    }, { rootMargin: "100px" });
    this.seen.observe(player.host);
    this.themed = new MutationObserver(() => {
      player.paintChips();
      player.picking.paint();
      player.redraw();
    });
    this.themed.observe(document.body, { attributes: true, attributeFilter: ["class"] });
    player.paintChips();
    player.showTransport();
  }

  listenToPointer() {
    const { player, part } = this;
    const at = (event, element) => {
      const box = element.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    let dragging = false;
    let asked = null;
    const seekTo = (event) => {
      const time = player.curves.timeAt(at(event, part.plot).x);
      if (asked === null) {
        requestAnimationFrame(() => {
          player.clock.seek(asked);
          asked = null;
        });
      }
      asked = time;
    };
    part.plot.addEventListener("pointerdown", (event) => {
      if (!player.result || event.button > 0) return;
      dragging = true;
      part.plot.setPointerCapture(event.pointerId);
      player.clock.seek(player.curves.timeAt(at(event, part.plot).x));
    });
    part.plot.addEventListener("pointermove", (event) => {
      if (!player.result) return;
      if (dragging) seekTo(event);
      const { x } = at(event, part.plot);
      const inside = x >= player.curves.left && x <= player.curves.left + player.curves.plotWidth;
      part.ghost.hidden = !inside || dragging;
      this.ghostX = x;
      if (inside) this.tellGhost();
    });
    for (const name of ["pointerup", "pointercancel"]) {
      part.plot.addEventListener(name, () => {
        dragging = false;
      });
    }
    part.plot.addEventListener("pointerleave", () => {
      part.ghost.hidden = true;
    });
  }

  /** The moment under the pointer; told anew when the curves were drawn anew, for their window may be another. */
  tellGhost() {
    const { player, part } = this;
    if (part.ghost.hidden) return;
    part.ghost.style.transform = `translateX(${this.ghostX}px)`;
    const time = player.curves.timeAt(this.ghostX);
    const row = player.rowAt(time);
    part.ghostText.textContent = `${clockText(time, 1)} · ${row < 0 ? "no prediction" : `TR ${row}`}`;
  }

  stepRows(rows) {
    const { player } = this;
    if (!player.result) return;
    player.clock.pause();
    const { tr } = player.result;
    const now = Math.floor(player.clock.time / tr + 1e-6);
    player.clock.seek(Math.min((now + rows) * tr + 0.001, player.result.duration));
  }

  /** Keys of the player; fields where text is typed, and other pages' controls, keep theirs. */
  hotkey(event) {
    const { player } = this;
    if (!player.host.isConnected) {
      player.dispose();
      return;
    }
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !player.result || player.part.body.hidden) return;
    const target = event.target instanceof Element ? event.target : document.body;
    const elsewhere = target !== document.body && !player.host.contains(target);
    const letter = event.key in LETTERS;
    if (target.closest(TYPED_IN) || (!letter && target.closest(STEERED)) || (elsewhere && !(letter && target.closest("button, a, summary, input")))) return;
    const number = Number(event.key);
    if (event.key === " ") {
      if (target.closest("button, a, summary")) return;
      player.clock.toggle();
    } else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      this.stepRows((event.key === "ArrowRight" ? 1 : -1) * (event.shiftKey ? 5 : 1));
    } else if (number >= 1 && number <= ATLAS.network_keys.length) {
      player.toggle(ATLAS.network_keys[number - 1]);
    } else if (letter) {
      LETTERS[event.key](player);
    } else return;
    event.preventDefault();
  }

  dispose() {
    document.removeEventListener("keydown", this.onKey);
    document.removeEventListener("visibilitychange", this.onVisible);
    for (const watcher of [this.resized, this.seen, this.themed]) watcher.disconnect();
  }
}

const LETTERS = {
  g: (player) => player.setView("glass"),
  s: (player) => player.setView("surface"),
  b: (player) => player.setView("both"),
  x: (player) => player.conditions.swap(),
  d: (player) => player.conditions.toggleDifference(),
  m: (player) => player.picking.goToMaximum(),
  l: (player) => player.setLag(player.settings.lag ? 0 : LAG_S),
  "[": (player) => player.stepRate(-1),
  "]": (player) => player.stepRate(1),
  "?": (player) => player.part.keys.toggle(),
};
