// Keeps up to date what is live on a page: the element with data-live is filled from the stream that this names.
// The server escapes what it sends, and no script in it could run here. Nothing is sent while the page is hidden,
// paused, or closed: a browser has few connections to one server.
"use strict";
(() => {
  const place = document.querySelector("[data-live]");
  const state = document.getElementById("live-state");
  if (!place || !state || !window.EventSource) return;

  // What a screen reader says, and not each second.
  const SPOKEN_EVERY_MS = 10000;
  const RETRY_FIRST_MS = 2000;
  const RETRY_LAST_MS = 60000;
  let source = null;
  let paused = false;
  let over = false;
  let spokenAt = -Infinity;
  let waiting = null;
  let retry = { after: RETRY_FIRST_MS, timer: 0 };

  const button = document.createElement("button");
  button.type = "button";
  const spoken = document.createElement("span");
  spoken.className = "hidden";
  spoken.setAttribute("role", "status");
  state.before(button, " ");
  place.before(spoken);

  const say = (text) => {
    if (state.textContent !== text) state.textContent = text;
  };

  // What is pressed, has the focus, or is being marked is left as it is: a screen reader would read a link anew
  // each time that another one came in its place.
  const isHeld = () => {
    const marked = document.getSelection();
    const focused = document.activeElement;
    return (
      place.querySelector(":active") !== null ||
      (focused !== place && place.contains(focused)) ||
      (marked !== null && !marked.isCollapsed && place.contains(marked.anchorNode))
    );
  };

  const show = (markup) => {
    if (isHeld()) {
      waiting = markup;
      return say("Held, while something in it has the focus.");
    }
    waiting = null;
    say("Live.");
    const scrolled = [...place.querySelectorAll(".scroll")].map((part) => part.scrollLeft);
    place.innerHTML = markup;
    place.querySelectorAll(".scroll").forEach((part, at) => (part.scrollLeft = scrolled[at] || 0));
    const words = place.querySelector("[data-words]");
    if (words && performance.now() - spokenAt > SPOKEN_EVERY_MS && spoken.textContent !== words.textContent) {
      spoken.textContent = words.textContent;
      spokenAt = performance.now();
    }
  };

  const close = () => {
    clearTimeout(retry.timer);
    if (source) source.close();
    source = null;
  };

  const end = (why) => {
    over = true;
    close();
    button.hidden = true;
    say(why);
  };

  // A browser gives a stream up for good that was refused, as by a proxy while the sidecar starts again.
  const openLater = async () => {
    close();
    say("The connection is lost: trying again.");
    const seen = await fetch("/ui", { redirect: "manual" }).catch(() => null);
    if (seen && seen.status === 401) return end("The session has ended: log in again.");
    retry.timer = setTimeout(open, retry.after);
    retry.after = Math.min(2 * retry.after, RETRY_LAST_MS);
  };

  const open = () => {
    if (source || paused || over || document.hidden) return;
    source = new EventSource(place.dataset.live);
    source.addEventListener("view", (event) => {
      retry.after = RETRY_FIRST_MS;
      show(JSON.parse(event.data));
    });
    source.addEventListener("end", (event) => end(JSON.parse(event.data)));
    source.onerror = () => {
      if (source && source.readyState === EventSource.CLOSED) openLater();
      else say("The connection is lost: trying again.");
    };
  };

  button.textContent = "Pause";
  button.addEventListener("click", () => {
    paused = !paused;
    button.textContent = paused ? "Go on" : "Pause";
    close();
    if (paused) say("Paused.");
    else open();
  });
  place.addEventListener("focusout", () => setTimeout(() => waiting !== null && !paused && show(waiting)));
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  open();
})();
