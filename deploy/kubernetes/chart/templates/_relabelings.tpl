{{/* Which pods serve models, and where each is scraped. Once for Prometheus, and from here for the operator. */}}
{{- define "infermeter.modelServingRelabelings" -}}
- source_labels: [__meta_kubernetes_pod_label_app]
  regex: model-serving
  action: keep
# A service that pushes OTLP would be counted twice.
- source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape]
  regex: "false"
  action: drop
- source_labels: [__meta_kubernetes_pod_phase]
  regex: Succeeded|Failed
  action: drop
- source_labels: [__meta_kubernetes_pod_ready]
  regex: "true"
  action: keep
- source_labels: [__meta_kubernetes_pod_container_init]
  regex: "true"
  action: drop
- source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_path]
  regex: (.+)
  target_label: __metrics_path__
# A pod has a target per container port. With the annotation all of them become this one, and one is scraped.
- source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_port, __meta_kubernetes_pod_ip]
  regex: (\d+);([^:]+)
  target_label: __address__
  replacement: $2:$1
- source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_port, __meta_kubernetes_pod_ip]
  regex: (\d+);(.*:.*)
  target_label: __address__
  replacement: "[$2]:$1"
- source_labels: [__meta_kubernetes_namespace]
  target_label: namespace
- source_labels: [__meta_kubernetes_pod_name]
  target_label: pod
- source_labels: [__meta_kubernetes_pod_node_name]
  target_label: node
{{- end -}}

{{/* Each node's exporter under the node's name; its own namespace and pod are nobody's business. */}}
{{- define "infermeter.gpuRelabelings" -}}
- source_labels: [__meta_kubernetes_pod_label_app, __meta_kubernetes_pod_container_port_name]
  regex: {{ include "infermeter.gpuName" . }};metrics
  action: keep
- source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_instance]
  regex: {{ .Release.Name | replace "." "\\." | squote }}
  action: keep
- source_labels: [__meta_kubernetes_pod_node_name]
  target_label: host_name
{{- end -}}

{{/*
Prometheus' relabelings as the operator spells them, after which the job has the name the rules know. Takes a dict: job,
and relabelings where there are some.

The operator begins with labels that say where it found a target. Rules and dashboards know targets without them: with
the container, two containers of a pod are two targets at one address and count twice; with namespace and pod, what
nobody's pod is (a GPU that is free, a sender outside of the cluster) becomes the exporter's own. So they go first.
*/}}
{{- define "infermeter.operatorRelabelings" -}}
- action: labeldrop
  regex: namespace|node|service|pod|container|endpoint
{{- range fromYamlArray (.relabelings | default "[]") -}}
{{- $one := dict -}}
{{- range $key, $value := . -}}
{{- $_ := set $one (get (dict "source_labels" "sourceLabels" "target_label" "targetLabel") $key | default $key) $value -}}
{{- end }}
{{ list $one | toYaml }}
{{- end }}
- targetLabel: job
  replacement: {{ .job }}
{{- end -}}
