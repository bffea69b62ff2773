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
  let source = null;
  let paused = false;
  let over = false;
  let spokenAt = -Infinity;

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

  const show = (markup) => {
    // A link that is being pressed, or text that is being marked, is left alone.
    const marked = document.getSelection();
    if (place.querySelector(":active") || (marked && !marked.isCollapsed && place.contains(marked.anchorNode))) return;
    const focused = place.contains(document.activeElement) ? document.activeElement.id : null;
    const scrolled = [...place.querySelectorAll(".scroll")].map((part) => part.scrollLeft);
    place.innerHTML = markup;
    place.querySelectorAll(".scroll").forEach((part, at) => (part.scrollLeft = scrolled[at] || 0));
    if (focused !== null) (document.getElementById(focused) || place).focus({ preventScroll: true });
    const words = place.querySelector("[data-words]");
    if (words && performance.now() - spokenAt > SPOKEN_EVERY_MS && spoken.textContent !== words.textContent) {
      spoken.textContent = words.textContent;
      spokenAt = performance.now();
    }
  };

  const close = () => {
    if (source) source.close();
    source = null;
  };

  const open = () => {
    if (source || paused || over || document.hidden) return;
    source = new EventSource(place.dataset.live);
    source.addEventListener("view", (event) => {
      say("Live.");
      show(JSON.parse(event.data));
    });
    source.addEventListener("end", (event) => end(JSON.parse(event.data)));
    source.onerror = () => {
      if (source && source.readyState === EventSource.CLOSED) end("Not live any more: load the page again.");
      else say("The connection is lost: trying again.");
    };
  };

  const end = (why) => {
    over = true;
    close();
    button.hidden = true;
    say(why);
  };

  const toggle = () => {
    paused = !paused;
    button.textContent = paused ? "Go on" : "Pause";
    if (paused) {
      close();
      say("Paused.");
    } else open();
  };

  button.textContent = "Pause";
  button.addEventListener("click", toggle);
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  open();
})();
