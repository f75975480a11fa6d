package hardware_test

import (
	"testing"
	"testing/fstest"

	"ferrodur/bootsvc/agent/hardware"
	"ferrodur/report"
)

func server() fstest.MapFS {
	files := fstest.MapFS{}
	for name, text := range map[string]string{
		"proc/cpuinfo":                     "processor\t: 0\nphysical id\t: 0\nmodel name\t: AMD EPYC\n\nprocessor\t: 1\nphysical id\t: 1\nmodel name\t: AMD EPYC\n",
		"proc/meminfo":                     "MemTotal:        2014232 kB\nMemFree: 1 kB\n",
		"sys/block/vda/size":               "16777216\n",
		"sys/block/vda/serial":             "FD0001-d1\n",
		"sys/block/vda/queue/rotational":   "1\n",
		"sys/block/nvme0n1/size":           "2048\n",
		"sys/block/nvme0n1/device/model":   "SAMSUNG  \n",
		"sys/block/nvme0n1/device/serial":  "S1\n",
		"sys/block/loop0/size":             "100\n",
		"sys/block/sr0/size":               "100\n",
		"sys/block/sdb/size":               "100\n",
		"sys/block/sdb/removable":          "1\n",
		"sys/block/vdb/size":               "0\n",
		"sys/class/net/eth0/address":       "52:54:00:FD:00:01\n",
		"sys/class/net/eth0/carrier":       "1\n",
		"sys/class/net/eth0/device/uevent": "DRIVER=virtio_net\nMODALIAS=x\n",
		"sys/class/net/lo/address":         "00:00:00:00:00:00\n",
		"sys/class/dmi/id/bios_vendor":     "SeaBIOS\n",
		"sys/class/dmi/id/product_serial":  "FD0001\n",
	} {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

func TestFind(t *testing.T) {
	found, err := hardware.Find(server())
	if err != nil {
		t.Fatal(err)
	}
	if found.CPU != (report.CPU{Model: "AMD EPYC", Sockets: 2, Threads: 2}) {
		t.Errorf("processors: %+v", found.CPU)
	}
	if found.Memory != 2014232<<10 {
		t.Errorf("memory: %d", found.Memory)
	}
	want := []report.Disk{
		{Path: "/dev/nvme0n1", Model: "SAMSUNG", Serial: "S1", Bytes: 1 << 20},
		{Path: "/dev/vda", Serial: "FD0001-d1", Bytes: 8 << 30, Rotational: true},
	}
	if len(found.Disks) != 2 || found.Disks[0] != want[0] || found.Disks[1] != want[1] {
		t.Errorf("disks: %+v", found.Disks)
	}
	if len(found.NICs) != 1 || found.NICs[0] != (report.NIC{Name: "eth0", MAC: "52:54:00:fd:00:01", Driver: "virtio_net", Link: true}) {
		t.Errorf("NICs: %+v", found.NICs)
	}
	if found.Firmware != (report.Firmware{Mode: "bios", Vendor: "SeaBIOS", Serial: "FD0001"}) {
		t.Errorf("firmware: %+v", found.Firmware)
	}
	uefi := server()
	uefi["sys/firmware/efi/fw_platform_size"] = &fstest.MapFile{Data: []byte("64")}
	if found, err := hardware.Find(uefi); err != nil || found.Firmware.Mode != "uefi" {
		t.Errorf("firmware: %+v (%v)", found.Firmware, err)
	}
}

func TestWithoutAKernelsFiles(t *testing.T) {
	if _, err := hardware.Find(fstest.MapFS{}); err == nil {
		t.Error("an empty file system is taken for a server's")
	}
}
