"use strict";
// Everything from the report goes into the page as text, never as markup.
const byId = (id) => document.getElementById(id);
const report = JSON.parse(byId("report").textContent);
const element = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};
const counted = (n, what) => `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;

const objects = report.objects || [], lists = report.accessLists || [], tenants = report.tenants || [];
const violations = report.violations || [], waived = report.waived || [], notes = report.notes || [];
const principals = new Map((report.principals || []).map((p) => [p.name, p]));
const letters = { read: "r", write: "w", create: "c", own: "o", use: "u", connect: "x" };

// Columns of the matrix: to which one an access belongs depends on whose object it is. By design the
// groups are the admin's way to the tenants, and the tenants' way to the database.
const columns = ["the tenant", "its agents", "app", "readers", "admin", "deployer", "PUBLIC", "other tenants", "everyone else"];
const columnOfKind = { app: 2, reader: 3, admin: 4, deployer: 5, PUBLIC: 6 };
function columnOf({ who, expected }, tenant) {
  const principal = principals.get(who), own = tenant === undefined || principal?.tenant === tenant;
  switch (principal?.kind) {
    case "tenant": case "tenant login": return own ? 0 : 7;
    case "agent": case "agents": return own ? 1 : 7;
    case "group": return !expected ? 8 : tenant === undefined ? 0 : 4;
    default: return columnOfKind[principal?.kind] ?? 8;
  }
}

// cellsOf sums up, by column, who can do what with some objects of a tenant, or with the database.
// What is not as designed comes first.
function cellsOf(some, tenant) {
  const cells = columns.map(() => ({ rights: new Set(), bad: false, entries: new Map() }));
  const used = new Map(); // by access list: its objects, and whether the schema is one of them
  for (const object of some) {
    const use = used.get(object.access) || { objects: 0, schema: false };
    if (object.kind === "schema") use.schema = true; else use.objects++;
    used.set(object.access, use);
  }
  for (const [index, use] of used) {
    for (const access of lists[index] || []) {
      const cell = cells[columnOf(access, tenant)], key = JSON.stringify(access);
      access.rights.forEach((right) => cell.rights.add(right));
      cell.bad ||= !access.expected;
      const entry = cell.entries.get(key) || { access, objects: 0, schema: false };
      entry.objects += use.objects;
      entry.schema ||= use.schema;
      cell.entries.set(key, entry);
    }
  }
  for (const cell of cells) cell.entries = [...cell.entries.values()].sort((a, b) => a.access.expected - b.access.expected);
  return cells;
}

// Groups are the tenants with their schema, what is in it, their own database if they have one, and what a
// search finds them by.
const groups = tenants.map((tenant) => ({ tenant, schema: null, objects: [], violations: 0, unexpected: false, open: false, words: "" }));
const byKey = new Map(groups.map((group) => [group.tenant.key, group]));
const bySchema = new Map(groups.map((group) => [group.tenant.schema, group]));
for (const object of objects) {
  const group = byKey.get(object.tenant);
  if (group && object.kind === "schema" && object.database === group.tenant.database) group.schema = object;
  else group?.objects.push(object);
}
for (const finding of violations) {
  const group = byKey.get(finding.tenant);
  if (group) group.violations++;
}
const all = (group) => (group.schema ? [group.schema, ...group.objects] : group.objects);
for (const group of groups) {
  const words = new Set([group.tenant.key, group.tenant.role, group.tenant.login, group.tenant.retired, group.tenant.schema, group.tenant.database, ...Object.values(group.tenant.agents || {})]);
  for (const object of group.objects) words.add(object.name);
  for (const list of new Set(all(group).map((object) => object.access))) {
    for (const access of lists[list] || []) {
      words.add(access.who);
      group.unexpected ||= !access.expected;
    }
  }
  group.words = [...words].filter(Boolean).join("\n").toLowerCase();
}

const taken = new Date(report.taken).toLocaleString("en-GB", { timeZone: "UTC", dateStyle: "medium", timeStyle: "short" });
const own = objects.filter((object) => object.kind === "database" && object.database);
byId("subject").textContent = `of ${report.database}${own.length ? ` and ${counted(own.length, "database")} of tenants` : ""}, PostgreSQL ${report.server}, ${taken} UTC`;
const verdict = violations.length ? counted(violations.length, "violation") : "No violations";
document.title = `${verdict}: access audit of ${report.database}`;
byId("verdict").className = violations.length ? "bad" : "";
byId("verdict").append(element("strong", { textContent: `${violations.length ? "✗" : "✓"} ${verdict}` }), `${waived.length ? ` and ${waived.length.toLocaleString("en")} waived` : ""} in ${counted(tenants.length, "tenant")} and ${counted(objects.length, "object")}`);

// Violations, a table's body for each rule; of many only the first at once.
const few = 20;
function findingOf(finding) {
  const link = (key, text) => element("a", { href: `#${new URLSearchParams({ tenant: key })}`, textContent: text, className: "name" });
  const cell = (label, text, key) => {
    const td = element("td");
    td.dataset.label = label;
    if (text) td.append(byKey.has(key) ? link(key, text) : element("span", { className: "name", textContent: text }));
    return td;
  };
  const text = element("td", {}, element("p", { textContent: (finding.database ? `In the database ${finding.database}: ` : "") + finding.text }));
  if (finding.fix) text.append(element("p", { className: "soft" }, "Fix: ", element("code", { textContent: finding.fix })));
  if (finding.waiver) text.append(element("p", { className: "soft", textContent: `The waiver ended on ${finding.waiver.until}: ${finding.waiver.reason}` }));
  return element("tr", { className: "finding" },
    cell("tenant", finding.tenant, finding.tenant), cell("subject", finding.subject), cell("object", finding.object, bySchema.get(finding.object)?.tenant.key), text);
}
byId("violations").hidden = !violations.length;
for (const [rule, found] of Map.groupBy(violations, (finding) => finding.rule)) {
  const head = element("th", { scope: "rowgroup", colSpan: 4 }, rule, element("span", { className: "soft", textContent: ` ${found.length.toLocaleString("en")}` }));
  const body = element("tbody", {}, element("tr", {}, head), ...found.slice(0, few).map(findingOf));
  if (found.length > few) {
    const rest = element("button", { type: "button", textContent: `Show all ${found.length.toLocaleString("en")}` });
    const row = element("tr", { className: "rest" }, element("td", { colSpan: 4 }, rest));
    rest.addEventListener("click", () => row.replaceWith(...found.slice(few).map(findingOf)));
    body.append(row);
  }
  byId("findings").append(body);
}

function list(id, findings, ending) {
  byId(id).hidden = !findings.length;
  for (const finding of findings) {
    const head = [finding.rule, finding.tenant, finding.subject, finding.database, finding.object].filter(Boolean).join(" · ");
    byId(`${id}-list`).append(element("dt", { className: "name", textContent: head }), element("dd", { textContent: finding.text + ending(finding) }));
  }
}
list("waived", waived, ({ waiver }) => `. Waived until ${waiver.until}: ${waiver.reason}`);
list("notes", notes, ({ fix }) => (fix ? ` Fix: ${fix}` : ""));

byId("legend").textContent = `${Object.entries(letters).map(([right, letter]) => `${letter} ${right}`).join(", ")}; ! not as designed. A tenant's row sums up its schema and all that is in it. Select a cell for who and why, a tenant for its objects.`;
byId("matrix").tHead.append(element("tr", {}, ...["tenant", ...columns].map((name) => element("th", { scope: "col", textContent: name }))));

// sentence is an entry of a cell in words; a row that sums up also says on how many of its objects.
function sentence({ access, objects: n, schema }, sums) {
  const on = [schema && "the schema", n && counted(n, "object")].filter(Boolean).join(" and ");
  return `${access.expected ? "" : "! "}${access.who}: ${access.rights.join(", ")}${sums ? ` on ${on}` : ""} (${access.path})`;
}

function rowOf(some, tenant, head, className) {
  const row = element("tr", { className }, head), sums = className === "tenant";
  cellsOf(some, tenant).forEach((cell, column) => {
    const td = element("td");
    if (cell.entries.length) {
      const rights = Object.keys(letters).filter((right) => cell.rights.has(right));
      const button = element("button", {
        type: "button", tabIndex: -1, textContent: (cell.bad ? "! " : "") + (rights.map((right) => letters[right]).join("") || "–"), className: cell.bad ? "unexpected" : "",
        title: cell.entries.slice(0, few).map((entry) => sentence(entry, sums)).join("\n"), ariaExpanded: "false",
        ariaLabel: `${columns[column]}: ${rights.join(", ")}${cell.bad ? ", not as designed" : ""}`,
      });
      button.addEventListener("click", () => detail(row, button, cell.entries, sums));
      td.append(button);
    }
    row.append(td);
  });
  return row;
}

// detail shows below a row who is behind one of its cells, or hides it.
function detail(row, button, entries, sums) {
  const wasOpen = button.ariaExpanded === "true";
  row.querySelectorAll("td button").forEach((other) => { other.ariaExpanded = "false"; });
  if (row.nextElementSibling?.className === "detail") row.nextElementSibling.remove();
  if (wasOpen) return;
  button.ariaExpanded = "true";
  const list = element("ul", {}, ...entries.slice(0, 100).map((entry) => element("li", { textContent: sentence(entry, sums), className: entry.access.expected ? "" : "bad" })));
  if (entries.length > 100) list.append(element("li", { textContent: `and ${(entries.length - 100).toLocaleString("en")} more` }));
  row.after(element("tr", { className: "detail" }, element("td", { colSpan: columns.length + 1 }, list)));
}

const soft = (text) => element("span", { className: "soft", textContent: ` ${text}` });
function bodyOf(group) {
  const body = element("tbody"), key = group.tenant.key;
  const button = element("button", { type: "button", tabIndex: -1, textContent: key, ariaExpanded: "false" });
  const head = element("th", { scope: "row" }, button, soft(counted(group.objects.length, "object")));
  if (group.tenant.schema !== group.tenant.role) button.title = `schema ${group.tenant.schema}`;
  if (group.tenant.database) head.append(soft(`database ${group.tenant.database}`));
  if (group.tenant.retired) head.append(soft("retired"));
  if (!group.schema) head.append(" ", element("span", { className: "unexpected", textContent: "! no schema" }));
  if (group.violations) head.append(" ", element("span", { className: "unexpected", textContent: `! ${counted(group.violations, "violation")}` }));
  body.append(rowOf(all(group), key, head, "tenant"));
  const expand = () => {
    body.querySelectorAll("tr.object, tr.object + tr.detail").forEach((row) => row.remove());
    button.ariaExpanded = String(group.open);
    if (group.open) body.append(...all(group).map((object) => rowOf([object], key, element("th", { scope: "row" }, object.name || object.schema, soft(object.kind + (object.database === group.tenant.database ? "" : ` in ${report.database}`))), "object")));
  };
  button.addEventListener("click", () => { group.open = !group.open; expand(); });
  expand();
  return body;
}

// Only so many tenants are in the page at first; more come as one scrolls to the end.
const batch = 100;
let found = [], shown = 0;
const atEnd = new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) more(); }, { rootMargin: "400px" });
function more() {
  const bodies = found.slice(shown, shown + batch).map(bodyOf);
  byId("matrix").append(...bodies);
  shown += bodies.length;
  byId("more").hidden = shown >= found.length;
  // To watch anew tells of the end also if one is there again before the browser saw it gone.
  atEnd.unobserve(byId("more"));
  atEnd.observe(byId("more"));
}

// view is what the address says: a search, only what is unexpected, or one tenant with its objects.
let view = new URLSearchParams();
const database = objects.find((object) => object.kind === "database" && !object.database);
function show() {
  const tenant = view.get("tenant"), only = view.has("only"), words = (view.get("search") ?? "").toLowerCase().split(/\s+/);
  found = tenant !== null ? groups.filter((group) => group.tenant.key === tenant)
    : groups.filter((group) => (!only || group.violations || group.unexpected) && words.every((word) => group.words.includes(word)));
  shown = 0;
  for (const body of [...byId("matrix").tBodies]) body.remove();
  const head = database && element("th", { scope: "row" }, database.name || report.database, soft("the database"));
  if (head && !tenant && !view.get("search")) byId("matrix").append(element("tbody", {}, rowOf([database], undefined, head, "database")));
  more();
  const first = byId("matrix").querySelector("tbody button");
  if (first) first.tabIndex = 0;
  byId("shown").textContent = `${counted(found.length, "tenant")}${found.length < groups.length ? ` of ${groups.length.toLocaleString("en")}` : ""}`;
}
function recall() {
  clearTimeout(later);
  later = undefined;
  view = new URLSearchParams(location.hash.slice(1));
  const tenant = view.get("tenant");
  byId("search").value = tenant ?? view.get("search") ?? "";
  byId("only").checked = view.has("only");
  for (const group of groups) group.open = group.tenant.key === tenant;
  show();
  if (tenant !== null) {
    byId("matrix-title").scrollIntoView();
    byId("matrix").querySelector("tr.tenant button")?.focus({ preventScroll: true });
  }
}
// Browsers refuse to change the address at every key of a fast hand, so what is typed gets there a
// little later, and before one goes anywhere else.
let later;
function remember() {
  clearTimeout(later);
  later = undefined;
  history.replaceState(null, "", `#${view}`);
}
function change() {
  view = new URLSearchParams();
  if (byId("search").value.trim()) view.set("search", byId("search").value.trim());
  if (byId("only").checked) view.set("only", "1");
  show();
}
byId("search").addEventListener("input", () => {
  change();
  clearTimeout(later);
  later = setTimeout(remember, 200);
});
byId("search").addEventListener("change", () => { if (later !== undefined) remember(); });
byId("only").addEventListener("change", () => { change(); remember(); });
byId("filter").addEventListener("submit", (event) => event.preventDefault());
byId("more").addEventListener("click", more);
addEventListener("beforeprint", () => { while (shown < found.length) more(); document.querySelectorAll("#findings .rest button").forEach((rest) => rest.click()); });
// A link to where one is already changes no address.
byId("findings").addEventListener("click", ({ target }) => { if (target.closest("a")?.hash === location.hash) recall(); });

// Tab leads to one button of the matrix, the arrow keys to all.
byId("matrix").addEventListener("focusin", ({ target }) => {
  byId("matrix").querySelectorAll("button[tabindex='0']").forEach((button) => { button.tabIndex = -1; });
  target.tabIndex = 0;
});
byId("matrix").addEventListener("keydown", (event) => {
  const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] ?? [0, 0];
  const cell = event.target.closest("th, td");
  if (!cell || !(down || right)) return;
  event.preventDefault();
  const rows = [...byId("matrix").querySelectorAll("tbody tr")];
  let row = rows.indexOf(cell.parentElement), column = cell.cellIndex, next;
  do {
    row += down;
    column += right;
    next = rows[row]?.cells[column];
  } while (rows[row] && column >= 0 && column <= columns.length && !next?.querySelector("button"));
  next?.querySelector("button")?.focus();
});
addEventListener("hashchange", recall);
recall();
