"""What an installation costs in a month: computed from prices, template.yaml and a workload.

``python -m bench.cost`` prints the tables of docs/deploy.md, and ``--write`` puts them there.
Prices are in ``prices.toml``, what a chat is taken to be in ``workload.toml``; what is deployed is
read from template.yaml.
"""
