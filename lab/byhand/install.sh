#!/bin/bash
# Installs one server as one would script it by hand: DHCP and HTTP from small servers, an
# initramfs that copies an image to the disk, a BMC that is told what to do. Nothing is
# retried, read back, or kept for later. It prints the seconds since the power-on that
# each step ended at.
#
# BMC, BMC_USER, IPMI_PASSWORD  the BMC
# MAC, ADDRESS, GATEWAY         the server's NIC, its address, the switch's on the /31
# HERE                          our own address
# KERNEL, DRIVERS               a kernel, and an initramfs with its drivers
# IMAGE, SHA256                 zstd-compressed raw image; digest of that file
# SSH_KEY                       of who may log in
set -euo pipefail

work=$(mktemp -d)
chmod 755 "$work"
trap 'trap - EXIT; kill $(jobs -p) 2>/dev/null; wait; rm -rf "$work"' EXIT
cd "$work"

# The initramfs: busybox, quicker tools with their libraries, and a script as init.
mkdir -p root/usr/bin root/usr/local/bin www seed
cp /bin/busybox root/usr/bin/
for tool in /usr/bin/{zstd,sha256sum,tee,dd} /sbin/sgdisk; do
	cp "$tool" root/usr/local/bin/
	ldd "$tool" | grep -o '/[^ ]*' | while read -r library; do
		install -D "$library" "root/usr${library#/usr}"
	done
done
cat >root/init <<END
#!/usr/bin/busybox sh
export PATH=/usr/bin fast=/usr/local/bin # the shell would take its own tools first
/usr/bin/busybox --install -s /usr/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
modprobe virtio_pci
modprobe virtio_net
modprobe virtio_blk
ip link set eth0 up
ip address add $ADDRESS/31 dev eth0
ip route add default via $GATEWAY
until wget -q -O /dev/null http://$HERE/agent; do sleep 0.2; done
mkfifo /tmp/copy
\$fast/sha256sum </tmp/copy >/tmp/digest &
wget -q -O - http://$HERE/image | \$fast/tee /tmp/copy | \$fast/zstd -q -d -c | \$fast/dd of=/dev/vda bs=4M iflag=fullblock conv=sparse,fsync
wait
[ "\$(cut -c 1-64 /tmp/digest)" = "$SHA256" ] || poweroff -f
\$fast/sgdisk --move-second-header --new=9:-5M:0 /dev/vda
wget -q -O - http://$HERE/seed | dd of=/dev/vda9 bs=1M conv=fsync
wget -q -O /dev/null http://$HERE/written
until wget -q -O /dev/null http://$HERE/reboot; do sleep 0.2; done
reboot -f
END
chmod 755 root/init
(cd root && find . | cpio --quiet --create --format=newc) | zstd -q -1 >www/tools

cat >seed/meta-data <<END
instance-id: by-hand
local-hostname: by-hand
public-keys: ["$SSH_KEY"]
END
cat >seed/network-config <<END
version: 2
ethernets:
  eth0: {match: {macaddress: "$MAC"}, set-name: eth0, addresses: [$ADDRESS/31], gateway4: $GATEWAY}
END
echo '#cloud-config' >seed/user-data
genisoimage -quiet -volid cidata -joliet -rock -output www/seed seed/*

ln -s "$KERNEL" www/kernel
ln -s "$DRIVERS" www/drivers
ln -s "$IMAGE" www/image
touch www/agent www/written
cat >www/boot <<END
#!ipxe
kernel http://$HERE/kernel initrd=drivers initrd=tools console=ttyS0,115200 panic=10
initrd http://$HERE/drivers
initrd http://$HERE/tools
boot
END
busybox httpd -f -vv -p "$HERE:80" -h www 2>httpd.log &
dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 --leasefile-ro \
	--dhcp-range="$ADDRESS,$ADDRESS,255.255.255.254" --dhcp-host="$MAC,$ADDRESS" \
	--dhcp-option="option:router,$GATEWAY" --dhcp-boot="http://$HERE/boot" 2>dnsmasq.log &

bmc() { ipmitool -I lanplus -C 3 -H "$BMC" -U "$BMC_USER" -E "$@" >ipmitool.log; }
asked() { until grep -q "url:/$1" httpd.log; do sleep 0.1; done; }
begin=$EPOCHREALTIME
step() { awk -v begin="$begin" -v now="$EPOCHREALTIME" -v step="$1" 'BEGIN { printf "%.1f %s\n", now - begin, step }'; }

bmc chassis bootdev pxe
bmc chassis power on
asked agent
step booted
asked written
step written
bmc chassis bootdev disk options=persistent
touch www/reboot
until banner=$(timeout 2 bash -c "exec 3<>/dev/tcp/$ADDRESS/22 && head -n 1 <&3" 2>ssh.log) && [ -n "$banner" ]; do sleep 0.2; done
step "answers SSH"
