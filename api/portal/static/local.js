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

// Passkeys: the page holds what is asked, the form takes the answer. Without a script, or a passkey, a code does.
const lends = window.PublicKeyCredential;
if (lends?.parseRequestOptionsFromJSON && lends.parseCreationOptionsFromJSON) {
  document.querySelector("[data-no-passkeys]")?.setAttribute("hidden", "");
  const form = document.querySelector("form[data-passkey]");
  if (form) offerPasskey(form);
}

function offerPasskey(form) {
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const failed = form.querySelector("[role=alert]");
    failed.hidden = true;
    try {
      form.elements.passkey.value = JSON.stringify((await shown(form.dataset)).toJSON());
    } catch {
      failed.hidden = false;
      return;
    }
    HTMLFormElement.prototype.submit.call(form);
  });
}

function shown({ passkey, creates }) {
  const asked = JSON.parse(passkey);
  return creates === undefined
    ? navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(asked) })
    : navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(asked) });
}
