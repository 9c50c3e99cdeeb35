// The console's page: sends files, and shows what the server says about them. Texts become text nodes only.

const STAGES = JSON.parse(document.documentElement.dataset.stages);
const MAX_BYTES = Number(document.documentElement.dataset.maxBytes);
const LAST = STAGES.length - 1;
const UPLOADS_AT_ONCE = 2;
const LABELS = ["negative", "mixed", "neutral", "positive"];

const byId = (id) => document.getElementById(id);
const number = (count) => Number(count).toLocaleString("en");
const plural = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;

// By name: what the server says about a file (null while it is being uploaded again), and what only this page
// knows: an upload under way, or one that was refused.
const rows = new Map();
let counts = STAGES.map(() => 0);
let queued = 0; // files that wait in the queue, as far as it says so

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// ---- rows ----

function row(name) {
  if (!rows.has(name)) {
    const item = element("li");
    byId("files").prepend(item);
    rows.set(name, { name, item, file: null, since: 0, before: null, upload: null, refusal: null });
  }
  return rows.get(name);
}

function draw(entry) {
  const { name, item, file, upload, refusal } = entry;
  const parts = [element("span", { class: "name" }, name)];
  if (upload || file) parts.push(track(upload ? 0 : file.stage, file), outcome(entry));
  if (refusal) {
    const note = element("p", { class: "note problem" }, refusal.message);
    if (refusal.file) {
      const button = element("button", { type: "button" }, "Replace it");
      button.addEventListener("click", () => send(name, refusal.file, true));
      note.append(button);
    }
    parts.push(note);
  } else if (file?.note && !upload) {
    parts.push(element("p", { class: "note" }, file.note));
  }
  item.replaceChildren(...parts);
}

function track(stage, file) {
  const failed = Boolean(file?.receipt?.error);
  const words = `Stage ${stage + 1} of ${STAGES.length}: ${STAGES[stage]}`;
  const shown = element("span", { class: failed ? "track failed" : "track", role: "img", "aria-label": words });
  shown.title = words;
  STAGES.forEach((_, index) => {
    const isDone = index < stage || (index === LAST && stage === LAST && !failed);
    shown.append(element("i", { class: isDone ? "done" : index === stage ? "now" : "" }));
  });
  return shown;
}

function outcome(entry) {
  const { upload, file } = entry;
  const shown = element("div", { class: "outcome" });
  const receipt = file?.receipt;
  if (upload) shown.append(element("p", {}, upload.percent === null ? "Waiting…" : `${STAGES[0]} ${upload.percent}%`));
  else if (!receipt) shown.append(element("p", { class: "pending" }, pending(entry)));
  else if (receipt.error) shown.append(element("p", { class: "problem" }, receipt.error.message));
  else if (receipt.counts) shown.append(...tableOutcome(receipt.counts, receipt.field, file.seconds));
  else shown.append(...verdictOutcome(receipt, file.seconds));
  return shown;
}

// A table may take minutes, and people want to see that something happens.
function pending({ file, since }) {
  const seconds = Math.floor(file.seconds + (performance.now() - since) / 1000);
  return seconds < 2 ? `${STAGES[file.stage]}…` : `${STAGES[file.stage]}… ${number(seconds)} s`;
}

function tick() {
  for (const entry of rows.values()) {
    const shown = entry.item.querySelector(".pending");
    if (shown) shown.textContent = pending(entry);
  }
}

function color(label) {
  return LABELS.includes(label) ? `var(--${label})` : "var(--other-1)";
}

function verdictOutcome({ sentiment, score, needs_review: needsReview }, seconds) {
  const swatch = element("span", { class: "swatch" });
  swatch.style.background = color(sentiment);
  const answer = element("span", { class: "answer" }, swatch, String(sentiment), element("small", {}, Number(score).toFixed(2)));
  return [answer, element("p", {}, facts([needsReview && "needs a look"], seconds))];
}

function tableOutcome({ total, labels = {}, needs_review: needsReview, failed }, field, seconds) {
  const names = Object.keys(labels).sort((a, b) => LABELS.indexOf(a) - LABELS.indexOf(b));
  const said = names.map((name) => `${number(labels[name])} ${name}`).join(", ");
  const bar = element("div", { class: "shares", role: "img", "aria-label": said || "no verdicts" });
  bar.title = said;
  for (const name of names) {
    const part = element("span");
    part.style.flexGrow = labels[name];
    part.style.background = color(name);
    bar.append(part);
  }
  const rest = [
    plural(total, "row"),
    said,
    needsReview > 0 && `${number(needsReview)} to look at`,
    failed > 0 && `${number(failed)} failed`,
    field && `from “${field}”`,
  ];
  return [bar, element("p", {}, facts(rest, seconds))];
}

function facts(parts, seconds) {
  return [...parts, seconds >= 0.1 && `${seconds.toFixed(1)} s`].filter(Boolean).join("\u00a0· ");
}

// ---- what the server says ----

function listen() {
  const events = new EventSource("/events");
  events.addEventListener("message", (event) => {
    byId("stopped").hidden = true;
    show(JSON.parse(event.data));
  });
  events.addEventListener("error", () => {
    byId("stopped").textContent = "The console has stopped. Start it again in the terminal.";
    byId("stopped").hidden = false;
  });
  // A page that is kept for "back" would keep its connection.
  window.addEventListener("pagehide", () => events.close(), { once: true });
}

function show({ isFirst, files, counts: counted, queues }) {
  if (isFirst) {
    for (const entry of [...rows.values()].filter(({ upload }) => !upload)) {
      entry.item.remove();
      rows.delete(entry.name);
    }
  }
  for (const file of files) {
    const entry = row(file.name);
    entry.file = file;
    entry.since = performance.now();
    draw(entry);
  }
  const done = files.filter(({ receipt }) => receipt);
  if (done.length && !isFirst) {
    const last = done.at(-1);
    say(done.length > 1 ? `${plural(done.length, "file")} done` : `${last.name}: ${spoken(last.receipt)}`);
  }
  counts = counted;
  queued = queues?.waiting ?? 0;
  byId("queues").hidden = !queues;
  if (queues) {
    const said = Object.entries(queues).map(([name, count]) => `${number(count)} ${name}`.replaceAll(" ", "\u00a0"));
    byId("queues").textContent = `SQS: ${said.join(" · ")}`;
  }
  drawFlow();
}

function spoken(receipt) {
  if (receipt.error) return receipt.error.message;
  return receipt.counts ? plural(receipt.counts.total, "row") : receipt.sentiment;
}

function say(text) {
  byId("said").textContent = text;
}

function drawFlow() {
  const uploading = [...rows.values()].filter(({ upload }) => upload).length;
  const shown = STAGES.map((stage, index) => {
    // Files that came in other ways are only known to the queue until the function takes them.
    const count = index === 1 ? Math.max(counts[1], queued) : counts[index] + (index === 0 ? uploading : 0);
    const busy = count > 0 && index < LAST;
    return element("li", { class: busy ? "busy" : "" }, element("b", {}, number(count)), stage);
  });
  byId("stages").replaceChildren(...shown);
  byId("empty").hidden = rows.size > 0;
  byId("drop").classList.toggle("small", rows.size > 0);
  byId("report").setAttribute("aria-disabled", String(counts[LAST] === 0));
}

// ---- uploads ----

const waiting = [];
let running = 0;

function send(name, file, replace = false) {
  const entry = row(name);
  entry.refusal = null;
  if (file.size > MAX_BYTES) {
    refuse(entry, `larger than ${MAX_BYTES / 1e6} MB; copy the file to its place instead`);
    return;
  }
  entry.before = entry.file;
  entry.file = null;
  entry.upload = { percent: null };
  draw(entry);
  waiting.push({ entry, file, replace });
  sendNext();
  drawFlow();
}

function sendNext() {
  while (running < UPLOADS_AT_ONCE && waiting.length) {
    running += 1;
    const { entry, file, replace } = waiting.shift();
    const request = new XMLHttpRequest(); // fetch does not report how much it has sent
    request.open("POST", `/files?${new URLSearchParams({ name: entry.name, ...(replace && { replace: "1" }) })}`);
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      entry.upload = { percent: total ? Math.round((100 * loaded) / total) : 100 };
      draw(entry);
    });
    request.addEventListener("loadend", () => {
      running -= 1;
      finish(entry, file, request);
      sendNext();
    });
    request.send(file);
  }
}

function finish(entry, file, request) {
  entry.upload = null;
  if (request.status === 201) {
    // The first event about the file may have come before this answer.
    if (!entry.file) {
      entry.file = { name: entry.name, stage: 1, note: "", seconds: 0, receipt: null };
      entry.since = performance.now();
    }
    draw(entry);
  } else {
    entry.file ??= entry.before;
    const isTaken = request.status === 409;
    refuse(entry, isTaken ? "A file with this name already exists." : reason(request), isTaken ? file : null);
  }
  drawFlow();
}

function reason(request) {
  try {
    return JSON.parse(request.responseText).message;
  } catch {
    return "The file could not be sent; is the console still running?";
  }
}

function refuse(entry, message, file = null) {
  entry.refusal = { message, file };
  draw(entry);
  drawFlow();
  say(`${entry.name}: ${message}`);
}

// ---- files that are dropped or chosen ----

async function* filesOf(entry, prefix = "") {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    yield { name: `${prefix}${entry.name}`, file };
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    // Each call returns some of the entries, and the last one none.
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!entries.length) return;
    for (const child of entries) {
      if (!child.name.startsWith(".")) yield* filesOf(child, `${prefix}${entry.name}_`);
    }
  }
}

async function take(transfer) {
  // The items are gone after the first pause.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) {
    for (const file of transfer.files) send(file.name, file);
    return;
  }
  for (const entry of entries) {
    try {
      for await (const { name, file } of filesOf(entry)) send(name, file);
    } catch {
      refuse(row(entry.name), "The browser could not read it.");
    }
  }
}

function acceptDrops() {
  let depth = 0; // the pointer enters and leaves each element of the page
  const mark = (change) => {
    depth = Math.max(0, depth + change);
    byId("drop").classList.toggle("over", depth > 0);
  };
  document.addEventListener("dragenter", () => mark(1));
  document.addEventListener("dragleave", () => mark(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(-depth);
    take(event.dataTransfer);
  });
  byId("choose").addEventListener("click", () => byId("picker").click());
  byId("picker").addEventListener("change", ({ target }) => {
    for (const file of target.files) send(file.name, file);
    target.value = "";
  });
}

// ---- the report ----

async function openReport(event) {
  if (event.metaKey || event.ctrlKey || event.shiftKey) return; // a tab of its own
  event.preventDefault();
  const link = byId("report");
  if (link.getAttribute("aria-disabled") === "true") {
    say("There are no results yet.");
    return;
  }
  const label = link.textContent;
  link.textContent = "Making the report…";
  say("Making the report…");
  try {
    const answer = await fetch("/report"); // the server keeps it for the visit that follows
    if (!answer.ok) throw new Error((await answer.json()).message);
    await answer.text();
    location.assign("/report");
  } catch (error) {
    byId("stopped").textContent = `The report cannot be made: ${error.message}`;
    byId("stopped").hidden = false;
  } finally {
    link.textContent = label;
  }
}

byId("report").addEventListener("click", openReport);
// Comes from "back" with a connection that was closed.
window.addEventListener("pageshow", ({ persisted }) => persisted && listen());
acceptDrops();
drawFlow();
setInterval(tick, 1000);
listen();
