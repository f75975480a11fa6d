package drivers

import (
	"slices"
	"testing"
)

const (
	dependencies = "kernel/net/virtio_net.ko: kernel/net/net_failover.ko kernel/net/failover.ko\n" +
		"kernel/net/net_failover.ko: kernel/net/failover.ko\nkernel/net/failover.ko:\nkernel/block/virtio-blk.ko:\nkernel/not-wanted.ko:\n"
	aliases = "# comment\nalias virtio:d00000001v* virtio_net\nalias virtio:d00000002v* virtio_blk\nalias pci:v00008086d*sv* e1000e\nalias broken\n"
)

func TestWantedModules(t *testing.T) {
	s := &Set{needs: map[string][]string{}, files: map[string]string{}, loaded: map[string]bool{}}
	s.parse(dependencies, aliases)
	got := s.wanted([]string{"virtio:d00000002v00001AF4", "virtio:d00000001v00001AF4", "pci:v00008086d00001539sv00", "acpi:PNP0A03:"})
	if !slices.Equal(got, []string{"virtio_net", "virtio_blk"}) {
		t.Errorf("wanted: %v", got)
	}
	if got := s.needs[s.files["virtio_net"]]; !slices.Equal(got, []string{"kernel/net/failover.ko", "kernel/net/net_failover.ko"}) {
		t.Errorf("virtio_net is loaded after %v", got)
	}
}
