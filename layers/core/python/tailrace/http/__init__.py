"""HTTP: the ASGI applications that the functions and the embedded stack serve."""
