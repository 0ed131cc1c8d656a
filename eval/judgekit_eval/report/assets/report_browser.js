// The browser of judged solutions. Only the rows in view and the one selected solution are in the document, so
// thousands of solutions scroll freely. A solution is its index in the arrays of the benchmark's data.
(() => {
  const ROW_HEIGHT = 56;
  const list = byId("list"), detail = byId("detail"), search = byId("search"), help = byId("help");
  const spacer = list.appendChild(make("div"));
  const haystacks = new Map();  // benchmark -> lower-case text of each solution
  let shown = [], selected = -1;

  const place = (index) => (index === null ? "none" : `step ${index}`);
  const all = () => dataOf("solutions");
  const texts = () => all().solutions;
  const judged = (name) => all().judges[judgeIndex(name)];
  const outcomeOf = (i, name) => all().outcomes[judgeIndex(name)][all().shown[i]];
  const nameOf = (i) => texts().source_id[i] ?? texts().id[i];

  const signOf = (i, name) => overview.outcomes[outcomeOf(i, name)].split(" ")[0];

  function predictionOf(i, name) {
    const { predicted, no_verdict: reason } = judged(name);
    return reason[i] === null ? place(predicted[i]) : `no verdict (${reason[i]})`;
  }

  function haystack(i) {
    if (!haystacks.has(state.benchmark)) haystacks.set(state.benchmark, []);
    const known = haystacks.get(state.benchmark), t = texts();
    known[i] ??= [t.id[i], t.source_id[i], t.generator[i], all().problems[t.problem[i]], ...t.steps[i]].join("\n").toLowerCase();
    return known[i];
  }

  function matches(i, wanted) {
    if (state.within && all().subset[all().shown[i]] !== subsetIndex(state.within)) return false;
    if (state.generator && texts().generator[i] !== state.generator) return false;
    return !wanted || haystack(i).includes(wanted);
  }

  function fitsShow(i, kind) {
    return kind === "all" || outcomeOf(i, state.judge) === kind;
  }

  function fitsPair(i, kind) {
    if (kind === "all") return true;
    if (kind === "differ") return predictionOf(i, state.judge) !== predictionOf(i, state.other);
    return pairOf(outcomeOf(i, state.judge), outcomeOf(i, state.other)) === kind;
  }

  function applyFilters() {
    const wanted = state.search.toLowerCase();
    const matching = texts().id.map((_, i) => i).filter((i) => matches(i, wanted));
    countButtons("show", matching.filter((i) => fitsPair(i, state.pair)), fitsShow);
    countButtons("pair", state.other ? matching.filter((i) => fitsShow(i, state.show)) : [], fitsPair);
    shown = matching.filter((i) => fitsShow(i, state.show) && fitsPair(i, state.pair));
    spacer.style.height = `${shown.length * ROW_HEIGHT}px`;
  }

  function countButtons(name, candidates, fits) {
    for (const button of byId(name).querySelectorAll("button")) {
      const kind = button.dataset[name];
      button.querySelector(".number").textContent = candidates.filter((i) => fits(i, kind)).length;
      button.setAttribute("aria-pressed", String(kind === state[name]));
    }
  }

  function renderList() {
    const first = Math.max(0, Math.floor(list.scrollTop / ROW_HEIGHT) - 2);
    const end = Math.min(shown.length, first + Math.ceil(list.clientHeight / ROW_HEIGHT) + 4);
    spacer.replaceChildren(...shown.slice(first, end).map((i, k) => listRow(i, first + k)));
    const at = shown.indexOf(selected);
    byId("position").textContent = shown.length ? `${at + 1} of ${shown.length}` : "no solution matches";
    if (at >= 0) list.setAttribute("aria-activedescendant", `row-${at}`);
    else list.removeAttribute("aria-activedescendant");
  }

  function listRow(i, index) {
    const row = make("div", "row");
    row.id = `row-${index}`;
    row.style.top = `${index * ROW_HEIGHT}px`;
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", String(i === selected));
    row.setAttribute("aria-setsize", shown.length);
    row.setAttribute("aria-posinset", index + 1);
    row.append(make("div", "", summary(i)), make("div", "dim", `${nameOf(i)} \u00b7 ${all().problems[texts().problem[i]]}`));
    row.addEventListener("click", () => change({ solution: texts().id[i] }));
    return row;
  }

  function summary(i) {
    const truth = `true ${place(texts().gold[i])}`;
    const said = (name) => `${signOf(i, name)} ${predictionOf(i, name)}`;
    return state.other
      ? `${truth} \u00b7 A ${said(state.judge)} \u00b7 B ${said(state.other)}`
      : `${truth} \u00b7 judge ${said(state.judge)}`;
  }

  function showDetail() {
    detail.replaceChildren();
    detail.scrollTop = 0;
    if (selected < 0) return;
    const i = selected, t = texts(), judges = state.other ? [state.judge, state.other] : [state.judge];
    detail.append(make("h3", "", `True first error: ${place(t.gold[i])}`));
    judges.forEach((name, k) => detail.append(verdictLine(i, name, judges.length > 1 ? "AB"[k] : "judge")));
    const subset = benchmark().subsets[all().subset[all().shown[i]]];
    const facts = [subset, t.source_id[i], t.generator[i] && `written by ${t.generator[i]}`, `id ${t.id[i]}`].filter(Boolean);
    detail.append(make("div", "dim facts", facts.join(" \u00b7 ")));
    detail.append(make("div", "problem text", all().problems[t.problem[i]]));
    const steps = detail.appendChild(make("ol", "steps"));
    t.steps[i].forEach((text, step) => steps.append(stepItem(i, text, step, judges)));
  }

  function verdictLine(i, name, letter) {
    const line = make("div", "verdict");
    const outcome = outcomeOf(i, name);
    const said = outcome === "N" ? `${signOf(i, name)} ${predictionOf(i, name)}` : `${overview.outcomes[outcome]}: ${predictionOf(i, name)}`;
    line.append(make("span", "mark", letter), make("span", "", said));
    const pOk = judged(name).p_ok[i];
    const pNone = pOk && pOk.reduce((product, p) => product * p / overview.scale, 1);
    line.append(make("span", "number dim", pOk ? `P(no error) ${pNone.toFixed(2)}` : "no probabilities"), make("span", "dim", name));
    return line;
  }

  function stepItem(i, text, step, judges) {
    const item = make("li", "step"), gold = texts().gold[i];
    const stripes = item.appendChild(make("div", "stripes")), body = item.appendChild(make("div", "body"));
    const head = body.appendChild(make("div", "head"));
    head.append(make("span", "dim", `step ${step}`));
    if (step === gold) head.append(make("span", "mark", "\u25C6 true first error"));
    judges.forEach((name, k) => {
      const letter = judges.length > 1 ? "AB"[k] : "", { p_ok: pOk, predicted, no_verdict: reason } = judged(name);
      const stripe = stripes.appendChild(make("div", "stripe"));
      if (letter) stripe.append(make("b", "", letter));
      if (pOk[i]) head.append(chip(pOk[i], step, letter, stripe));
      if (reason[i] === null && step === predicted[i]) head.append(make("span", "mark", `\u25B6 ${letter || "judge"}'s first error`));
    });
    if (gold !== null && step > gold) head.append(make("span", "dim", "after the true first error"));
    body.append(make("div", "text", text));
    return item;
  }

  function chip(pOk, step, letter, stripe) {
    const p = pOk[step] / overview.scale;
    const here = pOk.slice(0, step).reduce((product, q) => product * q / overview.scale, 1 - p);
    const element = make("span", "chip number", `${letter} P(ok) ${p.toFixed(3)}`.trim());
    element.title = `P(first error here) ${here.toFixed(2)}`;
    stripe.style.backgroundColor = colourOf(p, 0.15, 0.85);
    element.style.backgroundColor = colourOf(p, 0, 0.3);
    return element;
  }

  function colourOf(p, least, span) {
    const colour = p < 0.5 ? "var(--wrong)" : "var(--right)";
    return `rgba(${colour}, ${(least + span * Math.abs(2 * p - 1)).toFixed(3)})`;
  }

  function reveal() {
    const top = shown.indexOf(selected) * ROW_HEIGHT;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + ROW_HEIGHT > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW_HEIGHT - list.clientHeight;
  }

  function showControls(changed) {
    if (changed.has("benchmark")) {
      const generators = [...new Set(texts().generator.filter((name) => name !== null))].sort();
      fillSelect(byId("generator"), generators, { none: "anyone" });
      byId("generator").parentElement.hidden = generators.length < 2;
      byId("within").parentElement.hidden = benchmark().subsets.length < 2;
      if (!generators.includes(state.generator)) state.generator = "";
    }
    byId("pair").hidden = !state.other;
    if (search.value !== state.search) search.value = state.search;
  }

  function showBrowser(changed) {
    showControls(changed);
    if ([...changed].some((name) => !["subset", "solution"].includes(name))) applyFilters();
    const wanted = texts().id.indexOf(state.solution);
    selected = shown.includes(wanted) ? wanted : shown[0] ?? -1;
    state.solution = texts().id[selected] ?? "";
    showDetail();
    reveal();
    renderList();
  }

  const moveTo = (at) => { if (at in shown) change({ solution: texts().id[shown[at]] }); };
  const move = (by) => moveTo(shown.indexOf(selected) + by);

  const KEYS = { j: () => move(1), k: () => move(-1), "/": () => search.focus(), "?": () => help.showModal() };
  const LIST_KEYS = {
    ArrowDown: KEYS.j, ArrowUp: KEYS.k, Home: () => moveTo(0), End: () => moveTo(shown.length - 1),
  };

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    if (event.key === "Escape" && event.target === search) search.blur();
    if (event.target.matches("input, select, textarea")) return;
    const act = KEYS[event.key] ?? (event.target === list ? LIST_KEYS[event.key] : undefined);
    if (!act) return;
    event.preventDefault();
    act();
  }

  // An address that names a solution its own filters hide shows the solution: the filters give way.
  function openLink() {
    const wanted = readHash();
    change({ ...wanted });
    if (!wanted.solution) return;
    if (state.solution !== wanted.solution && texts().id.includes(wanted.solution))
      change({ ...wanted, within: "", show: "all", pair: "all", generator: "", search: "" });
    if (state.solution === wanted.solution) byId("browser").scrollIntoView();
  }

  views.push(showBrowser);
  bindSelect("within", "within");
  bindSelect("generator", "generator");
  search.addEventListener("input", () => change({ search: search.value }));
  for (const name of ["show", "pair"])
    for (const button of byId(name).querySelectorAll("button"))
      button.addEventListener("click", () => change({ [name]: button.dataset[name] }));
  list.addEventListener("scroll", renderList);
  byId("previous").addEventListener("click", () => move(-1));
  byId("next").addEventListener("click", () => move(1));
  byId("ask").addEventListener("click", () => help.showModal());
  document.addEventListener("keydown", onKey);
  window.addEventListener("hashchange", openLink);
  window.addEventListener("resize", renderList);
  openLink();
  performance.mark("shown");
})();
