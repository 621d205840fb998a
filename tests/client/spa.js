// A page's way to the API from another origin, in some forty lines of fetch: one refresh for all calls
// and tabs, lists by cursor, changes by version, a create that may be sent again.
const api = new URLSearchParams(location.search).get("api");
const tokens = () => JSON.parse(localStorage.getItem("tokens") ?? "{}");
const keep = (told) => localStorage.setItem("tokens", JSON.stringify(told));
let refreshing;

async function send(method, path, body, headers = {}) {
  const response = await fetch(api + path, {
    method,
    headers: { ...headers, ...(body && { "Content-Type": "application/json" }) },
    body: body && JSON.stringify(body),
  });
  const text = await response.text(); // here, for an answer may be cut in its middle
  return { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : null };
}

async function refresh() {
  const answer = await send("POST", "/auth/refresh", { refresh_token: tokens().refresh_token });
  keep(answer.status === 200 ? answer.body : {});
}

export async function call(method, path, body, headers = {}, tries = 4) {
  const token = tokens().access_token;
  const trace = "00-" + crypto.randomUUID().replaceAll("-", "") + "-00f067aa0ba902b7-01";
  const sent = { ...headers, traceparent: trace, ...(token && { Authorization: `Bearer ${token}` }) };
  const safe = method === "GET" || headers["Idempotency-Key"];
  const answer = await send(method, path, body, sent).catch((lost) => ({ lost }));
  if (answer.lost && !(safe && tries > 1)) throw answer.lost;
  if (answer.lost) return call(method, path, body, headers, tries - 1);
  if (answer.body?.code !== "token_expired" || tries <= 1) return answer;
  if (token === tokens().access_token) await (refreshing ??= refresh().finally(() => (refreshing = null)));
  return call(method, path, body, headers, tries - 1);
}

export const login = async (email, password) => keep((await send("POST", "/auth/login", { email, password })).body);
export const create = (path, thing) => call("POST", path, thing, { "Idempotency-Key": crypto.randomUUID() });
export const logout = () => call("POST", "/auth/logout").then((answer) => (keep({}), answer));

export async function* all(path) {
  for (let cursor = "", next; cursor !== null; cursor = next) {
    const { body } = await call("GET", path + (cursor && `&cursor=${encodeURIComponent(cursor)}`));
    next = body.pagination.next_cursor;
    yield* body.data;
  }
}

// `merge` makes the change out of what is there now.
export async function change(path, key, seen, merge) {
  const answer = await call("PATCH", path, merge(seen.thing), { "If-Match": seen.etag });
  if (answer.status !== 412) return answer;
  const now = await call("GET", path);
  return change(path, key, { thing: now.body[key], etag: now.headers.get("ETag") }, merge);
}
