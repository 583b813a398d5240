"""A Lambda runtime for Python that streams, made of the standard library alone.

`functions/chat` wraps its ASGI app in `asgi.StreamingHandler`; the script `tailrace-runtime`
starts `__main__` in place of the stock bootstrap. Under a runtime that cannot stream, the same
handler answers with a buffered response. Nothing here knows about Tailrace.
"""
