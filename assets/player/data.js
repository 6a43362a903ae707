// A value from Python becomes a result: its series, further maps of the parcels, lines of words.

const PARCELS = ATLAS.labels.length;
const MEAN = "mean";
const LAG_S = 5; // the peak of the Glover response

/** Every curve that can be drawn: seven networks, then groups. */
const CURVES = [
  ...ATLAS.network_keys.map((key, number) => ({
    id: key,
    kind: "network",
    number,
    label: ATLAS.network_names[key],
    short: key,
    note: ATLAS.network_notes[key] || "",
    indices: ATLAS.networks.flatMap((network, parcel) => (network === number ? [parcel] : [])),
  })),
  ...ATLAS.groups.map((group, number) => ({
    id: group.id,
    kind: "group",
    number,
    label: group.label,
    short: group.label.replace(" language", " lang.").replace(" (left)", ""),
    note: group.note,
    source: group.source,
    indices: group.indices,
  })),
];

/** The parcels of a curve, or of one side of it ("L", "R"). */
function parcelsOf(curve, side) {
  return side ? curve.indices.filter((parcel) => ATLAS.hemispheres[parcel] === side) : curve.indices;
}

/** Id of a curve with its side, split: "Vis-L" -> ["Vis", "L"]. */
function splitId(id) {
  const found = /^(.+?)-(L|R)$/.exec(id);
  return found ? [found[1], found[2]] : [id, ""];
}

/** One finished result: the predicted series, with what stands beside it. */
class Result extends Series {
  constructor(value) {
    super(value, value.n_trs, value.tr);
    this.value = value;
    this.duration = Math.max(value.duration || 0, value.n_trs * value.tr);
    this.words = value.words.map(([text, onset, duration]) => ({ text, onset, end: onset + duration }));
    this.lines = linesOf(this.words);
    this.spread = value.spread ? spreadOf(value.spread, this.subjects.length + 1, this.rows) : null;
    this.comparison = value.comparison || null;
    this.other = value.other ? new Result(value.other) : null; // condition B
    const paired = this.other && this.comparison.paired;
    if (paired && this.other.rows !== this.rows) throw new Error("The conditions differ in rows.");
    this.second = paired ? conditionOf(this) : value.second ? new SecondSeries(value.second, this) : null;
    this.difference = paired ? new Difference(this, this.other, this.comparison.band) : null;
    if (this.other) [this.peer, this.other.peer] = [this.other, this];
    this.layers = (value.layers || []).map(layerOf);
    this.onChunk = () => {}; // called when rows of either series have arrived, or could not be had
    for (const { chunks } of this.everySeries) chunks.onChange = () => this.onChunk();
  }

  get everySeries() {
    return this.second ? [this, this.second] : [this];
  }

  /** Where the playhead is, as a row (-1: no change): fetches what is missing, from there outwards. To be called once at the start, and as it moves. */
  near(row) {
    for (const { chunks } of this.everySeries) chunks.near(row < 0 ? chunks.row : row);
  }

  /** Words about a row that is not here yet, or could not be loaded; "" when it is here. */
  partNote(row) {
    return row < 0 ? "" : this.chunks.note(row);
  }

  /** Stop fetching: another result is shown. */
  close() {
    for (const { chunks } of this.everySeries) chunks.close();
    if (this.other) this.other.close();
  }

  /** Choices of subject: each, and their mean when there are several. */
  get choices() {
    const each = this.subjects.map((subject, index) => ({ id: subject.id, label: subject.label, index }));
    return each.length > 1 ? [...each, { id: MEAN, label: "Mean", index: -1 }] : each;
  }

  /** Layers that can be drawn for a subject: its own, and those of all. */
  layersOf(id) {
    return this.layers.filter(({ subject }) => subject === null || subject === id);
  }

  /** Standard deviation between the members of an ensemble, one value per row; null for a single model. */
  band(id, curve, side) {
    if (!this.spread) return null;
    const key = side ? `${curve.id}-${side}` : curve.id;
    const place = id === MEAN ? this.subjects.length : this.members(id)[0];
    return this.spread.has(key) ? this.spread.get(key)[place] : null;
  }

  /** Largest |z| of any curve of any subject and of both conditions, band included, so that switching them keeps the axis. */
  get curveRange() {
    return Math.max(this.largestCurve * 1.08, this.peer ? this.peer.largestCurve * 1.08 : 0, this.value.range_floor || 0.1);
  }

  get largestCurve() {
    if (this.largest === undefined) this.largest = largestOf(this, (id, curve) => this.curve(id, curve, ""), (id, curve) => this.band(id, curve, ""));
    return this.largest;
  }
}

/** Largest |value| of every curve of every subject of a series; NaN does not count. */
function largestOf(series, valuesOf, bandOf = () => null) {
  let largest = 0;
  for (const { id } of series.subjects) {
    for (const curve of CURVES) {
      const values = valuesOf(id, curve);
      const band = bandOf(id, curve);
      for (let row = 0; row < series.rows; row += 1) {
        const size = Math.abs(values[row]) + (band ? band[row] : 0);
        if (size > largest) largest = size;
      }
    }
  }
  return largest;
}

/** Measured responses, or those of another condition, on the rows of the first series. */
class SecondSeries extends Series {
  constructor(value, first) {
    super(value, first.rows, first.tr);
    Object.assign(this, { first, id: value.id, label: value.label, kind: value.kind, note: value.note || "" });
  }

  /** The mean of other people than the first series' would not be comparable: there is none then. */
  members(id) {
    if (id === MEAN && !this.first.subjects.every((subject) => this.subjects.some((own) => own.id === subject.id))) return [];
    return super.members(id);
  }

  /** Largest |z| of any of its curves. */
  get curveRange() {
    if (this.largest === undefined) this.largest = largestOf(this, (id, curve) => this.curve(id, curve, ""));
    return this.largest * 1.08;
  }

  /** The same of what is left of it without the first series. */
  get residualRange() {
    if (this.largestRest === undefined) this.largestRest = largestOf(this, (id, curve) => this.residual(id, curve, ""));
    return this.largestRest * 1.08;
  }

  /** Second minus first, row by row; null where there is no second. `curve` may be a parcel's number. */
  residual(id, curve, side) {
    const parcel = typeof curve === "number";
    const second = parcel ? this.parcelCurve(id, curve) : this.curve(id, curve, side);
    const first = parcel ? this.first.parcelCurve(id, curve) : this.first.curve(id, curve, side);
    return second && first ? second.map((value, row) => value - first[row]) : null;
  }
}

/** Condition B as what stands beside condition A: the same data as its own result, held once. */
function conditionOf(result) {
  const { b } = result.comparison;
  const own = Object.assign(Object.create(SecondSeries.prototype), result.other);
  return Object.assign(own, { first: result, id: "b", label: namedCondition("B", b.label), kind: "condition", note: "" });
}

/** A map of the parcels that does not change with time; NaN where it is unknown. */
function layerOf(layer) {
  const codes = decodeInt8(layer.data);
  if (codes.length !== PARCELS) throw new Error("A layer and its labels differ in size.");
  return { ...layer, data: null, values: Float32Array.from(codes, (code) => (code === GAP ? NaN : code * layer.scale)) };
}

/** Curve id to one array of rows for each subject and for their mean. */
function spreadOf({ ids, data, scale }, places, rows) {
  const codes = decodeInt8(data);
  if (codes.length !== ids.length * places * rows) throw new Error("The spread and its labels differ in size.");
  const of = (start) => Float32Array.from(codes.subarray(start, start + rows), (code) => code * scale);
  return new Map(ids.map((id, number) => [id, Array.from({ length: places }, (_, place) => of((number * places + place) * rows))]));
}

/** Words grouped into lines that a person can read at once: a pause, a full line or five seconds end one. */
function linesOf(words) {
  const lines = [];
  let line = null;
  let letters = 0;
  words.forEach((word, index) => {
    const previous = words[index - 1];
    if (!line || word.onset - previous.end > 0.8 || letters + word.text.length > 44 || word.end - line.start > 5) {
      line = { start: word.onset, end: word.end, first: index, last: index };
      lines.push(line);
      letters = 0;
    }
    line.last = index;
    line.end = Math.max(line.end, word.end);
    letters += word.text.length + 1;
  });
  return lines;
}

/** Last item whose `key` is at or before `time`, or -1; items are in order. */
function lastBefore(items, key, time) {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle][key] <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function clockText(seconds, digits = 0) {
  const unit = 10 ** digits;
  const total = Math.max(0, Math.floor(seconds * unit + 1e-6));
  const rest = total % (60 * unit);
  const minutes = (total - rest) / (60 * unit);
  const text = (rest / unit).toFixed(digits);
  return `${minutes}:${text.padStart(digits ? digits + 3 : 2, "0")}`;
}

function signed(value, digits = 2) {
  return `${value < -0.5 / 10 ** digits ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;
}

/** "7Networks_LH_SomMot_12" -> "LH SomMot 12" */
function parcelName(parcel) {
  return ATLAS.labels[parcel].replace(/^7Networks_/, "").replace(/_/g, " ");
}
