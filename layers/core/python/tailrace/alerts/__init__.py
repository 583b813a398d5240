"""Alerts: rules about the numbers, evaluated by maintenance, told to webhooks and to Amazon SNS.

`rules` says what a rule is, `numbers` reads what it is about, `states` decides what becomes of
it, `evaluation` does all three for every rule, `deliveries` tells the targets, each a file in
`targets`. `store` is what the admin API reads and writes.
"""
