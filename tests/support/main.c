/* The main() of test programs that have none of their own. */
#include "tests/support/suite.h"

int main(void)
{
    return suite_main();
}
