// The part of the film that the curves show: zoom and pan by wheel, fingers, keys and buttons. Nothing here draws.

const LEAST_TRS = 10; // no closer than this
const STEP = 1.5; // of a key or a button

class Zoom {
  /**
   * Listens on the plot before anybody else and keeps what it uses: ctrl and wheel (or a pinch on a touchpad), a sideways wheel, two fingers,
   * shift and drag once zoomed, the keys + - 0. All else goes on to those who listen for seeking.
   *
   * `player` gives `result`, `settings.window` ([from, to] in film seconds, or null for all) and `clock.time`; `choose(window)` is to keep the new
   * window in the settings and to draw.
   */
  constructor(plot, curves, player, choose) {
    Object.assign(this, { plot, curves, player, choose });
    this.fingers = new Map();
    this.pinch = null;
    this.drag = null;
    this.time = 0;
    this.seen = null;
    this.buttons();
    this.listen();
    curves.onDraw = () => this.show();
  }

  /** [from, to] as it is, or will be with the next frame. */
  get window() {
    return windowOf(this.next === undefined ? this.player.settings.window : this.next, this.player.result.duration);
  }

  /** Put the window to [from, to]: kept inside the film, no closer than ten TRs; the whole film becomes null. */
  put(from, to) {
    const { duration, tr } = this.player.result;
    const span = Math.min(duration, Math.max(to - from, LEAST_TRS * tr));
    const middle = (from + to) / 2;
    const start = Math.min(Math.max(0, middle - span / 2), duration - span);
    return span >= duration - 1e-6 ? null : [start, start + span];
  }

  /** Show `factor` times as much, with `time` staying where it is. */
  by(factor, time) {
    const [from, to] = this.window;
    const { duration, tr } = this.player.result;
    const span = Math.min(duration, Math.max((to - from) * factor, LEAST_TRS * tr));
    const start = time - ((time - from) / (to - from)) * span;
    this.later(this.put(start, start + span));
  }

  /** Closer, or farther, about the playhead where it is in sight. */
  in() {
    this.by(1 / STEP, this.middle);
  }

  out() {
    this.by(STEP, this.middle);
  }

  whole() {
    this.later(null);
  }

  get middle() {
    const [from, to] = this.window;
    const { time } = this.player.clock;
    return time >= from && time <= to ? time : (from + to) / 2;
  }

  /**
   * Keep the playhead in sight: where the time has left the window, turn over to the part that holds it. To be called with every new time,
   * before drawing; true when the window in the settings has changed.
   */
  follow(time) {
    const { settings } = this.player;
    const moved = Math.abs(time - this.time) > 1e-3 && settings.window === this.seen; // a window that was just chosen is left alone
    this.time = time;
    this.seen = settings.window;
    if (!settings.window || !moved || this.pinch || this.drag) return false;
    const [from, to] = this.window;
    if (time >= from && time < to) return false;
    const span = to - from;
    const place = time >= to && time < to + span ? 0.06 : time < from && time > from - span ? 0.94 : 0.5;
    const next = this.put(time - place * span, time + (1 - place) * span);
    if (next && next[0] === settings.window[0]) return false; // the film's end is in sight already
    settings.window = next;
    this.seen = next;
    return true;
  }

  /** The newest window of many, once a frame. */
  later(window) {
    if (this.next === undefined) {
      requestAnimationFrame(() => {
        const chosen = this.next;
        this.next = undefined;
        this.choose(chosen);
      });
    }
    this.next = window;
  }

  // ---- buttons ----

  buttons() {
    const button = (text, label, act) => {
      const made = h("button", { type: "button", "aria-label": label, title: label, text });
      made.addEventListener("click", act);
      return made;
    };
    this.less = button("−", "Show more of the film (−)", () => this.out());
    this.more = button("+", "Show less of the film, closer (+)", () => this.in());
    this.all = button("whole film", "Show the whole film (0)", () => this.whole());
    this.box = h("div", { class: "cg-zoom", role: "group", "aria-label": "Part of the film shown in the curves" }, this.all, this.less, this.more);
    for (const name of ["pointerdown", "pointermove"]) this.box.addEventListener(name, (event) => event.stopPropagation());
    this.plot.append(this.box);
  }

  /** After every drawing: the buttons stand above the axis at the right, below the plot where it is narrow, and only those that do something. */
  show() {
    const { result } = this.player;
    const zoomed = Boolean(this.player.settings.window) && this.curves.zoomed;
    const { narrow } = this.curves;
    if (narrow && this.plot.contains(this.box)) this.plot.after(this.box);
    else if (!narrow && !this.plot.contains(this.box)) this.plot.append(this.box);
    this.box.classList.toggle("is-below", narrow);
    this.box.hidden = result.duration <= LEAST_TRS * result.tr;
    this.all.hidden = !zoomed;
    this.less.hidden = !zoomed;
    this.more.disabled = this.curves.span <= LEAST_TRS * result.tr + 1e-6;
  }

  // ---- listening ----

  listen() {
    const { plot } = this;
    const place = (event) => event.clientX - plot.getBoundingClientRect().left;
    const mine = (event) => {
      event.preventDefault();
      event.stopImmediatePropagation();
    };
    plot.addEventListener("wheel", (event) => {
      if (!this.player.result) return;
      const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
      if (event.ctrlKey || event.metaKey) {
        mine(event);
        const [from, to] = this.window; // of the next frame: several turns of the wheel may come before it
        const time = from + ((place(event) - this.curves.left) / this.curves.plotWidth) * (to - from);
        this.by(Math.exp(Math.max(-80, Math.min(80, event.deltaY)) * 0.006), time);
      } else if (this.player.settings.window && Math.abs(sideways) > (event.shiftKey ? 0 : Math.abs(event.deltaY))) {
        mine(event);
        this.pan(sideways);
      }
    }, { passive: false });
    plot.addEventListener("pointerdown", (event) => {
      if (!this.player.result || this.box.contains(event.target)) return;
      if (event.pointerType === "touch") {
        this.fingers.set(event.pointerId, place(event));
        if (this.fingers.size !== 2) return;
        mine(event);
        const [a, b] = [...this.fingers.values()];
        this.pinch = { times: [this.timeOf(a), this.timeOf(b)] };
      } else if (event.shiftKey && this.player.settings.window && event.button === 0) {
        mine(event);
        plot.focus({ preventScroll: true });
        plot.setPointerCapture(event.pointerId);
        this.drag = { from: this.window[0], x: place(event) };
      }
    }, true);
    plot.addEventListener("pointermove", (event) => {
      if (this.fingers.has(event.pointerId)) this.fingers.set(event.pointerId, place(event));
      if (this.pinch) {
        mine(event);
        this.stretch();
      } else if (this.drag) {
        mine(event);
        const [from, to] = this.window;
        const start = this.drag.from - ((place(event) - this.drag.x) / this.curves.plotWidth) * (to - from);
        this.later(this.put(start, start + to - from));
      }
    }, true);
    for (const name of ["pointerup", "pointercancel"]) {
      plot.addEventListener(name, (event) => {
        this.fingers.delete(event.pointerId);
        if (this.fingers.size < 2) this.pinch = null;
        this.drag = null;
      }, true);
    }
    plot.addEventListener("keydown", (event) => {
      if (!this.player.result || event.ctrlKey || event.metaKey || event.altKey) return;
      const act = { "+": "in", "=": "in", "-": "out", "0": "whole" }[event.key];
      if (!act) return;
      event.preventDefault();
      this[act]();
    });
  }

  /** Film time at a place of the plot, beyond its edges too. */
  timeOf(x) {
    return this.curves.from + ((x - this.curves.left) / this.curves.plotWidth) * this.curves.span;
  }

  pan(pixels) {
    const [from, to] = this.window;
    const by = (pixels / this.curves.plotWidth) * (to - from);
    this.later(this.put(from + by, to + by));
  }

  /** Two fingers: the times they were put on stay below them. */
  stretch() {
    const [a, b] = [...this.fingers.values()];
    const [first, second] = this.pinch.times;
    if (Math.abs(b - a) < 12 || Math.abs(second - first) < 1e-3) return;
    const seconds = (second - first) / (b - a); // of a pixel; negative when the fingers have changed places
    if (seconds <= 0) return;
    const from = first - (a - this.curves.left) * seconds;
    this.later(this.put(from, from + seconds * this.curves.plotWidth));
  }
}
