// Colours: one diverging map for every pane, and one colour per curve.

const LEVELS = 256;

function rgbOf(hex) {
  const number = parseInt(hex.slice(1), 16);
  return [number >> 16, (number >> 8) & 255, number & 255];
}

const tables = new Map();

/** A map's colours as bytes [256 * 3], low to high. */
function colourTable(name) {
  if (!tables.has(name)) {
    const stops = ATLAS.maps[name].map(rgbOf);
    const table = new Uint8ClampedArray(LEVELS * 3);
    for (let level = 0; level < LEVELS; level += 1) {
      const place = (level / (LEVELS - 1)) * (stops.length - 1);
      const low = Math.min(Math.floor(place), stops.length - 2);
      for (let channel = 0; channel < 3; channel += 1) {
        table[level * 3 + channel] = stops[low][channel] + (place - low) * (stops[low + 1][channel] - stops[low][channel]);
      }
    }
    tables.set(name, table);
  }
  return tables.get(name);
}

/** Which table to use: the theme's own unless the reader chose the classic one. */
function mapName(choice, dark) {
  if (choice === "classic") return "classic";
  return dark ? "dark" : "light";
}

/** Level 0..255 of a value on the symmetric range. */
function levelOf(value, range) {
  const place = ((value / range + 1) / 2) * (LEVELS - 1);
  return place < 0 ? 0 : place > LEVELS - 1 ? LEVELS - 1 : Math.round(place);
}

/** How much of a value is seen: all from the threshold on, faded and never gone below it. */
function fade(size, threshold) {
  return size >= threshold ? 1 : 0.1 + (0.22 * size) / threshold;
}

function curveColour(curve, palette, dark) {
  if (curve.kind === "group") return dark ? ATLAS.groups[curve.number].colour_dark : ATLAS.groups[curve.number].colour_light;
  if (palette === "okabe-ito") return ATLAS.okabe_ito[dark ? "dark" : "light"][curve.id];
  return (dark ? ATLAS.colours_dark : ATLAS.colours_light)[curve.id];
}

function mixed(hex, other, share) {
  const a = rgbOf(hex);
  const b = rgbOf(other);
  return `rgb(${a.map((channel, i) => Math.round(channel * (1 - share) + b[i] * share)).join(",")})`;
}

/** The right side's curve keeps the hue and steps away in lightness, besides being broken. */
function sideColour(curve, side, { palette, dark }) {
  const colour = curveColour(curve, palette, dark);
  if (side !== "R") return colour;
  const [red, green, blue] = rgbOf(colour);
  const bright = (0.3 * red + 0.59 * green + 0.11 * blue) / 255;
  return mixed(colour, dark || bright < 0.42 ? "#ffffff" : "#000000", 0.45);
}

const PIN_COLOURS = {
  light: ["#111827", "#00798a", "#c2185b", "#7a4a2b", "#4353b8"],
  dark: ["#f1f5f9", "#4dd0e1", "#f58bb0", "#d3b8a6", "#a4b1f5"],
};

/** Colour of the pinned parcel at a place of the list. */
function pinColour(place, { dark }) {
  const colours = PIN_COLOURS[dark ? "dark" : "light"];
  return colours[place % colours.length];
}
