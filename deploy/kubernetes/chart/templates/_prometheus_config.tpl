{{/* What Prometheus scrapes and evaluates. */}}
{{- define "infermeter.prometheusConfig" -}}
{{- $collector := printf "%s-collector" (include "infermeter.fullname" .) -}}
{{- $alertmanager := printf "%s-alertmanager:9093" (include "infermeter.fullname" .) -}}
global:
  scrape_interval: 15s
  scrape_timeout: 10s
  evaluation_interval: 15s

rule_files:
  - /etc/prometheus/rules/*.yml
{{- $told := ternary (list $alertmanager) .Values.alertmanager.addresses (eq .Values.alertmanager.mode "server") }}
{{- with $told }}

alerting:
  alertmanagers:
    - static_configs:
        - targets: {{ toJson . }}
{{- end }}

scrape_configs:
{{- if .Values.modelServing.enabled }}
  # Services that show their own /metrics (OTEL_METRICS_EXPORTER=prometheus).
  - job_name: model-serving
    honor_labels: true
    body_size_limit: 16MB
    sample_limit: {{ .Values.modelServing.sampleLimit | int64 }}
    label_limit: 40
    label_name_length_limit: 128
    label_value_length_limit: 512
    kubernetes_sd_configs:
      - role: pod
        {{- with .Values.modelServing.namespaces }}
        namespaces:
          names: {{ toJson . }}
        {{- end }}
        # Asked of the API server, so that it does not send every pod of the cluster.
        selectors:
          - role: pod
            label: app=model-serving
            {{- with .Values.modelServing.node }}
            field: spec.nodeName={{ . }}
            {{- end }}
    relabel_configs:
      {{- include "infermeter.modelServingRelabelings" . | nindent 6 }}
{{- end }}
{{- if .Values.collector.enabled }}

  # Every service that pushes, through the collector.
  - job_name: infermeter-collector
    honor_labels: true
    body_size_limit: 256MB
    sample_limit: 1000000
    label_limit: 40
    label_name_length_limit: 128
    label_value_length_limit: 512
    static_configs:
      - targets: ["{{ $collector }}:9464"]

  - job_name: infermeter-collector-pipelines
    honor_labels: true
    body_size_limit: 16MB
    sample_limit: 100000
    label_limit: 40
    label_name_length_limit: 128
    label_value_length_limit: 512
    static_configs:
      - targets: ["{{ $collector }}:9465"]

  - job_name: infermeter-collector-self
    body_size_limit: 16MB
    sample_limit: 5000
    static_configs:
      - targets: ["{{ $collector }}:8888"]
{{- end }}
{{- if ne .Values.gpu.source "none" }}

  # One target per node; a static target would show one node after the other, at random. honor_labels keeps the
  # namespace and pod of the workload that holds the GPU.
  - job_name: nvidia-gpu
    honor_labels: true
    body_size_limit: 16MB
    sample_limit: 20000
    kubernetes_sd_configs:
      - role: pod
        namespaces:
          names: ["{{ .Release.Namespace }}"]
        selectors:
          - role: pod
            label: app={{ include "infermeter.gpuName" . }},app.kubernetes.io/instance={{ .Release.Name }}
    relabel_configs:
      {{- include "infermeter.gpuRelabelings" . | nindent 6 }}
{{- end }}
{{- if .Values.kubeStateMetrics.enabled }}

  # Restarts of pods, for the overview.
  - job_name: kube-state-metrics
    honor_labels: true
    sample_limit: 500000
    static_configs:
      - targets: ["{{ .Values.kubeStateMetrics.address }}"]
    metric_relabel_configs:
      - source_labels: [__name__]
        regex: kube_pod_container_(status_restarts_total|resource_limits)
        action: keep
{{- end }}

  - job_name: prometheus
    sample_limit: 20000
    static_configs:
      - targets: ["localhost:9090"]
{{- if eq .Values.alertmanager.mode "server" }}

  - job_name: alertmanager
    sample_limit: 10000
    static_configs:
      - targets: ["{{ $alertmanager }}"]
{{- end }}

storage:
  tsdb:
    out_of_order_time_window: 30m
{{- end -}}
