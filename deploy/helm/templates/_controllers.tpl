{{- /* For each name in `controller.run`: its part of the command line, and what it may do in the cluster. */ -}}

{{- define "unipam.controller.image" -}}
{{- $run := .Values.controller.run -}}
{{- $azure := or (has "cilium" $run) (has "kubenet" $run) -}}
{{- $image := .Values.controller.image -}}
{{- $repository := $image.repository | default (ternary "unipam-register" "unipam-agent" $azure) -}}
{{- include "unipam.image" (dict "image" (dict "repository" $repository "tag" $image.tag) "root" .) -}}
{{- end }}

{{- define "unipam.command.calico" -}}
- --calico
{{- end }}

{{- define "unipam.may.calico" -}}
- apiGroups: [""]
  resources: [pods, nodes]
  verbs: [get, list, watch]
- apiGroups: [{{ .calico.apiGroup }}]
  resources: [ipamblocks, ipamhandles, blockaffinities]
  verbs: [get, list, watch, update, delete]
- apiGroups: [{{ .calico.apiGroup }}]
  resources:
    - ippools
    - ipreservations
    - {{ eq .calico.apiGroup "crd.projectcalico.org" | ternary "ipamconfigs" "ipamconfigurations" }}
    - clusterinformations
    - kubecontrollersconfigurations
  verbs: [get, list, watch]
- apiGroups: [kubevirt.io]
  resources: [virtualmachines, virtualmachineinstances]
  verbs: [list]
{{- end }}

{{- define "unipam.command.cilium" -}}
{{- $cilium := .cilium -}}
- --cilium
- --azure-subscription-id
- {{ required "controller.cilium.subscription: the machines' subscription" $cilium.subscription | quote }}
- --azure-resource-group
- {{ required "controller.cilium.resourceGroup: the machines' resource group (MC_...)" $cilium.resourceGroup | quote }}
{{- if $cilium.release }}
- --azure-release-excess-ips
{{- end }}
{{- end }}

{{- define "unipam.may.cilium" -}}
- apiGroups: [cilium.io]
  resources: [ciliumnodes]
  verbs: [list, watch, patch]
- apiGroups: [cilium.io]
  resources: [ciliumnodes/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [cilium.io]
  resources: [ciliumendpoints]
  verbs: [list]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}

{{- define "unipam.command.kubenet" -}}
{{- $kubenet := .kubenet -}}
- --kubenet
- --cluster-cidr
- {{ required "controller.kubenet.clusterCidr: the pods' ranges" $kubenet.clusterCidr | quote }}
- --service-cluster-ip-range
- {{ required "controller.kubenet.serviceClusterIpRange: the services' ranges" $kubenet.serviceClusterIpRange | quote }}
- --route-table
- {{ required "controller.kubenet.routeTable: the route table's resource id" $kubenet.routeTable | quote }}
- --node-subnet
- {{ required "controller.kubenet.nodeSubnet: the resource id of the nodes' subnet" $kubenet.nodeSubnet | quote }}
{{- end }}

{{- define "unipam.may.kubenet" -}}
- apiGroups: [""]
  resources: [nodes]
  verbs: [get, list, watch, patch]
- apiGroups: [""]
  resources: [nodes/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}
