// A value from Python becomes numbers: rows of parcels, curves of networks and groups, lines of words.

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

function decodeInt8(text) {
  const bytes = atob(text);
  const codes = new Int8Array(bytes.length);
  for (let i = 0; i < bytes.length; i += 1) codes[i] = bytes.charCodeAt(i);
  return codes;
}

/** One finished result: int8 parcels of every subject, averaged here and nowhere else. */
class Result {
  constructor(value) {
    this.value = value;
    this.tr = value.tr;
    this.rows = value.n_trs;
    this.duration = Math.max(value.duration || 0, value.n_trs * value.tr);
    this.subjects = value.subjects;
    this.codes = decodeInt8(value.parcels.data);
    this.scale = value.parcels.scale;
    if (this.codes.length !== this.subjects.length * this.rows * PARCELS) throw new Error("The result and its labels differ in size.");
    this.valid = Array.from(value.valid, (mark) => mark === "1");
    this.words = value.words.map(([text, onset, duration]) => ({ text, onset, end: onset + duration }));
    this.lines = linesOf(this.words);
    this.curves = new Map();
    this.spread = value.spread ? spreadOf(value.spread, this.subjects.length + 1, this.rows) : null;
  }

  /** Choices of subject: each, and their mean when there are several. */
  get choices() {
    const each = this.subjects.map((subject, index) => ({ id: subject.id, label: subject.label, index }));
    return each.length > 1 ? [...each, { id: MEAN, label: "Mean", index: -1 }] : each;
  }

  members(id) {
    if (id === MEAN) return this.subjects.map((_, index) => index);
    return [Math.max(0, this.subjects.findIndex((subject) => subject.id === id))];
  }

  /** Row that holds BOLD time `time`, or -1 where there is no prediction. */
  rowAt(time) {
    const row = Math.floor(time / this.tr + 1e-6);
    return row >= 0 && row < this.rows ? row : -1;
  }

  /** z of all parcels in one row, written into `out` [1000]. */
  fill(id, row, out) {
    const members = this.members(id);
    const unit = this.scale / members.length;
    out.fill(0);
    for (const member of members) {
      const start = (member * this.rows + row) * PARCELS;
      for (let parcel = 0; parcel < PARCELS; parcel += 1) out[parcel] += this.codes[start + parcel] * unit;
    }
    return out;
  }

  /** Mean z over the parcels of a curve, one value per row. */
  curve(id, curve, side) {
    const key = `${id}|${curve.id}|${side}`;
    if (!this.curves.has(key)) {
      const parcels = parcelsOf(curve, side);
      const members = this.members(id);
      const mean = new Float32Array(this.rows);
      for (const member of members) {
        for (let row = 0; row < this.rows; row += 1) {
          const start = (member * this.rows + row) * PARCELS;
          let sum = 0;
          for (let i = 0; i < parcels.length; i += 1) sum += this.codes[start + parcels[i]];
          mean[row] += (sum * this.scale) / (parcels.length * members.length);
        }
      }
      this.curves.set(key, mean);
    }
    return this.curves.get(key);
  }

  /** Standard deviation between the members of an ensemble, one value per row; null for a single model. */
  band(id, curve, side) {
    if (!this.spread) return null;
    const key = side ? `${curve.id}-${side}` : curve.id;
    const place = id === MEAN ? this.subjects.length : this.members(id)[0];
    return this.spread.has(key) ? this.spread.get(key)[place] : null;
  }

  /** Largest |z| of any curve of any subject over the valid rows, so that switching subjects keeps the axis. */
  get curveRange() {
    if (this.largest === undefined) {
      this.largest = 0;
      for (const subject of this.subjects) {
        for (const curve of CURVES) {
          const mean = this.curve(subject.id, curve, "");
          const band = this.band(subject.id, curve, "");
          for (let row = 0; row < this.rows; row += 1) this.largest = Math.max(this.largest, Math.abs(mean[row]) + (band ? band[row] : 0));
        }
      }
    }
    return Math.max(this.largest * 1.08, this.value.range_floor || 0.1);
  }
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
