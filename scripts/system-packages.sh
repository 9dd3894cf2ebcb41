#!/bin/sh
# What `make test-system` needs beyond `make test`: curl (a foreign client), openssl (a foreign TLS stack), yangcli (a foreign
# NETCONF client), netconfd behind OpenSSH's sshd (a foreign NETCONF server), yanglint (a foreign reader of YANG), WireGuard and
# strongSwan in userspace with iproute2, ping and iperf3 (encryptors, and what goes through them).
set -eu
missing=""
for package in curl openssl yangcli netconfd openssh-server libyang-tools \
    wireguard-go wireguard-tools iproute2 iputils-ping iperf3 \
    strongswan-charon strongswan-swanctl libcharon-extra-plugins libstrongswan-extra-plugins; do
    dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
# The tests start an sshd and charons of their own, on loopback and in namespaces. The system's shall not listen because of us.
quieten() {
    if [ -d /run/systemd/system ]; then
        systemctl disable --now "$@" >/dev/null 2>&1 || true
    fi
}
case "$missing" in
*openssh-server*) quieten ssh.service ssh.socket ;;
esac
case "$missing" in
*strongswan-charon*) quieten strongswan-starter.service ;;
esac
