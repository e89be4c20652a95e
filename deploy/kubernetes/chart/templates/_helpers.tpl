{{/*
Names: a release whose name begins with infermeter does not say it twice. They become names of Services and labels, which
are shorter than the names of releases and know no dots; what had to be cut or changed keeps itself apart by a checksum.
*/}}
{{- define "infermeter.fullname" -}}
{{- $name := .Release.Name -}}
{{- if not (hasPrefix "infermeter" $name) -}}
{{- $name = printf "%s-infermeter" $name -}}
{{- end -}}
{{- if or (gt (len $name) 38) (contains "." $name) -}}
{{- printf "%s-%s" ($name | replace "." "-" | trunc 29 | trimSuffix "-") (.Release.Name | sha256sum | trunc 8) -}}
{{- else -}}
{{- $name -}}
{{- end -}}
{{- end -}}

{{/* What other releases must not have outside the release's namespace: names of one cluster, or of another namespace. */}}
{{- define "infermeter.clusterName" -}}
{{- printf "%s-%s" (include "infermeter.fullname" .) (printf "%s/%s" .Release.Namespace .Release.Name | sha256sum | trunc 8) -}}
{{- end -}}

{{/* What selects the pods of a part. Takes a list: the root and the part's name. */}}
{{- define "infermeter.selector" -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
{{- end -}}

{{- define "infermeter.labels" -}}
{{ include "infermeter.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/part-of: infermeter
{{- end -}}

{{- define "infermeter.image" -}}
image: {{ printf "%s:%s" .repository .tag | quote }}
imagePullPolicy: {{ .pullPolicy }}
{{- end -}}

{{- define "infermeter.pullSecrets" -}}
{{- with .Values.imagePullSecrets -}}
imagePullSecrets:
{{- range . }}
  - name: {{ . | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/*
Requests and limits of a container, where nothing may ask for more than it may have. Takes a dict: cpu, memory and limit,
the latter two in MiB.
*/}}
{{- define "infermeter.resources" -}}
requests: {cpu: {{ .cpu }}, memory: {{ min .memory .limit }}Mi}
limits: {memory: {{ int64 .limit }}Mi}
{{- end -}}

{{/* The most restricted that Kubernetes' pod security standards know. */}}
{{- define "infermeter.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Takes the user id. */}}
{{- define "infermeter.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "infermeter.otlpSecret" -}}
{{- $kind := ternary "tls" "token" (eq .Values.collector.auth.mode "mtls") -}}
{{- .Values.collector.auth.secretName | default (printf "%s-otlp-%s" (include "infermeter.fullname" .) $kind) -}}
{{- end -}}

{{/* The ConfigMap with the rules: the chart's own, or the team's. */}}
{{- define "infermeter.rules" -}}
{{- if .Values.rules.create -}}
{{- printf "%s-prometheus-rules" (include "infermeter.fullname" .) -}}
{{- else -}}
{{- .Values.rules.configMap | default (printf "%s-own-rules" (include "infermeter.fullname" .)) -}}
{{- end -}}
{{- end -}}

{{- define "infermeter.gpuName" -}}
{{- ternary "infermeter-gpu-agent" "dcgm-exporter" (eq .Values.gpu.source "agent") -}}
{{- end -}}

{{/* A shipped file, with the address of the team's runbooks. Takes a list: the root and the path. */}}
{{- define "infermeter.withRunbooks" -}}
{{- $root := index . 0 -}}
{{- $root.Files.Get (index . 1) | replace "https://infermeter.example/deploy/runbooks" $root.Values.runbooks -}}
{{- end -}}
