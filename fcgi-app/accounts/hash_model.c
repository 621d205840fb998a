#include "fcgi-app/accounts/hash_model.h"

#include "common/field/field.h"

static const struct field form_fields[] = {
    FIELD(struct hash_form, form, .doc = "What is before the salt."),
    FIELD(struct hash_form, n, .doc = "How many begin so."),
};
static const struct record form_record = RECORD("HashForm", struct hash_form, form_fields, 0);

#define BEFORE_SALT                                                                                \
    "'^([$]argon2(id|i|d)[$](v=[0-9]+[$])?m=[0-9]+,t=[0-9]+,p=[0-9]+[$]|[$]2[aby][$][0-9]{2}[$]|"  \
    "scrypt:[0-9]+:[0-9]+:[0-9]+|pbkdf2:[a-z0-9]+:[0-9]+)'"
#define SOME "SELECT id, password_hash FROM users FORCE INDEX (PRIMARY) ORDER BY id "

static const struct sql sql_forms = {"SELECT REGEXP_SUBSTR(password_hash, " BEFORE_SALT
                                     ") AS form, COUNT(*) AS n FROM ((" SOME "LIMIT ?) UNION (" SOME
                                     "DESC LIMIT ?)) AS some GROUP BY form "
                                     "ORDER BY n DESC, form LIMIT 1000",
                                     &form_record};

struct problem *hash_forms(struct db *db, struct arena *a,
                           void (*each)(void *context, const void *form), void *context)
{
    const struct db_arg rows = db_integer(HASHES_OF_EACH_END);
    return db_each(db, a, &sql_forms, DB_ARGS(rows, rows), each, context);
}
