/* certificates.h -- whose certificates this machine trusts, where nobody says otherwise. */
#pragma once

/** The folder of certificates that OpenSSL trusts by default, each under the hash of its name.
 * Lives as long as the program. */
const char *certificates_trusted(void);
