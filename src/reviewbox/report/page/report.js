"use strict";
// The report's charts, filters and lists. The page's data is in <script id="data">; the state is in the address.
(() => {
  const $ = (id) => document.getElementById(id);
  const NONE = -1;
  const PAGE_SIZE = 10;
  const PHRASES_SHOWN = 12;
  const LONGEST_GAP = 12; // periods without reviews that have a place on the axis of time
  const BREAK = "before ";
  const SCROLL = { class: "scroll", tabindex: "0", role: "group", "aria-label": "Table" }; // arrow keys scroll it
  const KNOWN = ["negative", "mixed", "neutral", "positive"];
  const VIEWS = {
    uncertain: "Uncertain",
    mixed: "Praise and blame",
    blame: "Strongest blame",
    praise: "Strongest praise",
    disagrees: "Disagrees with the rating",
    all: "Random sample",
  };
  let data, state, open, chartWidth = 0;

  // --- small tools -------------------------------------------------------------------------------------

  /** Return an element. Texts are always set as text, never as markup. */
  function h(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (value === true) element.setAttribute(key, "");
      else if (value !== false && value != null) element.setAttribute(key, value);
    }
    element.append(...children.flat().filter((child) => child != null && child !== false));
    return element;
  }
  const number = (value) => Math.round(value).toLocaleString("en-US");
  const percent = (share) => `${(100 * share).toFixed(1)}%`;
  const many = (count, noun) => `${number(count)} ${noun}${Math.round(count) === 1 ? "" : "s"}`;
  const sum = (values) => values.reduce((total, value) => total + value, 0);

  /** The 95% score interval of a share (Wilson 1927), as the first table of the page has it. */
  function wilson(count, total) {
    if (!total) return { low: 0, high: 1 };
    const z = 1.959964, share = count / total, scale = 1 + (z * z) / total;
    const center = share + (z * z) / (2 * total);
    const margin = z * Math.sqrt((share * (1 - share)) / total + (z * z) / (4 * total * total));
    return { low: Math.max(0, (center - margin) / scale), high: Math.min(1, (center + margin) / scale) };
  }
  const range = ({ low, high }) => `${(100 * low).toFixed(1)}–${(100 * high).toFixed(1)}%`;

  /** The name of a label's color: labels of other models get colors of their own. */
  function hue(label) {
    const name = data.labels[label];
    return KNOWN.includes(name) ? name : `other-${(label % 2) + 1}`;
  }
  /** The label of a sentence by itself, or nothing. */
  const said = (segment) => data.said[segment[1]];
  const color = (label) => `var(--${hue(label)})`;
  const onColor = (label) => `var(--on-${hue(label)})`;
  const swatch = (label) => h("span", { class: "swatch", style: `background:${color(label)}`, "aria-hidden": "true" });

  async function readData() {
    const bytes = Uint8Array.from(atob($("data").textContent), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  // --- the state, which the address holds --------------------------------------------------------------

  function readState() {
    const parameters = new URLSearchParams(location.hash.slice(1));
    const filters = {};
    data.dimensions.forEach((dimension, index) => {
      const code = dimension.values.indexOf(parameters.get(`is.${dimension.name}`) ?? "\0");
      if (code >= 0) filters[index] = code;
    });
    const labels = (parameters.get("answer") ?? "").split(",").map((name) => data.labels.indexOf(name));
    const views = availableViews();
    return {
      search: parameters.get("search") ?? "",
      labels: labels.filter((label) => label >= 0),
      needsReview: parameters.get("look") === "1",
      filters,
      by: Math.max(0, data.dimensions.findIndex((dimension) => dimension.name === parameters.get("by"))),
      view: views.includes(parameters.get("view")) ? parameters.get("view") : views[0],
      review: parameters.has("review") ? Number(parameters.get("review")) : NONE,
      shown: PAGE_SIZE,
    };
  }

  function writeState() {
    const parameters = new URLSearchParams();
    if (state.search) parameters.set("search", state.search);
    if (state.labels.length) parameters.set("answer", state.labels.map((label) => data.labels[label]).join(","));
    if (state.needsReview) parameters.set("look", "1");
    for (const [index, code] of Object.entries(state.filters)) {
      parameters.set(`is.${data.dimensions[index].name}`, data.dimensions[index].values[code]);
    }
    if (state.by) parameters.set("by", data.dimensions[state.by].name);
    if (state.view !== availableViews()[0]) parameters.set("view", state.view);
    if (state.review !== NONE) parameters.set("review", state.review);
    const hash = parameters.toString();
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  }

  function change(changes) {
    Object.assign(state, { shown: PAGE_SIZE }, changes);
    writeState();
    drawAll();
  }

  function setFilter(index, code) {
    const filters = { ...state.filters };
    if (code === NONE || filters[index] === code) delete filters[index];
    else filters[index] = code;
    change({ filters });
  }

  const isFiltered = () =>
    Boolean(state.search || state.labels.length || state.needsReview || Object.keys(state.filters).length);

  // --- counting ----------------------------------------------------------------------------------------

  /** Whether a review passes the filters; `code(index)` is its value in a dimension. */
  function passes(label, needsReview, code) {
    if (state.labels.length && !state.labels.includes(label)) return false;
    if (state.needsReview && !needsReview) return false;
    for (const index in state.filters) if (code(index) !== state.filters[index]) return false;
    return true;
  }

  /** What a search compares: people type neither curly quotes nor line breaks. */
  const plain = (text) => text.normalize().toLowerCase().replace(/[‘’]/g, "'").replace(/[“”„]/g, '"').replace(/\s+/g, " ");
  const reviewText = (review) => (review.plain ??= plain(review.segments.map((s) => s[0]).join("")));
  const reviewSource = (review) => (review.plainSource ??= plain(review.source));
  function reviewPasses(review) {
    if (!passes(review.label, review.needsReview, (index) => review.codes[index])) return false;
    if (!state.search) return true;
    const words = plain(state.search);
    return reviewText(review).includes(words) || reviewSource(review).includes(words);
  }

  /** Count the reviews that pass: per label, and per value of each dimension. `scale` makes counts of all. */
  function count() {
    const empty = () => data.labels.map(() => 0);
    if (!isFiltered()) {
      const exact = { labels: data.counts, tables: data.dimensions.map((dimension) => dimension.counts) };
      return { ...exact, sample: data.total, scale: 1, kind: "all" };
    }
    const result = { labels: empty(), tables: data.dimensions.map((d) => d.values.map(empty)), scale: 1 };
    const add = (label, codeOf) => {
      result.labels[label] += 1;
      result.tables.forEach((table, index) => table[codeOf(index)] && (table[codeOf(index)][label] += 1));
    };
    if (state.search) {
      const sampled = data.reviews.filter((review) => review.isSampled);
      for (const review of sampled) if (reviewPasses(review)) add(review.label, (index) => review.codes[index]);
      return { ...result, sample: sampled.length, kind: "texts" };
    }
    const { label, needsReview, codes } = data.rows;
    for (let row = 0; row < label.length; row++) {
      const codeOf = (index) => codes[index][row];
      if (passes(label[row], needsReview[row], codeOf)) add(label[row], codeOf);
    }
    return { ...result, sample: label.length, scale: data.total / label.length, kind: "rows" };
  }

  function stateText(counts) {
    const found = sum(counts.labels);
    if (counts.kind === "all") return data.total > 1 ? `All ${many(data.total, "review")}.` : data.total ? "1 review." : "No review has an answer.";
    if (counts.kind === "texts") {
      return `${many(found, "review")} of the ${number(counts.sample)} whose texts are on this page.`;
    }
    if (counts.scale === 1) return `${many(found, "review")} of ${number(data.total)}.`;
    const about = number(found * counts.scale);
    return `About ${about} of ${many(data.total, "review")}, estimated from ${number(counts.sample)} chosen at random.`;
  }

  // --- charts ------------------------------------------------------------------------------------------

  /** Put a chart into its place, with a name for screen readers. A table with the same numbers is near it. */
  function place(container, label, options) {
    container.replaceChildren(
      Plot.plot({
        width: Math.max(260, container.clientWidth || 640),
        style: { fontSize: "13px", fontFamily: "inherit", background: "transparent", color: "var(--ink)" },
        ariaLabel: label,
        ...options,
      }),
    );
    // The picture has one name. Its parts are not for screen readers, which get the table.
    for (const part of container.querySelectorAll("svg [aria-label], svg [aria-description]")) {
      part.removeAttribute("aria-label");
      part.removeAttribute("aria-description");
    }
    container.querySelector("svg").setAttribute("role", "img");
  }
  /** The space for the names of the labels beside a chart; other models may have longer names. */
  const labelMargin = () => Math.max(78, 14 + 7.5 * Math.max(...data.labels.map((name) => name.length)));
  const labelColors = () => ({ domain: data.labels, range: data.labels.map((_, label) => color(label)) });

  function drawShares(counts) {
    const total = sum(counts.labels);
    const shares = data.labels.map((name, label) => {
      const value = counts.labels[label];
      return { name, label, share: total ? value / total : 0, ...wilson(value, total), value };
    });
    const most = Math.max(0.05, ...shares.map((s) => (total ? s.high : 0)));
    place(document.querySelector('[data-chart="shares"]'), `Share of each answer: ${shares.map((s) => `${s.name} ${percent(s.share)}`).join(", ")}`, {
      height: 28 + 44 * shares.length,
      marginLeft: labelMargin(), marginRight: 64,
      x: { axis: null, domain: [0, most] },
      y: { label: null, domain: data.labels, tickSize: 0 },
      color: labelColors(),
      marks: [
        Plot.barX(shares, { x: "share", y: "name", fill: "name", insetTop: 7, insetBottom: 7, rx: 3 }),
        total ? Plot.ruleY(shares, { x1: "low", x2: "high", y: "name", stroke: "var(--ink)", strokeWidth: 1.5, marker: "tick" }) : null,
        Plot.text(shares, { x: (s) => (total ? s.high : 0), y: "name", text: (s) => percent(s.share), textAnchor: "start", dx: 8, fill: "var(--ink)", fontWeight: 600 }),
      ],
    });
    $("share-table").tBodies[0].replaceChildren(
      ...shares.map((s) =>
        h("tr", {},
          h("th", { scope: "row" }, s.name),
          h("td", {}, percent(s.share)),
          h("td", {}, total ? range(s) : "–"),
          h("td", {}, number(s.value * counts.scale)),
        ),
      ),
    );
  }

  /** Names for the axis of a chart. Long names that would look the same are cut so that they show where they differ. */
  function shortNames(names, longest) {
    const half = longest / 2;
    const middleCut = names.map((name) => (name.length > longest ? `${name.slice(0, half - 1)}…${name.slice(-half)}` : name));
    return names.map((name, index) => {
      const short = middleCut[index];
      if (middleCut.indexOf(short) === middleCut.lastIndexOf(short)) return short;
      const same = Math.max(...names.map((other) => (other === name ? 0 : commonLength(name, other))));
      const start = Math.max(same - half, name.lastIndexOf(" ", same) + 1);
      const rest = name.slice(start);
      return `${start ? "…" : ""}${rest.length > longest - 2 ? `${rest.slice(0, longest - 3)}…` : rest}`;
    });
  }
  function commonLength(one, other) {
    let length = 0;
    while (length < one.length && one[length] === other[length]) length++;
    return length;
  }

  function dimensionRows(counts, index) {
    const dimension = data.dimensions[index];
    return dimension.values
      .map((value, code) => ({ value, code, counts: counts.tables[index][code], total: sum(counts.tables[index][code]) }))
      .filter((row) => row.total > 0);
  }

  function comparable() {
    return data.dimensions.map((d, index) => index).filter((index) => data.dimensions[index].kind !== "date");
  }

  function drawDifferences(counts) {
    const section = $("differences");
    const choices = comparable();
    section.hidden = !choices.length;
    if (!choices.length) return;
    const by = choices.includes(state.by) ? state.by : choices[0];
    const dimension = data.dimensions[by];
    const rows = dimensionRows(counts, by);
    const shown = rows.slice(0, 15);
    const chart = h("div", { class: "chart" });
    const buttons = choices.map((index) =>
      h("button", { type: "button", "aria-pressed": String(index === by), onclick: () => change({ by: index }) }, data.dimensions[index].name),
    );
    rebuild(section, [
      h("h2", { id: "differences-title" }, "Where do the answers differ?"),
      h("div", { class: "group", role: "group", "aria-label": "Compare by" }, buttons),
      legend(),
      chart,
      rows.length > shown.length && h("p", { class: "hint" }, `${shown.length} of ${rows.length} values are drawn; all are in the table.`),
      dimension.note && h("p", { class: "hint" }, dimension.note),
      rows.length ? shareTable(dimension.name, rows, counts, (row) => () => setFilter(by, row.code), by) : nothing(),
    ]);
    if (!rows.length) return;
    const parts = shown.flatMap((row) => {
      let start = 0;
      return data.labels.map((name, label) => {
        const share = row.counts[label] / row.total;
        start += share;
        return { value: row.value, name, label, share, x1: start - share, x2: start, total: row.total };
      });
    });
    const isNarrow = chart.clientWidth < 480;
    const names = shortNames(shown.map((row) => row.value), isNarrow ? 14 : 24);
    const left = Math.min(190, 20 + 7 * Math.max(...names.map((name) => name.length)));
    const width = (part) => part.share * (chart.clientWidth - left - 62);
    // Where there is room, a part is named, because not everyone can tell the colors apart.
    const partLabel = (part) => {
      const named = `${part.name} ${Math.round(100 * part.share)}`;
      return 6.5 * named.length + 8 < width(part) ? named : `${Math.round(100 * part.share)}`;
    };
    place(chart, `Share of each answer by ${dimension.name}`, {
      height: 40 + 34 * shown.length,
      marginLeft: left, marginRight: 62, marginTop: 8,
      x: { percent: true, label: null, grid: false, domain: [0, 100], ticks: isNarrow ? 2 : 5, tickFormat: (d) => `${d}%` },
      y: { label: null, domain: shown.map((row) => row.value), tickSize: 0, tickFormat: (_, index) => names[index] },
      color: labelColors(),
      marks: [
        Plot.barX(parts, { x1: "x1", x2: "x2", y: "value", fill: "name", insetTop: 3, insetBottom: 3, insetRight: 1, title: (d) => `${d.value}: ${percent(d.share)} ${d.name}` }),
        Plot.text(parts.filter((d) => width(d) > 22), { x: (d) => (d.x1 + d.x2) / 2, y: "value", text: partLabel, fill: (d) => onColor(d.label), pointerEvents: "none" }),
        Plot.text(shown, { x: 1, y: "value", text: (row) => number(row.total * counts.scale), textAnchor: "start", dx: 8, fill: "var(--soft)" }),
      ],
    });
  }

  const nothing = (where = "") => h("p", { class: "notice" }, `No review${where} passes the filters.`);
  const legend = () =>
    h("p", { class: "legend" }, data.labels.map((name, label) => h("span", {}, swatch(label), ` ${name}`)));

  /** A table of the shares by value; its buttons filter, so that a keyboard can do all that a pointer can. */
  function shareTable(title, rows, counts, onPick, index) {
    const head = ["reviews", ...data.labels];
    return h("details", { class: "table", "data-keep": `table-${title}` },
      h("summary", {}, "Table, with ranges and filters"),
      h("div", SCROLL,
        h("table", {},
          h("thead", {}, h("tr", {}, h("th", { scope: "col" }, title), head.map((name) => h("th", { scope: "col" }, name)))),
          h("tbody", {}, rows.map((row) =>
            h("tr", {},
              h("th", { scope: "row" }, h("button", { type: "button", class: "link", "aria-pressed": null, onclick: onPick(row), "aria-label": `${state.filters[index] === row.code ? "Do not filter" : "Filter"} by ${title} ${row.value}` }, row.value)),
              h("td", {}, number(row.total * counts.scale)),
              row.counts.map((value) => h("td", {}, `${percent(value / row.total)} (${range(wilson(value, row.total))})`)),
            ))),
        )));
  }

  /** The period after a day, month or year. */
  function next(period) {
    const unit = [d3.utcYear, d3.utcMonth, d3.utcDay][period.split("-").length - 1];
    return unit.offset(new Date(period), 1).toISOString().slice(0, period.length);
  }

  /** The periods from the first to the last, including those without reviews. A break replaces many of these. */
  function course(periods) {
    const all = [];
    for (const period of periods) {
      const missing = [];
      for (let at = all.at(-1); at && missing.length <= LONGEST_GAP; ) {
        at = next(at);
        if (at >= period) break;
        missing.push(at);
      }
      all.push(...(missing.length > LONGEST_GAP ? [`${BREAK}${period}`] : missing), period);
    }
    return all;
  }
  const isBreak = (period) => period.startsWith(BREAK);

  function drawTime(counts) {
    const section = $("time");
    const index = data.dimensions.findIndex((dimension) => dimension.kind === "date");
    section.hidden = index < 0;
    if (index < 0) return;
    const dimension = data.dimensions[index];
    const rows = dimensionRows(counts, index);
    const chart = h("div", { class: "chart" }), volume = h("div", { class: "chart" });
    const periods = course(rows.map((row) => row.value));
    const breaks = periods.filter(isBreak);
    const breakHint = breaks.length ? " A dotted line stands for a long period without reviews." : "";
    rebuild(section, [
      h("h2", { id: "time-title" }, "How have they changed?"),
      rows.length ? null : nothing(),
      chart, volume,
      h("p", { class: "hint" }, `By ${dimension.name}. The bands are 95% intervals: they are wide where there are few reviews.${breakHint} ${dimension.note}`),
      rows.length > 0 && shareTable(dimension.name, rows, counts, (row) => () => setFilter(index, row.code), index),
    ]);
    if (!rows.length) return;
    const answers = data.labels.map((name, label) => ({ name, label }));
    const sides = answers.filter(({ name }) => name === "negative" || name === "positive" || !KNOWN.includes(name));
    const lines = sides.length ? sides : answers;
    const points = lines.flatMap(({ name, label }) =>
      rows.map((row) => ({ period: row.value, name, label, share: row.counts[label] / row.total, ...wilson(row.counts[label], row.total), total: row.total })),
    );
    // A point without numbers interrupts a line.
    const lined = d3.sort([...points, ...lines.flatMap(({ name }) => breaks.map((period) => ({ period, name, share: NaN, low: NaN, high: NaN })))], (point) => periods.indexOf(point.period));
    const every = Math.ceil(periods.length / Math.max(2, Math.floor(section.clientWidth / 95)));
    const ticks = periods.filter((period, position) => position % every === 0 && !isBreak(period));
    const x = { type: "point", domain: periods, label: null, ticks, tickSize: 4 };
    const last = rows.at(-1)?.value;
    const top = Math.max(0.1, ...points.map((point) => point.high));
    const layout = { marginLeft: 48, marginRight: labelMargin() };
    // The names of lines that end close together are apart, in the order of the lines.
    const ends = d3.sort(points.filter((point) => point.period === last), (point) => point.share).map((point) => ({ ...point }));
    ends.forEach((end, above) => { end.at = Math.max(end.share, above ? ends[above - 1].at + 0.07 * top : 0); });
    place(chart, `Share of ${lines.map((line) => line.name).join(" and ")} reviews over time`, {
      height: 260, ...layout, x: { ...x, axis: null },
      y: { label: null, grid: true, domain: [0, top], tickFormat: (d) => `${Math.round(100 * d)}%`, ticks: 5 },
      color: labelColors(), symbol: { domain: lines.map((l) => l.name), range: ["diamond", "circle"] },
      marks: [
        Plot.ruleX(breaks, { stroke: "var(--soft)", strokeDasharray: "2 4" }),
        Plot.areaY(lined, { x: "period", y1: "low", y2: "high", fill: "name", z: "name", fillOpacity: 0.16 }),
        lines.map(({ name }) => Plot.lineY(lined.filter((p) => p.name === name), { x: "period", y: "share", stroke: "name", strokeWidth: 2.2, strokeDasharray: name === "negative" ? "6 3" : null })),
        rows.length <= 40 ? Plot.dot(points, { x: "period", y: "share", fill: "name", symbol: "name", r: 3.2, title: (d) => `${d.period}: ${percent(d.share)} ${d.name} of ${number(d.total)}` }) : null,
        Plot.text(ends, { x: "period", y: "at", text: "name", textAnchor: "start", dx: 10, fill: "var(--ink)", fontWeight: 600 }),
      ],
    });
    place(volume, "Number of reviews over time", {
      height: 90, ...layout, x, marginTop: 6,
      y: { label: null, ticks: 2, tickFormat: (d) => (Number.isInteger(d) ? d3.format("~s")(d) : ""), grid: true },
      marks: [
        Plot.ruleX(rows, { x: "value", y1: 0, y2: (row) => row.total * counts.scale, stroke: "var(--soft)", strokeWidth: Math.max(1.5, Math.min(14, (0.5 * section.clientWidth) / periods.length)), title: (row) => `${row.value}: ${number(row.total * counts.scale)}` }),
        Plot.ruleY([0], { stroke: "var(--line)" }),
      ],
    });
  }

  function drawPhrases() {
    const section = $("phrases");
    section.hidden = !data.reviews.some((review) => review.segments.some(([, label]) => label >= 0)) && !data.phrases.length;
    if (section.hidden) return;
    const passing = data.reviews.map((review) => review.isSampled && reviewPasses(review));
    const basis = data.reviews.filter((review, index) => passing[index] && review.segments.some((s) => s[1] >= 0)).length;
    const side = (name, title) => {
      const found = data.phrases
        .filter((phrase) => phrase.label === name)
        .map((phrase) => ({ ...phrase, mentions: phrase.mentions.filter(([review]) => passing[review]) }))
        .filter((phrase) => phrase.mentions.length)
        .sort((a, b) => b.mentions.length - a.mentions.length)
        .slice(0, PHRASES_SHOWN);
      const most = Math.max(1, ...found.map((phrase) => phrase.mentions.length));
      return h("div", {}, h("h3", {}, title),
        found.length > 0 && h("ol", { class: "phrases" }, found.map((phrase) => phraseItem(phrase, most))),
        found.length < 5 && clearest(name, passing));
    };
    rebuild(section, [
      h("h2", { id: "phrases-title" }, "What do people praise and blame?"),
      h("div", { class: "sides" }, side("negative", "They blame"), side("positive", "They praise")),
      h("p", { class: "hint" },
        `Words and phrases from sentences that blame or praise, counted once per review. They come from ${data.scored < data.total ? `${many(data.scored, "review")} chosen at random` : "all reviews"}${data.otherLanguage ? " whose language the model knows" : ""}`,
        isFiltered() && basis ? `, ${number(basis)} of which pass the filters.` : ".",
        data.sentencesBy ? ` ${data.sentencesBy}` : ""),
    ]);
  }

  /** The sentences that praise or blame most clearly, for a side with few phrases. */
  function clearest(side, passing) {
    const sentences = data.reviews.flatMap((review, index) => passing[index] && !review.otherLanguage ? review.segments.filter((segment) => said(segment) === side && [side, "mixed"].includes(data.labels[review.label])) : []);
    const texts = new Set(sentences.sort((a, b) => b[2] - a[2]).map(([text]) => text));
    if (!texts.size) return h("p", { class: "hint" }, "No phrase is frequent enough.");
    return [h("p", { class: "hint" }, "The clearest sentences:"), h("ul", { class: "examples" }, [...texts].slice(0, 5).map((text) => h("li", { dir: "auto" }, text)))];
  }

  function phraseItem(phrase, most) {
    const count = phrase.mentions.length;
    const bar = h("span", { class: "bar", "aria-hidden": "true" }, h("span", { style: `width:${(100 * count) / most}%;background:var(--${phrase.label})` }));
    const examples = h("ul", { class: "examples" });
    const fill = () => {
      const texts = new Set(phrase.mentions.map(([review, segment]) => data.reviews[review].segments[segment][0].trim()));
      examples.replaceChildren(...[...texts].slice(0, 4).map((text) => h("li", { dir: "auto" }, marked(text, phrase.text))));
    };
    return h("li", {},
      h("details", { "data-keep": `phrase-${phrase.label}-${phrase.text}`, ontoggle: data.isRedacted ? null : fill },
        h("summary", {}, h("span", { class: "name" }, phrase.text), bar, h("span", { class: "count" }, number(count))),
        data.isRedacted ? h("p", { class: "hint" }, "This page does not contain the texts.") : examples,
        !data.isRedacted && h("p", {}, h("button", { type: "button", class: "link", onclick: () => showAll({ search: phrase.text }) }, `Show the reviews with “${phrase.text}”`)),
      ));
  }

  function showAll(changes) {
    change({ view: "all", ...changes });
    $("reviews").scrollIntoView();
  }

  /** Return a sentence with a phrase marked, as text. */
  function marked(sentence, phrase) {
    const at = sentence.toLowerCase().replaceAll("’", "'").indexOf(phrase);
    if (at < 0) return [sentence];
    return [sentence.slice(0, at), h("mark", {}, sentence.slice(at, at + phrase.length)), sentence.slice(at + phrase.length)];
  }

  // --- reviews -----------------------------------------------------------------------------------------

  const availableViews = () => Object.keys(VIEWS).filter((view) => view === "all" || data.reviews.some((review) => review.views.includes(view)));
  const inView = (review, view) => (view === "all" ? review.isSampled : review.views.includes(view));

  function viewOrder(view) {
    const order = view === "uncertain" ? 1 : -1;
    return (a, b) => (view === "all" ? 0 : order * (a.review.score - b.review.score));
  }

  function listed(view) {
    return data.reviews
      .map((review, index) => ({ review, index }))
      .filter(({ review }) => inView(review, view) && reviewPasses(review))
      .sort(viewOrder(view));
  }

  function drawReviews() {
    const section = $("reviews");
    section.hidden = !data.reviews.length;
    if (!data.reviews.length) return;
    const found = listed(state.view);
    if (state.review !== NONE && data.reviews[state.review] && !found.some(({ index }) => index === state.review)) {
      found.unshift({ review: data.reviews[state.review], index: state.review });
    }
    const position = found.findIndex(({ index }) => index === state.review);
    const shown = found.slice(0, Math.max(state.shown, position + 1));
    const hints = {
      uncertain: "Someone should check these: their score is low, or they are in another language. The least certain come first.",
      mixed: "They praise and blame. The most certain come first.",
      blame: "The model is most certain about these.",
      praise: "The model is most certain about these.",
      disagrees: "The text says the opposite of the rating.",
      all: "Chosen at random, so their shares are those of all reviews.",
    };
    rebuild(section, [
      h("h2", { id: "reviews-title" }, "Which reviews should you read first?"),
      h("div", { class: "group", role: "group", "aria-label": "Lists of reviews" },
        availableViews().map((view) => h("button", { type: "button", "aria-pressed": String(view === state.view), onclick: () => change({ view, review: NONE }) }, VIEWS[view]))),
      h("p", { class: "hint" }, `${hints[state.view]} ${found.length ? `${many(found.length, "review")} on this page.` : ""}`),
      found.length ? reviewList(shown) : nothing(" in this list"),
      found.length > shown.length && h("button", { type: "button", onclick: () => { state.shown = shown.length + PAGE_SIZE; drawReviews(); } }, `Show ${Math.min(PAGE_SIZE, found.length - shown.length)} more`),
    ]);
  }

  const reviewList = (items) => h("ol", { class: "reviews" }, items.map(({ review, index }) => reviewItem(review, index)));

  function reviewItem(review, index) {
    const text = review.segments.map((segment) => segment[0]).join("");
    // The file comes last, because its name may be cut.
    const where = [review.line && `line ${number(review.line)}`, review.otherLanguage && "other language", review.source.split("/").at(-1)].filter(Boolean).join(" · ");
    const full = h("div", { class: "full" });
    const isOpen = index === state.review;
    const fill = () => full.childElementCount || full.append(...fullReview(review));
    if (isOpen) fill();
    const toggle = (event) => {
      if (event.target.open) fill();
      const review = event.target.open ? index : state.review === index ? NONE : state.review;
      if (review !== state.review) { state.review = review; writeState(); }
    };
    return h("li", {},
      h("details", { open: isOpen, ontoggle: toggle },
        h("summary", {},
          h("span", { class: "verdict" }, swatch(review.label), h("span", {}, data.labels[review.label]), h("small", {}, review.score.toFixed(2))),
          h("span", { class: "excerpt", lang: "", dir: "auto" }, text.trim().slice(0, 220) || (data.isRedacted ? "text left out" : "text not available")),
          h("span", { class: "where" }, where)),
        full));
  }

  function fullReview(review) {
    const says = (segment) => {
      const [text, , score, isEvidence] = segment;
      const name = said(segment);
      if (!KNOWN.includes(name) || name === "neutral") return isEvidence ? h("span", { class: "is-evidence" }, text) : text;
      const sure = score ? `, ${percent(score)} sure` : "";
      const strength = score ? Math.round(8 + 24 * Math.max(0, (score - 0.4) / 0.6)) : 20;
      return h("span", { class: `says says-${name}${isEvidence ? " is-evidence" : ""}`, style: `--strength:${strength}%`, title: `By itself: ${name}${sure}${isEvidence ? "; named as evidence" : ""}` }, text);
    };
    const facts = [
      ["file", review.source],
      review.line ? ["line", number(review.line)] : null,
      ["answer", `${data.labels[review.label]}, ${percent(review.score)} sure`],
      review.needsReview ? ["check", "needed"] : null,
      review.otherLanguage ? ["language", "other than the model's"] : null,
      ...data.dimensions.map((dimension, index) => (!["file", "language"].includes(dimension.kind) && review.codes[index] >= 0 ? [dimension.name, dimension.values[review.codes[index]]] : null)),
    ];
    const known = new Set(review.segments.map(said));
    const isScored = review.segments.some((segment) => said(segment));
    const key = [["positive", "praise"], ["negative", "blame"], ["mixed", "both"]].filter(([name]) => known.has(name));
    return [
      review.segments.length ? h("div", { class: "text", lang: "", dir: "auto" }, review.segments.map(says), review.isCut && " … (the rest is not on this page)") : null,
      key.length ? h("p", { class: "legend" }, key.map(([name, text]) => h("span", {}, h("span", { class: `says says-${name}`, style: "--strength:18%" }, text))), review.segments.some((s) => s[3]) && h("span", { class: "is-evidence" }, "named as evidence")) : null,
      review.segments.length > 0 && !isScored ? h("p", { class: "hint" }, "The sentences of this review were not classified one by one; the option --sentences sets how many are.") : null,
      h("dl", { class: "facts" }, facts.filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    ].filter(Boolean);
  }

  function drawRatings(counts) {
    const section = $("ratings");
    const index = data.dimensions.findIndex((dimension) => dimension.kind === "rating");
    section.hidden = index < 0;
    if (index < 0) return;
    const dimension = data.dimensions[index];
    const rows = dimensionRows(counts, index);
    const chart = h("div", { class: "chart" });
    const isFew = rows.length <= 12; // few enough for numbers to fit
    const found = listed("disagrees");
    rebuild(section, [
      h("h2", { id: "ratings-title" }, "Where do text and rating disagree?"),
      chart,
      h("p", { class: "hint" }, `Each column is a value of ${dimension.name}, ${isFew ? "with its number of reviews in parentheses. The cells have its shares in percent" : "and a darker cell is a larger share"}. Bad ratings are the lowest two fifths of the scale, good ones the highest two.`),
      found.length ? h("h3", {}, "The text says the opposite of the rating") : h("p", {}, "No review on this page says the opposite of its rating."),
      found.length ? reviewList(found.slice(0, 5)) : null,
      found.length > 5 && h("button", { type: "button", onclick: () => { change({ view: "disagrees" }); $("reviews").scrollIntoView(); } }, `Show all ${found.length}`),
      rows.length > 0 && shareTable(dimension.name, rows, counts, (row) => () => setFilter(index, row.code), index),
    ]);
    if (!rows.length) return;
    const cells = rows.flatMap((row) => data.labels.map((name, label) => ({ value: row.value, name, label, share: row.counts[label] / row.total, count: row.counts[label] })));
    const totals = new Map(rows.map((row) => [row.value, number(row.total * counts.scale)]));
    const every = Math.ceil(dimension.values.length / Math.max(2, Math.floor((chart.clientWidth - labelMargin()) / 44)));
    place(chart, `Share of each answer by ${dimension.name}`, {
      height: 52 + 40 * data.labels.length, marginLeft: labelMargin(), marginBottom: 44,
      x: {
        label: null, domain: dimension.values, tickSize: 0,
        ticks: dimension.values.filter((_, position) => position % every === 0),
        tickFormat: (value) => (isFew ? `${value}\n(${totals.get(value) ?? 0})` : value),
      },
      y: { label: null, domain: [...data.labels].reverse(), tickSize: 0 },
      color: labelColors(),
      marks: [
        Plot.cell(cells, { x: "value", y: "name", fill: "name", fillOpacity: (d) => 0.08 + 0.55 * d.share, inset: 1.5, rx: 4, title: (d) => `${dimension.name} ${d.value}: ${percent(d.share)} ${d.name}, ${number(d.count * counts.scale)}` }),
        isFew ? Plot.text(cells, { x: "value", y: "name", text: (d) => `${Math.round(100 * d.share)}`, fill: "var(--ink)", fontWeight: (d) => (d.share > 0.3 ? 700 : 400), pointerEvents: "none" }) : null,
      ],
    });
  }

  function drawFailures() {
    const section = $("failures");
    section.hidden = !data.failures.length;
    if (!data.failures.length) return;
    const words = plain(state.search);
    const file = data.dimensions.findIndex((dimension) => dimension.kind === "file");
    const group = file >= 0 && file in state.filters ? data.dimensions[file].values[state.filters[file]] : "";
    const fits = ([source, , message]) =>
      (!words || plain(`${source} ${message}`).includes(words)) && (!group || source === group || source.startsWith(group));
    rebuild(section, [
      h("h2", { id: "failures-title" }, "What failed?"),
      h("p", {}, `${many(data.failed, "row or file")} without an answer. ${data.total ? "They are not part of the shares above." : ""}`.replace("row or files", "rows or files")),
      ...data.failures.map((group) => ({ ...group, found: group.listed.filter(fits) })).map((group) =>
        h("details", { class: "table", "data-keep": `failure-${group.code}`, open: data.failed <= 10 },
          h("summary", {}, `${group.code}: ${number(group.count)}`),
          group.remedy && h("p", { class: "hint" }, `What to do: ${group.remedy.replaceAll("`", "")}.`),
          !group.found.length && h("p", { class: "hint" }, "None of these passes the filters."),
          group.found.length > 0 && h("div", SCROLL, h("table", {},
            h("thead", {}, h("tr", {}, h("th", { scope: "col", class: "text" }, "file"), h("th", { scope: "col" }, "line"), h("th", { scope: "col", class: "text" }, "reason"))),
            h("tbody", {}, group.found.map(([source, line, message]) =>
              h("tr", {}, h("td", { class: "text" }, source), h("td", {}, line ? number(line) : "–"), h("td", { class: "text" }, message)))))),
          group.count > group.listed.length && h("p", { class: "hint" }, `The first ${number(group.listed.length)} are listed.`))),
    ]);
  }

  function drawAbout() {
    const sampled = data.reviews.filter((review) => review.isSampled).length;
    const notes = [
      data.total > 0 && `The page holds counts of all reviews, ${sampled < data.total ? `the texts of ${number(sampled)} of them chosen at random` : "all of their texts"}, and the reviews to read first. Texts longer than 4,000 characters are shortened.`,
      ...data.notes,
      data.isRedacted ? "The page does not contain the texts of reviews." : "",
      "The search covers the texts on this page and the names of files.",
      data.leftOut.length ? `Columns that are not compared, because they have too many values or hardly matter: ${data.leftOut.map((name) => `“${name}”`).join(", ")}. The option --by compares them.` : "",
      "The page is one file. It loads nothing, and sends nothing.",
    ];
    const section = $("about");
    section.hidden = false;
    section.replaceChildren(h("h2", { id: "about-title" }, "About this page"), h("ul", {}, notes.filter(Boolean).map((note) => h("li", {}, note))));
  }

  // --- the whole page ----------------------------------------------------------------------------------

  /** Replace what is in a section; open details stay open, and the focus stays where it was. */
  const drawn = new WeakSet();
  function rebuild(section, children) {
    const opened = new Set([...section.querySelectorAll("details[data-keep][open]")].map((details) => details.dataset.keep));
    const focusable = "button, summary, a, input, select";
    const at = [...section.querySelectorAll(focusable)].indexOf(document.activeElement);
    section.replaceChildren(...children.filter(Boolean));
    for (const details of section.querySelectorAll("details[data-keep]")) details.open = drawn.has(section) ? opened.has(details.dataset.keep) : details.open;
    drawn.add(section);
    if (at >= 0) section.querySelectorAll(focusable)[at]?.focus({ preventScroll: true });
  }

  function drawFilters() {
    const form = $("filters");
    const searched = data.isRedacted ? "Search the names of files" : "Search the texts";
    const search = h("input", { type: "search", name: "search", placeholder: searched, "aria-label": searched, autocomplete: "off", value: state.search });
    let timer;
    search.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => change({ search: search.value.trim() }), 200); });
    const labels = data.labels.map((name, label) => h("button", { type: "button", "data-label": label, onclick: () => {
      change({ labels: state.labels.includes(label) ? state.labels.filter((other) => other !== label) : [...state.labels, label] });
    } }, swatch(label), name));
    const look = h("button", { type: "button", id: "look", onclick: () => change({ needsReview: !state.needsReview }) }, "needs a look");
    const selects = data.dimensions.map((dimension, index) => {
      const select = h("select", { "aria-label": `Filter by ${dimension.name}`, "data-dimension": index, onchange: () => setFilterTo(index, Number(select.value)) },
        h("option", { value: NONE }, `${dimension.name}: all`), dimension.values.map((value, code) => h("option", { value: code }, value)));
      return select;
    });
    const clear = h("button", { type: "button", id: "clear", onclick: () => { search.value = ""; change({ search: "", labels: [], needsReview: false, filters: {} }); search.focus(); } }, "Clear");
    const more = h("details", { class: "more-filters" }, h("summary", {}, "Filters"), h("div", { class: "controls" }, h("div", { class: "group", role: "group", "aria-label": "Filter by answer" }, labels, look), selects));
    const wide = matchMedia("(min-width: 46.01rem)");
    const adapt = () => { more.open = wide.matches; };
    wide.addEventListener("change", adapt);
    adapt();
    form.append(h("div", { class: "first" }, search, clear));
    if (data.total) form.append(more);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.hidden = false;
  }

  function setFilterTo(index, code) {
    const filters = { ...state.filters };
    if (code === NONE) delete filters[index];
    else filters[index] = code;
    change({ filters });
  }

  function showFilters() {
    const form = $("filters");
    const search = form.querySelector("input");
    if (document.activeElement !== search) search.value = state.search;
    for (const button of form.querySelectorAll("[data-label]")) button.setAttribute("aria-pressed", String(state.labels.includes(Number(button.dataset.label))));
    $("look")?.setAttribute("aria-pressed", String(state.needsReview));
    for (const select of form.querySelectorAll("select")) select.value = state.filters[select.dataset.dimension] ?? NONE;
    $("clear").disabled = !isFiltered();
  }

  function drawAll() {
    const counts = count();
    showFilters();
    $("state").textContent = stateText(counts);
    if (data.total) drawShares(counts);
    drawDifferences(counts);
    drawTime(counts);
    drawPhrases();
    drawReviews();
    drawRatings(counts);
    drawFailures();
    chartWidth = document.body.clientWidth;
  }

  async function start() {
    try {
      data = await readData();
    } catch {
      $("state").replaceChildren(h("span", { class: "notice" }, "This browser cannot unpack the data of this page. Use a browser from 2023 or later."));
      return;
    }
    state = readState();
    drawFilters();
    drawAbout();
    drawAll();
    addEventListener("hashchange", () => { state = readState(); drawAll(); });
    addEventListener("resize", () => { if (document.body.clientWidth !== chartWidth) drawAll(); });
    document.documentElement.dataset.ready = "true";
  }
  // The first table is painted before the data is unpacked.
  requestAnimationFrame(() => setTimeout(start));
})();
