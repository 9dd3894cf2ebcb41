#!/bin/sh
# What `make test-system` needs beyond `make test`: curl (a foreign client), openssl (a foreign TLS stack), yangcli (a foreign
# NETCONF client), netconfd behind OpenSSH's sshd (a foreign NETCONF server), yanglint (a foreign reader of YANG), ip, ping and
# iperf3 (network namespaces, and traffic between them).
set -eu
missing=""
for package in curl openssl yangcli netconfd openssh-server libyang-tools iproute2 iputils-ping iperf3; do
    dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
# The tests start an sshd of their own, on loopback. The system's shall not listen because of us.
case "$missing" in
*openssh-server*)
    if [ -d /run/systemd/system ]; then
        systemctl disable --now ssh.service ssh.socket >/dev/null 2>&1 || true
    fi
    ;;
esac
