# Tailrace as one process: page, API, streams and schedules. What Compose runs without LocalStack, and
# what a team runs on ECS or Kubernetes. The same image migrates the schema:
#   docker run … python -m tailrace migrate

ARG PYTHON=3.13
ARG DEBIAN=trixie

FROM node:24-${DEBIAN}-slim AS page
WORKDIR /src/web
COPY web/package.json web/package-lock.json web/.npmrc ./
RUN npm install --no-save --no-audit --no-fund --loglevel error
COPY web ./
RUN npm run build

FROM python:${PYTHON}-slim-${DEBIAN} AS packages
ARG UV_VERSION=0.13.9
RUN pip install --no-cache-dir --root-user-action ignore "uv==${UV_VERSION}"
WORKDIR /src
COPY pyproject.toml requirements.lock README.md LICENSE ./
# Every extra at the version of the lock file, and nothing that builds or tests need.
RUN uv venv --quiet /app/venv \
    && uv pip compile --quiet --no-header --no-annotate --all-extras --only-binary :all: \
        --constraints requirements.lock --output-file runtime.txt pyproject.toml \
    && uv pip install --quiet --python /app/venv --no-deps --only-binary :all: \
        --compile-bytecode --requirements runtime.txt
COPY layers/core/python layers/core/python
RUN uv pip install --quiet --python /app/venv --no-deps --compile-bytecode .

# For Compose with LocalStack: the functions as they are packed for Lambda on this machine, and what
# deploys them into an emulator. Never what production runs.
FROM packages AS emulated
RUN apt-get update && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
COPY tests/acceptance/aws/sam.lock sam.lock
RUN uv venv --quiet .venv-sam && uv pip sync --quiet --python .venv-sam sam.lock
COPY build.mk samconfig.toml template.yaml ./
COPY functions functions
COPY layers/runtime layers/runtime
ENV PATH=/app/venv/bin:$PATH PYTHONUNBUFFERED=1 SAM_CLI_TELEMETRY=0 HOME=/data
RUN LAMBDA_PLATFORM="$(uname -m)-manylinux_2_28" \
    .venv-sam/bin/sam build --build-dir .aws-sam/emulated
COPY deploy deploy
COPY localstack localstack
COPY --from=page /src/web/dist web/dist
RUN useradd --system --uid 10001 --home-dir /data --create-home tailrace
USER 10001
EXPOSE 8787
CMD ["python", "-m", "localstack.emulated", "serve", "--host", "0.0.0.0"]

FROM python:${PYTHON}-slim-${DEBIAN}
LABEL org.opencontainers.image.title="Tailrace" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --home-dir /data --create-home tailrace
COPY --from=packages /app/venv /app/venv
COPY --from=page /src/web/dist /app/page
ENV PATH=/app/venv/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /data
VOLUME /data
USER 10001
EXPOSE 8787
# The process for itself; whether it can do its work, /readyz tells what balances the load.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8787/healthz', timeout=3)"]
# SIGTERM ends the answers under way, saves them, and gives their readers some seconds for the end.
CMD ["python", "-m", "tailrace.server", "--page", "/app/page"]
