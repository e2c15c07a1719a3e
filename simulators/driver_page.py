"""The driver's page of the simulated eMSP: one page, no asset from anywhere else."""

from typing import Final

PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>My charging</title>
<style>
  :root { color-scheme: light dark; --ink:#14231d; --dim:#5d6d66; --card:#fff; --page:#eef3f0;
          --line:#dbe4df; --go:#0b7a4b; --go-ink:#fff; --warn:#a03c12; }
  @media (prefers-color-scheme: dark) {
    :root { --ink:#e8f0ec; --dim:#9db0a7; --card:#18221d; --page:#0e1512; --line:#2b3932;
            --go:#2fbf82; --go-ink:#04150d; --warn:#ff9a6b; } }
  * { box-sizing: border-box; }
  body { margin:0; background:var(--page); color:var(--ink);
         font:16px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
  main { max-width:30rem; margin:0 auto; padding:1.25rem 1rem 3rem; }
  h1 { font-size:1.4rem; margin:.25rem 0 1rem; }
  .card { background:var(--card); border:1px solid var(--line); border-radius:1rem;
          padding:1rem 1.1rem 1.1rem; margin-bottom:1rem; }
  .top { display:flex; justify-content:space-between; align-items:center; gap:.75rem; }
  .place { font-weight:600; overflow-wrap:anywhere; }
  .pill { font-size:.8rem; padding:.15rem .6rem; border-radius:1rem; border:1px solid var(--line);
          color:var(--dim); white-space:nowrap; }
  .pill.on { background:var(--go); border-color:var(--go); color:var(--go-ink); }
  .kwh { font-size:2.6rem; font-weight:650; font-variant-numeric:tabular-nums; line-height:1.15;
         margin-top:.6rem; }
  .kwh small { font-size:1rem; font-weight:400; color:var(--dim); }
  .dim { color:var(--dim); font-size:.9rem; }
  svg { display:block; width:100%; height:3.2rem; margin:.7rem 0 .2rem; }
  svg rect { fill:var(--go); shape-rendering:crispEdges; }
  svg rect.off { fill:var(--line); }
  .ahead { border-top:1px solid var(--line); margin-top:.9rem; padding-top:.4rem; }
  .why:empty { display:none; }
  svg line { stroke:var(--line); }
  form { border-top:1px solid var(--line); margin-top:.9rem; padding-top:.9rem; }
  fieldset { border:0; padding:0; margin:0 0 .9rem; display:grid; gap:.4rem;
             grid-template-columns:repeat(4,1fr); }
  fieldset label { position:relative; }
  fieldset input { position:absolute; inset:0; opacity:0; margin:0; cursor:pointer; }
  fieldset span { display:block; text-align:center; padding:.5rem 0; font-size:.9rem;
                  border:1px solid var(--line); border-radius:.6rem; }
  fieldset input:checked + span { border-color:var(--go); box-shadow:inset 0 0 0 1px var(--go); }
  fieldset input:focus-visible + span { outline:2px solid var(--go); outline-offset:2px; }
  .field { display:flex; justify-content:space-between; align-items:center; gap:1rem;
           margin-bottom:.8rem; }
  input[type=datetime-local] { font:inherit; padding:.45rem .5rem; border-radius:.6rem;
           border:1px solid var(--line); background:transparent; color:inherit; max-width:62%; }
  input[type=range] { flex:1; accent-color:var(--go); min-width:0; }
  output { font-variant-numeric:tabular-nums; min-width:4.2rem; text-align:right; }
  button { font:inherit; font-weight:600; width:100%; padding:.75rem; border:0;
           border-radius:.7rem; background:var(--go); color:var(--go-ink); cursor:pointer; }
  button:disabled { opacity:.55; cursor:default; }
  button.stop { background:transparent; color:var(--dim); font-weight:400; padding:.6rem 0 0; }
  select { font:inherit; padding:.45rem .5rem; border-radius:.6rem; border:1px solid var(--line);
           background:var(--card); color:inherit; max-width:70%; }
  .answer { margin:.8rem 0 0; }
  .answer.no { color:var(--warn); }
  .answer:empty { display:none; }
</style>
<main>
  <h1>My charging</h1>
  <section class="card" id="start" hidden>
    <label class="field">Free now <select id="place"></select></label>
    <button type="button">Start charging</button>
    <p class="answer" role="status"></p>
  </section>
  <div id="cards" aria-live="polite"></div>
  <p class="dim" id="note">Looking for your sessions …</p>
</main>
<template id="card">
  <section class="card">
    <div class="top"><span class="place"></span><span class="pill"></span></div>
    <div class="kwh"><span class="n"></span> <small>kWh</small></div>
    <div class="dim facts"></div>
    <svg viewBox="0 0 100 30" preserveAspectRatio="none" role="img" aria-label="Power so far"></svg>
    <div class="dim span"></div>
    <div class="ahead" hidden>
      <svg class="plan" viewBox="0 0 100 30" preserveAspectRatio="none" role="img"
           aria-label="Prices and plan until you leave"></svg>
      <div class="dim legend"></div>
      <div class="why"></div>
    </div>
    <form>
      <fieldset>
        <label><input type="radio" name="type" value="CHEAP" checked><span>Cheap</span></label>
        <label><input type="radio" name="type" value="GREEN"><span>Green</span></label>
        <label><input type="radio" name="type" value="REGULAR"><span>Regular</span></label>
        <label><input type="radio" name="type" value="FAST"><span>Fast</span></label>
      </fieldset>
      <label class="field">I leave at <input type="datetime-local" name="departure"></label>
      <label class="field">I need <input type="range" name="energy" min="1" max="60" value="12">
        <output>12 kWh</output></label>
      <label class="field">It may discharge my car <input type="checkbox" name="discharge"></label>
      <button>Send my wishes</button>
      <button type="button" class="stop">Stop charging</button>
    </form>
    <p class="answer" role="status"></p>
  </section>
</template>
<script>
"use strict";
const WORDS = {
  ACCEPTED: "Agreed.",
  REJECTED: "The charge point does not take that.",
  DEPARTURE_REQUIRED: "Please say when you leave.",
  ENERGY_NEED_REQUIRED: "Please say how much energy you need.",
  NOT_POSSIBLE: "That cannot be done in the time there is.",
  PROFILE_TYPE_NOT_SUPPORTED: "This charge point does not offer that kind of charging.",
};
const cards = new Map();
const two = n => String(n).padStart(2, "0");
const clock = t => { const d = new Date(t); return two(d.getHours()) + ":" + two(d.getMinutes()); };
const local = t => { const d = new Date(t);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}T${clock(t)}`; };

function cardFor(s) {
  if (cards.has(s.id)) return cards.get(s.id);
  const card = document.getElementById("card").content.firstElementChild.cloneNode(true);
  const form = card.querySelector("form");
  form.departure.value = local(Date.parse(s.now) + 9 * 3600e3);
  form.energy.oninput = () => { form.querySelector("output").value = form.energy.value + " kWh"; };
  form.onsubmit = async event => {
    event.preventDefault();
    const wish = { profile_type: form.type.value, energy_need: Number(form.energy.value) };
    if (form.discharge.checked) wish.discharge_allowed = true;
    if (form.departure.value) {
      wish.departure_time = new Date(form.departure.value).toISOString().slice(0, 19) + "Z";
    }
    const path = `app/sessions/${encodeURIComponent(s.id)}/preferences`;
    await send(form.querySelector("button"), card, "POST", path, wish);
  };
  form.querySelector(".stop").onclick = event =>
    send(event.target, card, "DELETE", `app/sessions/${encodeURIComponent(s.id)}`);
  cards.set(s.id, card);
  return card;
}

async function send(button, card, method, path, wish) {
  button.disabled = true;
  try {
    const body = wish && JSON.stringify(wish);
    const answer = await (await fetch(path, {method, body})).json();
    say(card, answer.answer || answer.error);
  } catch (error) { say(card, "No connection: " + error.message); }
  button.disabled = false;
}

const start = document.getElementById("start"), place = document.getElementById("place");
start.querySelector("button").onclick = event => {
  const [location_id, evse_uid] = JSON.parse(place.value);
  send(event.target, start, "POST", "app/sessions", {location_id, evse_uid});
};

function offer(places) {
  start.hidden = !places.length;
  const wanted = places.map(p => new Option(`${p.name || p.location} · ${p.evse}`,
                                            JSON.stringify([p.location, p.evse])));
  const same = wanted.map(o => o.value).join() === [...place.options].map(o => o.value).join();
  if (!same) place.replaceChildren(...wanted);
}

function say(card, code) {
  const line = card.querySelector(".answer");
  line.textContent = WORDS[code] || code;
  line.classList.toggle("no", code !== "ACCEPTED");
}

function draw(svg, s) {
  const start = Date.parse(s.start), end = Date.parse(s.end || s.now);
  const top = Math.max(1, ...s.power.map(p => p.kw || 0));
  svg.replaceChildren();
  s.power.forEach((p, i) => {
    const next = s.power[i + 1], from = Date.parse(p.at), to = next ? Date.parse(next.at) : end;
    const bar = document.createElementNS(svg.namespaceURI, "rect");
    const height = 28 * (p.kw || 0) / top;
    bar.setAttribute("x", 100 * (from - start) / (end - start || 1));
    bar.setAttribute("width", Math.max(0, 100 * (to - from) / (end - start || 1)));
    bar.setAttribute("y", 29 - height);
    bar.setAttribute("height", height);
    svg.append(bar);
  });
  const base = document.createElementNS(svg.namespaceURI, "line");
  for (const [key, value] of [["x1", 0], ["x2", 100], ["y1", 29.5], ["y2", 29.5]])
    base.setAttribute(key, value);
  svg.append(base);
}

/* Bars are prices, green where the plan lets the car charge. */
function ahead(card, s) {
  const box = card.querySelector(".ahead"), svg = box.querySelector("svg");
  const now = Date.parse(s.now), running = s.status === "ACTIVE";
  box.hidden = !running || !s.plan;
  if (box.hidden) return;
  const leave = s.asked && s.asked.departure ? Date.parse(s.asked.departure) : 0;
  const end = Math.max(leave, now + 3600e3);
  const limit = t => s.plan.reduce((l, p) => Date.parse(p.at) <= t ? p.limit : l, 0);
  const prices = (s.prices || []).filter(p => Date.parse(p.at) < end);
  const top = Math.max(0.001, ...prices.map(p => p.kwh));
  svg.replaceChildren();
  const span = 900e3, count = Math.min(96, Math.ceil((end - now) / span));
  for (let i = 0; i < count; i++) {
    const t = now + i * span;
    const price = prices.reduce((k, p) => Date.parse(p.at) <= t ? p.kwh : k, null);
    const height = price == null ? 14 : 4 + 24 * Math.max(0, price) / top;
    const bar = document.createElementNS(svg.namespaceURI, "rect");
    bar.setAttribute("x", 100 * i / count); bar.setAttribute("width", 100 / count * 0.85);
    bar.setAttribute("y", 29 - height); bar.setAttribute("height", height);
    if (!(limit(t) > 0)) bar.setAttribute("class", "off");
    svg.append(bar);
  }
  const at = prices.reduce((k, p) => Date.parse(p.at) <= now ? p.kwh : k, null);
  const price = at == null ? "" : ` · now ${at.toFixed(3)} ${s.currency}/kWh`;
  box.querySelector(".legend").textContent =
    `now until ${clock(end)}, planned by ${s.fsp}${price}`;
  box.querySelector(".why").textContent = [s.why, s.trouble].filter(Boolean).join("; ");
}

function show(s) {
  const card = cardFor(s), running = s.status === "ACTIVE";
  const last = s.power.length ? s.power[s.power.length - 1].kw : null;
  const flows = running && last > 0;
  card.querySelector(".place").textContent = `${s.location} · ${s.evse}`;
  const pill = card.querySelector(".pill");
  pill.textContent = flows ? `${last.toFixed(1)} kW` : running ? "waiting" : s.status.toLowerCase();
  pill.classList.toggle("on", flows);
  card.querySelector(".n").textContent = Number(s.kwh).toFixed(1);
  const facts = [];
  if (s.asked && s.asked.energy != null) facts.push(`of ${s.asked.energy} kWh wished`);
  if (s.cost != null) facts.push(`${Number(s.cost).toFixed(2)} ${s.currency} so far`);
  if (s.saving) facts.push(`${s.saving < 0 ? "costs" : "saves"} ${Math.abs(s.saving).toFixed(2)} ${
    s.currency}${s.saving < 0 ? " more" : ""}`);
  if (running && s.asked && s.asked.departure && s.asked.answer === "ACCEPTED")
    facts.push(`ready by ${clock(s.asked.departure)}`);
  card.querySelector(".facts").textContent = facts.join(" · ");
  card.querySelector(".span").textContent =
    `plugged in at ${clock(s.start)}, now ${clock(s.end || s.now)}`;
  draw(card.querySelector("svg"), s);
  ahead(card, s);
  card.querySelector("form").hidden = !running;
  if (s.asked && !card.querySelector(".answer").textContent) say(card, s.asked.answer);
  return card;
}

async function poll() {
  const note = document.getElementById("note");
  try {
    const {sessions, places} = await (await fetch("app/sessions")).json();
    offer(places);
    const list = document.getElementById("cards"), wanted = sessions.map(show);
    wanted.forEach((card, i) => {
      if (list.children[i] !== card) list.insertBefore(card, list.children[i] || null); });
    while (list.children.length > wanted.length) list.lastChild.remove();
    note.textContent = sessions.length ? "" : "No session yet. Plug in and it appears here.";
  } catch (error) { note.textContent = "No connection, trying again …"; }
  setTimeout(poll, 1500);
}
poll();
</script>
</html>
"""
