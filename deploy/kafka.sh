#!/bin/sh
# Starts Kafka; before its first start, formats its storage with the account that the parts use.
set -eu
/opt/kafka/bin/kafka-storage.sh @/run/breachline/kafka/format.args
exec /opt/kafka/bin/kafka-server-start.sh /etc/breachline/kafka.properties
