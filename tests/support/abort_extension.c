/* An extension that offers the function names of a sync provider and ends the process when it is asked to send.
   It proves that a crash in somebody else's code is a finding and not the end of a run.
   With CRASH_IN, it does so only in databases whose path holds that text, and agrees to everything in all others. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct sqlite3 sqlite3;
typedef struct sqlite3_context context;
typedef struct sqlite3_value value;
typedef void (*scalar)(context *, int, value **);

/* SQLite hands its functions over as a table of pointers whose order never changes; these are the places in it.
   Named like this, no SQLite header is needed to build the file. */
enum { CREATE_FUNCTION = 45, RESULT_INT = 82, RESULT_TEXT = 85, CONTEXT_DB = 149, DB_FILENAME = 180, UTF8 = 1 };

typedef void (*any)(void);
typedef int (*create_function)(sqlite3 *, const char *, int, int, void *, scalar, scalar, any);
typedef void (*result_int)(context *, int);
typedef void (*result_text)(context *, const char *, int, void (*)(void *));
typedef sqlite3 *(*context_db)(context *);
typedef const char *(*db_filename)(sqlite3 *, const char *);

static const any *api;

static void text(context *c, const char *s) { ((result_text)api[RESULT_TEXT])(c, s, -1, NULL); }

static void version(context *c, int n, value **v) {
    (void)n, (void)v;
    text(c, "abort 1");
}

static void zero(context *c, int n, value **v) {
    (void)n, (void)v;
    ((result_int)api[RESULT_INT])(c, 0);
}

static void receive(context *c, int n, value **v) {
    (void)n, (void)v;
    text(c, "{\"receive\":{\"rows\":0,\"tables\":[],\"chunks\":0,\"bytes\":0,\"complete\":true}}");
}

static void crash(context *c, int n, value **v) {
    (void)n, (void)v;
#ifdef CRASH_IN
    sqlite3 *db = ((context_db)api[CONTEXT_DB])(c);
    const char *path = ((db_filename)api[DB_FILENAME])(db, "main");
    if (path == NULL || strstr(path, CRASH_IN) == NULL) {
        text(c, "{\"send\":{\"status\":\"synced\",\"localVersion\":1,\"serverVersion\":1}}");
        return;
    }
#else
    (void)c;
#endif
    fprintf(stderr, "the extension gives up\n");
    abort();
}

int sqlite3_abort_init(sqlite3 *db, char **error, const void *table) {
    static const struct {
        const char *name;
        int args;
        scalar call;
    } functions[] = {
        {"cloudsync_version", 0, version},
        {"cloudsync_init", 1, zero},
        {"cloudsync_network_init_custom", 2, zero},
        {"cloudsync_network_set_token", 1, zero},
        {"cloudsync_network_set_apikey", 1, zero},
        {"cloudsync_network_send_changes", 0, crash},
        {"cloudsync_network_receive_changes", 0, receive},
        {"cloudsync_network_reset_sync_version", 0, zero},
        {"cloudsync_network_has_unsent_changes", 0, zero},
        {"cloudsync_network_cleanup", 0, zero},
        {"cloudsync_terminate", 0, zero},
    };
    (void)error;
    api = table;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        int rc = ((create_function)api[CREATE_FUNCTION])(db, functions[i].name, functions[i].args, UTF8, NULL,
                                                         functions[i].call, NULL, NULL);
        if (rc != 0) return rc;
    }
    return 0;
}
