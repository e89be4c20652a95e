# The agent for GPUs: docker build -t infermeter-agent:0.1.0 -f deploy/kubernetes/images/agent.Dockerfile .
FROM python:3.11-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY sdk sdk
COPY collector collector
COPY deploy deploy
COPY examples examples
# Into a folder of its own, with each package's metadata, for the image below, whose Python is the same.
RUN pip install --no-cache-dir --no-compile --target /opt/infermeter --constraint constraints.txt ".[cli,gpu,prometheus]"

FROM gcr.io/distroless/python3-debian12:nonroot
LABEL org.opencontainers.image.title="infermeter-agent" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/infermeter /opt/infermeter
ENV PYTHONPATH=/opt/infermeter PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
EXPOSE 9400
ENTRYPOINT ["/usr/bin/python3", "-m", "infermeter.cli", "gpu", "agent"]
CMD ["--host=0.0.0.0"]
