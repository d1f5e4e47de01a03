// Times in the reader's own zone: pages say them in UTC, and each names its moment.
const language = document.documentElement.lang;
const format = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
for (const one of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(one.dateTime);
  if (!Number.isNaN(moment.getTime())) {
    one.title = one.textContent;
    one.textContent = format.format(moment);
  }
}

// A step-up by passkey: the page holds what is asked, the form takes the answer. Without a script, or a passkey, a code does.
const stepUp = document.querySelector("form[data-passkey]");
if (stepUp && window.PublicKeyCredential && PublicKeyCredential.parseRequestOptionsFromJSON) {
  stepUp.hidden = false;
  stepUp.addEventListener("submit", async (event) => {
    event.preventDefault();
    const failed = stepUp.querySelector("[role=alert]");
    failed.hidden = true;
    try {
      const asked = JSON.parse(stepUp.dataset.passkey);
      const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(asked);
      const answer = await navigator.credentials.get({ publicKey });
      stepUp.elements.passkey.value = JSON.stringify(answer.toJSON());
    } catch {
      failed.hidden = false;
      return;
    }
    HTMLFormElement.prototype.submit.call(stepUp);
  });
}
