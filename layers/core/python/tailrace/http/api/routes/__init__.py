"""Routes of the api application, one module a noun."""
