"use strict";
// One state says what the page shows. It is read from the address, put right where it names what is not there, and
// written back, so that a copied address opens the same view. Texts reach the page through textContent alone.
const byId = (id) => document.getElementById(id);
const readJson = (id) => JSON.parse(byId(id).textContent);
const overview = readJson("overview");
const DEFAULTS = {
  benchmark: "", subset: "", judge: "", other: "", within: "", show: "all", pair: "all", generator: "", search: "",
  solution: "",
};
const HASH_DELAY_MS = 250;  // browsers refuse to rewrite the address more than some 200 times in half a minute
const views = [];  // functions of (state, names of what changed), called in order
const parsed = new Map();
let state = { ...DEFAULTS }, hashTimer = null;

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

const benchmark = () => overview.benchmarks.find((b) => b.name === state.benchmark);
const subsetIndex = (name) => benchmark().subsets.indexOf(name);
const judgeIndex = (name) => benchmark().judges.indexOf(name);

// Data of the chosen benchmark, parsed when it is first asked for.
function dataOf(kind) {
  const id = `${kind}-${overview.benchmarks.indexOf(benchmark())}`;
  if (!parsed.has(id)) parsed.set(id, readJson(id));
  return parsed.get(id);
}

const oneOf = (value, choices, fallback) => (choices.includes(value) ? value : fallback);

function putRight(wanted) {
  const right = { ...wanted };
  const names = overview.benchmarks.map((b) => b.name);
  right.benchmark = oneOf(wanted.benchmark, names, names[0]);
  const { subsets, judges, best } = overview.benchmarks[names.indexOf(right.benchmark)];
  right.subset = oneOf(wanted.subset, subsets, subsets[0]);
  right.judge = oneOf(wanted.judge, judges, judges[best]);
  right.other = oneOf(wanted.other, judges.filter((name) => name !== right.judge), "");
  right.within = oneOf(wanted.within, subsets, "");
  right.show = oneOf(wanted.show, Object.keys(overview.outcomes), "all");
  right.pair = right.other ? wanted.pair : "all";
  return right;
}

function change(part) {
  const before = state;
  state = putRight({ ...state, ...part });
  const changed = new Set(Object.keys(DEFAULTS).filter((name) => state[name] !== before[name]));
  for (const view of views) view(changed);
  clearTimeout(hashTimer);
  hashTimer = setTimeout(writeHash, HASH_DELAY_MS);
}

function writeHash() {
  hashTimer = null;
  const told = Object.entries(state).filter(([name, value]) => value !== DEFAULTS[name]);
  history.replaceState(null, "", `#${new URLSearchParams(told)}`);
}

function readHash() {
  const told = new URLSearchParams(location.hash.slice(1));
  return Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, told.get(name) ?? DEFAULTS[name]]));
}

function fillSelect(select, names, { none } = {}) {
  select.replaceChildren(...(none === undefined ? [] : [new Option(none, "")]), ...names.map((name) => new Option(name, name)));
}

function bindSelect(id, name) {
  byId(id).addEventListener("change", (event) => change({ [name]: event.target.value }));
  views.push(() => { byId(id).value = state[name]; });
}
