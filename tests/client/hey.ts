// The client that hey-api makes of the API's document, with its defaults: five calls, and the types
// of what they answer.
import { client } from "./hey/client.gen.js";
import { createPost, deletePost, listPosts, login, register } from "./hey/sdk.gen.js";

declare const process: { argv: string[] };

const address = process.argv[2];
if (!address) throw new Error("usage: node hey.js http://127.0.0.1:8080/api");
client.setConfig({ baseUrl: address });

const credentials = { email: `hey-${Date.now()}@example.org`, password: "a long enough one" };

const registered = await register({ body: credentials, throwOnError: true });
const role: "user" | "admin" = registered.data.user.role;
if (role !== "user") throw new Error("a new user is no admin");
console.log("ok", "register");

const tokens = await login({ body: credentials, throwOnError: true });
const word: "Bearer" = tokens.data.token_type;
client.setConfig({ auth: tokens.data.access_token });
console.log("ok", "log in:", word);

// `published` has a default, so that it need not be given.
const written = await createPost({
    body: { title: "On engines", content: "They weave algebraic patterns." },
    throwOnError: true,
});
const { id, published } = written.data.post;
if (published) throw new Error("it is no draft");
console.log("ok", "write a draft");

const listed = await listPosts({ query: { published: false, limit: 5 } });
const etag: string | undefined = listed.data?.data.find((post) => post.id === id)?.etag;
if (!etag) throw new Error("the list has not the draft");
console.log("ok", "list it");

const refused = await deletePost({ path: { id }, headers: { "If-Match": '"none"' } });
if (refused.error?.code !== "precondition_failed") throw new Error("another version was deleted");
await deletePost({ path: { id }, headers: { "If-Match": etag }, throwOnError: true });
console.log("ok", "delete it, in the version that was read");
