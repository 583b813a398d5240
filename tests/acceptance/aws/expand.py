"""Prints template.yaml as CloudFormation gets it: anchors written out, SAM's resources translated.

Run by `conftest` with the interpreter of SAM's environment, which has what it imports.
"""

import contextlib
import json
import os
import sys
from pathlib import Path

os.environ["AWS_DEFAULT_REGION"] = "eu-central-1"

from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

template = yaml_parse(Path(sys.argv[1]).read_text())
parameters = {name: told.get("Default", "") for name, told in template["Parameters"].items()}
packed = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}
for resource in template["Resources"].values():
    if resource["Type"] in packed:
        resource["Properties"][packed[resource["Type"]]] = "s3://packed/here"
# It says what is missing from its own configuration.
with contextlib.redirect_stdout(sys.stderr):
    translated = Translator(managed_policy_map={}, sam_parser=Parser()).translate(
        sam_template=template, parameter_values=parameters
    )
json.dump(translated, sys.stdout)
