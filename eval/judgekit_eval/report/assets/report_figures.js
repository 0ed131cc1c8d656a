// The controls of the figures, the figures that depend on them, and how often two judges agree.
(() => {
  const COLUMNS = { both: "both right", "only-a": "only A right", "only-b": "only B right", neither: "both wrong" };

  function showChoices(changed) {
    if (changed.has("benchmark")) {
      const { subsets, judges } = benchmark();
      fillSelect(byId("benchmark"), overview.benchmarks.map((b) => b.name));
      fillSelect(byId("subset"), subsets);
      fillSelect(byId("within"), subsets, { none: "all subsets" });
      for (const id of ["judge", "judge-a"]) fillSelect(byId(id), judges);
      for (const element of document.querySelectorAll("[data-benchmark]"))
        element.hidden = element.dataset.benchmark !== state.benchmark;
    }
    if (changed.has("benchmark") || changed.has("judge"))
      fillSelect(byId("other"), benchmark().judges.filter((name) => name !== state.judge), { none: "nobody" });
  }

  // The HTML was made by the report's own code with every text escaped, and the page's policy runs no script in it.
  function showPanels(changed) {
    const index = { subset: subsetIndex(state.subset), judge: judgeIndex(state.judge) };
    for (const slot of document.querySelectorAll("[data-panel]")) {
      const keys = slot.dataset.keys.split(" ");
      if (!changed.has("benchmark") && !keys.some((key) => changed.has(key))) continue;
      slot.innerHTML = keys.reduce((part, key) => part[index[key]], dataOf("panels")[slot.dataset.panel]);
    }
    for (const element of document.querySelectorAll("[data-choice]"))
      element.textContent = element.dataset.choice.split(" ").map((name) => state[name]).join(" \u00b7 ");
  }

  function showAgreement(changed) {
    if (!["benchmark", "judge", "other"].some((name) => changed.has(name))) return;
    byId("agreement-note").textContent = state.other
      ? "Number of solutions; no verdict counts as wrong."
      : "Choose B to see on which solutions the two agree.";
    byId("agreement").replaceChildren(...(state.other ? [agreementTable()] : []));
  }

  function agreementTable() {
    const { subset, outcomes } = dataOf("solutions");
    const [a, b] = [state.judge, state.other].map((name) => outcomes[judgeIndex(name)]);
    const counts = [...benchmark().subsets, "all"].map((name) => ({ name, both: 0, "only-a": 0, "only-b": 0, neither: 0 }));
    subset.forEach((part, i) => {
      for (const row of [counts[part], counts.at(-1)]) row[pairOf(a[i], b[i])] += 1;
    });
    const shown = counts.length > 2 ? counts : counts.slice(0, 1);
    return table(["subset", ...Object.values(COLUMNS), "equally right"], shown.map((row) => {
      const numbers = Object.keys(COLUMNS).map((kind) => row[kind]);
      const n = numbers.reduce((sum, count) => sum + count, 0);
      return [row.name, ...numbers.map((count) => count.toLocaleString("en")), `${(100 * (row.both + row.neither) / n).toFixed(1)} %`];
    }));
  }

  function table(header, rows) {
    const scroll = make("div", "scroll"), whole = scroll.appendChild(make("table"));
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", "agreement of A and B");
    const head = whole.createTHead().insertRow(), body = whole.createTBody();
    for (const cell of header) head.append(heading(cell, "col"));
    for (const [first, ...rest] of rows) body.insertRow().append(heading(first, "row"), ...rest.map((cell) => make("td", "", cell)));
    return scroll;
  }

  function heading(text, scope) {
    const cell = make("th", "", text);
    cell.scope = scope;
    return cell;
  }

  views.push(showChoices, showPanels, showAgreement);
  for (const name of ["benchmark", "subset", "judge", "other"]) bindSelect(name, name);
  bindSelect("judge-a", "judge");
  for (const button of document.querySelectorAll("[data-jump]"))
    button.addEventListener("click", () => byId(button.dataset.jump).scrollIntoView());
})();

function pairOf(outcomeA, outcomeB) {
  if (outcomeA === "R") return outcomeB === "R" ? "both" : "only-a";
  return outcomeB === "R" ? "only-b" : "neither";
}
