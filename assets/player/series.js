// One series of responses: rows of parcels, which may come in chunks, and the curves that Python made of them.

const GAP = -128; // an int8 that stands for no value
const GAP_16 = -32768;
const RETRY_S = [1, 2, 4, 8, 15, 30]; // a chunk that failed is asked for again, more and more seldom

function bytesFrom(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i += 1) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

function decodeInt8(text) {
  return new Int8Array(bytesFrom(text).buffer);
}

/** Length of what a base64 text decodes to. */
function decodedLength(text) {
  return (text.length / 4) * 3 - (text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0);
}

/** Parcels of all subjects, cut into runs of rows; those with an address are fetched, the ones near the playhead first. */
class Chunks {
  constructor({ rows: each, chunks }, subjects, rows) {
    this.each = each;
    this.rows = rows;
    this.onChange = () => {};
    this.loaded = 0; // grows with every chunk that arrives, so that what was made of fewer is made again
    this.row = 0;
    this.parts = chunks.map(({ data, url }, number) => {
      const length = subjects * this.rowsOf(number) * PARCELS;
      if (data !== undefined && decodedLength(data) !== length) throw new Error("The result and its labels differ in size.");
      return { number, data, url, length, codes: null, failures: 0, again: 0 };
    });
    if (this.parts.length !== Math.max(1, Math.ceil(rows / each))) throw new Error("The result and its labels differ in size.");
  }

  rowsOf(number) {
    return Math.min(this.each, this.rows - number * this.each);
  }

  /** int8 [subjects, rows of the chunk, 1000], or null while it is not here. One that came in the value is decoded when first needed. */
  codes(number) {
    const part = this.parts[number];
    if (part.data !== undefined) {
      part.codes = decodeInt8(part.data);
      part.data = undefined;
    }
    return part.codes;
  }

  has(row) {
    const part = this.parts[Math.floor(row / this.each)];
    return part.codes !== null || part.data !== undefined;
  }

  get whole() {
    return this.parts.every(({ codes, data }) => codes || data !== undefined);
  }

  /** Where the playhead is: what lies nearest is fetched next. */
  near(row) {
    this.row = row;
    if (!this.whole) this.fetchNext();
  }

  /** Words about the chunk of a row: "" when it is here. */
  note(row) {
    if (this.has(row)) return "";
    const { number, failures } = this.parts[Math.floor(row / this.each)];
    const first = number * this.each;
    const rows = `TRs ${first} to ${first + this.rowsOf(number) - 1}`;
    return failures ? `${rows} could not be loaded; trying again.` : `${rows} are still loading.`;
  }

  distance({ number }) {
    const first = number * this.each;
    return Math.max(first - this.row, this.row - (first + this.rowsOf(number) - 1), 0);
  }

  async fetchNext() {
    if (this.fetching || this.closed) return;
    clearTimeout(this.timer);
    const missing = this.parts.filter(({ codes, data }) => !codes && data === undefined);
    if (!missing.length) return;
    const now = performance.now();
    const ready = missing.filter(({ again }) => again <= now).sort((a, b) => this.distance(a) - this.distance(b));
    if (!ready.length) {
      this.timer = setTimeout(() => this.fetchNext(), Math.min(...missing.map(({ again }) => again)) - now + 20);
      return;
    }
    const part = ready[0];
    this.fetching = new AbortController();
    try {
      const address = new URL(part.url, document.baseURI);
      if (address.origin !== window.location.origin) throw new Error("An address on another host.");
      const answer = await fetch(address, { signal: this.fetching.signal });
      if (!answer.ok) throw new Error(`Answered ${answer.status}.`);
      const codes = new Int8Array(await answer.arrayBuffer());
      if (codes.length !== part.length) throw new Error("A chunk of another size.");
      part.codes = codes;
      part.failures = 0;
      this.loaded += 1;
    } catch (error) {
      if (this.closed) return;
      part.again = performance.now() + 1000 * RETRY_S[Math.min(part.failures, RETRY_S.length - 1)];
      part.failures += 1;
    }
    this.fetching = null;
    if (this.closed) return;
    this.onChange();
    this.fetchNext();
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    if (this.fetching) this.fetching.abort();
  }
}

/** Rows and curves of some subjects. Every method takes the id of a subject, or MEAN. */
class Series {
  constructor(value, rows, tr) {
    this.rows = rows;
    this.tr = tr;
    this.subjects = value.subjects;
    this.scale = value.parcels.scale;
    this.chunks = new Chunks(value.parcels, this.subjects.length, rows);
    this.valid = Array.from(value.valid, (mark) => mark === "1");
    this.places = new Map(value.curves.ids.map((id, number) => [id, number]));
    this.curveScale = value.curves.scale;
    this.curveCodes = new Int16Array(bytesFrom(value.curves.data).buffer);
    if (this.curveCodes.length !== this.places.size * (this.subjects.length + 1) * rows) throw new Error("The curves and their labels differ in size.");
    this.curves = new Map();
    this.pinned = new Map();
  }

  /** Places of a subject in this series, all of them for MEAN; empty when it is not here. */
  members(id) {
    if (id === MEAN) return this.subjects.map((_, index) => index);
    const index = this.subjects.findIndex((subject) => subject.id === id);
    return index < 0 ? [] : [index];
  }

  /** Row that holds BOLD time `time`, or -1 where there is none. */
  rowAt(time) {
    const row = Math.floor(time / this.tr + 1e-6);
    return row >= 0 && row < this.rows ? row : -1;
  }

  /** z of all parcels in one row, written into `out` [1000]; NaN where there is no value. False, and all NaN, while the row is not here. */
  fill(id, row, out) {
    const members = this.members(id);
    const number = Math.floor(row / this.chunks.each);
    const codes = members.length ? this.chunks.codes(number) : null;
    if (!codes) {
      out.fill(NaN);
      return false;
    }
    const unit = this.scale / members.length;
    const rows = this.chunks.rowsOf(number);
    out.fill(0);
    for (const member of members) {
      const start = (member * rows + (row - number * this.chunks.each)) * PARCELS;
      for (let parcel = 0; parcel < PARCELS; parcel += 1) {
        const code = codes[start + parcel];
        out[parcel] += code === GAP ? NaN : code * unit;
      }
    }
    return true;
  }

  /** Mean z over the parcels of a curve, or of one side of it ("L", "R"): one value per row, NaN where there is none. Null when unknown. */
  curve(id, curve, side) {
    const name = side ? `${curve.id}-${side}` : curve.id;
    const members = this.members(id);
    if (!members.length || !this.places.has(name)) return null;
    const place = id === MEAN ? this.subjects.length : members[0];
    const key = `${place}|${name}`;
    if (!this.curves.has(key)) {
      const start = (this.places.get(name) * (this.subjects.length + 1) + place) * this.rows;
      const codes = this.curveCodes.subarray(start, start + this.rows);
      this.curves.set(key, Float32Array.from(codes, (code) => (code === GAP_16 ? NaN : code * this.curveScale)));
    }
    return this.curves.get(key);
  }

  /** z of one parcel: one value per row, NaN where its chunk is not here yet. Null when the subject is not here. */
  parcelCurve(id, parcel) {
    const members = this.members(id);
    if (!members.length) return null;
    const key = `${id}|${parcel}`;
    const kept = this.pinned.get(key);
    if (kept && kept.loaded === this.chunks.loaded) return kept.values;
    const values = new Float32Array(this.rows).fill(NaN);
    const unit = this.scale / members.length;
    for (const { number } of this.chunks.parts) {
      const codes = this.chunks.codes(number);
      if (!codes) continue;
      const rows = this.chunks.rowsOf(number);
      const first = number * this.chunks.each;
      for (let row = 0; row < rows; row += 1) {
        let sum = 0;
        for (const member of members) {
          const code = codes[(member * rows + row) * PARCELS + parcel];
          sum += code === GAP ? NaN : code;
        }
        values[first + row] = sum * unit;
      }
    }
    this.pinned.set(key, { loaded: this.chunks.loaded, values });
    return values;
  }
}
