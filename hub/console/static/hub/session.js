// The page of a session: its chart, and looking again while the session runs.
"use strict";
(() => {
  const HEIGHTS = { power: 230, current: 200, energy: 150, price: 110 };
  const SECONDS = 10;
  const host = document.getElementById("session-panels");
  const live = document.getElementById("session-live");
  if (!host || !live) return;
  let plots = [];
  let data = null;

  const colour = (name) => getComputedStyle(host).getPropertyValue(`--chart-${name}`).trim();
  const two = (number) => String(number).padStart(2, "0");
  const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

  function clock(seconds, withSeconds) {
    const at = new Date(seconds * 1000);
    const text = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
    return withSeconds ? `${text}:${two(at.getUTCSeconds())}` : text;
  }

  function tick(seconds, gap) {
    const at = new Date(seconds * 1000);
    if (at.getUTCHours() === 0 && at.getUTCMinutes() === 0 && at.getUTCSeconds() === 0) {
      return `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]}`;
    }
    return clock(seconds, gap < 60);
  }

  function amount(value) {
    return Math.abs(value) < 100 ? String(Number(value.toPrecision(4))) : value.toFixed(1);
  }

  // The values that hold at a moment: of a step the last one, of a line the last point.
  function readOut(seconds) {
    const words = [];
    let index = -1;
    while (index + 1 < data.times.length && data.times[index + 1] <= seconds) index += 1;
    for (const panel of data.panels) {
      for (const series of panel.series) {
        let at = index;
        while (series.line && at > 0 && series.values[at] === null) at -= 1;
        const value = at < 0 ? null : series.values[at];
        if (value !== null && !(series.key === "need")) {
          const label = series.label[0].toLowerCase() + series.label.slice(1);
          words.push(`${label} ${amount(value)} ${panel.unit}`);
        }
      }
    }
    const place = document.getElementById("session-read");
    place.textContent = `${clock(seconds, true)}: ${words.join(", ") || "nothing is known"}`;
  }

  function moments(u) {
    const { ctx, bbox } = u;
    const ratio = devicePixelRatio || 1;
    const marks = data.marks.map((mark) => ({ ...mark, name: "mark" }));
    if (data.now !== null) marks.push({ label: "now", at: data.now, name: "now" });
    ctx.save();
    ctx.lineWidth = ratio;
    ctx.font = `${11 * ratio}px sans-serif`;
    ctx.textBaseline = "top";
    for (const [index, mark] of marks.entries()) {
      const x = Math.round(u.valToPos(mark.at, "x", true));
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.strokeStyle = ctx.fillStyle = colour(mark.name);
      ctx.setLineDash(mark.name === "now" ? [] : [4 * ratio, 3 * ratio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      if (u.isFirst) {
        const isLate = x > bbox.left + bbox.width - 70 * ratio;
        ctx.textAlign = isLate ? "right" : "left";
        ctx.fillText(mark.label, x + (isLate ? -4 : 4) * ratio, bbox.top + (2 + 13 * index) * ratio);
      }
    }
    ctx.restore();
  }

  function levels(panel) {
    return (u) => {
      const { ctx, bbox } = u;
      const ratio = devicePixelRatio || 1;
      ctx.save();
      ctx.lineWidth = ratio;
      ctx.font = `${11 * ratio}px sans-serif`;
      ctx.strokeStyle = ctx.fillStyle = colour("level");
      ctx.setLineDash([2 * ratio, 4 * ratio]);
      for (const level of panel.levels) {
        const y = Math.round(u.valToPos(level.value, "y", true));
        ctx.beginPath();
        ctx.moveTo(bbox.left, y);
        ctx.lineTo(bbox.left + bbox.width, y);
        ctx.stroke();
        ctx.textAlign = "right";
        ctx.textBaseline = "bottom";
        ctx.fillText(level.label, bbox.left + bbox.width - 4 * ratio, y - ratio);
      }
      ctx.restore();
    };
  }

  function range(panel) {
    return (u, least, most) => {
      const values = panel.levels.map((level) => level.value);
      const low = Math.min(0, least === null ? 0 : least);
      const high = Math.max(most === null ? 1 : most, ...values);
      const span = high - low || 1;
      return [low < 0 ? low - span * 0.08 : 0, high + span * 0.12];
    };
  }

  function lineOf(series) {
    const stroke = colour(series.key);
    const isFilled = ["measured", "energy", "price"].includes(series.key);
    return {
      label: series.label,
      stroke,
      width: series.key === "pushed" ? 2.5 : 2,
      dash: series.key === "need" ? [5, 4] : series.key === "active" ? [7, 3] : undefined,
      fill: isFilled ? colour(`${series.key}-fill`) : undefined,
      spanGaps: series.line,
      points: { show: false },
    };
  }

  function options(panel, width, isFirst, isLast, sync) {
    const axis = {
      stroke: colour("text"),
      grid: { stroke: colour("grid"), width: 1 },
      ticks: { stroke: colour("grid"), width: 1, size: 4 },
      font: "11px sans-serif",
    };
    return {
      width,
      height: (HEIGHTS[panel.key] || 150) + (isLast ? 24 : 0),
      padding: [8, 10, isLast ? 0 : 4, 0],
      legend: { show: false },
      cursor: { sync: { key: sync }, drag: { x: false, y: false }, points: { show: false }, y: false },
      scales: {
        x: { time: false, range: [data.begin, data.end] },
        y: { range: range(panel) },
      },
      axes: [
        {
          ...axis,
          size: isLast ? 28 : 0,
          space: 56,
          incrs: [1, 5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400],
          values: (u, splits, index, space, gap) =>
            splits.map((at) => (isLast ? tick(at, gap) : "")),
        },
        { ...axis, size: 44, space: 28, values: (u, splits) => splits.map(amount) },
      ],
      series: [{}, ...panel.series.map(lineOf)],
      hooks: {
        init: [(u) => { u.isFirst = isFirst; }],
        draw: [levels(panel), moments],
        setCursor: [(u) => {
          if (u.cursor.left >= 0) readOut(u.posToVal(u.cursor.left, "x"));
        }],
      },
    };
  }

  function draw() {
    plots.forEach((plot) => plot.destroy());
    plots = [];
    host.replaceChildren();
    const source = document.getElementById("session-chart-data");
    data = JSON.parse(source.textContent);
    const width = host.clientWidth;
    if (!width || typeof uPlot === "undefined") return;
    data.panels.forEach((panel, index) => {
      const figure = document.createElement("figure");
      const title = document.createElement("figcaption");
      title.append(`${panel.title} (${panel.unit})`);
      for (const series of panel.series) {
        const key = document.createElement("span");
        key.className = `session-key ${series.key}`;
        key.textContent = series.label;
        title.append(key);
      }
      const place = document.createElement("div");
      place.setAttribute("role", "img");
      place.setAttribute("aria-label", `${panel.title} over time; the table below has the numbers`);
      figure.append(title, place);
      host.append(figure);
      const isLast = index === data.panels.length - 1;
      const values = [data.times, ...panel.series.map((series) => series.values)];
      plots.push(new uPlot(options(panel, width, index === 0, isLast, "session"), values, place));
    });
    readOut(data.now === null ? data.end : data.now);
  }

  // --- Looking again ------------------------------------------------------------------------------

  function take(page) {
    for (const part of page.querySelectorAll("[data-part]")) {
      const here = document.getElementById(part.id);
      if (!here || here.contains(document.activeElement)) continue;
      if (here.innerHTML !== part.innerHTML) here.innerHTML = part.innerHTML;
      if (part.dataset.live) live.dataset.live = part.dataset.live;
    }
    draw();
  }

  async function look() {
    if (live.dataset.live !== "yes") return;
    try {
      if (!document.hidden) {
        const open = [...live.querySelectorAll("details[open][id^='section-']")];
        const keys = open.map((one) => one.id.replace("section-", "")).join(",");
        const url = `${live.dataset.url}&open=${encodeURIComponent(keys)}`;
        // Marked as a script's, so that a page that looks again keeps no login alive.
        const headers = { "X-Requested-With": "fetch" };
        const answer = await fetch(url, { credentials: "same-origin", headers });
        if (answer.redirected || answer.status === 401) {
          document.getElementById("session-asof").textContent = "Your session has ended: log in.";
          return;
        }
        if (answer.ok) take(new DOMParser().parseFromString(await answer.text(), "text/html"));
      }
    } catch (error) {
      const place = document.getElementById("session-asof");
      place.textContent = "The hub does not answer; the page looks again in 10 seconds.";
    }
    setTimeout(look, SECONDS * 1000);
  }

  let known = 0;
  new ResizeObserver(() => {
    if (host.clientWidth !== known) {
      known = host.clientWidth;
      draw();
    }
  }).observe(host);
  new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["class"] });
  setTimeout(look, SECONDS * 1000);
})();
