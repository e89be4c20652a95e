{{/*
The environment of a service that pushes OTLP. Namespace and pod become labels, which is how restarts and GPUs are
joined to its models; the node is the host. POD_ variables come first: others are made of them.
*/}}
{{- define "infermeter.otlpEnvironment" -}}
{{- $host := printf "%s-collector.%s" (include "infermeter.fullname" .) .Release.Namespace -}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: k8s.namespace.name=$(POD_NAMESPACE),k8s.pod.name=$(POD_NAME),k8s.node.name=$(NODE_NAME),host.name=$(NODE_NAME)
{{- if eq .Values.collector.auth.mode "mtls" }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: https://{{ $host }}:4318
- name: OTEL_EXPORTER_OTLP_CERTIFICATE
  value: /var/run/secrets/infermeter/ca.crt
- name: OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE
  value: /var/run/secrets/infermeter/tls.crt
- name: OTEL_EXPORTER_OTLP_CLIENT_KEY
  value: /var/run/secrets/infermeter/tls.key
{{- else }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: http://{{ $host }}:4318
{{- end }}
{{- if eq .Values.collector.auth.mode "token" }}
- name: OTLP_TOKEN
  valueFrom: {secretKeyRef: {name: {{ include "infermeter.otlpSecret" . | quote }}, key: token}}
- name: OTEL_EXPORTER_OTLP_HEADERS
  value: Authorization=Bearer%20$(OTLP_TOKEN)
{{- end }}
{{- end -}}
