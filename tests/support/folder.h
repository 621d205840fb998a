/* folder.h -- a folder for the files of a test. */
#pragma once

/** Make a folder of this name, the last six letters of which become others, whatever they are. */
void folder_make(char *name);

/** Remove it with all that is in it. */
void folder_remove(const char *name);
