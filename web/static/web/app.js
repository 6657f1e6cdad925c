// Keeps a page up to date, moves by keys, switches the theme. Every page works without it.
"use strict";

const AWAKE = 3000, ASLEEP = 30000;
const connection = document.getElementById("connection");
const zone = connection ? connection.textContent : "";
let etag = "", failures = 0, timer = 0;

// --- Times: the server writes the moment, the distance from now is written here -------------------------------------
function distance(seconds, suffix) {
  const s = Math.abs(seconds);
  if (s < 5) return "now";
  const [n, unit] = s >= 31536000 ? [31536000, "y"] : s >= 86400 ? [86400, "d"] : s >= 3600 ? [3600, "h"]
    : s >= 60 ? [60, "min"] : [1, "s"];
  const text = Math.floor(s / n) + " " + unit;
  return seconds < 0 ? "in " + text : (text + " " + suffix).trim();
}

function tellTimes(within) {
  for (const time of within.querySelectorAll("time[data-form]")) {
    const text = distance((Date.now() - Date.parse(time.dateTime)) / 1000, time.dataset.form);
    if (time.textContent !== text) time.textContent = text;
  }
}

// --- Blocks: only parts whose content differs are replaced ----------------------------------------------------------
function content(node) {
  const copy = node.cloneNode(true);
  for (const time of copy.querySelectorAll("time[data-form]")) time.textContent = "";
  for (const open of copy.querySelectorAll("details[open]")) open.removeAttribute("open");
  return copy.outerHTML;
}

function replace(old, fresh) {
  const focused = old.contains(document.activeElement) ? focusPath(document.activeElement, old) : null;
  for (const open of old.querySelectorAll("details[open][id]")) {
    const again = fresh.querySelector("#" + CSS.escape(open.id));
    if (again) again.open = true;
  }
  tellTimes(fresh);
  old.replaceWith(fresh);
  if (focused) focused.reduce((node, index) => node && node.children[index], fresh)?.focus({ preventScroll: true });
}

function focusPath(node, root) {
  const path = [];
  for (; node !== root; node = node.parentElement) path.unshift([...node.parentElement.children].indexOf(node));
  return path;
}

function patch(old, fresh) {
  if (content(old) === content(fresh)) return;
  const before = [...old.querySelectorAll("[data-part]")], after = [...fresh.querySelectorAll("[data-part]")];
  const same = before.length === after.length && before.every((part, i) => part.dataset.part === after[i].dataset.part);
  if (same && before.length) {
    const parts = before.map((part, i) => [part, after[i]]);
    const swapped = parts.filter(([a, b]) => content(a) !== content(b));
    for (const [a, b] of swapped) replace(a, document.importNode(b, true));
    if (content(old) === content(fresh)) return;
  }
  replace(old, document.importNode(fresh, true));
}

async function poll() {
  try {
    const headers = { "X-Sendit-Live": "1" };
    if (etag) headers["If-None-Match"] = etag;
    const answer = await fetch(location.href, { headers, cache: "no-store", credentials: "same-origin" });
    if ([401, 403, 404].includes(answer.status)) return location.reload();
    if (answer.status === 200) {
      etag = answer.headers.get("ETag") || "";
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const selected = !getSelection().isCollapsed;
      const blocks = [...document.querySelectorAll("[data-live]")];
      if (!blocks.some((block) => fresh.getElementById(block.id))) return location.reload(); // it is another page now
      for (const block of selected ? [] : blocks) {
        const next = fresh.getElementById(block.id);
        if (next) patch(block, next);
      }
      if (selected) etag = "";
    } else if (answer.status !== 304) throw new Error(answer.status);
    failures = 0;
  } catch {
    failures += 1;
  }
  const said = failures > 1 ? "No answer from the node; trying again." : zone;
  if (connection.textContent !== said) connection.textContent = said;
  connection.classList.toggle("lost", failures > 1);
  schedule();
}

function schedule() {
  clearTimeout(timer);
  timer = setTimeout(poll, document.hidden ? ASLEEP : Math.min(AWAKE * 2 ** failures, ASLEEP));
}

if (document.body.hasAttribute("data-poll") && document.querySelector("[data-live]")) {
  document.addEventListener("visibilitychange", () => (document.hidden ? schedule() : poll()));
  schedule();
}
setInterval(() => tellTimes(document), 1000);

// --- Keys -----------------------------------------------------------------------------------------------------------
const help = document.getElementById("help");

function move(step) {
  const rows = [...document.querySelectorAll("[data-rows] tbody a")].filter((a) => a.closest("th"));
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement);
  const to = rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.max(0, Math.min(rows.length - 1, at + step))];
  to.focus();
  to.closest("tr").scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  if (event.target.matches("input, textarea, select")) return event.key === "Escape" && event.target.blur();
  const act = { "/": () => document.getElementById("q").focus(), j: () => move(1), k: () => move(-1),
    "?": () => help.showModal() }[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
});

for (const button of document.querySelectorAll("[data-help]")) {
  button.hidden = false;
  button.addEventListener("click", () => help.showModal());
}

// --- Theme: a cookie, so that the next page comes in it from the first moment ---------------------------------------
for (const button of document.querySelectorAll("[data-theme-button]")) {
  button.addEventListener("click", (event) => {
    event.preventDefault();
    const themes = ["system", "light", "dark"], root = document.documentElement;
    const next = themes[(themes.indexOf(root.dataset.theme) + 1) % themes.length];
    root.dataset.theme = next;
    button.querySelector("span").textContent = next;
    const secure = location.protocol === "https:" ? "; secure" : "";
    document.cookie = `theme=${next}; path=/; max-age=31536000; samesite=lax${secure}`;
  });
}
