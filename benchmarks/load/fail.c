/* The end at the first mistake, told as the report is: in one line of JSON. */

#include "load.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Prints a JSON string. Control and non-ASCII characters become "?", because the text may come from the server. */
static void print_json_string(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar(*text >= ' ' && *text <= '~' ? *text : '?');
    }
    putchar('"');
}

_Noreturn void fail(const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    printf("{\"errors\": 1, \"error\": ");
    print_json_string(text);
    printf("}\n");
    exit(EXIT_FAILURE);
}
