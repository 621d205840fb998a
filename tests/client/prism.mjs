// prism.mjs DOCUMENT REPLIES -- send again what tests have sent, through a Prism proxy, to a server
// that answers as it was recorded: Prism holds each call against the OpenAPI document.
//
// No answer may break it. A call may, where it was refused: tests send what is wrong, too.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import http from "node:http";

const [documentFile, repliesFile, prism] = process.argv.slice(2);
const api = JSON.parse(readFileSync(documentFile, "utf8"));
const replies = readFileSync(repliesFile, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
const MARK = "x-recorded";

// Is it an operation? Paths are compared as the router does, undecoded but for what is no slash.
function isOperation({ method, path }) {
  const have = path.split("?")[0].replace(/(.)\/$/, "$1").split("/");
  return Object.entries(api.paths).some(([pattern, item]) => {
    const want = pattern.split("/");
    return item[method.toLowerCase()] && want.length === have.length &&
      want.every((w, i) => (w.startsWith("{") ? have[i] !== "" : w === have[i]));
  });
}

function headersOf(lines) {
  const headers = {};
  for (const line of lines.split("\r\n").filter(Boolean)) {
    const [name, value] = [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()];
    if (!["status", "content-length"].includes(name.toLowerCase())) headers[name] = value;
  }
  return headers;
}

// HTTP_IF_MATCH="1" is If-Match: "1".
function sentHeaders({ token, type, body, param }) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (type) headers["Content-Type"] = type;
  if (body !== null) headers["Content-Length"] = Buffer.byteLength(body);
  const [, name, value] = /^HTTP_([A-Z_]+)=(.*)$/s.exec(param ?? "") ?? [];
  if (name && !/[^\t -~]/.test(value)) headers[name.replaceAll("_", "-")] = value;
  return headers;
}

const listen = (server) => new Promise((done) => server.listen(0, "127.0.0.1", () => done(server.address().port)));

const upstream = http.createServer((request, response) => {
  const reply = replies[Number(request.headers[MARK])];
  request.resume().on("end", () => {
    response.writeHead(reply.status, headersOf(reply.headers));
    response.end(reply.body);
  });
});

// Prism says when it listens.
function startPrism(port, upstreamPort) {
  const child = spawn(process.execPath,
    [prism, "proxy", documentFile, `http://127.0.0.1:${upstreamPort}`, "-h", "127.0.0.1", "-p", String(port), "-v", "info"],
    { stdio: ["ignore", "pipe", "inherit"] });
  return new Promise((done, failed) => {
    let text = "";
    child.stdout.on("data", (data) => {
      text = (text + data).slice(-10000);
      if (text.includes("Prism is listening")) done(child);
    });
    child.on("exit", () => failed(new Error(`Prism ended:\n${text}`)));
  });
}

function ask(port, index, agent) {
  const { method, path, call } = replies[index];
  return new Promise((done, failed) => {
    const request = http.request(
      { host: "127.0.0.1", port, method, path, agent, headers: { ...sentHeaders(call), [MARK]: index } },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (data) => (text += data));
        response.on("end", () => done({ response, text }));
      });
    request.on("error", failed);
    request.end(call.body ?? undefined);
  });
}

// What only an admin sets is ignored from others, whatever it holds.
const admins = new Set(Object.values(api.components.schemas).flatMap(({ properties }) =>
  Object.keys(properties ?? {}).filter((name) => /(from others|else) it is ignored/.test(properties[name].description))));
const isIgnored = ([where, part, name]) => where === "request" && part === "body" && admins.has(name);

function faultsOf(index, { response, text }) {
  const { status } = replies[index];
  if (response.statusCode !== status) return [`Prism answers ${response.statusCode}: ${text.slice(0, 300)}`];
  return JSON.parse(response.headers["sl-violations"] ?? "[]")
    .filter(({ location }) => location[0] === "response" || (status < 300 && !isIgnored(location)))
    // Addresses are those of the HTML standard's pattern, which lets more pass than RFC 5321.
    .filter(({ message }) => !message.endsWith('must match format "email"'))
    .map(({ location, message }) => `${location.join(".")}: ${message}`);
}

const isJson = (text) => {
  try {
    return JSON.parse(text) instanceof Object;
  } catch {
    return false;
  }
};

// What Prism or Node cannot take, and the API's own tests hold: other letters in a path, a slash at
// its end, a backslash (a slash to Prism), what cannot be decoded; a parameter given twice; a media
// type that is none; a body that is no JSON, which Prism refuses itself; `bearer` in other letters.
const untaken = [
  ({ path }) => !/^(%(?=[0-7][\dA-Fa-f])|[!-$&-[\]-~])*$/.test(path) || /.\/(\?|$)/.test(path),
  ({ path }) => {
    const names = [...new URLSearchParams(path.split("?")[1]).keys()];
    return new Set(names).size !== names.length;
  },
  ({ call }) => call.type && !/^[\w.+-]+\/[\w.+-]+ *(;|$)/.test(call.type),
  ({ call }) => call.body !== null && !isJson(call.body),
  ({ call }) => /AUTHORIZATION/.test(call.param ?? ""),
];

// Who is told that there is no such path or method is told so in one form, whatever it was.
const isElsewhere = ({ status, body }) => [404, 405].includes(status) && /"(not_found|method_not_allowed)"/.test(body);

const isJudged = (reply) =>
  isOperation(reply) && !isElsewhere(reply) && !untaken.some((is) => is(reply));

async function judge(port) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const faults = [];
  let judged = 0;
  for (const [index, reply] of replies.entries()) {
    if (!isJudged(reply)) continue;
    judged++;
    for (const fault of faultsOf(index, await ask(port, index, agent)))
      faults.push(`${reply.method} ${reply.path}, status ${reply.status}: ${fault}`);
  }
  agent.destroy();
  for (const fault of faults.slice(0, 20)) console.error(fault);
  console.log(`${judged} calls through Prism, ${faults.length} faults`);
  return faults.length || judged === 0 ? 1 : 0;
}

const spare = http.createServer();
const port = await listen(spare);
spare.close();
const child = await startPrism(port, await listen(upstream));
try {
  process.exitCode = await judge(port);
} finally {
  child.removeAllListeners("exit");
  child.kill();
  upstream.close();
  upstream.closeAllConnections();
}
