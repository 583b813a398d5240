"""Search over the titles and messages of one owner's conversations.

`store` answers a search, `typos` reads a query again when nothing is found, `words` keeps the
vocabulary that it takes for that, called by maintenance. What is indexed, and when, is up to the
triggers of the schema; who writes questions without answers calls `index_rest`.
"""

from tailrace.search.store import Filters, Key, find, index_rest

__all__ = ["Filters", "Key", "find", "index_rest"]
