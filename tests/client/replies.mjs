// replies.mjs DOCUMENT REPLIES -- hold replies that tests have recorded, one a line, against the
// OpenAPI document, by a validator of JSON Schema 2020-12 that is not ours.

import { readFileSync } from "node:fs";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const [documentFile, repliesFile] = process.argv.slice(2);
const api = JSON.parse(readFileSync(documentFile, "utf8"));
// Not strict, for the document around the schemas has keywords of OpenAPI's.
const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats(ajv);
// Addresses are those of the HTML standard's pattern, which lets more pass than RFC 5321.
ajv.addFormat("email", true);
ajv.addSchema(api, "api");

const escape = (key) => key.replaceAll("~", "~0").replaceAll("/", "~1");

// A node of the document and where it stands; a reference is followed.
function at(pointer) {
  let node = api;
  for (const key of pointer.split("/").slice(1))
    node = node?.[key.replaceAll("~1", "/").replaceAll("~0", "~")];
  return node?.$ref ? at(node.$ref.slice(1)) : node && { node, pointer };
}

// Segments are split before they are decoded; what is in braces stands for any.
function findPath(path) {
  const have = path.split("?")[0].replace(/(.)\/$/, "$1").split("/");
  const fits = (pattern) => {
    const want = pattern.split("/");
    return (
      want.length === have.length &&
      want.every((w, i) => {
        if (w.startsWith("{")) return have[i] !== "";
        try {
          return w === decodeURIComponent(have[i]);
        } catch {
          return false;
        }
      })
    );
  };
  const all = Object.keys(api.paths).filter(fits);
  return all.find((p) => !p.includes("{")) ?? all[0];
}

const seen = new Set();
let judged = 0;
const faults = [];

function judge(reply) {
  if (!/^application\/(.+\+)?json/.test(reply.type) || reply.body === "") return;
  const path = findPath(reply.path);
  const method = reply.method === "HEAD" ? "get" : reply.method.toLowerCase();
  const base = `/paths/${escape(path ?? "")}/${method}`;
  const body = JSON.parse(reply.body);
  const response = at(`${base}/responses/${reply.status}`);
  const type = reply.type.split(";")[0];
  let schema = response && `${response.pointer}/content/${escape(type)}/schema`;
  // Who asks for another path or method is told so in the form of all failures.
  if (!at(base) || ["not_found", "method_not_allowed"].includes(body.code))
    schema = `/components/schemas/${type.includes("problem") ? "ProblemDetails" : "Problem"}`;
  if (!schema || !at(schema)) return `${reply.status} ${type} is not described`;
  const validate = ajv.getSchema(`api#${encodeURI(schema)}`);
  judged++;
  if (reply.status < 300) seen.add(`${method} ${path}`);
  return validate(body) ? undefined : ajv.errorsText(validate.errors);
}

for (const line of readFileSync(repliesFile, "utf8").split("\n").filter(Boolean)) {
  const reply = JSON.parse(line);
  const wrong = judge(reply);
  if (wrong) faults.push(`${reply.method} ${reply.path}, status ${reply.status}: ${wrong}`);
}

// What nobody asked for was not judged either.
for (const [path, item] of Object.entries(api.paths))
  for (const [method, operation] of Object.entries(item)) {
    const success = Object.entries(operation.responses).find(([status]) => status < 300);
    const json = success?.[1].content?.["application/json"];
    if (json && !seen.has(`${method} ${path}`)) faults.push(`${method} ${path}: no reply recorded`);
  }

for (const fault of faults.slice(0, 20)) console.error(fault);
console.log(`${judged} replies judged by ajv, ${faults.length} faults`);
process.exit(faults.length || judged === 0 ? 1 : 0);
