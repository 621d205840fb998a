/* nginx_files.h -- the files of nginx/ that the program was built beside. */
#pragma once

/* As nginx/render writes it into http.conf: their checksum and size. */
extern const char nginx_templates[];
