"""The api function: a function URL with buffered responses over the api application.

Services are opened here, at init, and never closed: Lambda ends a process without a word. A
setting that cannot be used stops the start here, and Lambda's log says which. Where there is a
namespace for metrics, each request is a line of them.
"""

import logging

from mangum import Mangum

from tailrace.http.api import create_app
from tailrace.http.request_metrics import RequestMetrics
from tailrace.lambda_loop import run
from tailrace.services import Services
from tailrace.settings import Settings

# It would tell the path of every request, which may hold the token of a link.
logging.getLogger("mangum.http").setLevel(logging.WARNING)

settings = Settings.load()
services = Services(settings)
run(services.open())
app = create_app(services, lifespan=False)
if settings.cloudwatch_namespace is None:
    handler = Mangum(app, lifespan="off")
else:
    from aws_lambda_powertools.metrics import Metrics

    metrics = Metrics(service="api", namespace=settings.cloudwatch_namespace)
    handler = metrics.log_metrics(
        Mangum(RequestMetrics(app, metrics), lifespan="off"), capture_cold_start_metric=True
    )
