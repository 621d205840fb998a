// The client that orval makes of the API's document, with its defaults, which call by axios: five
// calls, and the types of what they answer.
import axios from "axios";
import { createPost, deletePost, ErrorCode, listPosts, login, register } from "./orval/api.js";
import type { Problem } from "./orval/api.js";

declare const process: { argv: string[] };

const address = process.argv[2];
if (!address) throw new Error("usage: node orval.js http://127.0.0.1:8080/api");
axios.defaults.baseURL = address;

const credentials = { email: `orval-${Date.now()}@example.org`, password: "a long enough one" };

const registered = await register(credentials);
const role: "user" | "admin" = registered.data.user.role;
if (role !== "user") throw new Error("a new user is no admin");
console.log("ok", "register");

const tokens = await login(credentials);
const word: "Bearer" = tokens.data.token_type;
axios.defaults.headers.common.Authorization = `${word} ${tokens.data.access_token}`;
console.log("ok", "log in");

// `published` has a default, so that it need not be given.
const written = await createPost({ title: "On engines", content: "They weave algebraic patterns." });
const { id, published } = written.data.post;
if (published) throw new Error("it is no draft");
console.log("ok", "write a draft");

const listed = await listPosts({ published: false, limit: 5 });
const etag: string | undefined = listed.data.data.find((post) => post.id === id)?.etag;
if (!etag) throw new Error("the list has not the draft");
console.log("ok", "list it");

const remove = (version: string) => deletePost(id, { headers: { "If-Match": version } });
const refused = await remove('"none"').catch((error: unknown) => error);
if (!axios.isAxiosError<Problem>(refused) || refused.response?.data.code !== ErrorCode.precondition_failed)
    throw new Error("another version was deleted");
await remove(etag);
console.log("ok", "delete it, in the version that was read");
