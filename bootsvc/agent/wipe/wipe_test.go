package wipe_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"ferrodur/bootsvc/agent/wipe"
	"ferrodur/report"
)

func TestAll(t *testing.T) {
	var disks []report.Disk
	for _, size := range []int{9 << 20, 3<<20 + 512, 4096} {
		path := filepath.Join(t.TempDir(), "disk")
		if err := os.WriteFile(path, bytes.Repeat([]byte{0xa5}, size), 0o600); err != nil {
			t.Fatal(err)
		}
		disks = append(disks, report.Disk{Path: path, Bytes: uint64(size)})
	}
	var last, of uint64
	proof, err := wipe.All(disks, func(done, total uint64, _ string) { last, of = done, total })
	if err != nil {
		t.Fatal(err)
	}
	if last != of || of != 9<<20+3<<20+512+4096 {
		t.Errorf("progress ended at %d of %d", last, of)
	}
	if len(proof.Disks) != len(disks) {
		t.Fatalf("%d records for %d disks", len(proof.Disks), len(disks))
	}
	for n, record := range proof.Disks {
		if !record.Clean || record.Samples < 3 || record.SampledBytes == 0 || record.Disk != disks[n] {
			t.Errorf("record %+v", record)
		}
		text, err := os.ReadFile(disks[n].Path)
		if err != nil || !bytes.Equal(text, make([]byte, disks[n].Bytes)) {
			t.Errorf("%s holds data (%v)", disks[n].Path, err)
		}
	}
}

func TestNothingToWipe(t *testing.T) {
	if _, err := wipe.All(nil, nil); !errors.Is(err, wipe.ErrNoDisk) {
		t.Errorf("no disks: %v", err)
	}
	gone := []report.Disk{{Path: filepath.Join(t.TempDir(), "gone"), Bytes: 1}}
	if _, err := wipe.All(gone, func(uint64, uint64, string) {}); err == nil {
		t.Error("a disk that cannot be opened is said to be wiped")
	}
}
