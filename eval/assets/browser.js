"use strict";
// Browser of judged solutions. Everything a model wrote is put on the page with textContent alone. Only the rows in view
// and the one selected solution are in the document, so thousands of solutions scroll freely.
(() => {
  const ROW_HEIGHT = 56;
  const data = JSON.parse(document.getElementById("data").textContent);
  const solutions = data.solutions;
  const byId = (id) => document.getElementById(id);
  const list = byId("list"), detail = byId("detail"), search = byId("search"), subset = byId("subset");
  const buttons = [...document.querySelectorAll("#filters button")];
  const spacer = list.appendChild(make("div"));
  let filter = "all", shown = [], selected = null;

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  function haystack(s) {
    s.haystack ??= [s.id, s.source_id, s.generator, s.problem, ...s.steps].join("\n").toLowerCase();
    return s.haystack;
  }

  const place = (index) => (index === null ? "none" : `step ${index}`);
  const predictionOf = (s) => (s.no_verdict === null ? place(s.predicted) : `no verdict (${s.no_verdict})`);

  function applyFilters() {
    const wanted = search.value.toLowerCase();
    const matching = solutions.filter(
      (s) => (subset.value === "" || s.subset === subset.value) && haystack(s).includes(wanted));
    for (const button of buttons) {
      const kind = button.dataset.outcome;
      const n = kind === "all" ? matching.length : matching.filter((s) => s.outcome === kind).length;
      button.querySelector(".number").textContent = n;
      button.setAttribute("aria-pressed", String(kind === filter));
    }
    shown = filter === "all" ? matching : matching.filter((s) => s.outcome === filter);
    spacer.style.height = `${shown.length * ROW_HEIGHT}px`;
    if (!shown.includes(selected)) select(shown[0] ?? null);
    else reveal();
    renderList();
  }

  function renderList() {
    const first = Math.max(0, Math.floor(list.scrollTop / ROW_HEIGHT) - 2);
    const end = Math.min(shown.length, first + Math.ceil(list.clientHeight / ROW_HEIGHT) + 4);
    spacer.replaceChildren(...shown.slice(first, end).map((s, i) => listRow(s, first + i)));
    byId("position").textContent =
      shown.length ? `${shown.indexOf(selected) + 1} of ${shown.length}` : "no solution matches";
    if (selected) list.setAttribute("aria-activedescendant", `row-${shown.indexOf(selected)}`);
    else list.removeAttribute("aria-activedescendant");
  }

  function listRow(s, index) {
    const row = make("div", "row");
    row.id = `row-${index}`;
    row.style.top = `${index * ROW_HEIGHT}px`;
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", String(s === selected));
    row.setAttribute("aria-setsize", shown.length);
    row.setAttribute("aria-posinset", index + 1);
    const head = make("div", "", `${data.outcomes[s.outcome]} · true ${place(s.gold)}, judge ${predictionOf(s)}`);
    row.append(head, make("div", "dim", `${s.source_id ?? s.id} · ${s.problem}`));
    row.addEventListener("click", () => { select(s); renderList(); });
    return row;
  }

  function select(s) {
    selected = s;
    detail.replaceChildren();
    detail.scrollTop = 0;
    if (!s) return;
    history.replaceState(null, "", `#${encodeURIComponent(s.id)}`);
    reveal();
    detail.append(make("h3", "", `${data.outcomes[s.outcome]}: true first error ${place(s.gold)}, judge ${predictionOf(s)}`));
    const facts = [s.subset, s.source_id, s.generator && `written by ${s.generator}`, `id ${s.id}`].filter(Boolean);
    detail.append(make("div", "dim", facts.join(" · ")));
    detail.append(make("div", "problem text", s.problem));
    const steps = detail.appendChild(make("ol", "steps"));
    s.steps.forEach((text, index) => steps.append(stepItem(s, text, index)));
    const end = s.p_none === null ? "No verdict, so no probabilities." : `P(no error in any step) ${s.p_none.toFixed(3)}`;
    detail.append(make("div", "number", end));
  }

  function stepItem(s, text, index) {
    const item = make("li", "step");
    const head = item.appendChild(make("div", "head"));
    head.append(make("span", "dim", `step ${index}`));
    if (s.p_ok !== null) {
      paint(item, s.p_ok[index]);
      head.append(make("span", "number", `P(ok) ${s.p_ok[index].toFixed(3)}`));
      head.append(make("span", "number dim", `P(first error here) ${s.posterior[index].toFixed(3)}`));
    }
    if (index === s.gold) head.append(make("span", "mark", "\u25C6 true first error"));
    if (index === s.predicted) head.append(make("span", "mark", "\u25B6 judge's first error"));
    if (s.gold !== null && index > s.gold) head.append(make("span", "after", "after the true first error"));
    item.append(make("div", "text", text));
    return item;
  }

  function paint(item, pOk) {
    const colour = pOk < 0.5 ? "var(--wrong)" : "var(--right)";
    const strength = Math.abs(2 * pOk - 1);
    item.style.borderLeftColor = `rgba(${colour}, ${0.15 + 0.85 * strength})`;
    item.style.backgroundColor = `rgba(${colour}, ${0.22 * strength})`;
  }

  function reveal() {
    const top = shown.indexOf(selected) * ROW_HEIGHT;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + ROW_HEIGHT > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW_HEIGHT - list.clientHeight;
  }

  function move(by) {
    const next = shown[shown.indexOf(selected) + by];
    if (!next) return;
    select(next);
    renderList();
  }

  function openLink() {
    const id = decodeURIComponent(location.hash.slice(1));
    const target = solutions.find((s) => s.id === id);
    if (!target || target === selected) return;
    if (!shown.includes(target)) {
      filter = "all";
      search.value = subset.value = "";
      applyFilters();
    }
    select(target);
    renderList();
    byId("browser").scrollIntoView();
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
    const inList = event.target === list;
    if (event.key === "j" || (inList && event.key === "ArrowDown")) move(1);
    else if (event.key === "k" || (inList && event.key === "ArrowUp")) move(-1);
    else return;
    event.preventDefault();
  }

  for (const name of data.subsets) subset.append(new Option(name, name));
  subset.parentElement.hidden = data.subsets.length < 2;
  for (const button of buttons) button.addEventListener("click", () => { filter = button.dataset.outcome; applyFilters(); });
  search.addEventListener("input", applyFilters);
  subset.addEventListener("change", applyFilters);
  list.addEventListener("scroll", renderList);
  byId("previous").addEventListener("click", () => move(-1));
  byId("next").addEventListener("click", () => move(1));
  document.addEventListener("keydown", onKey);
  window.addEventListener("hashchange", openLink);
  window.addEventListener("resize", renderList);
  const linked = location.hash;
  applyFilters();
  if (linked) { history.replaceState(null, "", linked); openLink(); }
})();
