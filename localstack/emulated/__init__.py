"""The functions in an emulator of AWS (LocalStack, ministack), and the page in front of them.

``make localstack`` and the Compose file run it; `front` stands where CloudFront stands on AWS.
"""
