"use strict";
const token = new URLSearchParams(location.search).get("token");
const at = id => document.getElementById(id);
let state = null;     // what the server says: the solution shown, and how many decisions there are
let choice = null;    // a step, "none", or null while nothing is chosen
let digits = "";      // digits typed for the present choice
let busy = false;     // whether a decision is on its way: a second Enter must not label the next solution

async function ask(path, body) {
  const options = { headers: { "X-Label-Token": token }, cache: "no-store" };
  if (body) {
    options.method = "POST";
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(path, options);
  const said = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(said.error), { status: answer.status });
  return said;
}

function complain(text) {
  at("trouble").textContent = text;
  at("trouble").hidden = !text;
}

function lost(error) {
  complain(error.status ? error.message : "judgekit label does not answer: it was stopped. Nothing that was confirmed is lost; start it again with --resume and open the new address.");
}

function fill(list, rows) {
  list.replaceChildren(...rows.map(([name, value]) => {
    const row = document.createElement("div"), dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = name;
    dd.textContent = value;
    row.append(dt, dd);
    return row;
  }));
}

function show(next) {
  const first = state === null || next.number !== state.number;
  state = next;
  const solution = state.solution;
  at("who").textContent = "labelling as " + state.annotator;
  at("work").hidden = !solution;
  at("done").hidden = Boolean(solution);
  fill(at("progress"), state.progress);
  if (first) {
    digits = "";
    at("note").value = state.before ? state.before.note : "";
    at("note-part").hidden = !at("note").value;
  }
  if (solution && first) {
    at("problem").textContent = solution.problem;
    at("reference-part").hidden = solution.reference === null;
    at("reference").textContent = solution.reference || "";
    at("steps").replaceChildren(...solution.steps.map((text, index) => {
      const row = document.createElement("label"), input = document.createElement("input");
      const number = document.createElement("b"), body = document.createElement("span");
      row.className = "label-step";
      input.type = "radio";
      input.name = "step";
      input.value = index;
      input.addEventListener("change", () => { digits = ""; choose(index); });
      number.textContent = index;
      body.className = "text";
      body.textContent = text;
      row.append(input, number, body);
      return row;
    }));
  }
  if (first) {
    const before = state.before;
    choose(!solution || !before || before.action === "skip" ? null : before.first_error === null ? "none" : before.first_error);
    if (choice === null || choice === "none") scrollTo(0, 0);
    if (solution) at("problem-head").focus({ preventScroll: true });
    figures();
  }
}

function choose(step) {
  choice = step;
  [...at("steps").children].forEach((row, index) => {
    row.classList.toggle("wrong", index === step);
    row.classList.toggle("after", Number.isInteger(step) && index > step);
    row.firstChild.checked = index === step;
    if (index === step) row.scrollIntoView({ block: "nearest" });
  });
  at("chosen").textContent = !state.solution ? "" : step === null ? "Nothing chosen yet." :
    step === "none" ? "No step is wrong." : `Step ${step} is the first wrong one.`;
}

async function decide(action) {
  if (busy || (action !== "undo" && !state.solution)) return;
  if (action === "label" && choice === null) return complain("Choose the first wrong step, or n for none.");
  if (action === "undo" && !state.can_undo) return complain("There is nothing to undo.");
  busy = true;
  const asked = { number: state.number, action };
  if (action !== "undo") asked.note = at("note").value;
  if (action === "label") asked.first_error = choice === "none" ? null : choice;
  try {
    const next = await ask("/decide", asked);
    complain("");
    show(next);
  } catch (error) {
    lost(error);
    if (error.status === 409) show(await ask("/state"));
  } finally {
    busy = false;
  }
}

async function figures() {
  if (!at("figures-part").open) return;
  try {
    fill(at("figures"), await ask("/figures"));
  } catch (error) {
    lost(error);
  }
}

function type(digit) {
  const last = state.solution.steps.length - 1;
  digits = Number(digits + digit) <= last && digits !== "0" ? digits + digit : digit;
  if (Number(digits) > last) {
    digits = "";
    return complain(`There is no step ${digit}: the last one is ${last}.`);
  }
  complain("");
  choose(Number(digits));
}

function press(key) {
  if (/^[0-9]$/.test(key)) {
    if (state.solution) type(key);
    return;
  }
  digits = "";
  const n = state.solution ? state.solution.steps.length : 0;
  if (key === "j" && n) choose(Number.isInteger(choice) ? Math.min(choice + 1, n - 1) : 0);
  else if (key === "k" && n) choose(Number.isInteger(choice) ? Math.max(choice - 1, 0) : n - 1);
  else if (key === "n" && n) { complain(""); choose("none"); }
  else if (key === "Enter") decide("label");
  else if (key === "s") decide("skip");
  else if (key === "u") decide("undo");
  else if (key === "e" && n) { at("note-part").hidden = false; at("note").focus(); }
  else if (key === "f") at("figures-part").open = !at("figures-part").open;
  else if (key === "?") at("help").showModal();
  else if (key === "Escape") { complain(""); if (n) choose(null); }
  else return false;
  return true;
}

addEventListener("keydown", event => {
  if (!state || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || at("help").open) return;
  if (event.target === at("note")) {
    if (event.key === "Escape" || (event.key === "Enter" && !event.shiftKey)) {
      event.preventDefault();
      at("note").blur();
      at("note-part").hidden = !at("note").value;
    }
    return;
  }
  // A button or a summary that is in focus takes Enter and Space itself.
  if (event.target.closest("button, summary") && (event.key === "Enter" || event.key === " ")) return;
  if (event.repeat && event.key === "Enter") return;
  if (press(event.key) !== false) event.preventDefault();
});
document.querySelectorAll("[data-key]").forEach(button => button.addEventListener("click", () => {
  button.blur();
  if (state) press(button.dataset.key);
}));
at("close").addEventListener("click", () => at("help").close());
at("figures-part").addEventListener("toggle", figures);
ask("/state").then(show, lost);
