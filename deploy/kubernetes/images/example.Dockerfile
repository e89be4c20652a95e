# The example service: docker build -t infermeter-example:0.1.0 -f deploy/kubernetes/images/example.Dockerfile .
FROM python:3.11-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY sdk sdk
COPY collector collector
COPY deploy deploy
COPY examples examples
RUN pip install --no-cache-dir --no-compile --target /opt/infermeter --constraint constraints.txt \
    ".[fastapi,prometheus]" scikit-learn uvicorn

FROM gcr.io/distroless/python3-debian12:nonroot
LABEL org.opencontainers.image.title="infermeter-example" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/infermeter /opt/infermeter
COPY examples/fraud_api /srv/fraud_api
ENV PYTHONPATH=/opt/infermeter:/srv PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
EXPOSE 8000 9464
# An empty host: all addresses, of both families.
ENTRYPOINT ["/usr/bin/python3", "-m", "uvicorn", "fraud_api.app:app", "--host", "", "--port", "8000"]
