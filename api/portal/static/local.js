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
