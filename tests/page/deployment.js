// A deployment of its own: the program under test, as somebody starts it on his machine, and calls of its APIs.

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as rest } from "node:timers/promises";

export const ADMIN = { id: "PAGE-ADMIN", secret: "a secret of tests, long enough" };

// Far beyond what anything here takes, so that only a hang meets it.
const PATIENCE_MS = 60_000;

export async function until(what, condition) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
    await rest(50);
  }
}

export class Deployment {
  // `faults`: points at which the program does something else, where it was built with them.
  static async start(faults = "", folder = null) {
    const made = new Deployment();
    made.folder = folder ?? (await mkdtemp(path.join(tmpdir(), "onward-page-")));
    await made.#run(faults);
    return made;
  }

  async #run(faults) {
    const environment = {
      ...process.env,
      ONWARD_ACCESS_KEY_ID: ADMIN.id,
      ONWARD_SECRET_ACCESS_KEY: ADMIN.secret,
      ONWARD_FAILPOINTS: faults,
    };
    const program = process.env.ONWARD_BIN;
    const flags = ["up", "--json", "--data-dir", path.join(this.folder, "data"), "--listen", "127.0.0.1:0"];
    this.child = spawn(program, flags, { env: environment, stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    this.child.stderr.on("data", (piece) => (said += piece));
    this.ended = new Promise((resolve) => this.child.once("exit", resolve));
    const lines = createInterface({ input: this.child.stdout });
    const first = await Promise.race([
      new Promise((resolve) => lines.once("line", resolve)),
      this.ended.then(() => Promise.reject(new Error(`the sidecar does not start: ${said}`))),
    ]);
    this.url = JSON.parse(first).listen;
    this.said = () => said;
  }

  // Starts it again, over the same data.
  async again(faults) {
    await this.#end();
    await this.#run(faults);
  }

  async #end() {
    this.child.kill("SIGTERM");
    await this.ended;
  }

  async stop() {
    await this.#end();
    await rm(this.folder, { recursive: true, force: true });
  }

  // The answer of an API, as JSON where it is.
  async call(method, where, body, key = ADMIN) {
    const login = Buffer.from(`${key.id}:${key.secret}`).toString("base64");
    const headers = { Authorization: `Basic ${login}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const sent = { method, headers, body: body === undefined ? undefined : JSON.stringify(body) };
    const answer = await fetch(this.url + where, sent);
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${where}: ${answer.status} ${text}`);
    return answer.headers.get("content-type")?.includes("json") ? JSON.parse(text) : null;
  }

  // A new repository with a branch `main`.
  async repository(name) {
    await this.call("POST", "/api/v1/repositories", { name, storage_namespace: `local://${name}` });
    return name;
  }

  // Puts an object onto a branch; it waits there to be committed.
  async put(repo, branch, where, content, type = "application/octet-stream") {
    const login = Buffer.from(`${ADMIN.id}:${ADMIN.secret}`).toString("base64");
    const at = `/api/v1/repositories/${repo}/branches/${branch}/objects?path=${encodeURIComponent(where)}`;
    const headers = { Authorization: `Basic ${login}`, "Content-Type": type };
    const answer = await fetch(this.url + at, { method: "POST", headers, body: content });
    if (!answer.ok) throw new Error(`${at}: ${answer.status} ${await answer.text()}`);
  }

  // Commits what waits; returns the commit's id.
  async commit(repo, branch, message, metadata = {}) {
    const at = `/api/v1/repositories/${repo}/branches/${branch}/commits`;
    return (await this.call("POST", at, { message, metadata })).id;
  }

  // Another access key, made by the command.
  async key(role, name) {
    const flags = ["key", "create", "--json", "--data-dir", path.join(this.folder, "data"), "--role", role, "--", name];
    const child = spawn(process.env.ONWARD_BIN, flags, { stdio: ["ignore", "pipe", "inherit"] });
    let told = "";
    for await (const piece of child.stdout) told += piece;
    const made = JSON.parse(told);
    return { id: made.access_key_id, secret: made.secret_access_key };
  }

  // Takes an access key away.
  async forget(key) {
    const flags = ["key", "delete", "--yes", "--data-dir", path.join(this.folder, "data"), key.id];
    const child = spawn(process.env.ONWARD_BIN, flags, { stdio: "ignore" });
    const code = await new Promise((resolve) => child.once("exit", resolve));
    if (code !== 0) throw new Error(`the key is not deleted: ${code}`);
  }
}
