// The two brains, beside each other or one at a time: one range, threshold and map, one pointer, the same marks on both.

const BESIDE_PX = 760; // from this width of the player on, both brains are shown unless one is chosen
const FINGER_PX = 12; // a tap this near to a parcel means it
const SVG = "http://www.w3.org/2000/svg";

let surfaceMaps = null; // fetched once, however many players there are

function fetchSurface() {
  if (!surfaceMaps) {
    const from = window.CineglassSurface || {};
    surfaceMaps = loadSurface(from.data ? bytesFrom(from.data) : from.url).catch((error) => {
      surfaceMaps = null; // asked again with the next result
      throw error;
    });
  }
  return surfaceMaps;
}

/** The parcel at a point in CSS pixels, or the nearest one within `reach`; -1 where there is none. */
function parcelNear(brain, x, y, reach) {
  for (let away = 0; away <= reach; away += 1) {
    for (let i = 0; i < (away ? 16 : 1); i += 1) {
      const angle = (i * Math.PI) / 8;
      const parcel = brain.parcelAt(x + away * Math.cos(angle), y + away * Math.sin(angle));
      if (parcel >= 0) return parcel;
    }
  }
  return -1;
}

class Panes {
  /** `on.hover(parcel, place)` for the pointer, `on.pick(parcel, whole)` for a click; `whole` asks for the parcel's network. */
  constructor(part, on) {
    this.part = part;
    this.on = on;
    this.glass = new Brain(part.brain);
    this.surface = new Surface(part.surface);
    this.bar = new ColourBar(part.bar);
    this.view = "both";
    this.marks = [];
    this.tried = false;
    this.tapped = null; // {x, y, parcel}: what a finger named last, and where
    this.last = null; // what the surface was drawn with
    this.hovered = -1;
    this.listen(part.brain, this.glass);
    this.listen(part.surface, this.surface);
    part.body.addEventListener("pointerdown", (event) => {
      const canvas = event.target === part.brain || event.target === part.surface;
      if (event.pointerType === "touch" && !canvas) on.hover(-1); // no finger leaves: a tap elsewhere lets the name go
    });
  }

  get showsGlass() {
    return this.view !== "surface";
  }

  get showsSurface() {
    return this.view !== "glass";
  }

  /** The row drawn; where both are shown, that of the glass brain. */
  get row() {
    return this.showsGlass ? this.glass.row : this.surface.row;
  }

  /** A new result: what could not be loaded is asked for once more. */
  reset() {
    this.tried = false;
  }

  /** Load the surface maps; `done` is called when there is something new to draw. */
  async open(done) {
    if (this.surface.ready || this.tried) return;
    this.tried = true;
    this.part.surfaceNote.hidden = true;
    try {
      const { header, ids, shades } = await fetchSurface();
      this.surface.setMaps(header, ids, shades);
    } catch (error) {
      console.warn(error);
      this.part.surfaceNote.hidden = false;
    }
    done();
  }

  /** Parcels that no surface view shows. */
  hides(parcel) {
    return this.surface.ready && this.surface.hidden.has(parcel);
  }

  show(view) {
    const { part } = this;
    this.view = view;
    part.panes.dataset.view = view;
    part.body.dataset.view = view;
    part.glassPane.hidden = !this.showsGlass;
    part.surfacePane.hidden = !this.showsSurface;
    part.views.choose(view);
  }

  layout(ratio, theme) {
    const { part } = this;
    this.theme = theme;
    if (this.showsGlass) this.glass.layout(Math.max(220, part.glassPane.clientWidth), ratio, theme);
    if (this.showsSurface) this.surface.layout(Math.max(220, part.surfacePane.clientWidth), ratio, theme);
    this.bar.layout(Math.max(220, part.panes.clientWidth), ratio, theme);
  }

  /** Draw a row of both brains; `still` when something else than the row has changed. */
  draw(values, row, settings, still) {
    if (this.showsGlass) {
      if (still) this.glass.still = null;
      this.glass.draw(values, row, settings);
    }
    if (this.showsSurface) {
      this.last = [values, row, settings];
      this.drawSurface();
    }
    if (still) this.bar.draw(settings.bar);
  }

  drawSurface() {
    const [values, row, settings] = this.last;
    this.surface.draw(values, row, { ...settings, marks: this.marks });
  }

  /** Rings on the glass brain and outlines on the surface: [{parcel, kind: "pin" | "hover" | "maximum", colour}]. */
  mark(marks) {
    this.marks = marks;
    this.ring(this.part.glassMarks, this.showsGlass ? marks : [], (parcel) => this.glass.placesOf(parcel));
    if (this.showsSurface && this.last) this.drawSurface();
  }

  ring(host, marks, placesOf) {
    const rings = marks.flatMap(({ parcel, kind, colour }) => placesOf(parcel).flatMap(({ x, y }) => {
      const ring = (name, radius) => {
        const made = document.createElementNS(SVG, "circle");
        made.setAttribute("class", name);
        made.setAttribute("cx", x.toFixed(1));
        made.setAttribute("cy", y.toFixed(1));
        made.setAttribute("r", radius);
        if (name !== "cg-casing") made.style.stroke = colour;
        return made;
      };
      const radius = { pin: 6, hover: 7, maximum: 10 }[kind];
      return [ring("cg-casing", radius), ring(`cg-ring cg-ring-${kind}`, radius)];
    }));
    host.replaceChildren(...rings);
  }

  listen(canvas, brain) {
    let before = -1; // what a finger had named before this tap: the first tap names, the second pins
    let named = -1; // by the last event that tells a place exactly, which a click does not
    let touch = false;
    const name = (event, kept = -1) => {
      const own = canvas.getBoundingClientRect();
      const all = this.part.panes.getBoundingClientRect();
      named = kept >= 0 ? kept : parcelNear(brain, event.clientX - own.left, event.clientY - own.top, touch ? FINGER_PX : 0);
      this.on.hover(named, { x: event.clientX - all.left, y: event.clientY - all.top });
    };
    canvas.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "touch") name(event); // a finger that moves scrolls
    });
    canvas.addEventListener("pointerdown", (event) => {
      touch = event.pointerType === "touch";
      before = this.hovered;
      // a finger does not hit a disc of three pixels twice, and every row brings other discs to the front: the same place is the same parcel
      const { tapped } = this;
      const again = touch && tapped && tapped.parcel === before && Math.hypot(event.clientX - tapped.x, event.clientY - tapped.y) < FINGER_PX;
      name(event, again ? before : -1);
      this.tapped = touch && named >= 0 ? { x: event.clientX, y: event.clientY, parcel: named } : null;
    });
    canvas.addEventListener("pointerleave", (event) => {
      if (event.pointerType !== "touch") this.on.hover(-1); // a tap's tip stays until the next tap
    });
    canvas.addEventListener("click", (event) => {
      if (named >= 0 && (!touch || named === before)) this.on.pick(named, event.shiftKey);
    });
  }

  /** Place the tip beside a point inside the panes, never over their edges. */
  placeTip(at) {
    const { tip, panes } = this.part;
    const wide = panes.clientWidth;
    const half = tip.offsetWidth / 2;
    const left = Math.min(Math.max(at.x, half + 2), Math.max(half + 2, wide - half - 2));
    const above = at.y - tip.offsetHeight - 14;
    tip.style.transform = `translate(${left - half}px, ${above > 0 ? above : at.y + 20}px)`;
  }

  /** A point of a parcel inside the panes, for a tip that no pointer asked for; null where no pane shows it. */
  pointOf(parcel) {
    const all = this.part.panes.getBoundingClientRect();
    const shown = [[this.showsGlass, this.glass, this.part.brain], [this.showsSurface && this.surface.ready, this.surface, this.part.surface]];
    for (const [on, brain, canvas] of shown) {
      const place = on ? (brain === this.glass ? brain.placesOf(parcel)[0] : brain.placeOf(parcel)) : null;
      if (!place) continue;
      const own = canvas.getBoundingClientRect();
      return { x: own.left - all.left + place.x, y: own.top - all.top + place.y };
    }
    return null;
  }
}
