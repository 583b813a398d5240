"""Moving conversations: out as Markdown, JSON or an archive, in from those and from elsewhere."""
