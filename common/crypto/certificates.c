#include "common/crypto/certificates.h"

#include <openssl/x509.h>

const char *certificates_trusted(void)
{
    return X509_get_default_cert_dir();
}
