/* compiler.h -- attributes of functions, by names that a compiler without them can ignore. */
#pragma once

/* Its result must be looked at. */
#define MUST_USE __attribute__((warn_unused_result))

/* It takes a format as printf does, as its argument number `text`, and values from `first` on. */
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
