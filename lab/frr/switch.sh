#!/bin/bash
# The switch's first process. It runs in PID, mount and UTS namespaces of its own, made by
# unshare(1), and in the switch's network namespace: when it ends, all of the switch ends,
# and nothing of it is left in the machine's own /etc and /run.
#
# SWITCH_DIR       the switch's folder: frr/, nftables.d/, sshd_config, authorized_keys, password.hash
# SWITCH_NAME      its host name
# SWITCH_SSH       where its SSH server listens: ADDRESS/PORT
# SWITCH_USER      the login name of its operators
# SWITCH_PORTS     the ports that DHCP is relayed from
# SWITCH_RELAY     the DHCP server, and
# SWITCH_UPLINK    the interface towards it; both empty: no relay
set -euo pipefail
cd "$SWITCH_DIR"
trap 'exit 0' TERM

hostname "$SWITCH_NAME"

# What is written below /etc stays in memory, but for the folders of FRR and of the filters.
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/etc /run/work /run/sshd /run/frr
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/work overlay /etc
mount --bind frr /etc/frr
mkdir -p nftables.d /etc/nftables.d
mount --bind nftables.d /etc/nftables.d
mount -t tmpfs -o mode=755 tmpfs /var/log/frr
chown -R frr:frr /etc/frr /run/frr /var/log/frr
chmod -R u=rwX,g=rX,o= /etc/frr

# The kernel's filters outlive the switch's processes, as those of a machine do not.
nft flush ruleset
for filters in /etc/nftables.d/*.nft; do
	[ ! -e "$filters" ] || nft -f "$filters"
done

# Operators have a shell, may run vtysh, and by sudo what works on filters.
useradd --no-create-home --home-dir / --shell /bin/bash --gid frrvty --groups frr "$SWITCH_USER"
echo "$SWITCH_USER ALL = NOPASSWD: /usr/sbin/nft, /usr/bin/install, /usr/bin/mv" >/etc/sudoers.d/operators
printf '127.0.0.1 localhost %s\n' "$SWITCH_NAME" >/etc/hosts # sudo looks the host's name up
printf '%s:%s\n' "$SWITCH_USER" "$(cat password.hash)" | chpasswd --encrypted
install -m 644 authorized_keys /run/authorized_keys

# watchfrr belongs to it: it is who writes frr.conf for vtysh.
/usr/lib/frr/frrinit.sh start
/usr/sbin/sshd -D -e -f sshd_config &
sshd=$!

# The ports that are up and have an IPv4 address, with that address.
relayed() {
	for port in $SWITCH_PORTS; do
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
until vtysh -c 'show version' && true <"/dev/tcp/$SWITCH_SSH"; do
	kill -0 "$sshd"
	sleep 0.05
done >/dev/null 2>&1
touch ready
wait
