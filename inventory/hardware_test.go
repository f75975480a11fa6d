package inventory_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ferrodur/inventory"
	"ferrodur/report"
)

func found() report.Hardware {
	return report.Hardware{
		CPU: report.CPU{Threads: 2}, Memory: 1450 << 20,
		Disks: []report.Disk{{Path: "/dev/vda", Bytes: 4 << 30}},
		NICs:  []report.NIC{{Name: "eth0", MAC: "02:00:00:00:00:01"}},
	}
}

func TestCompare(t *testing.T) {
	tests := map[string]struct {
		change func(*inventory.Server, *report.Hardware)
		want   []inventory.Mismatch
	}{
		"as promised":            {func(*inventory.Server, *report.Hardware) {}, nil},
		"more than promised":     {func(_ *inventory.Server, h *report.Hardware) { h.CPU.Threads = 64 }, nil},
		"another NIC":            {func(_ *inventory.Server, h *report.Hardware) { h.NICs[0].MAC = "02:00:00:00:00:99" }, []inventory.Mismatch{"no NIC has the MAC 02:00:00:00:00:01: is it cabled and declared right?"}},
		"fewer threads":          {func(_ *inventory.Server, h *report.Hardware) { h.CPU.Threads = 1 }, []inventory.Mismatch{"1 CPU threads, not 2"}},
		"a dead memory module":   {func(_ *inventory.Server, h *report.Hardware) { h.Memory = 1024 << 20 }, []inventory.Mismatch{"1024 MiB of memory, not 1536"}},
		"no disk":                {func(_ *inventory.Server, h *report.Hardware) { h.Disks = nil }, []inventory.Mismatch{"no disk"}},
		"a smaller disk":         {func(_ *inventory.Server, h *report.Hardware) { h.Disks[0].Bytes = 1 << 30 }, []inventory.Mismatch{"0 disks of at least 4294967296 bytes, not 1"}},
		"less than was declared": {func(s *inventory.Server, _ *report.Hardware) { s.Declared.DiskBytes = 8 << 30 }, []inventory.Mismatch{"4294967296 bytes on all disks, not 8589934592"}},
		"the wrong disk":         {func(s *inventory.Server, _ *report.Hardware) { s.Disk = "/dev/nvme0n1" }, []inventory.Mismatch{"no disk /dev/nvme0n1, which images are to go onto"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server, hardware := rack(1).Servers[0], found()
			test.change(&server, &hardware)
			require.Equal(t, test.want, inventory.Compare(server, rack(1).Plans[0], hardware))
		})
	}
}

func TestReportsAreStoredOnce(t *testing.T) {
	store, _ := stocked(t, 1)
	require.NoError(t, store.StoreHardware(t.Context(), "srv1", found()))
	server, err := store.Server(t.Context(), "srv1")
	require.NoError(t, err)
	require.Equal(t, found(), *server.Hardware)

	outcome := report.BurnIn{Profile: "short", Started: time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC), Passed: true,
		Tests: []report.Test{{Name: "fio", Component: "/dev/vda", Passed: true, Metrics: map[string]float64{"read_mib_per_s": 812.5}}}}
	require.NoError(t, store.StoreBurnIn(t.Context(), "srv1", "burn-in-1", outcome))
	require.NoError(t, store.StoreBurnIn(t.Context(), "srv1", "burn-in-1", report.BurnIn{Passed: false}))
	burnIns, err := store.BurnIns(t.Context(), "srv1")
	require.NoError(t, err)
	require.Len(t, burnIns, 1)
	require.Equal(t, outcome, burnIns[0].Report)

	require.ErrorAs(t, store.StoreHardware(t.Context(), "srv9", found()), &inventory.NotFoundError{})
	require.ErrorAs(t, store.StoreBurnIn(t.Context(), "srv9", "k", outcome), &inventory.NotFoundError{})
	require.ErrorAs(t, store.StoreWipe(t.Context(), "srv9", "", "k", wipe(true)), &inventory.NotFoundError{})
}
