/* last_answer.h -- what a worker that has no memory left still says: 503, before it ends. */
#pragma once

struct fastcgi;
struct request;

/** From now on, this is who waits for an answer: by a request that is still coming, or by one that
 *  is handled. The last one is NULL until there is one. Borrowed until the next call. */
void last_answer_is_for(int fd, const struct fastcgi *coming, const struct request *rq);

/** Nobody waits, or the answer is on its way: half of it and this one would be neither. */
void last_answer_is_for_nobody(void);

/** For on_exhausted(). Without a buffer that would have to grow: the client is told to try again,
 *  in the form that it knows, whatever web server is before us. */
void last_answer_give(void);
