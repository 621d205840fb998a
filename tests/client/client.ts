// A client whose types come from the API's own document: register, log in, write, read, and
// meet an error. Each path, body and answer below is checked by the compiler.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

declare const process: { argv: string[] };

const address = process.argv[2];
if (!address) throw new Error("usage: node client.js http://127.0.0.1:8080/api");

const api = createClient<paths>({ baseUrl: address });

// Which of the two it is was never asked for here, but the compiler cannot know.
type Failure = components["schemas"]["Problem"] | components["schemas"]["ProblemDetails"];

function expect<T>(what: string, data: T | undefined, error: Failure | undefined): T {
    if (data === undefined) throw new Error(`${what}: ${error?.code}`);
    console.log("ok", what);
    return data;
}

const credentials = {
    email: `client-${Date.now()}@example.org`,
    password: "a long enough one",
};

const registered = await api.POST("/auth/register", {
    body: { ...credentials, first_name: "Ada", last_name: null },
});
const { user } = expect("register", registered.data, registered.error);
const role: "user" | "admin" = user.role;
if (role !== "user") throw new Error("a new user is no admin");

const login = await api.POST("/auth/login", { body: credentials });
const tokens = expect("log in", login.data, login.error);
api.use({
    onRequest({ request }) {
        request.headers.set("Authorization", `Bearer ${tokens.access_token}`);
        return request;
    },
});

const written = await api.POST("/posts", {
    body: { title: "On engines", content: "They weave algebraic patterns.", published: true },
});
const { post } = expect("write a post", written.data, written.error);

const read = await api.GET("/posts/{id}", { params: { path: { id: post.id } } });
if (expect("read it", read.data, read.error).post.author_id !== user.id)
    throw new Error("the author is another");

const listed = await api.GET("/posts", {
    params: { query: { author_id: user.id, sort: "-created_at", limit: 5 } },
});
const page = expect("list them", listed.data, listed.error);
if (page.data.length !== 1) throw new Error("the list has not the one post");

// Which codes there are for a status is a type as well.
const refused = await api.POST("/posts", { body: { title: "", content: "" } });
if (refused.data || refused.error.code !== "invalid") throw new Error("an empty title passed");
console.log("ok", "an empty title is refused:", refused.error.details?.map((fault) => fault.field));

const gone = await api.DELETE("/posts/{id}", { params: { path: { id: post.id } } });
if (gone.response.status !== 204) throw new Error("it cannot be deleted");
console.log("ok", "delete it");
