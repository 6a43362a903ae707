// Every parcel's value now against its network: one strip for each network, one dot for each parcel.

const STRIP_PX = 32;
const SCATTER_TOP = 8;
const SCATTER_FOOT = 40;
const NEAR_PX = 9;

class Scatter {
  /** `onPoint(parcel)` when a dot is pointed at (-1: none any more), `onPick(parcel, whole)` when one is clicked. */
  constructor(onPoint, onPick) {
    this.canvas = h("canvas", { class: "cg-scatter", role: "img", "aria-label": "Every parcel's value now, in a strip for its network" });
    this.name = h("span", { class: "cg-scattername" });
    this.root = h("div", { class: "cg-scatterbox", hidden: true }, this.canvas, this.name);
    this.context = this.canvas.getContext("2d");
    this.xs = new Float32Array(PARCELS);
    this.ys = new Float32Array(PARCELS);
    this.pointed = -1;
    // A fixed place within the strip, so that a dot only ever moves sideways
    this.heights = Float32Array.from({ length: PARCELS }, (_, parcel) => ((parcel * 0.618034) % 1) * 2 - 1);
    this.canvas.addEventListener("pointermove", (event) => this.point(this.parcelAt(event), onPoint));
    this.canvas.addEventListener("pointerleave", () => this.point(-1, onPoint));
    this.canvas.addEventListener("click", (event) => {
      const parcel = this.parcelAt(event);
      this.point(parcel, onPoint);
      if (parcel >= 0) onPick(parcel, event.shiftKey);
    });
  }

  point(parcel, onPoint) {
    if (parcel === this.pointed) return;
    this.pointed = parcel;
    this.say();
    this.drawAgain();
    onPoint(parcel);
  }

  say() {
    const { pointed, values } = this;
    this.name.textContent = pointed < 0 ? "Point at a dot for its name; click to pin it." : `${parcelName(pointed)}, ${values ? `${signed(values[pointed])} z` : "no prediction here"}`;
  }

  layout(ratio, theme) {
    this.width = Math.max(240, this.root.clientWidth);
    this.height = SCATTER_TOP + STRIP_PX * ATLAS.network_keys.length + SCATTER_FOOT;
    this.left = this.width < 560 ? 92 : 190;
    Object.assign(this, { ratio, theme });
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.canvas.style.height = `${this.height}px`;
  }

  /** `values` null: no prediction; `most` is the largest |z| of the whole film, so that the axis stays. */
  draw(values, most, settings) {
    this.values = values;
    this.most = most;
    this.settings = settings;
    this.drawAgain();
    this.say();
  }

  drawAgain() {
    const { context, width, height, left, ratio, theme, settings, values, most } = this;
    if (!settings) return;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const right = width - 16;
    const xOf = (value) => left + ((Math.max(-1, Math.min(1, value / most)) + 1) / 2) * (right - left);
    const bottom = SCATTER_TOP + STRIP_PX * ATLAS.network_keys.length;
    this.drawAxis(xOf, bottom, right);
    context.textBaseline = "middle";
    ATLAS.network_keys.forEach((key, number) => {
      const y = SCATTER_TOP + STRIP_PX * (number + 0.5);
      const colour = curveColour(CURVES[number], settings.palette, settings.dark);
      context.font = `12px ${theme.font}`;
      context.textAlign = "right";
      context.fillStyle = theme.text;
      context.fillText(left < 150 ? CURVES[number].short : CURVES[number].label, left - 12, y);
      if (!values) return;
      context.fillStyle = colour;
      context.globalAlpha = 0.6;
      let sum = 0;
      for (const parcel of CURVES[number].indices) {
        const x = xOf(values[parcel]);
        const at = y + this.heights[parcel] * (STRIP_PX / 2 - 5);
        this.xs[parcel] = x;
        this.ys[parcel] = at;
        sum += values[parcel];
        context.fillRect(x - 1.5, at - 1.5, 3, 3);
      }
      context.globalAlpha = 1;
      const mean = xOf(sum / CURVES[number].indices.length);
      context.fillStyle = theme.text;
      context.fillRect(mean - 1, y - STRIP_PX / 2 + 3, 2, STRIP_PX - 6);
    });
    if (values) settings.pins.forEach((parcel, i) => this.drawRing(parcel, pinColour(i, settings), 4.5));
    if (values && this.pointed >= 0) this.drawRing(this.pointed, theme.text, 6);
    if (settings.simulated) {
      context.font = `600 10.5px ${theme.font}`;
      context.fillStyle = theme.warn;
      context.textAlign = "left";
      context.textBaseline = "alphabetic";
      context.letterSpacing = "1.5px";
      context.fillText("SIMULATED", 0, height - 6);
      context.letterSpacing = "0px";
    }
  }

  drawAxis(xOf, bottom, right) {
    const { context, theme, settings, most, left } = this;
    context.font = `11px ${theme.font}`;
    context.textAlign = "center";
    context.textBaseline = "top";
    const step = niceStep(most * 2, left < 150 ? 4 : 8);
    for (let tick = Math.ceil(-most / step); tick * step <= most; tick += 1) {
      const x = Math.round(xOf(tick * step)) + 0.5;
      context.strokeStyle = tick === 0 ? theme.crease : theme.grid;
      context.beginPath();
      context.moveTo(x, SCATTER_TOP);
      context.lineTo(x, bottom);
      context.stroke();
      context.fillStyle = theme.muted;
      context.fillText(tick === 0 ? "0" : signed(tick * step, step < 0.1 ? 2 : step < 1 ? 1 : 0), x, bottom + 4);
    }
    if (settings.threshold > 0 && settings.threshold < most) {
      context.strokeStyle = theme.text;
      context.setLineDash([3, 3]);
      context.beginPath();
      for (const value of [-settings.threshold, settings.threshold]) {
        context.moveTo(xOf(value), SCATTER_TOP);
        context.lineTo(xOf(value), bottom);
      }
      context.stroke();
      context.setLineDash([]);
    }
    context.fillStyle = theme.muted;
    context.fillText(`${settings.quantity}; bar: mean`, (left + right) / 2, bottom + 20);
  }

  drawRing(parcel, colour, radius) {
    const { context } = this;
    context.beginPath();
    context.arc(this.xs[parcel], this.ys[parcel], radius, 0, 7);
    context.strokeStyle = this.theme.surface;
    context.lineWidth = 4;
    context.stroke();
    context.strokeStyle = colour;
    context.lineWidth = 2;
    context.stroke();
  }

  /** The dot nearest to the pointer, or -1. */
  parcelAt(event) {
    if (!this.values) return -1;
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let best = -1;
    let nearest = NEAR_PX ** 2;
    for (let parcel = 0; parcel < PARCELS; parcel += 1) {
      const away = (this.xs[parcel] - x) ** 2 + (this.ys[parcel] - y) ** 2;
      if (away < nearest) {
        nearest = away;
        best = parcel;
      }
    }
    return best;
  }
}
