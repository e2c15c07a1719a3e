// Security keys (WebAuthn) at the console: asks the browser for what the hub has asked for.
"use strict";

(() => {
  const bytes = (text) => {
    const plain = text.replace(/-/g, "+").replace(/_/g, "/");
    return Uint8Array.from(atob(plain), (letter) => letter.charCodeAt(0));
  };
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replace(/\+/g, "-")
      .replace(/\//g, "_")
      .replace(/=+$/, "");

  const read = (options) => {
    const asked = options.publicKey;
    asked.challenge = bytes(asked.challenge);
    if (asked.user) asked.user.id = bytes(asked.user.id);
    for (const list of [asked.excludeCredentials, asked.allowCredentials]) {
      for (const one of list || []) one.id = bytes(one.id);
    }
    return { publicKey: asked };
  };

  const written = (credential) => {
    const response = { clientDataJSON: text(credential.response.clientDataJSON) };
    for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[name]) response[name] = text(credential.response[name]);
    }
    return {
      id: credential.id,
      rawId: text(credential.rawId),
      type: credential.type,
      response,
      clientExtensionResults: {},
    };
  };

  const post = async (url, box, body) => {
    const answer = await fetch(url, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        "X-CSRFToken": box.querySelector("[name=csrfmiddlewaretoken]").value,
      },
      body: body ? JSON.stringify(body) : undefined,
    });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.problem || "The hub has refused it.");
    return told;
  };

  const showCodes = (box, codes) => {
    const list = box.querySelector("pre");
    list.textContent = `Your recovery codes, shown only now:\n\n${codes.join("\n")}`;
    list.hidden = false;
    list.id = "recovery-codes";
  };

  const run = async (box) => {
    const isNew = box.dataset.secondFactor === "add";
    const options = read(await post(box.dataset.url, box));
    const made = isNew
      ? await navigator.credentials.create(options)
      : await navigator.credentials.get(options);
    const name = isNew ? box.querySelector("input[type=text]").value : "";
    const query = isNew ? { name } : { next: box.dataset.next };
    const url = `${box.dataset.url}?${new URLSearchParams(query)}`;
    const told = await post(url, box, written(made));
    if (told.codes) showCodes(box, told.codes);
    else window.location.assign(told.next);
  };

  for (const box of document.querySelectorAll("[data-second-factor]")) {
    const problem = box.querySelector(".console-problem");
    const button = box.querySelector("button, a");
    if (!window.PublicKeyCredential) {
      problem.textContent = "This browser has no security keys here: they need https, or localhost.";
      continue;
    }
    button.addEventListener("click", async (event) => {
      event.preventDefault();
      problem.textContent = "";
      try {
        await run(box);
      } catch (error) {
        problem.textContent = error.message;
      }
    });
  }
})();
