// Buttons that copy a text: <button data-copy="ID OF AN ELEMENT">. Hidden where there is no clipboard
// (a page without TLS): the text is selected as a whole by a click then.
"use strict";

document.querySelectorAll("[data-copy]").forEach((button) => {
  if (!navigator.clipboard) {
    return;
  }
  const before = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copy).textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch (error) {
      button.textContent = `Not copied: ${error.message}`;
    }
    setTimeout(() => {
      button.textContent = before;
    }, 3000);
  });
});
