"""How long tests wait for servers: as long as a busy machine may make them take."""

#: Settings under which nobody gives up a server that is slow. Who tests what is not waited for
#: sets a time of its own.
PATIENT = {"TAILRACE_DATABASE_TIMEOUT": "30", "TAILRACE_REDIS_TIMEOUT": "10"}
