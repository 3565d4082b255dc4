// Keeps the page current. The server renders everything; this asks it for the page again, and puts in what changed, so that
// focus, scroll position, opened details and the filter stay as they are.
"use strict";

(() => {
  const PERIOD = 1000;
  const PATIENCE = 5000;
  const root = document.documentElement;
  const updates = document.getElementById("updates");
  const form = document.getElementById("filter");
  // What the server last said of each part: what is in the page may have been completed here.
  const said = new Map();
  let tag = null;
  let paused = false;
  let asking = null;
  let timer = null;

  if (!updates) return;
  root.classList.add("live");

  const word = document.createElement("span");
  word.setAttribute("role", "status");
  const button = document.createElement("button");
  button.type = "button";
  button.id = "pause";
  updates.append(word, button);

  const parts = (from) => from.querySelectorAll("[data-live]");

  const remember = (part) => {
    said.set(part.id, part.outerHTML);
    if (part.dataset.live === "list") for (const item of part.children) said.set(item.id, item.outerHTML);
  };

  const byId = (id) => (id ? document.getElementById(id) : null);

  const keepOpened = (old, fresh) => {
    for (const opened of old.querySelectorAll("details[open][id]")) {
      fresh.querySelector(`#${CSS.escape(opened.id)}`)?.setAttribute("open", "");
    }
  };

  const replace = (old, fresh) => {
    keepOpened(old, fresh);
    old.replaceWith(fresh);
  };

  // The items of a list by their ids: those that are gone go, new ones come, those that changed are put in anew.
  const putList = (list, fresh) => {
    const wanted = [...fresh.children];
    const ids = new Set(wanted.map((item) => item.id));
    for (const item of [...list.children]) if (!ids.has(item.id)) item.remove();
    let place = list.firstElementChild;
    for (const item of wanted) {
      const text = item.outerHTML;
      let old = byId(item.id);
      if (!old) {
        item.classList.add("fresh");
        list.insertBefore(item, place);
      } else {
        if (old !== place) list.insertBefore(old, place);
        if (said.get(item.id) !== text) {
          replace(old, item);
          old = item;
        }
        place = old.nextElementSibling;
      }
      said.set(item.id, text);
    }
  };

  const put = (fresh) => {
    const text = fresh.outerHTML;
    const old = byId(fresh.id);
    if (!old || said.get(fresh.id) === text) return;
    if (fresh.dataset.live === "list") putList(old, fresh);
    // An opened choice would close.
    else if (fresh.dataset.live === "choice" && old === document.activeElement) return;
    else replace(old, fresh);
    said.set(fresh.id, text);
  };

  // What the reader looks at: the element with the focus if it is in sight, else the first item that is.
  const anchor = () => {
    const inSight = (element) => {
      const box = element.getBoundingClientRect();
      return box.bottom > 0 && box.top < innerHeight;
    };
    const focused = document.activeElement;
    if (focused?.id && focused !== document.body && inSight(focused)) return focused;
    return [...document.querySelectorAll("[data-live=list] > *, [data-live]")].find((one) => one.id && inSight(one));
  };

  const show = (text) => {
    const page = new DOMParser().parseFromString(text, "text/html");
    const focused = document.activeElement?.id;
    const fixed = scrollY > 0 ? anchor() : null;
    const [id, top] = fixed ? [fixed.id, fixed.getBoundingClientRect().top] : [null, 0];
    for (const part of parts(page)) put(part);
    // What this completes takes room, too.
    dates();
    const again = byId(focused);
    if (again && again !== document.activeElement) again.focus({ preventScroll: true });
    const moved = byId(id);
    if (moved) scrollBy({ top: moved.getBoundingClientRect().top - top, behavior: "instant" });
  };

  const say = (text, bad) => {
    if (word.textContent !== text) word.textContent = text;
    word.className = bad ? "bad" : "";
    button.textContent = paused ? "update again" : "pause";
    button.setAttribute("aria-label", paused ? "Update the page by itself again" : "Pause updates of the page");
  };

  const schedule = () => {
    clearTimeout(timer);
    if (!paused && !document.hidden) timer = setTimeout(ask, PERIOD);
  };

  const ask = async () => {
    asking?.abort();
    const mine = new AbortController();
    asking = mine;
    const limit = setTimeout(() => mine.abort(), PATIENCE);
    try {
      const headers = tag ? { "If-None-Match": tag } : {};
      const answer = await fetch(location.href, { cache: "no-store", headers, signal: mine.signal });
      if (answer.status === 404) {
        say("The agent does not keep this termination any more; this is the last that it said.", true);
        return;
      }
      if (answer.status !== 304) {
        if (!answer.ok) throw new Error(answer.status);
        const text = await answer.text();
        if (asking !== mine) return;
        tag = answer.headers.get("ETag");
        show(text);
      }
      say("updates by itself", false);
    } catch {
      if (asking !== mine) return;
      say("The agent does not answer; what is shown is old.", true);
    } finally {
      clearTimeout(limit);
    }
    if (asking === mine) schedule();
  };

  button.addEventListener("click", () => {
    paused = !paused;
    say(paused ? "paused" : "updates by itself", false);
    if (paused) {
      clearTimeout(timer);
      asking?.abort();
      asking = null;
    } else ask();
  });

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && !paused) ask();
  });

  const go = (address) => {
    tag = null;
    history.pushState(null, "", address);
    ask();
  };

  if (form) {
    const filter = () => {
      const wanted = new URLSearchParams();
      for (const [name, value] of new FormData(form)) if (value) wanted.append(name, value);
      const query = wanted.toString();
      go(query ? `?${query}` : location.pathname);
    };
    form.addEventListener("change", filter);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      filter();
    });
    addEventListener("popstate", () => location.reload());
  }

  const units = [[60, "s"], [60, "min"], [48, "h"], [Infinity, "d"]];

  const ago = (milliseconds) => {
    let count = Math.max(0, milliseconds / 1000);
    for (const [many, name] of units) {
      if (count < many) return `${Math.floor(count)} ${name} ago`;
      count /= many === 48 ? 24 : many;
    }
    return "";
  };

  // How long ago, by the clock of whoever looks; and the date in his own time where the pointer rests.
  const dates = () => {
    for (const time of document.querySelectorAll("time[data-date]")) {
      const date = new Date(time.dateTime);
      if (!time.title) time.title = date.toLocaleString();
      let passed = time.nextElementSibling;
      if (!passed) {
        passed = document.createElement("span");
        passed.className = "ago";
        time.after(passed);
      }
      const text = ago(Date.now() - date.getTime());
      if (passed.textContent !== text) passed.textContent = text;
    }
  };

  for (const part of parts(document)) remember(part);
  dates();
  setInterval(() => { if (!document.hidden && !paused) dates(); }, PERIOD);
  say("updates by itself", false);
  schedule();
})();
