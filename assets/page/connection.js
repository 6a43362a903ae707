// Whether the server is still there and knows this visit. When it does not, what is on the page stays, and what would ask the server rests.
(() => {
  "use strict";
  if (!window.CineglassPage || window.CineglassPage.tools.asks) return;
  const { make, fill } = window.CineglassPage.tools;

  // A visit does not outlive the server: after a new start the page says so, and its controls would act on nothing.
  const LOOK_MS = 8000;
  const AGAIN_MS = 2000;
  const banner = make("div", "cp-banner");
  banner.setAttribute("role", "alert");
  let started = "";
  let missed = 0;
  let cut = false; // an answer of Gradio's was cut off: from then on it sends nothing any more
  let next = 0;

  function say(text, reload) {
    if (banner.dataset.text !== text) {
      banner.dataset.text = text;
      const button = make("button", "cp-button", "Reload the page");
      button.type = "button";
      button.addEventListener("click", () => window.location.reload());
      fill(banner, text ? [make("p", "", text), reload ? button : null] : []);
    }
    if (!text) banner.remove();
    else if (!banner.isConnected) (document.querySelector(".gradio-container") || document.body).prepend(banner);
  }

  const asking = [];
  let resting = false;

  /** A control or a part that only asks the server. */
  function asks(node) {
    asking.push(node);
    if (resting) node.setAttribute("inert", "");
  }

  function rest(text) {
    say(text, true);
    resting = true;
    for (const node of [document.getElementById("cp-left"), document.getElementById("cp-words-undo"), ...asking]) node?.setAttribute("inert", "");
  }

  async function look() {
    let answer = "";
    try {
      const response = await ask("cineglass/server", { cache: "no-store", signal: AbortSignal.timeout(LOOK_MS) });
      if (response.ok) answer = await response.text();
    } catch {
      // said below
    }
    if (answer && started && answer !== started) {
      rest("The server was started again and no longer knows this visit: its clips, edits and runs are gone from here. What you see stays until you reload.");
      return;
    }
    if (answer && cut) {
      rest("The connection to the server was lost. What you see stays until you reload; results that were ready by then are under My runs.");
      return;
    }
    missed = answer ? 0 : missed + 1;
    started = started || answer;
    say(missed > 1 || cut ? "The server does not answer. What you see stays; nothing can be run until it is back." : "", false);
    clearTimeout(next);
    next = setTimeout(look, missed ? AGAIN_MS : LOOK_MS);
  }

  // After a lost connection Gradio asks for the app's id and reloads the page as soon as there is one: the visit would go without a word.
  const ask = window.fetch.bind(window);
  window.fetch = async (...asked) => {
    if (!/\/app_id$/.test(new URL(asked[0].url || asked[0], document.baseURI).pathname)) return ask(...asked);
    if (!cut) {
      cut = true;
      document.body.classList.add("cp-cut"); // Gradio's own word of it, that it tries again, would be wrong now
      clearTimeout(next);
      next = setTimeout(look);
    }
    return new Response(null, { status: 503 });
  };
  look();

  // A run of hours goes with its page: the browser asks before it is closed or loaded again.
  window.addEventListener("beforeunload", (event) => {
    if (document.documentElement.dataset.cineglass === "working" && !resting) event.preventDefault();
  });

  Object.assign(window.CineglassPage.tools, { asks });
})();
