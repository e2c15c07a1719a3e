{{/* What all objects and all pods of the hub have in common. */}}
{{- define "flexhub.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "flexhub.selector" -}}
app.kubernetes.io/name: flexhub
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "flexhub.labels" -}}
{{ include "flexhub.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "flexhub.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* A pod that starts anew when settings change. */}}
{{- define "flexhub.annotations" -}}
checksum/settings: {{ .Values.settings | toJson | sha256sum }}
{{- with .Values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "flexhub.pod" -}}
serviceAccountName: {{ .Values.serviceAccount }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: secrets
    secret:
      secretName: {{ .Values.secret.name }}
      defaultMode: 0440
  - name: data
    emptyDir: {sizeLimit: {{ .Values.data.sizeLimit }}}
  - name: tmp
    emptyDir: {}
{{- end }}

{{- define "flexhub.container" -}}
image: {{ include "flexhub.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
envFrom:
  - configMapRef: {name: {{ include "flexhub.name" . }}}
volumeMounts:
  - {name: secrets, mountPath: /etc/flexhub/secrets, readOnly: true}
  - {name: data, mountPath: /var/lib/flexhub}
  - {name: tmp, mountPath: /tmp}
{{- end }}

{{/* Replicas rather on different nodes. */}}
{{- define "flexhub.apart" -}}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "flexhub.selector" .context | nindent 14 }}
              app.kubernetes.io/component: {{ .component }}
{{- end }}
