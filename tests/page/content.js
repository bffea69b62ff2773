// What is in a repository, each name and text of it hostile, and the pages that show it: rows as in pages.js.

import { HOSTILE, HOSTILE_NAME } from "./browser.js";

// One red dot.
const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==",
  "base64",
);

// Paths that are hard to link, and what is in them.
const OBJECTS = {
  [`${HOSTILE_NAME}/a`]: HOSTILE,
  "page.html": HOSTILE,
  "picture.svg": HOSTILE,
  "table.csv": `id,${HOSTILE_NAME}\n1,"${HOSTILE.replaceAll('"', '""')}"\n`,
  "doc.json": JSON.stringify({ [HOSTILE]: [HOSTILE, { a: 1 }] }),
  "dot.png": PNG,
  "../up/%2e%2e/größe?x=1&y#z": HOSTILE,
  "a b//日本語/\u202e.txt": "reversed",
  [`long/${"long-name-".repeat(90)}`]: "long",
  bytes: Buffer.from([0, 1, 2, 255]),
};

const TAG = `v1%2f"><img-src=x`;

export async function fillContent(deployment) {
  const content = await deployment.repository("content-lake");
  const writer = await deployment.key("write", HOSTILE_NAME);
  const api = `/api/v1/repositories/${content}`;
  const change = (branch, path, more = {}) =>
    deployment.call(
      "POST",
      `/onward/v1/repositories/${content}/branches/${branch}/changes`,
      { message: HOSTILE, changes: [{ put: { path, address: HOSTILE, checksum: `${HOSTILE}${Math.random()}`, size: 1 } }], ...more },
      writer,
    );
  for (const [path, body] of Object.entries(OBJECTS)) await deployment.put(content, "main", path, body);
  const commit = await deployment.commit(content, "main", HOSTILE, { [HOSTILE_NAME]: HOSTILE });
  await deployment.call("POST", `${api}/branches`, { name: "side", source: "main" });
  for (const path of ["both", `side/${HOSTILE_NAME}`]) await change("side", path);
  const { op_id: op } = await change("main", "main");
  await deployment.call("POST", `${api}/refs/side/merge/main`, { message: HOSTILE });
  await change("side", "both");
  await change("main", "both");
  await deployment.call("POST", `${api}/tags`, { id: TAG, ref: commit });
  await deployment.call("PUT", `${api}/settings/branch_protection`, [{ pattern: "release-*" }]);
  await deployment.put(content, "side", `staged/${HOSTILE_NAME}`, HOSTILE);
  return { content, commit, op };
}

const at = (page, parameters) => ({ content, ...made }) => {
  const query = new URLSearchParams(typeof parameters === "function" ? parameters(made) : parameters);
  return `/ui/repos/${content}${page}?${query}`;
};

const HOSTILE_LINE = HOSTILE.slice(0, 40);

export const CONTENT = [
  { name: "branches", where: at("", {}), shows: ["main", "side", "Ahead"] },
  { name: "tags", where: at("/tags", {}), shows: [TAG] },
  { name: "history", where: at("/history", { ref: "main" }), shows: [HOSTILE_LINE, HOSTILE_NAME.slice(0, 40), "merge"] },
  { name: "commit", where: at("/commit", ({ commit }) => ({ ref: commit })), shows: [HOSTILE_LINE, HOSTILE_NAME, "10 paths differ"] },
  { name: "commit of a merge", where: at("/commit", { ref: "main~1" }), shows: ["Parent 2"] },
  { name: "compare", where: at("/compare", { from: "main", to: "side" }), shows: ["both", "changed"] },
  { name: "compare, not asked yet", where: at("/compare", {}), shows: ["Compare"] },
  { name: "objects", where: at("/objects", { ref: "main" }), shows: ["table.csv", "folder"] },
  { name: "a folder", where: at("/objects", { ref: "main", prefix: `${HOSTILE_NAME.split("/")[0]}/` }), shows: ["top"] },
  ...Object.keys(OBJECTS).map((path) => ({
    name: `object ${path.slice(0, 30)}`,
    where: at("/object", { ref: "main", path }),
    shows: ["Checksum", "Preview"],
  })),
  { name: "an object that lies elsewhere", where: at("/object", { ref: "main", path: "main" }), shows: [HOSTILE_LINE] },
  { name: "uncommitted", where: at("/uncommitted", { branch: "side" }), shows: ["staged/", "Commit all"] },
  { name: "take back", where: at("/uncommitted/discard", { branch: "side" }), shows: ["will be gone"] },
  { name: "merge", where: at("/merge", { source: "side", into: "main" }), shows: ["conflict", "wins"] },
  { name: "revert", where: at("/revert", { commit: "main~1" }), shows: ["parent 1"] },
  { name: "outcome", where: at("/outcome", ({ op }) => ({ branch: "main", op })), shows: ["Committed"] },
  { name: "rules", where: at("/rules", {}), shows: ["release-*", "Blocked"] },
  { name: "remove a rule", where: at("/rule/delete", { name: "release-*" }), shows: ["will be gone"] },
  { name: "new branch", where: at("/branch/new", { from: HOSTILE }), shows: ["Create branch"] },
  { name: "new tag", where: at("/tag/new", { from: "main" }), shows: ["Create tag"] },
  { name: "delete a branch", where: at("/branch/delete", { name: "side" }), shows: ["not committed"] },
  { name: "delete a tag", where: at("/tag/delete", { name: TAG }), shows: [TAG] },
];
