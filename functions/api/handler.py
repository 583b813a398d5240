"""The api function: a function URL with buffered responses over the api application.

Services are opened here, at init, and never closed: Lambda ends a process without a word. A
setting that cannot be used stops the start here, and Lambda's log says which.
"""

from mangum import Mangum

from tailrace.http.api import create_app
from tailrace.lambda_loop import run
from tailrace.services import Services
from tailrace.settings import Settings

services = Services(Settings.load())
run(services.open())
handler = Mangum(create_app(services, lifespan=False), lifespan="off")
