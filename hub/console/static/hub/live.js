// Fragments that renew themselves: <div data-live="URL" data-every="SECONDS">. Nobody asks while the
// page is hidden; when it is seen again, it asks at once. Nothing is evaluated, nothing is styled
// here, so that a strict Content-Security-Policy may stand.
"use strict";

(() => {
  const SLOW = 15000; // milliseconds that an answer may take

  function watch(fragment) {
    const every = 1000 * Number(fragment.dataset.every);
    let timer = null;
    let isAsking = false;

    function later() {
      clearTimeout(timer);
      timer = document.hidden ? null : setTimeout(renew, every);
    }

    function say(text) {
      const state = fragment.querySelector(".live-state");
      if (state && state.textContent !== text) {
        state.textContent = text;
      }
    }

    function show(html) {
      const active = document.activeElement;
      const href = fragment.contains(active) ? active.getAttribute("href") : null;
      fragment.innerHTML = html;
      if (href !== null) {
        const same = [...fragment.querySelectorAll("a")].find((a) => a.getAttribute("href") === href);
        if (same) {
          same.focus({ preventScroll: true });
        }
      }
    }

    async function renew() {
      if (isAsking || document.hidden) {
        return;
      }
      isAsking = true;
      try {
        const answer = await fetch(fragment.dataset.live, {
          headers: { "X-Requested-With": "live" },
          signal: AbortSignal.timeout(SLOW),
        });
        if (answer.redirected || answer.status === 403) {
          location.reload(); // Whoever looks has been logged out.
          return;
        }
        if (!answer.ok) {
          throw new Error(`HTTP ${answer.status}`);
        }
        show(await answer.text());
      } catch (error) {
        say(`The hub does not answer (${error.message}); this is what it said last.`);
      } finally {
        isAsking = false;
        later();
      }
    }

    document.addEventListener("visibilitychange", () => {
      if (document.hidden) {
        clearTimeout(timer);
      } else {
        renew();
      }
    });
    later();
  }

  document.querySelectorAll("[data-live]").forEach(watch);
})();
