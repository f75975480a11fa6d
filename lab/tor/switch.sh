#!/bin/bash
# The switch's first process. It runs in PID, mount and UTS namespaces of its own, made by
# unshare(1), and in the switch's network namespace: when it ends, all of the switch ends,
# and nothing of it is left in the machine's own /etc and /run.
#
# SWITCH_DIR       the switch's folder: software.sh and the folders that it keeps its
#                  configuration in, sshd_config, authorized_keys, password.hash
# SWITCH_NAME      its host name
# SWITCH_SSH       where its SSH server listens: ADDRESS/PORT
# SWITCH_USER      the login name of its operators
# SWITCH_PORTS     the interfaces that servers are cabled to
# SWITCH_RELAYED   the interfaces that DHCP is relayed from
# SWITCH_RELAY     the DHCP server, and
# SWITCH_UPLINK    the interface towards it; both empty: no relay
set -euo pipefail
cd "$SWITCH_DIR"
trap 'exit 0' TERM

# What switches: prepare_software, start_software, software_is_ready, and operators, the
# groups and the sudo rights of who logs in.
# shellcheck source=/dev/null
source software.sh

hostname "$SWITCH_NAME"

# What is written below /etc stays in memory, but for what is kept.
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/etc /run/work /run/sshd
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/work overlay /etc

# keep FOLDER: it is one of the switch's folder, and survives a restart.
keep() {
	mkdir -p "$(basename "$1")" "$1"
	mount --bind "$(basename "$1")" "$1"
}

prepare_software
# sudo looks the host's name up, and lldpd announces what it is called there.
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$SWITCH_NAME" >/etc/hosts
# shellcheck disable=SC2046 # several words are meant
useradd --no-create-home --home-dir / --shell /bin/bash $(operators groups) "$SWITCH_USER"
echo "$SWITCH_USER ALL = NOPASSWD: /usr/sbin/lldpcli, $(operators sudo)" >/etc/sudoers.d/operators
printf '%s:%s\n' "$SWITCH_USER" "$(cat password.hash)" | chpasswd --encrypted
install -m 644 authorized_keys /run/authorized_keys

start_software
if [ -n "$SWITCH_PORTS" ]; then
	mkdir /run/lldpd
	# Whoever listens waits for the next announcement: not for 30 s, as usual.
	echo 'configure lldp tx-interval 2' >/etc/lldpd.conf
	# Taps are no Ethernet ports to it, unless they are named one by one.
	/usr/sbin/lldpd -d -k -I "$(tr ' ' , <<<"$SWITCH_PORTS")" &
fi
/usr/sbin/sshd -D -e -f sshd_config &
sshd=$!

# The interfaces that are up and have an IPv4 address, with that address.
relayed() {
	for port in $SWITCH_RELAYED; do
		ip -4 -oneline address show dev "$port" up | awk '{ print $2, $4 }'
	done
}

# dhcrelay reads the interfaces' addresses when it starts and never again, and a port gets
# its address long after the switch has started: a new dhcrelay for every change.
relay() {
	local before='' now pid='' options
	{ echo start; ip -4 monitor link address; } | while read -r _; do
		now=$(relayed)
		[ "$now" != "$before" ] || continue
		before=$now
		[ -z "$pid" ] || { kill "$pid" && wait "$pid" || true; }
		pid=
		options=$(awk 'NF { print "-id", $1 }' <<<"$now")
		[ -n "$options" ] || continue
		# shellcheck disable=SC2086 # several words are meant
		dhcrelay -4 -d -a -m forward --no-pid -iu "$SWITCH_UPLINK" $options "$SWITCH_RELAY" &
		pid=$!
	done
}
[ -z "$SWITCH_RELAY" ] || relay &

# Ready when an operator could log in. Without its SSH server the switch gives up.
until software_is_ready && true <"/dev/tcp/$SWITCH_SSH"; do
	kill -0 "$sshd"
	sleep 0.05
done >/dev/null 2>&1
touch ready
wait
