/* cheap_hashes.h -- for one program: the costly primitives of passwords, which cost nothing. They
 * stand before those of the libraries, so that only our own reading of hashes is tried. */
#pragma once

#include <argon2.h>
#include <crypt.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* Every byte that we handed over is read, so that a sanitizer sees a wrong length. */
static unsigned sum_of(const void *data, size_t len)
{
    unsigned sum = 0;
    for (size_t i = 0; i < len; i++)
        sum += ((const unsigned char *)data)[i];
    return sum;
}

int argon2_ctx(argon2_context *context, argon2_type type)
{
    unsigned sum = sum_of(context->pwd, context->pwdlen) + sum_of(context->salt, context->saltlen);
    if (context->m_cost > 256u * 1024 || context->lanes > 16 || context->threads != context->lanes)
        abort(); /* more than we let anybody ask for */
    if (context->outlen < 4 || context->saltlen < 8 || context->m_cost < 8 * context->lanes)
        return ARGON2_INCORRECT_PARAMETER;
    memset(context->out, (int)(sum + (unsigned)type) & 0x7F, context->outlen);
    return ARGON2_OK;
}

int EVP_PBE_scrypt(const char *pass, size_t passlen, const unsigned char *salt, size_t saltlen,
                   uint64_t N, uint64_t r, uint64_t p, uint64_t maxmem, unsigned char *key,
                   size_t keylen)
{
    if (128 * N * r > maxmem || maxmem > (uint64_t)300 * 1024 * 1024 || p < 1)
        abort();
    memset(key, (int)(sum_of(pass, passlen) + sum_of(salt, saltlen)) & 0x7F, keylen);
    return 1;
}

int PKCS5_PBKDF2_HMAC(const char *pass, int passlen, const unsigned char *salt, int saltlen,
                      int iter, const EVP_MD *digest, int keylen, unsigned char *out)
{
    if (iter < 1 || iter > 2000000 || passlen < 0 || saltlen < 0 || !digest)
        abort();
    memset(out, (int)(sum_of(pass, (size_t)passlen) + sum_of(salt, (size_t)saltlen)) & 0x7F,
           (size_t)keylen);
    return 1;
}

char *crypt_r(const char *phrase, const char *setting, struct crypt_data *data)
{
    if (strlen(setting) != 60 || strlen(phrase) > 72)
        abort();
    memcpy(data->output, setting, 61);
    return data->output;
}
