std.manifestYamlDoc((import 'mixin.libsonnet').prometheusAlerts, quote_keys=false)
