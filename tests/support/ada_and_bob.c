#include "tests/support/ada_and_bob.h"

const char *ada_id;
struct login ada, elsewhere, bob;

void meet_ada_and_bob(void)
{
    loopback_open();
    ada_id = make_user("Ada@example.org", ROLE_USER);
    make_user("bob@example.org", ROLE_USER);
    ada = enter("ada@example.org");
    elsewhere = enter("ada@example.org");
    bob = enter("bob@example.org");
}
