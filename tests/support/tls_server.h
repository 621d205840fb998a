/* tls_server.h -- the test's MariaDB on a TCP port of its own, with certificates of its own. */
#pragma once

/* The certificates, in PEM, as DATABASE_URL names them: tls_file(TLS_CA). */
#define TLS_CA "ca.pem"             /* who signed the others */
#define TLS_OTHER_CA "other.pem"    /* who signed none of them */
#define TLS_SERVER "server.pem"     /* for 127.0.0.1 and localhost, */
#define TLS_EXPIRED "expired.pem"   /* and until yesterday */
#define TLS_CLIENT "client.pem"     /* of who connects */
#define TLS_CLIENT_KEY "client.key" /* and its key */

/** Make the certificates, and start the server again with TCP on 127.0.0.1 and 127.0.0.2. Of
 *  `certificate`, or without TLS when it is NULL. The account of DATABASE_URL is let in by TCP,
 * too. To be used as a fixture around a case; tls_server_end() starts it as it was, without TCP. */
void tls_server_begin(const char *certificate);
void tls_server_end(void);

/** Where a file is; lives until tls_server_end(). */
const char *tls_file(const char *name);

/** DATABASE_URL by TCP to a host, with a query such as "ssl-verify=false" or "". To be freed. */
char *tls_url(const char *host, const char *query);
