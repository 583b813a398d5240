"""The chat function: a function URL with streamed responses over the chat application.

Started by `layers/runtime`, which runs the application's lifespan before the first request. A
setting that cannot be used stops the start here, and Lambda's log says which.
"""

from tailrace.http.chat import create_app
from tailrace.services import Services
from tailrace.settings import Settings
from tailrace.telemetry import capture
from tailrace.telemetry.cloudwatch import call_writer
from tailrace_runtime.asgi import StreamingHandler

settings = Settings.load()
if settings.cloudwatch_namespace is not None:
    capture.tell(call_writer(settings.cloudwatch_namespace, "chat"))
handler = StreamingHandler(
    create_app(Services(settings)), remake=lambda: create_app(Services(Settings.load()))
)
