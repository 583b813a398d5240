"""The commands of ``tailrace``, a module for each group of them.

A module has a function ``add``, which adds its parsers to the command line. Each parser names what
it does by ``set_defaults(work=…)``: a coroutine function of services and arguments, which returns
the text to print.
"""
