/* torture.h -- tests with random input: where it begins, and for how long.
 *
 *     unsigned seed = torture_seed();
 *     for (int round = 0; round < torture_rounds(1000); round++)
 *         … ck_assert_msg(…, "SEED=%u", seed);
 *
 * `make check` runs a usual number of rounds; `make torture` runs those of all programs that
 * include this header a hundred times as often, or as the environment's TORTURE says.
 */
#pragma once

/** The environment's SEED, so that a failure can be seen again, else another at each call; it is
 * told in the log. */
unsigned torture_seed(void);

/** `usual`, times TORTURE where that is set. */
int torture_rounds(int usual);
