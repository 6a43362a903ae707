// What the player tells people who listen: the row when the film rests, and what a key has done.

const REST_MS = 500;

class Voice {
  constructor(player) {
    this.player = player;
  }

  say(text) {
    clearTimeout(this.saying);
    this.player.part.live.textContent = text;
  }

  sayRow() {
    clearTimeout(this.saying);
    this.saying = setTimeout(() => this.tellRow(), REST_MS);
  }

  tellRow() {
    const { result, shown, clock, have, settings, part, conditions, absence } = this.player;
    if (!result || clock.playing || part.body.hidden) return;
    const where = `Film ${clockText(clock.time, 1)}, TR ${shown.row < 0 ? "none" : `${shown.row} of ${result.rows}`}${conditions.name && `, ${conditions.name}`}.`;
    if (!have) {
      this.say(`${where} ${absence}.`);
      return;
    }
    const ranked = CURVES.slice(0, ATLAS.network_keys.length).map((curve) => [curve.label, result.curve(settings.subject, curve, "")[shown.row]]).sort((a, b) => b[1] - a[1]);
    const [name, value] = ranked[0];
    this.say(`${where} Highest network ${name}, ${[signed(value), conditions.unit].filter(Boolean).join(" ")}. ${part.largest.textContent}`);
  }

  dispose() {
    clearTimeout(this.saying);
  }
}
