// The one clock. Everything follows video.currentTime; where there is no film that plays, a plain stopwatch stands in.

const REVEAL_MS = 700;

class Clock {
  /**
   * @param {HTMLVideoElement} video
   * @param {(time: number) => void} onTick called for every new frame, and after every seek
   * @param {() => void} onState called when it starts, stops, changes its sound or its film, or cannot play
   */
  constructor(video, onTick, onState) {
    this.video = video; // the one in sight
    this.onTick = onTick;
    this.onState = onState;
    this.url = null;
    this.films = new Map(); // address -> its element, where a second film waits to take the place of the first
    this.hasPicture = false;
    this.duration = 0;
    this.stopwatch = { on: true, playing: false, time: 0, at: 0 };
    this.rate = 1;
    this.error = "";
    this.frames = { seen: 0, missed: 0, last: 0 };
    this.waiting = 0; // which request is out; a request from before a change of film is let go
    this.request = 0;
    this.listen(video);
  }

  listen(video) {
    const add = (names, act) => {
      for (const name of names) video.addEventListener(name, () => video === this.video && act());
    };
    add(["play", "pause", "ended", "volumechange"], () => {
      this.onState();
      this.schedule();
    });
    add(["timeupdate", "seeking", "seeked", "loadeddata"], () => this.tick());
    add(["error"], () => this.fallBack());
  }

  /** Take a film (or none); the time starts at 0. */
  load(url, kind, duration) {
    this.duration = duration;
    this.hasPicture = kind === "video" && Boolean(url);
    this.error = "";
    this.frames = { seen: 0, missed: 0, last: 0 };
    this.waiting = 0;
    this.stopwatch = { on: !url, playing: false, time: 0, at: 0 };
    for (const film of this.films.values()) {
      if (film === this.video) continue;
      film.removeAttribute("src");
      film.load();
      film.remove();
    }
    this.films = new Map([[url, this.video]]);
    this.video.classList.remove("is-waiting");
    if (url !== this.url) {
      this.url = url;
      if (url) this.video.src = url;
      else this.video.removeAttribute("src");
      this.video.load();
      this.setRate(this.rate); // a new film starts at the element's default
    } else if (url) {
      this.video.currentTime = 0;
    }
  }

  /** Have a second film wait behind the first, so that it can take its place at once. */
  prepare(url) {
    if (!url || this.films.has(url)) return;
    const film = this.video.cloneNode(false);
    film.classList.add("is-waiting");
    film.defaultMuted = true;
    film.src = url;
    this.listen(film);
    this.video.after(film);
    this.films.set(url, film);
  }

  /** Go over to another film (or to none) at the same time, playing on. The picture stays until the other one has its own. */
  swap(url, kind, duration) {
    const { time, playing, video } = this;
    const at = Math.min(time, duration);
    this.duration = duration;
    this.hasPicture = kind === "video" && Boolean(url);
    if (url === this.url) {
      if (at < time) this.seek(at);
      return;
    }
    this.url = url;
    this.error = "";
    this.waiting = 0;
    this.frames = { seen: 0, missed: 0, last: 0 };
    this.stopwatch = { on: !url, playing: !url && playing, time: at, at: performance.now() };
    this.prepare(url);
    const next = url ? this.films.get(url) : video;
    if (next !== video) {
      this.video = next;
      next.muted = video.muted;
      next.volume = video.volume;
      this.setRate(this.rate);
    }
    if (url) next.currentTime = at;
    if (next !== video || !url) video.pause();
    if (url && next.error) this.fallBack();
    else if (url && playing) next.play().catch(() => this.onState());
    this.reveal(next, video);
    this.onState();
    this.schedule();
  }

  /** Let a film be seen once it shows the right moment, or after a while in any case. */
  reveal(next, before) {
    if (next === before) return;
    clearTimeout(this.patience);
    const show = () => {
      clearTimeout(this.patience);
      for (const film of this.films.values()) film.classList.toggle("is-waiting", film !== this.video);
    };
    next.addEventListener("seeked", show, { once: true });
    this.patience = setTimeout(show, REVEAL_MS);
  }

  /** The film cannot be played here: say so, and let the curves run all the same. */
  fallBack() {
    if (!this.url || this.stopwatch.on) return;
    const playing = this.playing;
    this.error = "The film cannot be played here, or is no longer kept. The curves still run.";
    this.stopwatch = { on: true, playing, time: this.video.currentTime || 0, at: performance.now() };
    this.waiting = 0;
    this.onState();
    this.schedule();
  }

  get playing() {
    return this.stopwatch.on ? this.stopwatch.playing : !this.video.paused && !this.video.ended;
  }

  get time() {
    const watch = this.stopwatch;
    if (!watch.on) return Math.min(this.video.currentTime, this.duration);
    if (!watch.playing) return watch.time;
    return Math.min(this.duration, watch.time + (this.rate * (performance.now() - watch.at)) / 1000);
  }

  /** How fast the film runs, 0.5 to 2: voices keep their pitch, and the stopwatch keeps to the same rate. */
  setRate(rate) {
    const watch = this.stopwatch;
    if (watch.playing) Object.assign(watch, { time: this.time, at: performance.now() });
    this.rate = Math.min(2, Math.max(0.5, rate));
    this.video.preservesPitch = true;
    this.video.defaultPlaybackRate = this.rate;
    this.video.playbackRate = this.rate;
  }

  async play() {
    if (this.playing) return;
    if (this.time >= this.duration - 0.05) this.seek(0);
    if (this.stopwatch.on) {
      this.stopwatch.playing = true;
      this.stopwatch.at = performance.now();
      this.onState();
      this.schedule();
      return;
    }
    try {
      await this.video.play();
    } catch (error) {
      if (error.name === "NotSupportedError") this.fallBack();
      this.onState();
    }
  }

  pause() {
    if (this.stopwatch.on) {
      this.stopwatch.time = this.time;
      this.stopwatch.playing = false;
      this.onState();
    } else {
      this.video.pause();
    }
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  seek(time) {
    const to = Math.min(Math.max(0, time), this.duration);
    this.onTick(to); // before the film looks for its frame, so that the brain does not wait for the decoder
    if (this.stopwatch.on) {
      this.stopwatch.time = to;
      this.stopwatch.at = performance.now();
    } else {
      this.video.currentTime = to;
    }
  }

  tick() {
    this.onTick(this.time);
  }

  step(request, info) {
    if (request !== this.waiting) return;
    this.waiting = 0;
    if (info && info.presentedFrames) {
      const frames = this.frames;
      if (frames.last && info.presentedFrames > frames.last) frames.missed += info.presentedFrames - frames.last - 1;
      frames.seen += 1;
      frames.last = info.presentedFrames;
    }
    if (this.stopwatch.on && this.stopwatch.playing && this.time >= this.duration) this.pause();
    this.tick();
    this.schedule();
  }

  schedule() {
    if (this.waiting || !this.playing) return;
    this.request += 1;
    const request = this.request;
    this.waiting = request;
    if (!this.stopwatch.on && this.hasPicture && this.video.requestVideoFrameCallback) {
      this.video.requestVideoFrameCallback((_, info) => this.step(request, info));
    } else {
      requestAnimationFrame(() => this.step(request, null));
    }
  }
}
