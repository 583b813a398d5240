"""Sharing: links with which anybody may read one branch of a conversation, as it was."""
